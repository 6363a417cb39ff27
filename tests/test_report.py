import csv
import io

import numpy as np
import pytest
from drawn_protocol import Drawn, candidate
from PIL import Image

from ifrp_tf import report
from ifrp_tf.evaluate import evaluate


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    protocol = Drawn(4, styles={"dark": lambda pixels, _: pixels // 2, "=same": lambda pixels, _: pixels})
    return evaluate(candidate(), protocol, tmp_path_factory.mktemp("rows") / "r", resamples=20), protocol


def test_a_report_is_four_things(done, tmp_path):
    found, protocol = done
    folder = tmp_path / "new" / "report"
    report.write(found.result, found.evidence, protocol, lambda portraits: portraits, folder)
    assert {path.name for path in folder.iterdir()} == {"report.html", "evaluation.md", "rows.csv", "sheets"}
    assert {path.name for path in (folder / "sheets").iterdir()} == {"dark.png", "=same.png"}
    with Image.open(folder / "sheets" / "dark.png") as sheet:
        assert sheet.size == (4 * 34 + 2, 3 * 34 + 2)
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (folder / "evaluation.md").read_text(encoding="utf-8") == report.markdown(found.result) + "\n"


def test_markdown_tables_are_tables(done):
    text = report.markdown(done[0].result)
    assert not text.startswith("#"), "it goes below a heading of the model card"
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            assert len({line.count("|") for line in lines}) == 1
            assert set(lines[1]) <= set("|-: ")
    assert "| the mean training face, always |" in text
    assert "**Beside the paper's figures" in text


def test_a_bar_in_a_name_does_not_break_a_table(done):
    result = done[0].result
    styles = {"a|b": result["styles"]["dark"]}
    beside = {
        key: {**result[key], "styles": {"a|b": result[key]["styles"]["dark"]}}
        for key in ("input", "mean_face")
    }
    assert "| a\\|b | 4 |" in report.markdown({**result, "styles": styles, **beside})


def test_rows_as_csv(done):
    found = done[0]
    rows = list(csv.DictReader(io.StringIO(report.table_of_rows(found.evidence))))
    assert len(rows) == 8
    assert {row["style"] for row in rows} == {"dark", "'=same"}, "no spreadsheet runs it"
    assert rows[0]["name"] == "face/0"
    assert float(rows[0]["angle"]) == 30.0
    assert rows[-1]["psnr"] == "inf"
    dark = [float(row["psnr"]) for row in rows if row["style"] == "dark"]
    assert np.mean(dark) == pytest.approx(found.result["styles"]["dark"]["psnr"], abs=1e-4)
    ssim = [float(row["mean_face_ssim"]) for row in rows if row["style"] == "dark"]
    assert np.mean(ssim) == pytest.approx(found.result["mean_face"]["styles"]["dark"]["ssim"], abs=1e-4)
