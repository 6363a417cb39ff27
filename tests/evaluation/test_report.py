"""Tests of `evaluation/report`."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from drawn_protocol import Drawn, candidate, pair
from PIL import Image

from ifrp_tf.evaluation import report
from ifrp_tf.evaluation.report import choose, error_map
from ifrp_tf.evaluation.run import evaluate


def rows(count):
    """PSNR falls with the number of the face, but for the first, which is perfect."""
    return [pair("dark", f"face/{k}", 30.0 - k if k else np.inf, 0.0) for k in range(count)]


def kinds(count):
    return [
        (found.kind, int(found.row.name[5:])) for found in choose("dark", rows(count), Drawn(12), lambda p: p)
    ]


def test_the_best_the_middle_and_the_worst():
    expected = [("best", 0), ("best", 1), ("best", 2), ("median", 4), ("median", 5), ("median", 6)]
    assert kinds(12) == [*expected, ("worst", 9), ("worst", 10), ("worst", 11)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_few_portraits_are_shown_once_each(count):
    found = kinds(count)
    assert len({k for _, k in found}) == len(found) <= count
    assert found[0] == ("best", 0)
    if count > 1:
        assert found[-1] == ("worst", count - 1)


def test_a_strip_is_portrait_recovered_photograph_and_error():
    protocol = Drawn(3)
    (found,) = choose("dark", rows(1), protocol, lambda portraits: 255 - portraits)
    photo = protocol.pixels["face/0"]
    np.testing.assert_array_equal(found.strip[0], photo // 2)
    np.testing.assert_array_equal(found.strip[1], 255 - photo // 2)
    np.testing.assert_array_equal(found.strip[2], photo)
    np.testing.assert_array_equal(found.strip[3], error_map(found.strip[1][None], photo[None])[0])


def test_errors_are_black_to_white_by_their_size():
    black = np.zeros((3, 4, 4, 3), np.uint8)
    other = np.stack([black[0], black[0] + report.ERROR_SCALE // 2, black[0] + 2 * report.ERROR_SCALE])
    means = error_map(black, other).mean(axis=(1, 2, 3))
    assert means[0] < 5 < 80 < means[1] < 150 < 200 < means[2]
    np.testing.assert_array_equal(error_map(black, other), error_map(other, black))


WICKED = '<script>alert("1")</script>&'
VOID = {"meta", "img", "br", "path", "use", "link"}


class Reader(HTMLParser):
    """Collects tags and text, and fails on tags that do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.sources, self.text = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    protocol = Drawn(3, styles={WICKED: lambda pixels, _: pixels // 2, "plain": lambda pixels, _: pixels})
    done = evaluate(candidate(), protocol, tmp_path_factory.mktemp("rows") / "r", resamples=20)
    shown = {
        style: report.choose(style, rows, protocol, lambda portraits: portraits)
        for style, rows in done.evidence.styles.items()
    }
    return done.result, shown


@pytest.fixture(scope="module")
def page(evaluation):
    return report.page(*evaluation)


def test_the_page_is_whole_and_needs_nothing_else(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.sources
    assert all(source.startswith(("data:image/jpeg;base64,", "#")) for source in reader.sources)
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "@import" not in page
    assert "url(http" not in page
    assert len(page) < 2_000_000


def test_names_of_folders_are_text_and_never_markup(page):
    reader = Reader()
    reader.feed(page)
    assert "script" not in reader.tags
    assert WICKED in reader.text


def test_every_part_is_there(page):
    reader = Reader()
    reader.feed(page)
    for words in (
        "Evaluation of toy",
        "Not for identification",
        "The model beside the trivial answers",
        "Gain",
        "By style",
        "By rotation angle",
        "Best, median and worst",
        "Beside the paper's figures",
        "must not be read as a ranking",
        "Settings",
        "tilt of the portrait",
        "best: ∞ dB",
        "worst:",
    ):
        assert words in reader.text, words
    assert reader.tags.count("img") == 6
    assert reader.tags.count("svg") == 1


def test_problems_are_listed_up_to_a_limit(evaluation):
    result, shown = evaluation
    assert "Files with problems" not in report.page(result, shown)
    problem = {"file": "p/<b>.png", "reason": "corrupt", "message": "bad."}
    page = report.page({**result, "problems": [problem] * 60}, shown)
    assert "Files with problems: 60" in page
    assert page.count("p/&lt;b&gt;.png") == 50
    assert "10 more are listed in the JSON" in page


def test_the_page_is_the_same_every_time(evaluation, page):
    assert report.page(*evaluation) == page


def test_a_chart_of_what_cannot_be_averaged():
    bins = [{"from": 0, "to": 10, **{key: {"psnr": None} for key in ("model", "input", "mean_face")}}]
    assert report.chart(bins).startswith("<svg")


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
