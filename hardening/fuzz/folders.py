"""The fuzzer's folders: checkpoints, runs and released versions with files damaged, missing or linked."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

from hardening.fuzz.files import Folder, damaged_json, damaged_npz, small_network
from hardening.fuzz.mutations import mutate
from ifrp_tf.core import runtime
from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release import load
from ifrp_tf.systems.ifrp.settings import ModelConfig

_TINY = Config(data=DataConfig(side=32), model=ModelConfig(width=8, stn="none", skips="none"))


def damaged_tree(whole: dict[str, bytes], chance: random.Random) -> dict[str, bytes]:
    """A folder in which files are damaged, missing, foreign, folders, or links to nowhere or to themselves.

    Args:
        whole: contents by name.
        chance: the source of randomness.
    """
    tree = dict(whole)
    for name in chance.sample(list(whole), min(len(whole), chance.choice((1, 1, 1, 2, 3)))):
        data = tree.pop(name)
        match chance.randrange(12):
            case 0:
                pass
            case 1:
                tree[f"{name}/"] = b""
            case 2:
                tree[f"link {name}"] = chance.choice(
                    (b"/nowhere", Path(name).name.encode(), b".", b"/dev/null")
                )
            case 3:
                tree[name] = whole[chance.choice(list(whole))]
            case 4:
                tree[name] = data
                tree[str(Path(name).parent / chance.choice(("more", ".hidden", "a b", "x" * 200)))] = b"more"
            case _ if name.endswith(".json"):
                tree[name] = damaged_json(data, chance)
            case _ if name.endswith(".npz"):
                tree[name] = damaged_npz(data, chance)
            case _:
                tree[name] = mutate(data, list(whole.values()), chance)
    return tree


def tree_of(folder: Path) -> dict[str, bytes]:
    """The contents of a folder's files by their names below it.

    Args:
        folder: of small files.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class Runs:
    """The folder of a run: its checkpoints, of which the newest sound one must be found, and its model."""

    seconds = 10.0
    memory = 512 * 2**20

    def __init__(self) -> None:
        with runtime.start_up():
            import keras

            from ifrp_tf.systems.ifrp import networks
            from ifrp_tf.training import checkpoint
        self._folder, self._checkpoint = Folder(), checkpoint
        network = small_network()
        optimizer = keras.optimizers.RMSprop(1e-3, name="srn_optimizer")
        optimizer.build(network.trainable_variables)
        self._training = checkpoint.Training({"srn": network}, {"srn_optimizer": optimizer})
        root = self._folder.path
        for step in (1, 2):
            checkpoint.save(root / "checkpoints", self._training, step, {"note": "x"})
        self._checkpoints = tree_of(root)
        (root / "model").mkdir()
        srn = networks.build_srn(_TINY.model, side=_TINY.data.side)
        srn.save_weights(root / "model" / model_folder.WEIGHTS)
        self._model = {
            name: data for name, data in tree_of(root).items() if name.startswith("model/")
        } | {model_folder.CONFIG: json.dumps(_TINY.to_dict()).encode()}  # fmt: skip

    def make(self, chance: random.Random) -> dict[str, bytes]:
        """Checkpoints; one time in twenty, for to build a network takes time, a model and its settings."""
        return damaged_tree(self._model if chance.random() < 0.05 else self._checkpoints, chance)

    def run(self, case: dict[str, bytes]) -> str:
        """Restores the newest checkpoint that can be, or loads the model."""
        folder = self._folder.filled(case)
        if any(name.startswith(("model/", "link model/")) for name in case):
            load.load(folder)
            return "loaded"
        state = self._checkpoint.restore_latest(folder / "checkpoints", self._training)
        return "no checkpoint" if state is None else "restored"


class Models:
    """A released version: with its checksums, with checksums made again after the damage, and trusted.

    Args:
        whole: the files of a folder of versions by name; those of a toy network if None.
    """

    seconds = 20.0
    memory = 1024 * 2**20

    def __init__(self, whole: dict[str, bytes] | None = None) -> None:
        self._folder = Folder()
        if whole is None:
            from hardening.soak import run as soak

            soak.write_toy(self._folder.path / "toy" / "1")
            whole = tree_of(self._folder.path / "toy")
        self._whole = whole

    def make(self, chance: random.Random) -> dict[str, bytes]:
        """A folder of versions, and in `door` how it is to be loaded."""
        tree = damaged_tree(self._whole, chance)
        if chance.random() < 0.2:
            tree[f"{chance.choice(('2', '007', '99999999999999999999', 'x', '-1'))}/saved_model.pb"] = b"x"
        door = chance.choices(("checked", "made again", "trusted"), (80, 15, 5))[0]
        inside = {f"toy/{name}".replace("toy/link ", "link toy/"): data for name, data in tree.items()}
        return {**inside, "door": door.encode()}

    def run(self, case: dict[str, bytes]) -> str:
        """Loads the highest version.

        Raises:
            AssertionError: an altered version was loaded on the strength of its checksums.
        """
        folder, door = self._folder.filled(case) / "toy", case["door"].decode()
        if door == "made again":
            with contextlib.suppress(
                OSError
            ):  # there may be a folder or a link in the place of the checksums
                model_folder.write_checksums(model_folder.locate(folder).path)
        load.load(folder, trust=door == "trusted")
        if door == "checked":
            changed = [name for name, data in self._whole.items() if case.get(f"toy/{name}") != data]
            assert set(changed) <= {f"1/{model_folder.CHECKSUMS}"}, changed
        return f"loaded ({door})"
