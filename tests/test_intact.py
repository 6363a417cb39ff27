import json

import h5py
import numpy as np
import pytest

from ifrp_tf import images, intact, model_folder


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
