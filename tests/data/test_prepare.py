import json

import numpy as np
import pytest
import small_model

from ifrp_tf.core import files
from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import photos, prepare, shards, toy_faces
from ifrp_tf.data.prepare import Request
from ifrp_tf.data.shards import Prepared
from ifrp_tf.pictures import images

CONFIG = DataConfig(side=32, styles="pencil", validation_count=3)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepare")
    faces = toy_faces.draw(16, side=32).pixels
    for k, pixels in enumerate(faces):
        images.write_png(root / "lfw" / f"person{k // 2}" / f"{k}.png", pixels)
    images.write_png(root / "lfw" / "person9" / "copy.png", faces[3])
    (root / "notes.txt").write_text("no picture")
    return root


def request(source, output, **changes):
    given = {"source": str(source), "output": str(output), "data": CONFIG, "shards": 3, "portraits": 1}
    return Request(**{**given, **changes})


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_manifest_tells_everything(source, tmp_path, capsys):
    assert prepare.run(request(source, tmp_path, portraits=0), say=print) == 1  # notes.txt is no picture
    printed = capsys.readouterr().out
    assert "1 duplicate, such as lfw/person9/copy.png" in printed
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    dropped = {name: reason.split(":")[0] for name, reason in manifest["dropped"]}
    assert (dropped.pop("lfw/person9/copy.png"), dropped.pop("notes.txt")) == ("duplicate", "unreadable")
    assert list(dropped.values()) == ["spare"]  # three of two persons' four photographs are held out
    assert manifest["styles"] == []  # nothing is rendered: there is a test of that in test_shards.py
    entries = manifest["train"] + manifest["validation"]
    assert sum(entry["count"] for entry in entries) == 15
    assert len(manifest["train"]) == 3
    for entry in entries:
        assert entry["sha256"] == files.sha256(tmp_path / entry["file"])
        assert entry["bytes"] == (tmp_path / entry["file"]).stat().st_size
    assert set(content(tmp_path)) == {entry["file"] for entry in entries} | {"manifest.json", "mean_face.png"}
    prepared = Prepared.open(tmp_path, CONFIG)
    training, held_out = prepared.load("train"), prepared.load()
    assert not set(training.persons) & set(held_out.persons)
    # Those held out are those that a folder of photographs would hold out.
    everything = photos.load(source, CONFIG)
    clean = [k for k, name in enumerate(everything.names) if name != "lfw/person9/copy.png"]
    _, expected = photos.split(everything.select(clean), 3)
    assert sorted(held_out.names) == sorted(expected.names)
    for name, pixels in zip(training.names, training.pixels, strict=True):
        np.testing.assert_array_equal(pixels, images.read(source / name).pixels)


def test_an_interrupted_run_goes_on_and_keeps_finished_shards(source, tmp_path, monkeypatch):
    quick = {"portraits": 0}  # there is a test of what is rendered in test_shards.py
    prepare.run(request(source, tmp_path / "whole", **quick))
    whole, write, written = content(tmp_path / "whole"), shards.write_shard, []

    def interrupted(path, records):
        written.append(path.name)
        if len(written) == 3:
            raise KeyboardInterrupt
        return write(path, records)

    monkeypatch.setattr(shards, "write_shard", interrupted)
    output = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        prepare.run(request(source, output, **quick))
    assert not shards.is_prepared(output)
    # One of the two finished shards is damaged meanwhile, and so made again.
    (output / written[0]).write_bytes(b"x" * (output / written[0]).stat().st_size)
    prepare.run(request(source, output, **quick))
    assert written[3:5] == [written[0], written[2]]
    assert len(written) == len(set(written)) + 2 == 6
    parts = content(output)
    assert set(parts) == set(whole)
    assert all(parts[name] == whole[name] for name in whole if name != "manifest.json")
    # Once more: nothing to do. Other words: refused.
    assert prepare.run(request(source, output, **quick)) == 0
    assert len(written) == 6
    for changes in ({"portraits": 2}, {"data": DataConfig(side=64, styles="pencil", validation_count=3)}):
        with pytest.raises(ConfigError, match="holds another"):
            prepare.run(request(source, output, **changes))


def test_what_cannot_be_asked(source, tmp_path):
    for changes in ({"shards": -1}, {"portraits": -1}, {"seed": -1}):
        with pytest.raises(ConfigError, match="Expected shards"):
            request(source, tmp_path, **changes)
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match="Expected an empty folder"):
        prepare.run(request(source, tmp_path))
    with pytest.raises(ConfigError, match="reserved"):
        prepare.run(request(source, tmp_path / "a", data=DataConfig(side=32, styles="reserved")))
    with pytest.raises(DataError, match="more photographs"):
        prepare.run(request(source, tmp_path / "b", data=DataConfig(side=32, styles="pencil")))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "de-duplicated"),
        (["--input=x"], 2, "output"),
        (["--input=x", "--output=y"], 1, "does not exist"),
        (["--input=x", "--output=y", "--side=1"], 2, "Expected side"),
    ],
)
def test_the_command(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    done = small_model.called("prepare_faces", *arguments)
    assert done.returncode == code, done.stderr
    assert words in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr
