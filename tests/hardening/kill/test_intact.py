"""Tests of `hardening/kill/intact`."""

import json

import h5py
import numpy as np
import pytest

from hardening.kill import intact
from hardening.kill.intact import ROUNDING, compare
from ifrp_tf.pictures import images
from ifrp_tf.release import folder as model_folder


def fill(folder):
    """One of everything that is checked, whole."""
    for step in (4, 8):
        checkpoint = folder / "checkpoints" / f"step_{step:08d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.json").write_text(json.dumps({"step": step}))
        for name in intact.CHECKPOINT[1:]:
            write_arrays(checkpoint / name)
    (folder / "bank").mkdir()
    np.savez(folder / "bank" / "trunk.npz", conv=np.ones(3))
    np.savez(folder / "bank" / "trained.npz", photograph=np.ones(3))
    (folder / ".cache").mkdir()
    np.save(folder / ".cache" / "photos.npy", np.zeros(100))
    images.write_png(folder / "a.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    (folder / "report.json").write_text('{"pictures": []}')
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    (folder / "report.csv").write_text("a,b\n1,2\n")
    (folder / "gallery.html").write_text("<html></html>\n")
    (folder / "log.txt").write_text("cut of")
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half")
    return folder


def write_arrays(path):
    if path.suffix == ".npz":
        np.savez(path, a=np.arange(100.0))
    else:
        with h5py.File(path, "w") as file:
            file["layer/kernel"] = np.arange(100.0)


def test_what_is_whole_has_no_fault(tmp_path):
    assert intact.damaged(fill(tmp_path)) == []
    assert intact.damaged(tmp_path / "none") == []
    assert [path.name for path in intact.leftovers(tmp_path)] == [".0123456789abcdef.tmp"]
    assert "a.png" in intact.digests(tmp_path)
    assert not [name for name in intact.digests(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize(
    "name",
    ["a.png", "report.json", "metrics.jsonl", "report.csv", "gallery.html", ".cache/photos.npy",
     "bank/trained.npz", "checkpoints/step_00000008/srn.weights.h5",
     "checkpoints/step_00000004/dn_optimizer.npz"],
)  # fmt: skip
def test_a_part_of_a_file_is_named(tmp_path, name):
    path = fill(tmp_path) / name
    data = path.read_bytes()
    path.write_bytes(data[: 2 * len(data) // 3])
    found = intact.damaged(tmp_path)
    assert found
    assert any(fault.startswith((f"{name}: ", "bank: ")) for fault in found)


def test_a_folder_with_a_file_too_few_is_named(tmp_path):
    fill(tmp_path)
    (tmp_path / "checkpoints" / "step_00000004" / "state.json").unlink()
    (tmp_path / "bank" / "trained.npz").unlink()
    found = "\n".join(intact.damaged(tmp_path))
    assert "checkpoints/step_00000004: ValueError: incomplete" in found
    assert "bank: FileNotFoundError" in found
    (tmp_path / "checkpoints" / "step_00000008" / "state.json").write_text('{"step": 4}')
    assert "another step" in "\n".join(intact.damaged(tmp_path))


def test_a_version_folder_must_match_its_sums(tmp_path):
    for name in model_folder.REQUIRED:
        (tmp_path / "toy" / "7" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "toy" / "7" / name).write_text("{}")
    model_folder.write_checksums(tmp_path / "toy" / "7")
    assert intact.damaged(tmp_path) == []
    (tmp_path / "toy" / "7" / "saved_model.pb").write_text("{} ")
    (fault,) = intact.damaged(tmp_path)
    assert fault.startswith("toy/7: ModelError: saved_model.pb")


def fill_of_same_files(folder, *, level=100, value=1.0, row="a", extra=False):
    pixels = np.full((8, 8, 3), 100, np.uint8)
    pixels[0, 0, 0] = level
    images.write_png(folder / "a.png", pixels)
    np.savez(folder / "a.npz", a=np.array([1.0, value]), names=np.array(["x"]))
    (folder / "report.csv").write_text(row)
    (folder / "log.txt").write_text(str(folder))
    (folder / "environment.json").write_text(f'"{folder}"')
    if extra:
        (folder / "extra.json").write_text("1")
    return folder


@pytest.fixture
def whole(tmp_path):
    return fill_of_same_files(tmp_path / "whole")


def test_equal_folders(whole, tmp_path):
    assert compare(whole, fill_of_same_files(tmp_path / "b")) == ([], True)


def test_last_bits_of_arrays_are_let_pass_but_counted(whole, tmp_path):
    assert compare(whole, fill_of_same_files(tmp_path / "b", value=1 + ROUNDING / 10)) == ([], False)
    (fault,), exact = compare(whole, fill_of_same_files(tmp_path / "c", value=1 + 10 * ROUNDING))
    assert fault.startswith("a.npz differs by 0.0001")
    assert not exact
    assert compare(whole, fill_of_same_files(tmp_path / "d", value=np.nan))[0]


def test_pictures_and_everything_else_are_equal_to_the_bit_unless_levels_are_given(whole, tmp_path):
    other = fill_of_same_files(tmp_path / "b", level=102, row="b", extra=True)
    assert compare(whole, other)[0] == [
        "expected no extra.json", "a.png differs by inf", "report.csv differs by inf",
    ]  # fmt: skip
    assert compare(other, whole)[0][0] == "expected extra.json, received none"
    assert compare(whole, other, only=".png", levels=1) == (["a.png differs by 2"], False)
    assert compare(whole, other, only=".png", levels=2) == ([], False)
