"""Weight archives: what is read, and what each kind of damage says."""

import keras
import numpy as np
import pytest

from ifrp_tf.core.archives import assign_arrays, load_arrays, model_variables, read_arrays
from ifrp_tf.core.errors import DataError


@pytest.fixture
def network():
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, keras.layers.Dense(4, use_bias=False, name="last")(x))


@pytest.fixture
def arrays(network):
    random = np.random.default_rng(1)
    return {name: random.uniform(0.5, 1, v.shape).astype("float32") for name, v in model_variables(network)}


def test_names_are_layer_and_variable(arrays):
    norm = {f"norm/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    assert set(arrays) == {"first/kernel", "first/bias", "last/kernel", *norm}


def test_a_network_gets_the_arrays_of_its_archive(network, arrays, tmp_path):
    arrays["first/kernel"] = arrays["first/kernel"].astype("float16")
    np.savez(tmp_path / "w.npz", **arrays, **{"unused/kernel": np.ones(3)})
    loaded = load_arrays(tmp_path / "w.npz", network)
    assert {array.dtype for array in loaded.values()} == {np.dtype("float32")}
    assign_arrays(network, loaded)
    for name, variable in model_variables(network):
        np.testing.assert_array_equal(variable, arrays[name].astype("float32"))


def changed(name, change):
    def damage(arrays):
        return {**arrays, name: change(arrays[name])}

    return damage


DAMAGES = {
    "missing array": (
        lambda a: {k: a[k] for k in a if k != "last/kernel"},
        r"'last/kernel' of shape \(3, 4\)",
    ),
    "wrong shape": (changed("last/kernel", np.transpose), r"'last/kernel'.*\(3, 4\)\. Received: .*\(4, 3\)"),
    "integers": (changed("first/bias", lambda x: x.astype("int32")), "'first/bias' as floats.*int32"),
    "not finite": (
        changed("norm/beta", lambda x: x / 0 * x),
        "'norm/beta' finite. Received: NaN or infinity",
    ),
    "pickled": (changed("norm/gamma", lambda x: x.astype(object)), "Expected a NumPy .npz archive"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("kind", DAMAGES)
def test_a_wrong_array_is_named(network, arrays, tmp_path, kind):
    damage, message = DAMAGES[kind]
    np.savez(tmp_path / "w.npz", **damage(arrays))
    with pytest.raises(DataError, match=message) as caught:
        load_arrays(tmp_path / "w.npz", network)
    assert str(tmp_path / "w.npz") in str(caught.value)
    assert "fetch it again" in caught.value.hint


@pytest.mark.parametrize("kind", ["cut", "empty", "text", "one array", "flipped"])
def test_a_damaged_file_is_refused(network, arrays, tmp_path, kind):
    path = tmp_path / "w.npz"
    np.savez_compressed(path, **arrays)
    content = path.read_bytes()
    if kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    elif kind == "one array":
        with path.open("wb") as file:
            np.save(file, arrays["last/kernel"])
    else:
        middle = content.index(b"last/kernel") + 60
        path.write_bytes(
            content[:middle]
            + bytes(255 - byte for byte in content[middle : middle + 8])
            + content[middle + 8 :]
        )
    with pytest.raises(DataError, match=r"Expected a NumPy .npz archive. Received .*w\.npz") as caught:
        load_arrays(path, network)
    assert "fetch it again" in caught.value.hint


def test_a_missing_archive_says_where_it_is_looked_for(network, tmp_path):
    with pytest.raises(
        DataError, match=r"Expected the weight archive w\.npz in .*absent, found none"
    ) as caught:
        load_arrays(tmp_path / "absent" / "w.npz", network)
    assert "argument `weights`, default data/weights" in caught.value.hint


@pytest.mark.parametrize("read", ["load_arrays", "read_arrays"])
def test_a_member_that_says_it_is_encrypted_is_refused(network, arrays, tmp_path, read):
    """zipfile raises a RuntimeError for it."""
    np.savez(tmp_path / "w.npz", **arrays)
    data = bytearray((tmp_path / "w.npz").read_bytes())
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + flags] |= 1
    (tmp_path / "w.npz").write_bytes(data)
    with pytest.raises(DataError, match="NumPy .npz archive"):
        load_arrays(tmp_path / "w.npz", network) if read == "load_arrays" else read_arrays(tmp_path / "w.npz")
