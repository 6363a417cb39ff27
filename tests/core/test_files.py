"""Tests of `core/files`."""

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import ROOT

from ifrp_tf.core import files
from ifrp_tf.core.errors import DataError, ImageError
from ifrp_tf.core.files import csv_cell, list_pictures, missing_hint, read_bytes, write_bytes_atomic

# ---- Folders of awkward names, files that are none, and writes that are all or nothing ----

AWKWARD = [
    "two words.jpg",
    "line\nbreak.jpg",
    "a[1].jpg",
    "st*r.jpg",
    "qu?.jpg",
    "😀.jpg",
    "דיוקן.jpg",
    "~x.jpg",
]


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def listed(root, *arguments, **options):
    return [path.relative_to(root).as_posix() for path in list_pictures(*arguments or (root,), **options)]


def test_a_folder_is_listed_whole_and_in_natural_order(tmp_path):
    names = [
        "10.jpg",
        "2.JPG",
        "1.png",
        "notes.txt",
        "b/7.webp",
        "b/c/d.tif",
        "img12.jpg",
        "Img3.jpg",
        "README",
    ]
    fill(tmp_path, *names)
    expected = [
        "1.png",
        "2.JPG",
        "10.jpg",
        "b/7.webp",
        "b/c/d.tif",
        "Img3.jpg",
        "img12.jpg",
        "notes.txt",
        "README",
    ]
    assert listed(tmp_path) == expected
    assert listed(tmp_path, str(tmp_path)) == expected
    assert listed(tmp_path, tmp_path, recursive=False) == [name for name in expected if "/" not in name]


def test_what_desktops_leave_behind_is_ignored(tmp_path):
    fill(
        tmp_path,
        "x.jpg",
        "._x.jpg",
        ".DS_Store",
        "Thumbs.db",
        "thumbs.DB",
        "desktop.ini",
        ".git/config",
        ".h.png",
    )
    assert listed(tmp_path) == ["x.jpg"]
    assert list_pictures(tmp_path / ".h.png") == [tmp_path / ".h.png"]  # whoever names it means it


@pytest.mark.parametrize("name", AWKWARD)
def test_a_name_that_exists_is_literal(tmp_path, monkeypatch, name):
    fill(tmp_path, name, "a1.jpg", "star.jpg", f"folder {name}/inner.jpg")
    monkeypatch.chdir(tmp_path)
    assert list_pictures(name) == [Path(name)]
    assert list_pictures(tmp_path / name) == [tmp_path / name]
    assert list_pictures(f"folder {name}") == [Path(f"folder {name}") / "inner.jpg"]
    assert list_pictures(f"folder {name}/*.jpg") == [Path(f"folder {name}") / "inner.jpg"]
    assert Path(name) in list_pictures(".")


def test_patterns(tmp_path, monkeypatch):
    fill(
        tmp_path, "a1.jpg", "a2.png", "b1.jpg", "deep/a3.jpg", "deep/er/a10.jpg", "deep/er/a9.jpg", ".a4.jpg"
    )
    assert listed(tmp_path, f"{tmp_path}/*.jpg") == ["a1.jpg", "b1.jpg"]
    assert listed(tmp_path, f"{tmp_path}/a[0-9].*") == ["a1.jpg", "a2.png"]
    assert listed(tmp_path, f"{tmp_path}/**/*.jpg") == [
        "a1.jpg", "b1.jpg", "deep/a3.jpg", "deep/er/a9.jpg", "deep/er/a10.jpg",
    ]  # fmt: skip
    assert listed(tmp_path, f"{tmp_path}/**/*.jpg", recursive=False) == ["deep/a3.jpg"]
    assert listed(tmp_path, f"{tmp_path}/*/a?.jpg") == ["deep/a3.jpg"]
    assert listed(tmp_path, f"{tmp_path}/*") == ["a1.jpg", "a2.png", "b1.jpg"]  # a folder is no picture
    monkeypatch.chdir(tmp_path)
    assert list_pictures("*.png") == [Path("a2.png")]


def test_an_output_folder_inside_the_input_is_never_listed(tmp_path):
    fill(tmp_path, "x.jpg", "out/x_recovered.png", "out/deep/y.png", "outer/z.jpg")
    assert listed(tmp_path, tmp_path, exclude=tmp_path / "out") == ["outer/z.jpg", "x.jpg"]
    assert listed(tmp_path, f"{tmp_path}/**/*.*", exclude=tmp_path / "out") == ["outer/z.jpg", "x.jpg"]
    assert listed(tmp_path, tmp_path, exclude=tmp_path / "not there") == listed(tmp_path)
    assert listed(tmp_path, tmp_path, exclude=tmp_path) == listed(tmp_path)
    assert listed(tmp_path, tmp_path, exclude=tmp_path.parent) == listed(tmp_path)


