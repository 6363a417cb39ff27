import keras
import numpy as np
import pytest

from ifrp_tf.core.errors import ModelError
from ifrp_tf.training import checkpoint


def small_training(seed):
    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")],
        name="small",
    )
    optimizer = keras.optimizers.Adam(1e-2, name="srn_optimizer")
    optimizer.build(network.trainable_variables)
    for _ in range(seed + 1):
        gradients = [np.random.normal(size=v.shape).astype("float32") for v in network.trainable_variables]
        optimizer.apply(gradients, network.trainable_variables)
    return checkpoint.Training({"srn": network}, {"srn_optimizer": optimizer})


def values(training):
    variables = [*training.networks["srn"].weights, *training.optimizers["srn_optimizer"].variables]
    return [np.asarray(v.value) for v in variables]


def test_everything_comes_back(tmp_path):
    first, second = small_training(0), small_training(5)
    checkpoint.save(tmp_path, first, 12, {"note": "x"})
    state = checkpoint.restore_latest(tmp_path, second)
    assert state["step"] == 12
    assert state["note"] == "x"
    for a, b in zip(values(first), values(second), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(second.optimizers["srn_optimizer"].iterations) == 1


def test_two_are_kept_and_leftovers_of_a_kill_go(tmp_path):
    training = small_training(0)
    (tmp_path / ".step_00000001.99999").mkdir(parents=True)
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, training, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_00000002", "step_00000003"]


@pytest.mark.parametrize("step", [2, 3])  # the newest written again; a third, so that the oldest goes
def test_a_kill_while_a_checkpoint_is_deleted_leaves_no_half_of_it(tmp_path, monkeypatch, step):
    training = small_training(0)
    for earlier in (1, 2):
        checkpoint.save(tmp_path, training, earlier)
    delete = checkpoint.shutil.rmtree

    def killed(path, **options):
        if (path / "state.json").exists():
            (path / "state.json").unlink()
            raise KeyboardInterrupt
        delete(path, **options)

    monkeypatch.setattr(checkpoint.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, training, step)
    assert checkpoint.list_checkpoints(tmp_path)[-1].name == f"step_{step:08d}"
    for path in checkpoint.list_checkpoints(tmp_path):
        checkpoint.restore(path, training)
    monkeypatch.undo()
    checkpoint.save(tmp_path, training, 4)
    assert [path.name[:5] for path in tmp_path.iterdir()] == ["step_", "step_"]


def test_nothing_there_is_none(tmp_path):
    assert checkpoint.restore_latest(tmp_path / "none", small_training(0)) is None


@pytest.mark.parametrize("name", ["srn.weights.h5", "srn_optimizer.npz", "state.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "noise"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, name, damage):
    old, new, target = small_training(0), small_training(1), small_training(2)
    checkpoint.save(tmp_path, old, 1)
    path = checkpoint.save(tmp_path, new, 2) / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "noise": b"\x93" * len(data)}[damage])
    assert checkpoint.restore_latest(tmp_path, target)["step"] == 1
    for a, b in zip(values(old), values(target), strict=True):
        np.testing.assert_array_equal(a, b)


def test_all_damaged_is_an_error(tmp_path):
    training = small_training(0)
    (checkpoint.save(tmp_path, training, 1) / "state.json").unlink()
    with pytest.raises(ModelError, match="Expected a readable checkpoint"):
        checkpoint.restore_latest(tmp_path, training)


def test_other_networks_and_non_finite_weights_are_refused(tmp_path):
    training = small_training(0)
    path = checkpoint.save(tmp_path / "a", training, 1)
    other = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(5, name="a"), keras.layers.Dense(2, name="b")],
        name="small",
    )
    with pytest.raises(ModelError):
        checkpoint.restore(path, checkpoint.Training({"srn": other}, {}))
    training.networks["srn"].weights[0].assign(np.full((3, 4), np.nan, "float32"))
    path = checkpoint.save(tmp_path / "b", training, 1)
    with pytest.raises(ModelError, match="finite"):
        checkpoint.restore(path, training)


def test_an_optimizer_is_not_unpacked_before_its_shapes_are_known(tmp_path, monkeypatch):
    """An archive may be a bomb: its arrays are vast, and it is small."""
    training = small_training(0)
    path = checkpoint.save(tmp_path, training, 1)
    with np.load(path / "srn_optimizer.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    last = list(arrays)[-1]
    np.savez_compressed(path / "srn_optimizer.npz", **{**arrays, last: np.zeros((1000, 1000), np.float32)})
    unpacked, read = [], np.lib.npyio.NpzFile.__getitem__

    def watched(archive, name):
        unpacked.append(name)
        return read(archive, name)

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", watched)
    with pytest.raises(ModelError, match=r"Received: \(1000, 1000\)"):
        checkpoint.restore(path, small_training(1))
    assert len(unpacked) == len(arrays) - 1
    assert last not in unpacked
