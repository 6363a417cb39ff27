"""The files in `deploy/`, read strictly."""

import functools
from pathlib import Path

import yaml
from google.protobuf import message_factory, text_format
from helpers import ROOT

from ifrp_tf.client.wire import make_pool

DEPLOY = ROOT / "deploy"

# TensorFlow Serving's messages for its text files, which no package ships. Only the names matter in text.
_SCHEMA = {
    "google.protobuf.Int64Value": ((1, "value", "int64"),),
    "google.protobuf.StringValue": ((1, "value", "string"),),
    "google.protobuf.BoolValue": ((1, "value", "bool"),),
    "tensorflow.serving.BatchingParameters": (
        (1, "max_batch_size", "google.protobuf.Int64Value"),
        (2, "batch_timeout_micros", "google.protobuf.Int64Value"),
        (3, "max_enqueued_batches", "google.protobuf.Int64Value"),
        (4, "num_batch_threads", "google.protobuf.Int64Value"),
        (5, "thread_pool_name", "google.protobuf.StringValue"),
        (6, "allowed_batch_sizes", "int64[]"),
        (7, "pad_variable_length_inputs", "bool"),
        (8, "enable_large_batch_splitting", "google.protobuf.BoolValue"),
        (9, "max_execution_batch_size", "google.protobuf.Int64Value"),
    ),
    "tensorflow.serving.PrometheusConfig": ((1, "enable", "bool"), (2, "path", "string")),
    "tensorflow.serving.MonitoringConfig": ((1, "prometheus_config", "tensorflow.serving.PrometheusConfig"),),
}


class _Strict(yaml.SafeLoader):
    """A key that is given twice is an error: of two values, the first would be lost in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def documents(text):
    """The documents of a YAML text."""
    return list(yaml.load_all(text, _Strict))


@functools.cache
def compose():
    """The service of `compose.yaml`."""
    (document,) = documents((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document["services"]["ifrp"]


@functools.cache
def kubernetes():
    """The objects of `kubernetes.yaml` by kind and name."""
    found = documents((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    made = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(made) == len(found)
    return made


def pod():
    """What the deployment makes copies of."""
    return kubernetes()["Deployment", "ifrp"]["spec"]["template"]


def container():
    """Its one container."""
    (one,) = pod()["spec"]["containers"]
    return one


def flags(command):
    """`--name=value` as a dictionary."""
    assert all(flag.startswith("--") and "=" in flag for flag in command), command
    pairs = dict(flag.removeprefix("--").split("=", 1) for flag in command)
    assert len(pairs) == len(command), command
    return pairs


def mounted():
    """Where `compose.yaml` puts the folders and files of this checkout: path inside -> path here."""
    volumes = [volume.split(":") for volume in compose()["volumes"]]
    assert all(mode == "ro" for _, _, mode in volumes)
    return {inside: (DEPLOY / outside).resolve() for outside, inside, _ in volumes}


def on_this_machine():
    """The flags of `compose.yaml`, with what it mounts at its place in this checkout."""
    return {name: str(mounted().get(value, value)) for name, value in flags(compose()["command"]).items()}


def for_our_server(given, folder):
    """Flags of `tools/serve.py` that do what flags of TensorFlow Serving do, its text files from a folder.

    A name in the files that TensorFlow Serving does not know is an error.
    """
    made = dict(given)
    batching = _read(Path(folder, Path(made.pop("batching_parameters_file")).name), "BatchingParameters")
    monitoring = _read(Path(folder, Path(made.pop("monitoring_config_file")).name), "MonitoringConfig")
    for name in ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"):
        assert batching.HasField(name)
        made[name] = str(getattr(batching, name).value)
    assert monitoring.prometheus_config.enable
    return made | {"metrics_path": monitoring.prometheus_config.path}


def _read(path, kind):
    found = make_pool(_SCHEMA).FindMessageTypeByName(f"tensorflow.serving.{kind}")
    return text_format.Parse(path.read_text(encoding="utf-8"), message_factory.GetMessageClass(found)())