def test_links_lead_nowhere_else_and_never_round_in_circles(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    fill(outside, "secret.jpg")
    fill(root, "x.jpg", "sub/y.jpg")
    (root / "out.jpg").symlink_to(outside / "secret.jpg")
    (root / "outside").symlink_to(outside)
    (root / "sub" / "loop").symlink_to(root)
    (root / "self.jpg").symlink_to(root / "self.jpg")
    (root / "broken.jpg").symlink_to(root / "gone.jpg")
    (root / "same.jpg").symlink_to(root / "x.jpg")
    assert listed(root) == ["same.jpg", "sub/y.jpg", "x.jpg"]
    assert listed(root, f"{root}/**/*.jpg") == ["same.jpg", "sub/y.jpg", "x.jpg"]
    (tmp_path / "link to root").symlink_to(root)  # a link that the user names is followed
    assert len(list_pictures(tmp_path / "link to root")) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_folder_is_passed_over_and_one_that_is_named_is_left_to_read(tmp_path):
    fill(tmp_path, "x.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert listed(tmp_path) == ["x.jpg"]
    assert list_pictures(tmp_path / "pipe.jpg") == [tmp_path / "pipe.jpg"]


def test_nothing_found_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, "portraits/.hidden.jpg", "painting.jpg")
    cases = {
        "portraits": r"0 pictures in 'portraits'; looked for every file\.",
        "portraits/*.png": r"0 pictures in 'portraits'; looked for '\*\.png'\.",
        "painting.jgp": r"'painting.jgp' does not exist\. Nothing is named 'painting.jgp'.*'painting.jpg'",
        "portrait/x.jpg": r"Nothing is named 'portrait' in .*nearest name is 'portraits'",
        "": "received an empty path",
        "nul\0byte": "does not exist",
    }
    for given, words in cases.items():
        with pytest.raises(DataError, match=words) as caught:
            list_pictures(given)
        assert given == "" or str(tmp_path) in str(caught.value)


def test_a_hint_for_any_missing_path(tmp_path):
    fill(tmp_path, "recovered.png")
    assert "'recovered.png'" in missing_hint(tmp_path / "recoverd.png")
    assert "nearest" not in missing_hint(tmp_path / "qqq")
    assert "Nothing is named 'a'" in missing_hint("/a/b/c/d")


def test_bytes_are_read_up_to_the_limit(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bytes(tmp_path / "x", 5) == b"12345"
    with pytest.raises(ImageError, match="at most 4 bytes, received 5") as caught:
        read_bytes(tmp_path / "x", 4)
    assert caught.value.reason == "too_large"


def test_no_descriptor_is_left_open(tmp_path):
    fill(tmp_path, "x")
    before = len(os.listdir("/dev/fd"))
    for _ in range(50):
        read_bytes(tmp_path / "x", 9)
        write_bytes_atomic(tmp_path / "y", b"z")
        with pytest.raises(ImageError):
            read_bytes(tmp_path, 9)
    assert len(os.listdir("/dev/fd")) == before


def test_a_file_is_written_into_new_folders_and_replaced(tmp_path):
    target = tmp_path / "new" / "folders" / ("n" * 251 + ".png")
    for data in (b"first", b"", b"second, and longer"):
        write_bytes_atomic(target, data)
        assert target.read_bytes() == data
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.skipif(os.name != "posix", reason="permissions as on Unix")
def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    old = os.umask(0o027)
    try:
        write_bytes_atomic(tmp_path / "x", b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_reader_never_sees_a_part(tmp_path):
    target, versions = tmp_path / "x", [bytes([k]) * 200_000 for k in range(2)]
    write_bytes_atomic(target, versions[0])
    done, torn = threading.Event(), []

    def watch():
        while not done.is_set():
            data = target.read_bytes()
            if data not in versions:
                torn.append(len(data))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for turn in range(60):
        write_bytes_atomic(target, versions[turn % 2])
    done.set()
    watcher.join()
    assert torn == []


def test_two_writers_do_not_meet(tmp_path):
    target, versions = tmp_path / "x", [bytes([k]) * 50_000 for k in range(8)]
    threads = [threading.Thread(target=write_bytes_atomic, args=(target, data)) for data in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in versions
    assert os.listdir(tmp_path) == ["x"]


_FULL_DISK = """
import resource, signal, sys
from ifrp_tf.core.errors import DataError
from ifrp_tf.core.files import write_bytes_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_bytes_atomic(sys.argv[1], bytes(50_000))
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the size of a file as Unix does")
def test_a_full_disk_leaves_what_was_there(tmp_path):
    target = tmp_path / "x.png"
    target.write_bytes(b"before")
    command = [sys.executable, "-c", _FULL_DISK, str(target)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "could not be written (50,000 bytes): File too large." in child.stdout, child.stderr
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["x.png"]


def test_an_impossible_target_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    targets = [tmp_path / "folder", tmp_path / "file" / "x", tmp_path / ("n" * 300), tmp_path / "nul\0byte"]
    for target in targets:
        with pytest.raises(DataError, match="could not be written"):
            write_bytes_atomic(target, b"x")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert os.listdir(tmp_path / "folder") == []


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomic(tmp_path / "x", b"x")
    assert os.listdir(tmp_path) == []


def test_what_is_there_and_what_may_be_there_is_accepted(tmp_path):
    (tmp_path / "a[1]").mkdir()
    files.require(str(tmp_path), str(tmp_path / "a[1]"), "", str(tmp_path / "*.png"))


def test_what_is_not_there_is_refused_with_the_nearest_name(tmp_path):
    (tmp_path / "portraits").mkdir()
    with pytest.raises(DataError, match="does not exist.*nearest name is 'portraits'"):
        files.require(str(tmp_path), str(tmp_path / "potraits"))


def test_a_folder_gets_its_name_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "folder"
    for content in ("first", "second"):
        with files.atomic(target, folder=True) as temporary:
            (temporary / "sub").mkdir()
            (temporary / "sub" / content).write_text(content)
            assert not (target / "sub" / content).exists()
        assert [path.name for path in (target / "sub").iterdir()] == [content]
    with pytest.raises(DataError, match="could not be"), files.atomic(target, folder=True) as temporary:
        (temporary / "x" / "y").write_text("x")
    assert [path.name for path in (target / "sub").iterdir()] == ["second"]
    assert os.listdir(target.parent) == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="locks as on Unix")
def test_one_process_at_a_time_holds_a_lock(tmp_path):
    waited = []
    with files.locked(tmp_path / "new" / ".lock"):
        with pytest.raises(BlockingIOError), files.locked(tmp_path / "new" / ".lock"):
            pass

        def wait():
            with files.locked(tmp_path / "new" / ".lock", waiting=lambda: waited.append("waits")):
                waited.append("inside")

        thread = threading.Thread(target=wait)
        thread.start()
        while not waited:
            pass
        assert waited == ["waits"]
    thread.join()
    assert waited == ["waits", "inside"]


def test_lines_are_added_and_a_cut_one_is_removed(tmp_path):
    path = tmp_path / "new" / "rows.jsonl"
    with files.JsonLines(path) as lines:
        lines.append([{"a": 1}, {"a": "\n\udc80"}])
        lines.append([])
    with open(path, "ab") as file:
        file.write(b'junk\n[1]\n\xff\n{"a": 3}')
    assert files.read_json_lines(path)[-1] == {"a": 3}
    with files.JsonLines(path) as lines:
        assert list(lines) == [{"a": 1}, {"a": "\n\udc80"}]
        lines.append([{"a": 4}])
    assert files.read_json_lines(path) == [{"a": 1}, {"a": "\n\udc80"}, {"a": 4}]
    with files.JsonLines(path) as lines:
        lines.clear()
        lines.append([{"a": 5}])
    assert path.read_bytes() == b'{"a": 5}\n'
    assert files.read_json_lines(tmp_path / "missing") == []


def test_threads_add_whole_lines(tmp_path):
    with files.JsonLines(tmp_path / "rows") as lines:
        threads = [
            threading.Thread(target=lines.append, args=([{"k": k, "text": "x" * 9000}],)) for k in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(row["k"] for row in lines) == list(range(16))


def test_a_fingerprint_depends_on_names_sizes_times_and_what_it_starts_with(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12")
    found = {files.fingerprint([path]), files.fingerprint([path], root=tmp_path)}
    found.add(files.fingerprint([path], start="a"))
    os.utime(path, ns=(0, 5))
    found.add(files.fingerprint([path]))
    path.write_bytes(b"123")
    os.utime(path, ns=(0, 5))
    found.add(files.fingerprint([path]))
    assert len(found) == 5
    assert files.sha256(path) == hashlib.sha256(b"123").hexdigest()


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\ta", "\ra"])
def test_spreadsheets_run_no_cell(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, 0.5, None, "", "a=1", "é"])
def test_other_cells_stay(value):
    assert csv_cell(value) == value
