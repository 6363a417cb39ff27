"""The fuzzer's configurations and weight files: their damage and their targets."""

from __future__ import annotations

import functools
import io
import json
import os
import random
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hardening.fuzz.mutations import mutate, number
from hardening.fuzz.worker import write
from ifrp_tf.core import runtime
from ifrp_tf.core.config import Config
from ifrp_tf.release import folder

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**400, -(10**30), 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "0",
    "none", "\ud800", "\0", "x" * 5000, [], [0.5, 1], [[1]], [None], {}, {"a": 1}, {"": {}}, "1e999",
    "0x10", "١", "nan",
)  # fmt: skip


class Folder:
    """A folder of one's own, emptied before every case and gone with its owner."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ifrp_fuzz_"))
        self._end = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def filled(self, case: dict[str, bytes]) -> Path:
        """The folder with the files of a case; what is called `link NAME` becomes a link to its content."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        write(self.path, {name: data for name, data in case.items() if not name.startswith("link ")})
        for name, data in case.items():
            if name.startswith("link "):
                link = self.path / name.removeprefix("link ")
                link.parent.mkdir(parents=True, exist_ok=True)
                os.symlink(os.fsdecode(data), link)
        return self.path


class Configs:
    """Settings: `section.key=value` as `--set` takes them, and the text of a `config.json`."""

    seconds = 1.0

    def __init__(self) -> None:
        self._folder = Folder()
        self._text = json.dumps(Config().to_dict()).encode()
        self._assignments = [
            f"{section}.{key}={json.dumps(value)}".encode()
            for section, part in Config().to_dict().items()
            if isinstance(part, dict)
            for key, value in part.items()
        ]

    def make(self, chance: random.Random) -> dict[str, bytes]:
        """One to three assignments, or a text."""
        if chance.random() < 0.5:
            chosen = chance.choices(self._assignments, k=chance.randint(1, 3))
            return {str(i): self._assignment(one, chance) for i, one in enumerate(chosen)}
        return {"config.json": damaged_json(self._text, chance)}

    def _assignment(self, whole: bytes, chance: random.Random) -> bytes:
        if chance.random() < 0.5:
            value = chance.choice((*_VALUES, number(chance, 8), "9" * 5000, "1,2", ",", "-1e-400"))
            return whole.partition(b"=")[0] + b"=" + f"{value}".encode("utf-8", "surrogatepass")
        return mutate(whole, self._assignments, chance)

    def run(self, case: dict[str, bytes]) -> str:
        """Makes the configuration, and checks that it comes back from its own JSON."""
        if "config.json" in case:
            path = self._folder.filled(case) / "x.weights.h5"
            config = folder.read_config(folder.ModelFolder("weights", path, "x"))
        else:
            config = Config().override([data.decode("utf-8", "surrogateescape") for data in case.values()])
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
        return "a configuration"


def damaged_json(whole: bytes, chance: random.Random) -> bytes:
    """A JSON text with other values, other names or other bytes.

    Args:
        whole: an object of objects.
        chance: the source of randomness.
    """
    kind = chance.random()
    if kind < 0.3:
        return mutate(whole, [whole], chance)
    if kind < 0.35:
        depth = chance.choice((10, 500, 5000, 100_000))
        return (
            b"[" * depth + b"]" * depth if chance.random() < 0.5 else b'{"a":' * depth + b"1" + b"}" * depth
        )
    values = json.loads(whole)
    for _ in range(chance.randint(1, 3)):
        place = chance.choice(
            [part for part in values.values() if isinstance(part, dict) and part] or [values]
        )
        place = values if chance.random() < 0.2 else place
        name = chance.choice(list(place) or ["a"])
        match chance.randrange(4):
            case 0:
                place[chance.choice((name + "x", "", "data", "\u0000", name.upper(), "y" * 3000))] = 1
            case 1:
                place.pop(name, None)
            case _:
                place[name] = chance.choice((*_VALUES, number(chance, 8)))
    return json.dumps(values).encode("utf-8", "surrogatepass")


