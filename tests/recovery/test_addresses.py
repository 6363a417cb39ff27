"""What is meant by paths, addresses of fsspec and lists, and what the outputs are called."""

import json
import os

import pytest

from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.recovery.addresses import Output, inputs, read_list


@pytest.fixture
def scans(tmp_path):
    for name in ("a/1.png", "a/1.jpg", "b/2.png", "b/.hidden", "b/Thumbs.db"):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans" / name).write_bytes(name.encode())
    return tmp_path / "scans"


def found(*sources, listed=(), output="out"):
    return inputs([str(each) for each in sources], listed, output, frozenset())


def test_an_address_means_what_the_path_means(scans):
    pytest.importorskip("fsspec", reason="needs the extra `ray`")
    by_path, by_address = found(scans), found(f"file://{scans}")
    assert [each.stem for each in by_path] == ["a/1_jpg", "a/1_png", "b/2"]
    assert [(each.key, each.stem) for each in by_address] == [(each.key, each.stem) for each in by_path]
    assert by_address[0].address == f"file://{scans}/a/1.jpg"
    for path, address in ((f"{scans}/*/*.png", 2), (f"{scans}/b/2.png", 1)):
        assert [each.stem for each in found(path)] == [each.stem for each in found(f"file://{path}")]
        assert len(found(path)) == address
    with pytest.raises(DataError, match="does not exist"):
        found(f"file://{scans}/none")
    with pytest.raises(ConfigError, match="Received: both"):
        found(scans, f"file://{scans}")
    with pytest.raises(ConfigError, match="no-such-protocol"):
        found("no-such-protocol://x")


@pytest.mark.parametrize("start", ["", "file://"])
def test_a_changed_file_has_another_version(scans, start):
    if start:
        pytest.importorskip("fsspec", reason="needs the extra `ray`")
    before = {each.key: each.version for each in found(f"{start}{scans}")}
    os.utime(scans / "b" / "2.png", (1, 1))
    after = {each.key: each.version for each in found(f"{start}{scans}")}
    assert {key for key in before if before[key] != after[key]} == {"b/2.png"}


def test_lists_of_every_kind_name_the_same_files(scans, tmp_path):
    wanted = [str(scans / "a" / "1.png"), str(scans / "b" / "gone.png")]
    lists = {
        "list.txt": "\n".join([*wanted, "", wanted[0]]),
        "list.csv": "input,more\n" + "".join(f"{path},1\n" for path in wanted),
        "list.jsonl": "".join(json.dumps({"input": path}) + "\n" for path in wanted),
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert read_list(str(tmp_path / name)) == wanted
    listed = found(listed=wanted)
    assert [each.key for each in listed] == ["a/1.png", "b/gone.png"]
    assert [bool(each.version) for each in listed] == [True, False]
    (tmp_path / "other.csv").write_text("path\nx.png\n")
    for name in ("other.csv", "none.txt"):
        with pytest.raises(DataError, match="Expected a list of pictures"):
            read_list(str(tmp_path / name))


@pytest.mark.parametrize("start", ["", "file://"])
def test_files_are_written_read_listed_and_removed(tmp_path, start):
    if start:
        pytest.importorskip("fsspec", reason="needs the extra `ray`")
    output = Output(f"{start}{tmp_path}/out")
    assert output.names() == set()
    output.write("a/b/x.bin", b"1")
    output.write("y.bin", b"2")
    assert output.names() == {"a/b/x.bin", "y.bin"}
    assert output.names("a") == {"a/b/x.bin"}
    assert output.read("a/b/x.bin") == b"1"
    output.remove("a/b/x.bin")
    output.remove("a/b/x.bin")
    assert output.names() == {"y.bin"}
    with pytest.raises(FileNotFoundError):
        output.read("a/b/x.bin")
