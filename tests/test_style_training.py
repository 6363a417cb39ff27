import signal
import subprocess
import time

import drawn_bank
import numpy as np
import pytest
import small_model

from ifrp_tf import images, style_training, toy_faces
from ifrp_tf.archives import read_arrays
from ifrp_tf.errors import ConfigError, DataError
from ifrp_tf.style_trainer import STYLE_SIDE, StyleTraining
from ifrp_tf.styles import bank


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("training")
    (root / "photos").mkdir()
    for k, pixels in enumerate(toy_faces.draw(6, side=128, seed=1).pixels):
        images.write_png(root / "photos" / f"{k}.png", pixels)
    drawn_bank.write_style_images(root / "styles")
    return root


def test_style_images_by_name(folders, tmp_path):
    found = style_training.read_styles([str(folders / "styles")])
    assert list(found) == ["dots", "stripes"]
    assert min(found["dots"].shape[:2]) == STYLE_SIDE
    with pytest.raises(DataError, match="names of their own"):
        style_training.read_styles([str(folders / "styles"), str(folders / "styles" / "dots.png")])
    with pytest.raises(DataError):
        style_training.read_styles([str(tmp_path)])


def test_reserved_styles_never_train_the_trunk(folders, tmp_path):
    drawn_bank.write_style_images(tmp_path, ("Wave", "dots"))
    settings = StyleTraining(pictures=8)
    with pytest.raises(ConfigError, match="reserved styles: wave"):
        style_training.run([str(tmp_path)], str(folders / "photos"), tmp_path / "b", tmp_path / "r", settings)


def test_a_kill_between_the_files_of_a_bank_never_mixes_two(tmp_path, monkeypatch):
    old, new = drawn_bank.random_bank(0), drawn_bank.random_bank(1)
    style_training._write(old, tmp_path, add=False)
    write = style_training.write_arrays

    def killed(path, arrays):
        if path.name == bank.TRUNK:
            raise KeyboardInterrupt
        write(path, arrays)

    monkeypatch.setattr(style_training, "write_arrays", killed)
    with pytest.raises(KeyboardInterrupt):
        style_training._write(old, tmp_path, add=False)  # the same bank again: nothing is taken away
    bank.load.cache_clear()
    assert bank.load(str(tmp_path)).names == old.names
    with pytest.raises(KeyboardInterrupt):
        style_training._write(new, tmp_path, add=False)
    bank.load.cache_clear()
    with pytest.raises(DataError, match="Expected a style bank"):
        bank.load(str(tmp_path))
    monkeypatch.undo()
    style_training._write(new, tmp_path, add=False)
    np.testing.assert_allclose(bank.load(str(tmp_path)).trunk["conv1"], new.trunk["conv1"], atol=1e-2)


def flags(folders, output, run_dir, styles, *more):
    return [
        "train_style_bank", f"--styles={styles}", f"--photos={folders / 'photos'}", f"--output={output}",
        f"--run_dir={run_dir}", "--batch_size=2", *more,
    ]  # fmt: skip


def test_a_bank_is_trained_killed_resumed_and_added_to(folders, tmp_path, data_dir):
    output, run_dir = tmp_path / "bank", tmp_path / "run"
    new = flags(folders, output, run_dir, folders / "styles", f"--weights={data_dir / 'weights'}")
    command = small_model.command(*new, "--pictures=100000")
    with subprocess.Popen(command, env=small_model.environment(), stderr=subprocess.PIPE) as child:
        log = run_dir / "log.txt"
        until = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < until and not log.exists():
            time.sleep(0.2)
        child.send_signal(signal.SIGKILL)
    assert not list(output.glob("*"))  # nothing half done under a final name
    done = small_model.tool(*new, "--pictures=8")
    assert done.returncode == 0, done.stderr
    assert "step 4/4" in done.stderr
    made = bank.load(str(output))
    assert made.names == ("bank_dots", "bank_stripes")

    drawn_bank.write_style_images(tmp_path / "more", ("wave", "mine"))
    added = flags(folders, output, tmp_path / "add", tmp_path / "more", f"--weights={data_dir / 'weights'}")
    done = small_model.tool(*added, "--add", "--pictures=4")
    assert done.returncode == 0, done.stderr
    bank.load.cache_clear()
    after = bank.load(str(output))
    assert set(after.names) == {"bank_dots", "bank_stripes", "bank_mine", "bank_wave"}
    np.testing.assert_array_equal(after.trunk["conv2"], made.trunk["conv2"])
    assert set(read_arrays(output / bank.RESERVED_FILE)) == {"wave"}
    assert set(read_arrays(output / style_training.OWN)) == {"mine"}