class Weights:
    """Weight files of networks: `.weights.h5`, `.npz` archives, and the Keras 2 file of FaceNet."""

    memory = 512 * 2**20

    def __init__(self) -> None:
        with runtime.start_up():
            from ifrp_tf.core import archives
            from ifrp_tf.nn.features import facenet
            from ifrp_tf.release import weights
        self._folder, self._network = Folder(), small_network()
        path, half = self._folder.path / "a.weights.h5", self._folder.path / "b.weights.h5"
        self._network.save_weights(path)
        weights.write_half(path, half)
        arrays = {name: np.asarray(value) for name, value in archives.model_variables(self._network)}
        archives.write_arrays(self._folder.path / "a.npz", arrays)
        _write_keras_2(self._folder.path / "keras2.h5", arrays)
        files = ("a.weights.h5", "b.weights.h5", "a.npz", "keras2.h5")
        self._seeds = {name: (self._folder.path / name).read_bytes() for name in files}
        self._doors: dict[str, Callable[[Path], object]] = {
            ".weights.h5": lambda path: weights.load(self._network, path),
            "load.npz": lambda path: archives.load_arrays(path, self._network),
            "read.npz": archives.read_arrays,
            "keras2.h5": lambda path: facenet.read_arrays(path, self._network),
        }

    def make(self, chance: random.Random) -> dict[str, bytes]:
        """One damaged file, named after its target."""
        name = chance.choice(list(self._seeds))
        data = self._seeds[name]
        if name.endswith(".npz"):
            data = damaged_npz(data, chance)
            return {chance.choice(("load.npz", "read.npz")): data}
        return {name: mutate(data, list(self._seeds.values()), chance)}

    def run(self, case: dict[str, bytes]) -> str:
        """Loads it."""
        (name,) = case
        path = self._folder.filled(case) / name
        door = next(door for ending, door in self._doors.items() if name.endswith(ending))
        door(path)
        return "loaded"


def small_network() -> Any:
    """A Keras model of three layers: the doors are the same for it as for a large one."""
    import keras

    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, keras.layers.Dense(4, name="last")(x), name="small")


def _write_keras_2(path: Path, arrays: dict[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            layer, _, variable = name.partition("/")
            group = file.require_group(layer)
            group[f"{layer}/{variable}:0"] = values
            listed = [*group.attrs.get("weight_names", ()), f"{layer}/{variable}:0".encode()]
            group.attrs["weight_names"] = np.array(listed, "S")


def damaged_npz(whole: bytes, chance: random.Random) -> bytes:
    """An archive with damaged bytes, or with members that are damaged, missing, doubled, foreign or vast.

    Args:
        whole: a `.npz`.
        chance: the source of randomness.
    """
    if chance.random() < 0.4:
        return mutate(whole, [whole], chance)
    if chance.random() < 0.005:
        return _vast(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(members))
    match chance.randrange(8):
        case 0:
            del members[name]
        case 1:
            members[chance.choice(("more.npy", "more", "../more.npy", name.upper()))] = members[name]
        case 2:
            members[name] = members[chance.choice(list(members))]
        case 3:
            members[name] = b""
        case _:
            members[name] = mutate(members[name], list(members.values()), chance)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data, archive.compression)
    return buffer.getvalue()


@functools.cache
def _vast(whole: bytes) -> bytes:
    """The archive with a gibibyte of zeros, squeezed into a mebibyte, as its first array."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        first, *others = old.namelist()
        vast = zipfile.ZipInfo(first)
        vast.compress_type = zipfile.ZIP_DEFLATED
        with new.open(vast, "w") as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "<f4", "fortran_order": False, "shape": (2**28,)}
            )
            for _ in range(1024):
                member.write(bytes(2**20))
        for name in others:
            new.writestr(name, old.read(name))
    return buffer.getvalue()
