import json
import math
import re

import pytest
import small_model

from ifrp_tf.release import export

SPEED = {"ms", "pictures_per_second", "cores"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    run = small_model.write_run(folder / "run", small_model.TINY)
    return export.run(run, folder / "models" / "tiny" / "1").parent


def finite_and_positive(speed):
    return all(math.isfinite(value) and value > 0 for value in speed.values())


@pytest.mark.slow
def test_recover_prints_three_contenders_at_every_batch_size(models, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "speed.json"
    done = small_model.tool(
        "benchmark",
        "recover",
        f"--model={models}",
        "--batches=1,4",
        "--rounds=2",
        "--threads=1",
        f"--json={path}",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    assert result["threads"] == 1
    assert list(result["batches"]) == ["1", "4"]
    for row in result["batches"].values():
        for name in ("savedmodel", "onnxruntime", "litert", "floor"):
            assert set(row[name]) == SPEED | {"floors", "gflops"}
            assert finite_and_positive(row[name])
    for label in ("SavedModel", "ONNX Runtime", "LiteRT", "floor"):
        rows = re.findall(
            rf"^{label} +([\d.]+) +([\d.]+) +[\d.]+ +[\d.]+ +[\d.]+$", done.stdout, re.MULTILINE
        )
        assert len(rows) == 2, done.stdout
    assert "tiny/1" in done.stdout
    assert f"{result['parameters']:,} parameters" in done.stdout
    assert done.stdout.count("x the time of ONNX Runtime") == 2
    speeds = [row["pictures_per_second"] for row in result["folder"]["folders"].values()]
    printed = re.findall(
        r"^folder of JPEG files, +\d+ pixels +([\d.]+) pictures/s", done.stdout, re.MULTILINE
    )
    assert printed == [f"{speed:.1f}" for speed in speeds]
    assert len(speeds) == 2


@pytest.mark.slow
def test_train_prints_step_pipeline_and_waiting_share(tmp_path):
    path = tmp_path / "speed.json"
    done = small_model.tool(
        "benchmark", "train", "--preset=toy", "--steps=1", "--set=train.batch_size=4", "--set=data.side=32",
        "--set=data.styles=pencil", "--set=loss.adversarial=0.0", "--set=train.ema=0.0",
        "--set=model.skips=none", f"--json={path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    for name in ("real", "cached", "pipeline"):
        assert set(result[name]) == SPEED
        assert finite_and_positive(result[name])
    for label in ("pipeline and step", "step on a cached batch", "pipeline alone"):
        assert re.search(rf"^{label} +[\d.]+ +[\d.]+ +[\d.]+$", done.stdout, re.MULTILINE), done.stdout
    assert f"waiting for data: {result['waiting_share']:.1%} of the time" in done.stdout


@pytest.mark.slow
def test_styles_prints_what_a_picture_costs(tmp_path):
    path = tmp_path / "speed.json"
    done = small_model.tool(
        "benchmark", "styles", "--preset=toy", "--steps=1", "--set=train.batch_size=4", "--set=data.side=32",
        "--set=data.styles=pencil,oil", f"--json={path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(path.read_text())
    assert list(result["singles"]) == ["pencil", "oil"]
    for label in ("pencil", "oil", "mean of 2 alone", "2 styles mixed", "all 2 styles mixed"):
        assert re.search(rf"^{label} +[\d.]+ +[\d.]+$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ([], 2, "Expected recover, train, styles, serve, collection or detectors"),
        (["fly"], 2, "'fly'"),
        (["serve", "--model=missing"], 3, "missing"),
        (["serve", "--batches=1"], 2, "--batches"),
        (["recover", "--steps=3"], 2, "--steps"),
        (["train", "--model=x"], 2, "--model"),
        (["styles", "--weights=x"], 2, "--weights"),
        (["styles", "--data=missing"], 1, "missing"),
        (["recover", "--batches=one"], 2, "one"),
        (["recover", "extra"], 2, "extra"),
        (["train", "--preset=modem"], 2, "modern"),
        (["train", "--set=train.batch=1"], 2, "batch_size"),
        (["train", "--steps=0"], 2, "steps"),
        (["recover", "--model=missing"], 3, "missing"),
        (["train", "--data=missing"], 1, "missing"),
    ],
    ids=str,
)
def test_wrong_usage_costs_one_line_and_no_time(flags, code, words, tmp_path):
    done = small_model.tool("benchmark", *flags, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_help_needs_no_tensorflow():
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = small_model.tool("benchmark", "--help")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1
    assert done.returncode == 0
    assert "--batches" in done.stdout
    assert done.stderr == ""
