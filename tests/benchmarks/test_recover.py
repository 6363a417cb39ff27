import shutil

import numpy as np
import pytest
import small_model

from benchmarks import machine, recover
from benchmarks.arithmetic import multiply_adds
from ifrp_tf.core.errors import ConfigError, ModelError
from ifrp_tf.release import export, graph_weights, onnx

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speed")
    return export.run(
        small_model.write_run(folder / "run", small_model.TINY), folder / "models" / "tiny" / "1"
    )


@pytest.fixture(autouse=True)
def small_product(monkeypatch):
    monkeypatch.setattr(machine, "MATMUL_SIDE", 256)


@pytest.mark.slow
def test_every_number_follows_from_the_times(version):
    result = recover.measure(version.parent, batches=(1, 3), rounds=2)
    srn = graph_weights.load_srn(version)
    assert result["model"] == "tiny/1"
    assert result["side"] == 32
    assert result["parameters"] == srn.count_params()
    assert result["multiply_adds"] == multiply_adds(srn) > 1e6
    assert result["threads"] >= 1
    assert result["difference"]["max"] <= 1
    assert result["megabytes"]["litert"] < 0.7 * result["megabytes"]["onnx"]
    assert list(result["batches"]) == ["1", "3"]
    for batch, row in result["batches"].items():
        for name in ("savedmodel", "onnxruntime", "litert", "floor"):
            speed = row[name]
            assert all(np.isfinite(value) and value > 0 for value in speed.values()), row
            seconds = speed["ms"] / 1000
            assert speed["pictures_per_second"] == pytest.approx(int(batch) / seconds)
            assert speed["floors"] == pytest.approx(speed["ms"] / row["floor"]["ms"])
            operations = 2 * result["multiply_adds"] * int(batch)
            assert speed["gflops"] == pytest.approx(operations / seconds / 1e9)
        ratio = row["savedmodel"]["ms"] / row["onnxruntime"]["ms"]
        assert row["savedmodel_to_onnxruntime"] == pytest.approx(ratio)


def test_a_runtime_that_answers_otherwise_is_no_comparison(version, monkeypatch):
    call = onnx.Session.__call__
    monkeypatch.setattr(onnx.Session, "__call__", lambda self, x: call(self, x) + 0.1)
    with pytest.raises(ModelError, match="agree"):
        recover.measure(version, rounds=1)


def test_an_altered_model_is_refused(version, tmp_path):
    copy = shutil.copytree(version, tmp_path / "1")
    (copy / "MODEL_CARD.md").write_text("another")
    with pytest.raises(ModelError, match="SHA-256"):
        recover.measure(copy)


def test_a_run_is_no_exported_model():
    with pytest.raises(ModelError, match=r"Expected an exported version.*tools/export.py"):
        recover.measure(small_model.run_folder())


@pytest.mark.parametrize("options", [{"batches": ()}, {"batches": (0,)}, {"batches": (2000,)}, {"rounds": 0}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="Expected batches from 1 to 1024 and at least 1 round"):
        recover.measure("missing", **options)
