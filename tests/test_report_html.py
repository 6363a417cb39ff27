import re
from html.parser import HTMLParser

import pytest
from drawn_protocol import Drawn, candidate

from ifrp_tf import examples, report_html
from ifrp_tf.evaluate import evaluate

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
        style: examples.choose(style, rows, protocol, lambda portraits: portraits)
        for style, rows in done.evidence.styles.items()
    }
    return done.result, shown


@pytest.fixture(scope="module")
def page(evaluation):
    return report_html.page(*evaluation)


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
    assert "Files with problems" not in report_html.page(result, shown)
    problem = {"file": "p/<b>.png", "reason": "corrupt", "message": "bad."}
    page = report_html.page({**result, "problems": [problem] * 60}, shown)
    assert "Files with problems: 60" in page
    assert page.count("p/&lt;b&gt;.png") == 50
    assert "10 more are listed in the JSON" in page


def test_the_page_is_the_same_every_time(evaluation, page):
    assert report_html.page(*evaluation) == page


def test_a_chart_of_what_cannot_be_averaged():
    bins = [{"from": 0, "to": 10, **{key: {"psnr": None} for key in ("model", "input", "mean_face")}}]
    assert report_html.chart(bins).startswith("<svg")
