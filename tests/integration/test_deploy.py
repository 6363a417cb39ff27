"""The files in `deploy/` agree with each other, with the server's flags and with what is shipped.

No container is started, and no image built. That the flags, the check of health and the probes work,
`test_readme.py` tries on our server.
"""

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from absl import flags as absl_flags
from deployment import (
    DEPLOY,
    compose,
    container,
    documents,
    flags,
    for_our_server,
    kubernetes,
    mounted,
    on_this_machine,
    pod,
)
from google.protobuf import text_format
from helpers import ROOT

from ifrp_tf.cli import command, serve, train
from ifrp_tf.core.presets import preset
from ifrp_tf.serving.server import Options
from ifrp_tf.training import workers

# Of tensorflow_model_server, as its --help spells them; one that it does not know ends it.
FLAGS = {
    "port", "rest_api_port", "model_name", "model_base_path", "enable_batching",
    "batching_parameters_file", "monitoring_config_file", "file_system_poll_wait_seconds",
}  # fmt: skip


def test_a_key_given_twice_is_an_error():
    with pytest.raises(yaml.constructor.ConstructorError, match="twice"):
        documents("a: 1\nb: {c: 1, c: 2}")


def test_both_start_the_stock_server_in_the_same_way(tmp_path):
    here, there = compose(), container()
    assert here["image"] == there["image"]
    assert here["entrypoint"] == there["command"] == ["tensorflow_model_server"]
    for name, text in kubernetes()["ConfigMap", "ifrp-serving"]["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    ours, theirs = options(on_this_machine(), DEPLOY), options(flags(there["args"]), tmp_path)
    assert ours.metrics_path == theirs.metrics_path != ""
    apart = {"model_base_path", "file_system_poll_wait_seconds"}
    first, second = ({k: v for k, v in vars(one).items() if k not in apart} for one in (ours, theirs))
    assert first == second


def options(given, folder):
    """Our server's settings that do the same, with the text files from a folder."""
    assert set(given) <= FLAGS
    made = for_our_server(given, folder)
    made["enable_batching"] = {"true": True, "false": False}[given["enable_batching"]]
    texts = ("model_name", "model_base_path", "metrics_path", "enable_batching")
    return Options(**{name: value if name in texts else int(value) for name, value in made.items()})


def test_the_servers_files_are_read(tmp_path):
    made = options(on_this_machine(), DEPLOY)
    assert (made.max_batch_size, made.max_enqueued_batches) == (16, 10)
    assert (made.batch_timeout_micros, made.num_batch_threads) == (2000, 2)
    for name in ("batching.txt", "monitoring.txt"):
        text = (DEPLOY / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("max_batch_size", "max_bath_size"), encoding="utf-8")
    with pytest.raises(text_format.ParseError, match="max_bath_size"):
        options(on_this_machine(), tmp_path)


def test_compose_mounts_what_is_there_where_the_flags_look_for_it():
    given = flags(compose()["command"])
    assert mounted() == {
        given["model_base_path"]: ROOT / "saved_models" / given["model_name"],
        given["batching_parameters_file"]: DEPLOY / "batching.txt",
        given["monitoring_config_file"]: DEPLOY / "monitoring.txt",
    }
    assert all(path.exists() for path in mounted().values())


def test_compose_opens_the_servers_ports_to_this_machine_only():
    given = flags(compose()["command"])
    wanted = {f"127.0.0.1:{given[name]}:{given[name]}" for name in ("port", "rest_api_port")}
    assert set(compose()["ports"]) == wanted


def test_kubernetes_mounts_what_the_flags_look_for():
    given, mounts = flags(container()["args"]), container()["volumeMounts"]
    places = {mount["name"]: mount["mountPath"] for mount in mounts}
    volumes = {one["name"]: one for one in pod()["spec"]["volumes"]}
    assert set(places) == set(volumes)
    assert all(mount["readOnly"] for mount in mounts)
    # The claim holds saved_models/ifrp as ifrp/, say the file's first lines.
    assert given["model_base_path"] == f"{places['models']}/{given['model_name']}"
    files = kubernetes()["ConfigMap", volumes["config"]["configMap"]["name"]]["data"]
    wanted = {given[name] for name in ("batching_parameters_file", "monitoring_config_file")}
    assert wanted == {f"{places['config']}/{name}" for name in files}


def test_the_ports_and_labels_of_kubernetes_meet():
    given, notes = flags(container()["args"]), pod()["metadata"]["annotations"]
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"grpc": int(given["port"]), "http": int(given["rest_api_port"])}
    assert notes["prometheus.io/port"] == given["rest_api_port"]
    assert notes["prometheus.io/path"] == options(on_this_machine(), DEPLOY).metrics_path
    for probe in ("startupProbe", "readinessProbe"):
        assert container()[probe]["httpGet"]["port"] == "http"
    assert container()["livenessProbe"]["tcpSocket"]["port"] in ports
    labels = pod()["metadata"]["labels"]
    assert kubernetes()["Deployment", "ifrp"]["spec"]["selector"]["matchLabels"] == labels
    for name, wanted in {"ifrp": ports, "ifrp-headless": {"grpc": ports["grpc"]}}.items():
        service = kubernetes()["Service", name]["spec"]
        assert service["selector"] == labels
        assert {port["targetPort"]: port["port"] for port in service["ports"]} == wanted


