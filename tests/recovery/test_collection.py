"""Collections: the answers and rows are those of a folder, and what is done is not done again."""

import dataclasses
import io
import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pictures
import pytest
import small_model
from PIL import Image

from ifrp_tf.core.errors import ConfigError, DataError, ModelError
from ifrp_tf.recovery import addresses, collection, folder
from ifrp_tf.recovery.addresses import Output
from ifrp_tf.recovery.collection import Task, Worker
from ifrp_tf.recovery.manifest import Manifest, read_report
from ifrp_tf.recovery.recoverer import AS_USUAL
from ifrp_tf.release import load

pa = pytest.importorskip("pyarrow", reason="needs the extra `ray`")
parquet = pytest.importorskip("pyarrow.parquet")
SCENE = pictures.scene(150, 125)
BAD = {"cut.jpg": "truncated", "text.png": "not_an_image", "empty.jpg": "empty"}


def write_mixed(place):
    """What people have in their folders."""
    files = {
        "portrait.jpg": pictures.save(SCENE, "JPEG"),
        "portrait.png": pictures.save(SCENE, "PNG"),
        "sub [1]/emoji 🎨.webp": pictures.save(SCENE, "WEBP"),
        "pages.tif": pages(SCENE, SCENE[::-1]),
        "notes.txt": b"not a picture",
        "cut.jpg": pictures.save(SCENE, "JPEG")[:800],
        "text.png": b"this is a letter, not a picture\n",
        "empty.jpg": b"",
        os.fsdecode(b"caf\xe9.png"): pictures.save(SCENE[:, ::-1], "PNG"),
    }
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def pages(*pixels):
    file = io.BytesIO()
    first, *rest = map(Image.fromarray, pixels)
    first.save(file, "TIFF", save_all=True, append_images=rest)
    return file.getvalue()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return write_mixed(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module")
def worker():
    """One for all tests."""
    model = small_model.exported()
    return Worker(Task(output="", model=str(model)), load.identify(model)[1], 100)


def carry_out(worker, output, source, size=4, **asked):
    """As `collection.recover`, but here; returns what there was to do and the entries."""
    worker._task = dataclasses.replace(Task(output=str(output)), model=worker._task.model, **asked)
    place = Output(str(output))
    found = addresses.inputs([str(source)], [], str(output), frozenset())
    todo = collection._todo(place, found, collection._state(place), size)
    entries = []
    for part, group in todo.parts.items():
        rows = pa.table({"part": [part] * len(group), "input": [json.dumps(each) for each in group]})
        entries += [json.loads(entry) for entry in worker(rows)["entry"].to_pylist()]
    return todo, entries


def made(place):
    """The pictures in an output folder: name -> bytes."""
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.png")}


def rows(place):
    """The rows of a report, from both of its forms; they say the same."""
    lines, table = [], []
    for path in sorted((place / "report").glob("*.jsonl")):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
        table += parquet.read_table(path.with_suffix(".parquet")).to_pylist()
    for line, row in zip(lines, table, strict=True):
        for name in ("key", "status", "reason", "version", "outputs"):
            assert row[name] == collection._plain(line[name])
        assert [face["recovered"] for face in row["faces"]] == collection._plain(
            [face["recovered"] for face in line["faces"]]
        )
    return lines


@pytest.mark.parametrize("start", ["", "file://"])
def test_pictures_and_rows_are_those_of_recover(worker, mixed, tmp_path, start):
    if start:
        pytest.importorskip("fsspec", reason="needs the extra `ray`")
    with folder.opened(mixed, tmp_path / "one", pages="all") as (manifest, jobs):
        report = folder.Run(manifest, jobs, worker._recoverer, side_by_side=True).process()
    todo, entries = carry_out(
        worker, f"{start}{tmp_path}/many", f"{start}{mixed}", side_by_side=True, pages="all"
    )
    assert len(todo.parts) == 3
    expected = made(tmp_path / "one")
    assert len(expected) == 12
    assert made(tmp_path / "many") == expected
    told = {entry["input"] + str(entry.get("page")): entry for entry in read_report(report.path)[1]}
    for entry in entries:
        entry["input"] = entry["input"].removeprefix(start)
    counts = Counter(entry.pop("counts") for entry in entries)
    assert counts == {"recovered": 5, "failed": 3, "skipped": 1, None: 1}  # two pages are one input
    assert {entry["input"] + str(entry.get("page")): entry for entry in entries} == told
    assert len(rows(tmp_path / "many")) == 10
    assert not list((tmp_path / "many").rglob(".ifrp_parts/*"))
    assert carry_out(worker, f"{start}{tmp_path}/many", f"{start}{mixed}", side_by_side=True)[0].parts == {}


def test_only_what_is_missing_is_done(worker, mixed, tmp_path):
    source, output = write_mixed(tmp_path / "in"), tmp_path / "out"
    carry_out(worker, output, source)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*_recovered.png")}
    (output / "portrait_png_recovered.png").unlink()  # somebody tidied up
    (source / "cut.jpg").write_bytes(pictures.save(SCENE[::-1], "JPEG"))  # was mended
    (source / "portrait.jpg").write_bytes(pictures.save(SCENE[::-1], "JPEG"))  # another picture
    (source / "new.png").write_bytes(pictures.save(SCENE, "PNG"))
    todo, entries = carry_out(worker, output, source)
    assert (todo.skipped, todo.failed) == (4, 2)
    done = {Path(entry["input"]).name: entry["status"] for entry in entries}
    assert done == dict.fromkeys(("portrait.png", "cut.jpg", "portrait.jpg", "new.png"), "recovered")
    after = {path: path.stat().st_mtime_ns for path in output.rglob("*_recovered.png")}
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed == {"portrait_png_recovered.png", "portrait_jpg_recovered.png"}
    assert {path.name for path in set(after) - set(before)} == {"cut_recovered.png", "new_recovered.png"}
    assert Counter(row["key"] for row in rows(output)).most_common(1)[0][1] == 1
    assert len(rows(output)) == 10
    assert carry_out(worker, output, source)[0].parts == {}


def test_a_part_that_was_killed_is_gone_on_with(worker, tmp_path):
    """What a killed worker leaves: inputs, the manifest, some pictures, one of them named but not there."""
    source, output = write_mixed(tmp_path / "in"), tmp_path / "out"
    found = addresses.inputs([str(source)], [], str(output), frozenset())
    part = output / ".ifrp_parts" / "part-000007"
    part.parent.mkdir(parents=True)
    keys = [collection.plain(each.key) for each in found[:6]]
    part.with_suffix(".json").write_text(json.dumps({"keys": keys, "attempt": 9}))
    jobs = [folder.Job(Path(each.address), each.key, each.stem, False) for each in found[:6]]
    with Manifest(output, part.with_suffix(".jsonl")) as manifest:
        run = folder.Run(manifest, jobs, worker._recoverer, among=len(found))
        half = [item.job.stem for item in run.finished(threading.Event()) if item.status == "recovered"]
    lost, *kept = [output / f"{stem}_recovered.png" for stem in half]
    lost.unlink()
    before = {path: path.stat().st_mtime_ns for path in kept}
    todo, entries = carry_out(worker, output, source)
    assert [len(group) for group in todo.parts.values()] == [6, 3]
    assert list(todo.parts) == ["part-000007", "part-000008"]
    assert lost.exists()
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert sum(entry["status"] == "recovered" for entry in entries) == 5
    assert not list(part.parent.iterdir())


def test_a_part_that_kills_its_workers_is_given_up(tmp_path):
    inputs = tmp_path / "part-000001.json"
    for _ in range(collection._ATTEMPTS):
        collection._count(inputs, ["a.png"])
    with pytest.raises(DataError, match="4 workers died of it"):
        collection._count(inputs, ["a.png"])
    assert collection._left(tmp_path) == {"a.png": "part-000001"}  # when it is started again
    collection._count(inputs, ["a.png"])


def test_failures_of_the_moment_are_tried_again(worker, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(pictures.save(SCENE, "PNG"))
    (tmp_path / "out").mkdir()
    strange = tmp_path / "out" / "a_recovered.png"
    strange.write_bytes(b"somebody's")
    for _ in range(2):
        _, (entry,) = carry_out(worker, tmp_path / "out", tmp_path / "in")
        assert entry["reason"] == "output_exists"
        assert strange.read_bytes() == b"somebody's"
    strange.unlink()
    _, (entry,) = carry_out(worker, tmp_path / "out", tmp_path / "in")
    assert entry["status"] == "recovered"
    (row,) = rows(tmp_path / "out")
    assert row["outputs"] == ["a_recovered.png"]


def test_another_model_is_refused_by_a_worker():
    with pytest.raises(ModelError, match="on every machine"):
        Worker(Task(output="", model=str(small_model.exported())), "0" * 64, 1)


def test_another_collection_is_not_gone_on_with(tmp_path):
    task = Task(output=str(tmp_path), options=AS_USUAL)
    begun = {"model": {"name": "x", "sha256": "0"}, "made": collection._made(task)}
    collection._begin(Output(str(tmp_path)), begun)
    collection._begin(Output(str(tmp_path)), begun | {"model": {"name": "moved", "sha256": "0"}})
    other = {**begun, "made": collection._made(dataclasses.replace(task, side_by_side=True))}
    with pytest.raises(ConfigError, match="side_by_side: False -> True. Choose another `output`"):
        collection._begin(Output(str(tmp_path)), other)
    (tmp_path / "collection.json").write_text("{}")
    with pytest.raises(DataError, match="of ours"):
        collection._begin(Output(str(tmp_path)), begun)


@pytest.mark.slow
def test_the_tool_on_this_machine(mixed, tmp_path):
    pytest.importorskip("ray", reason="needs the extra `ray`")
    flags = (f"--input={mixed}", f"--output={tmp_path}", f"--model={small_model.exported()}", "--workers=1")
    for done in ("5 recovered, 1 skipped, 3 failed", "0 recovered, 6 skipped, 3 failed"):
        told = small_model.tool("recover_collection", *flags)
        assert told.returncode == 1, told.stderr
        assert told.stdout.startswith(f"{done}; model small/7; {tmp_path}/report\n")
        lines = [line for line in told.stderr.splitlines() if not line.endswith(" of 9 pictures")]
        assert len(lines) == (3 if done[0] == "5" else 0), told.stderr
    assert len(rows(tmp_path)) == 9
    told = small_model.tool("recover_collection", *flags, "--side_by_side")
    assert (told.returncode, "Choose another --output" in told.stderr) == (2, True)


@pytest.mark.slow
def test_a_machine_killed_in_the_middle_loses_nothing_and_nothing_is_made_twice(tmp_path):
    """2,000 mixed pictures on a cluster of two nodes, one of them killed with -9."""
    ray = pytest.importorskip("ray", reason="needs the extra `ray`")
    from ray.cluster_utils import Cluster

    source, output = tmp_path / "in", tmp_path / "out"
    write_many(source, 2_000)
    task = Task(output=str(output), model=str(small_model.exported()))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    seen = {}
    try:
        cluster.connect()
        killer = threading.Thread(target=kill_in_the_middle, args=(cluster, node, output, seen))
        killer.start()
        summary = collection.recover(task, str(source), part_size=100)
        killer.join()
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert seen["killed"] >= 2  # its raylet, and a worker
    assert 300 < len(seen["pictures"]) < 1_600
    bad = summary.total // 40
    assert (summary.recovered, summary.skipped, summary.failed) == (2_000 - 2 * bad, bad, bad)
    found = rows(output)
    assert set(Counter(row["key"] for row in found).values()) == {1}
    assert len(found) == 2_000
    names = [name for row in found for name in row["outputs"]]
    assert sorted(names) == sorted(made(output))
    for path, (number, time_ns) in seen["pictures"].items():
        status = path.stat()
        assert (status.st_ino, status.st_mtime_ns) == (number, time_ns), path
    # The answers are those of one process, whoever gave them.
    for row in found[::97]:
        if row["status"] == "recovered":
            (name,) = row["outputs"]
            alone = worker_alone(row["input"])
            np.testing.assert_array_equal(np.asarray(Image.open(output / name)), alone)


def worker_alone(path):
    from ifrp_tf.recovery.recoverer import Recoverer

    global _ALONE
    _ALONE = _ALONE or Recoverer.load(small_model.exported())
    scene = _ALONE.look(np.asarray(Image.open(path).convert("RGB")), AS_USUAL)
    return folder.answer(_ALONE.recover_batch, list(scene.portraits))[0]


_ALONE = None


def write_many(place, count):
    """Small pictures, all different; of 40 one is cut and one lies beside pictures."""
    place.mkdir()
    random = np.random.default_rng(0)
    kinds = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp"))
    for k in range(count):
        kind, suffix = kinds[k % 4]
        side = 60 + k % 7
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3)).astype(np.uint8))
        data = pictures.save(np.asarray(coarse.resize((side, side + 5), Image.Resampling.BICUBIC)), kind)
        if k % 40 == 1:
            data = data[: len(data) // 2]
        (place / f"{k}.{'txt' if k % 40 == 2 else suffix}").write_bytes(b"words" if k % 40 == 2 else data)


def kill_in_the_middle(cluster, node, output, seen):
    deadline = time.monotonic() + 200
    while len(list(output.glob("*_recovered.png"))) < 700 and time.monotonic() < deadline:
        time.sleep(0.05)
    (raylet,) = [one.process.pid for one in node.all_processes["raylet"]]
    family = [raylet, *children(raylet)]
    for number in family:
        os.kill(number, signal.SIGKILL)
    seen["killed"] = len(family)
    seen["pictures"] = {
        path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in output.glob("*_recovered.png")
    }


def children(number):
    """The processes below one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == number:
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found
