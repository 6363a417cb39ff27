import json
import os
import signal
import threading

import numpy as np
import pictures
import pytest
from PIL import Image

from ifrp_tf import folder, images
from ifrp_tf.errors import ConfigError, DataError, ModelError
from ifrp_tf.intake import Task

SIDE = 32


def negative(portraits):
    """A network of a kind: quick, and wrong answers show."""
    assert portraits.shape == (folder.BATCH, SIDE, SIDE, 3)
    assert portraits.dtype == np.uint8
    return 255 - portraits


def fill(path, count):
    path.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        (path / f"{k}.png").write_bytes(pictures.save(np.roll(pictures.scene(40, 40), k, axis=1), "PNG"))


def recover(given, output, network=negative, *, model="m", progress=None, **options):
    with folder.opened(given, output) as work:
        return folder.process(network, work, Task(output, SIDE, model, **options), "ifrp/1", progress)


def report_of(output):
    return json.loads((output / "report.json").read_text())


def visible(output):
    return sorted(path.name for path in output.rglob("*") if path.is_file() and path.name[0] != ".")


@pytest.fixture
def given(tmp_path):
    fill(tmp_path / "in", 3)
    return tmp_path / "in"


@pytest.mark.parametrize(("counts", "words"), [((3, 2, 1), ""), ((1, 0, 0), ", interrupted before 5 more")])
def test_a_report_in_words(tmp_path, counts, words):
    report = folder.Report(tmp_path, *counts, interrupted=bool(words))
    assert report.summary(6) == "{} recovered, {} skipped, {} failed".format(*counts) + words


def test_every_picture_gets_its_own_answer_in_order(tmp_path):
    fill(tmp_path / "in", 37)
    seen = []
    report = recover(tmp_path / "in", tmp_path / "out", progress=seen.append)
    assert (report.recovered, report.skipped, report.failed, report.interrupted) == (37, 0, 0, False)
    assert report.exit_code == 0
    assert seen == report_of(tmp_path / "out")["pictures"]
    assert [os.path.basename(entry["input"]) for entry in seen] == [f"{k}.png" for k in range(37)]
    for k in (0, 15, 16, 36):
        portrait = images.letterbox(images.read(tmp_path / "in" / f"{k}.png").pixels, SIDE)
        answer = images.read(tmp_path / "out" / f"{k}_recovered.png").pixels
        np.testing.assert_array_equal(answer, 255 - portrait)


def test_what_a_killed_run_was_writing_goes(given, tmp_path):
    fill(given / "sub", 1)
    mine = [".0123456789abcdef.tmp", "sub/.0123456789abcdef.tmp", ".report.json.01234567.tmp"]
    others = [".notes.tmp", "0123456789abcdef.tmp", "elsewhere/.0123456789abcdef.tmp"]
    for name in [*mine, *others]:
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    recover(given, tmp_path / "out")
    left = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.tmp")}
    assert left == set(others)


def test_bad_files_cost_themselves_only(given, tmp_path):
    (given / "1.png").write_bytes(b"text")
    (given / "sub").mkdir()
    (given / "sub" / "4.png").write_bytes(b"")
    report = recover(given, tmp_path / "out", side_by_side=True)
    assert (report.recovered, report.failed, report.exit_code) == (2, 2, 1)
    status = {
        os.path.basename(e["input"]): (e["status"], e["reason"])
        for e in report_of(tmp_path / "out")["pictures"]
    }
    assert status == {
        "0.png": ("recovered", ""),
        "1.png": ("failed", "not_an_image"),
        "2.png": ("recovered", ""),
        "4.png": ("failed", "empty"),
    }
    assert visible(tmp_path / "out") == [
        "0_recovered.png", "0_side_by_side.png", "2_recovered.png", "2_side_by_side.png", "report.json",
    ]  # fmt: skip
    assert report_of(tmp_path / "out")["counts"] == {"recovered": 2, "skipped": 0, "failed": 2}


def test_outputs_carry_where_they_come_from_and_nothing_else(given, tmp_path):
    recover(given, tmp_path / "out", side_by_side=True)
    for name in ("0_recovered.png", "0_side_by_side.png"):
        with Image.open(tmp_path / "out" / name) as image:
            assert dict(image.info) == {"ifrp_tf": "generated face, not evidence; model ifrp/1; sha256 m"}


def test_a_second_run_skips_and_a_third_makes_what_is_missing(given, tmp_path):
    output = tmp_path / "out"
    recover(given, output)
    before = (output / "1_recovered.png").stat().st_mtime_ns
    report = recover(given, output)
    assert (report.recovered, report.skipped, report.exit_code) == (0, 3, 0)
    assert report_of(output)["pictures"][1]["faces"] == [
        {"box": [0, 0, 40, 40], "recovered": "1_recovered.png"}
    ]
    (output / "2_recovered.png").unlink()
    report = recover(given, output)
    assert (report.recovered, report.skipped) == (1, 2)
    assert (output / "1_recovered.png").stat().st_mtime_ns == before


