import pytest
from drawn_protocol import Drawn, candidate

from ifrp_tf.evaluation import tables as report_tables
from ifrp_tf.evaluation.run import evaluate


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "r"
    return evaluate(candidate(lambda portraits: portraits // 2), Drawn(3), path, resamples=20).result


def tables(result):
    found = [
        getattr(report_tables, name)(result) for name in ("answers", "styles", "gains", "angles", "paper")
    ]
    return [table for table in found if table]


def test_rows_are_as_long_as_their_headers(result):
    for table in tables(result):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.header)}
        assert all(isinstance(cell, str) and cell for row in table.rows for cell in row)


def test_numbers_as_text():
    assert report_tables.number("psnr", 15.126) == "15.13"
    assert report_tables.number("ssim", 0.45678) == "0.457"
    assert report_tables.number("fcr_top1", 1.0) == "100.0"
    assert report_tables.number("psnr", None) == "–"
    assert report_tables.with_interval("ssim", 0.5, [0.4, 0.6]) == "0.500 [0.400, 0.600]"
    assert report_tables.with_interval("ssim", 0.5, None) == "0.500"
    assert report_tables.with_interval("psnr", None, None) == "–"


def test_the_model_stands_beside_the_trivial_answers_chance_and_ceilings(result):
    table = report_tables.answers(result)
    assert [row[0] for row in table.rows] == [
        "the model",
        "the portrait as it is",
        "the mean training face, always",
        "chance",
        "the photographs themselves",
        "the photographs mirrored",
    ]
    assert table.rows[0][1].startswith(f"{result['mean']['psnr']:.2f} [")
    assert table.rows[3][4:6] == ("33.3", "100.0")
    assert table.rows[4][1:6] == ("∞", "1.000", "1.000", "100.0", "100.0")
    assert "from 3 photographs (descriptor: pixels)" in table.note


def test_a_descriptor_that_models_are_trained_to_please_is_named(result):
    settings = {**result["settings"], "descriptor": {"name": "mobilefacenet"}}
    assert "score too well" in report_tables.answers({**result, "settings": settings}).note
    assert "score too well" not in report_tables.answers(result).note
    bare = {**result, "settings": {**result["settings"], "descriptor": None}}
    assert "descriptor: none" in report_tables.answers(bare).note


def test_fcr_of_one_sketch_twice_is_said_to_be_easy(result):
    settings = {**result["settings"], "protocol": {"name": "sketches"}}
    assert "FCR is then easy" in report_tables.answers({**result, "settings": settings}).note
    assert "FCR is then easy" not in report_tables.answers(result).note


def test_detection_is_a_column_where_it_was_measured(result):
    shares = {"pictures": 2, "photos": 1.0, "styles": {"noisy": 0.5, "dark": None}, "input": {"noisy": 0.0}}
    shares["mean_face"] = True
    table = report_tables.styles({**result, "detected": shares})
    assert table.header[-1] == "face found, %"
    assert [row[-1] for row in table.rows] == ["50.0", "–"]
    assert "100.0 % of the photographs and 0.0 % of the portraits, and one in the mean face" in table.note
    assert report_tables.styles(result).header[-1] != "face found, %"


def test_no_angles_no_table(result):
    assert report_tables.angles({**result, "by_angle": []}) is None
    assert [row[0] for row in report_tables.angles(result).rows] == ["0° to 10°", "10° to 20°", "20° to 30°"]


def test_the_paper_stands_beside_with_what_differs(result):
    table = report_tables.paper(result)
    assert table.rows[0][:2] == ("the model, this protocol (FRR: top 5 of 3)", "unseen styles")
    assert table.rows[1][:3] == ("IFRP, in the paper", "unseen styles", "24.83")
    assert len(table.rows) == 8
    assert "must not be read as a ranking" in table.note
    assert len(report_tables.differences(result)) == 5


def test_the_papers_protocol_has_its_three_groups(result):
    values = next(iter(result["styles"].values()))

    def renamed(part, shift):
        found = {
            name: {**values, "psnr": 10.0 + shift + k}
            for k, name in enumerate(("bank_candy", "bank_wave", "bank_sketch"))
        }
        return {**part, "styles": found}

    settings = {**result["settings"], "protocol": {"name": "paper", "side": 128}}
    ten = {**renamed(result, 0), "settings": settings}
    for answer in ("input", "mean_face"):
        ten[answer] = renamed(result[answer], -5)
    table = report_tables.paper(ten)
    assert [(row[1], row[2]) for row in table.rows[:4]] == [
        ("styles trained on", "10.00"),
        ("unseen styles", "11.50"),
        ("the unseen style Sketch", "12.00"),
        ("styles trained on", "5.00"),
    ]
    assert [row[2] for row in table.rows[9:12]] == ["26.08", "24.83", "24.89"]
    assert len(report_tables.differences(ten)) == 5
    assert "bank_wave, bank_sketch" in report_tables.description(ten)


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({"name": "folders", "side": 128}, "portraits and photographs from folders"),
        (
            {
                "name": "sketches",
                "side": 128,
                "seed": 3,
                "max_angle": 30.0,
                "max_scale": 0.15,
                "max_shift": 8.0,
            },
            "seed 3",
        ),
        ({"name": "procedural", "side": 128}, "Never trained on: none of the styles"),
    ],
)
def test_the_description_says_what_was_measured(result, protocol, words):
    settings = {**result["settings"], "protocol": protocol}
    text = report_tables.description({**result, "settings": settings})
    assert words in text
    assert "6 portraits of 3 subjects in 2 styles (noisy, dark)" in text
    assert "could not" not in text
    counts = {**result["counts"], "failed": 2}
    assert "**2 portraits could not be measured.**" in report_tables.description({**result, "counts": counts})