@pytest.mark.parametrize("name", ["kubernetes.yaml", "training.yaml"])
def test_the_manifests_are_what_kubernetes_takes(name):
    validator = pytest.importorskip("kubernetes_validate", reason="needs the extra `test`")
    for document in manifest(name):
        validator.validate(document, "1.31", strict=True)
        broken = json.loads(json.dumps(document).replace('"metadata"', '"metadatas"', 1))
        with pytest.raises(validator.ValidationError, match="metadatas"):
            validator.validate(broken, "1.31", strict=True)


def manifest(name):
    return documents((DEPLOY / name).read_text(encoding="utf-8"))


def test_the_workers_of_the_training_find_each_other(monkeypatch):
    service, job = manifest("training.yaml")
    pods = job["spec"]["template"]
    (trained,) = pods["spec"]["containers"]
    assert service["spec"]["selector"] == pods["metadata"]["labels"]
    assert pods["spec"]["subdomain"] == service["metadata"]["name"]
    (port,), (served,) = trained["ports"], service["spec"]["ports"]
    assert (served["targetPort"], served["port"]) == (port["name"], port["containerPort"])
    count, name = job["spec"]["completions"], job["metadata"]["name"]
    assert job["spec"]["parallelism"] == count
    (text,) = [each["value"] for each in trained["env"] if each["name"] == "TF_CONFIG"]
    wanted = [f"{name}-{k}.{service['metadata']['name']}:{served['port']}" for k in range(count)]
    for index in range(count):
        told = text.replace("$(INDEX)", str(index))
        content = json.loads(told)
        assert content["cluster"] == {"worker": wanted}
        assert content["task"] == {"type": "worker", "index": index}
        monkeypatch.setenv("TF_CONFIG", told)
        assert workers.in_environment() == count
    places = {mount["name"]: mount["mountPath"] for mount in trained["volumeMounts"]}
    assert set(places) == {volume["name"] for volume in pods["spec"]["volumes"]}
    program, command_name, *given = [*trained["command"], *trained["args"]]
    assert (program, command_name) == ("ifrp", "train")
    values = absl_flags.FlagValues()
    command.define_flags(train.Request, values)
    values(["ifrp", *given])
    request = command.request_from(train.Request, values)
    assert preset(request.preset).train.batch_size % count == 0
    for path, volume in ((request.data, "data"), (request.weights, "data"), (request.run_dir, "runs")):
        assert path.startswith(f"{places[volume]}/")


def instructions():
    """Those of the Dockerfile, as (name, the rest of the line)."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [tuple(line.split(None, 1)) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def arguments(name):
    return [rest for found, rest in instructions() if found == name]


def test_the_linter_finds_nothing_in_the_dockerfile():
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("needs the extra `test`")
    found = subprocess.run(
        [linter, "--failure-threshold=style", DEPLOY / "Dockerfile"], capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_is_built_from_what_is_here_and_sent():
    sources = [part for rest in arguments("COPY") if "--from" not in rest for part in rest.split()[:-1]]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
    # What the build of the wheel reads by name.
    wanted = re.findall(
        r'"([A-Z]+|[a-z]+\.txt|README.md)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert set(fnmatch.filter(wanted, "*.txt")) | {"LICENSE", "NOTICE", "README.md"} <= set(sources)


def test_the_image_is_pinned_and_runs_without_root():
    assert len({rest.split()[0] for rest in arguments("FROM")}) == 1
    for rest in arguments("FROM"):
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", rest.split()[0])
    (user,) = arguments("USER")
    assert int(user.split(":")[0]) > 0
    names = [name for name, _ in instructions()]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_the_image_starts_our_server_where_its_health_is_asked():
    values = absl_flags.FlagValues()
    command.define_flags(serve.Request, values)
    (entry,), (health,) = arguments("ENTRYPOINT"), arguments("HEALTHCHECK")
    program, name, *given = json.loads(entry)
    assert (program, name) == ("ifrp", "serve")
    values(["ifrp", *given])
    request = command.request_from(serve.Request, values)
    assert request.host == "0.0.0.0"  # of the container alone
    assert arguments("EXPOSE") == [f"{request.port} {request.rest_api_port}"]
    asked = json.loads(health[health.index("[") :])
    compile(asked[2], "HEALTHCHECK", "exec")
    assert f"127.0.0.1:{request.rest_api_port}/healthz" in asked[2]