def test_another_model_replaces_only_when_asked(given, tmp_path):
    output = tmp_path / "out"
    recover(given, output)
    report = recover(given, output, lambda portraits: portraits, model="m2")
    assert (report.failed, report.exit_code) == (3, 1)
    report = recover(given, output, lambda portraits: portraits, model="m2", overwrite=True)
    assert report.recovered == 3
    portrait = images.letterbox(images.read(given / "0.png").pixels, SIDE)
    np.testing.assert_array_equal(images.read(output / "0_recovered.png").pixels, portrait)
    assert recover(given, output, lambda portraits: portraits, model="m2").skipped == 3


@pytest.mark.parametrize("place", [".", "out"])
def test_outputs_among_the_inputs_are_never_recovered(given, place):
    output = given / place
    for expected in ((3, 0), (0, 3), (0, 3)):
        report = recover(given, output, side_by_side=True)
        assert (report.recovered, report.skipped, report.failed) == (*expected, 0)
    assert len(list(given.rglob("*.png"))) == 3 + 6


def test_a_picture_that_the_network_cannot_answer_does_not_spoil_its_neighbours(given, tmp_path):
    bad = images.letterbox(images.read(given / "1.png").pixels, SIDE)

    def network(portraits):
        if (portraits == bad).all(axis=(1, 2, 3)).any():
            raise ModelError("not finite")
        return negative(portraits)

    report = recover(given, tmp_path / "out", network)
    assert (report.recovered, report.failed) == (2, 1)
    assert report_of(tmp_path / "out")["pictures"][1]["reason"] == "not_recovered"


def test_an_output_that_cannot_be_written_is_a_failure_of_its_input(given, tmp_path):
    (tmp_path / "out" / "1_recovered.png").mkdir(parents=True)
    report = recover(given, tmp_path / "out", overwrite=True)
    assert (report.recovered, report.failed) == (2, 1)
    entry = report_of(tmp_path / "out")["pictures"][1]
    assert (entry["status"], entry["reason"], entry["faces"]) == ("failed", "not_written", [])
    assert entry["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_finishes_its_batch_and_can_be_resumed(tmp_path, number):
    fill(tmp_path / "in", 120)
    before = signal.getsignal(number)
    output = tmp_path / "out"

    def network(portraits):
        if not (output / "interrupted").exists():
            (output / "interrupted").touch()
            os.kill(os.getpid(), number)
        return negative(portraits)

    report = recover(tmp_path / "in", output, network)
    assert report.interrupted
    assert report.exit_code == 130
    assert 16 <= report.recovered <= 64
    assert signal.getsignal(number) is before
    recovered = [entry["faces"][0]["recovered"] for entry in report_of(output)["pictures"]]
    assert len(recovered) == report.recovered
    assert all((output / name).is_file() for name in recovered)
    assert report_of(output)["interrupted"] is True
    again = recover(tmp_path / "in", output, network)
    assert (again.recovered, again.skipped) == (120 - report.recovered, report.recovered)


def test_it_works_outside_the_main_thread(given, tmp_path):
    reports = []
    thread = threading.Thread(target=lambda: reports.append(recover(given, tmp_path / "out")))
    thread.start()
    thread.join()
    assert reports[0].recovered == 3


def test_nothing_waits_unbounded(tmp_path):
    """Of a long folder only so many pictures are read ahead of the network."""
    fill(tmp_path / "in", 100)
    read, ahead = [], []
    original = folder.prepare

    def counting(job, task, before):
        read.append(job.key)
        return original(job, task, before)

    def network(portraits):
        ahead.append(len(read))
        return negative(portraits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "prepare", counting)
        recover(tmp_path / "in", tmp_path / "out", network)
    assert all(count <= 16 * (k + 1) + 32 for k, count in enumerate(ahead))
    assert len(read) == 100


def test_a_batch_is_written_while_the_network_sees_the_next(tmp_path, monkeypatch):
    fill(tmp_path / "in", 32)
    calls, second, met = [], threading.Event(), []
    original = folder.write

    def network(portraits):
        calls.append(len(portraits))
        if len(calls) == 2:
            second.set()
        return negative(portraits)

    def patient(*given):
        met.append(second.wait(20))
        return original(*given)

    monkeypatch.setattr(folder, "write", patient)
    assert recover(tmp_path / "in", tmp_path / "out", network).recovered == 32
    assert met == [True] * 32


def test_a_mistyped_input_leaves_no_folder_behind(tmp_path):
    with pytest.raises(DataError, match="does not exist"), folder.opened(tmp_path / "im", tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_and_one_of_outputs_hold_no_portraits(given, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="0 pictures"), folder.opened(tmp_path / "empty", tmp_path / "out"):
        pass
    recover(given, given)
    for k in range(3):
        (given / f"{k}.png").unlink()
    with pytest.raises(DataError, match="only outputs"), folder.opened(given, given):
        pass


def test_an_output_folder_that_is_a_file_is_wrong_usage(given, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="folder that can be written to"):
        recover(given, tmp_path / "out")
