"""The files in `deploy/`, read strictly."""

import functools

import yaml
from helpers import ROOT

DEPLOY = ROOT / "deploy"


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
