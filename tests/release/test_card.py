import small_model

from ifrp_tf.core import presets
from ifrp_tf.core.config import Config
from ifrp_tf.release.card import RunRecord, write
from ifrp_tf.systems import base


def card(run=None, **options):
    config = options.pop("config", Config())
    system = base.create(config)
    values = {"name": "ifrp/2", "parameters": 9788255, "difference": (0.1234, 3), "weights": "srn.weights.h5"}
    values |= {
        "method": system.method,
        "architecture": system.architecture(),
        "terms": system.main.terms,
        "config": config,
    }
    return write(**{**values, **options}, run=run or RunRecord({}, {}))


def test_the_card_says_what_the_run_recorded(tmp_path):
    run = RunRecord.read(small_model.write_run(tmp_path / "run", small_model.TINY))
    assert run.last == small_model.METRICS
    text = card(run)
    for words in (
        "# Model card: ifrp/2",
        "9,788,255",
        "2,500 steps, 40,000 pictures, 5 epochs",
        "| the model | 15.25 | 0.500 |",
        "| the unrecovered portrait | 10.50 | 0.250 |",
        "| the mean training face, for every portrait | 13.00 | 0.450 |",
        "0.123 levels",
        "keras 3; commit abc",
    ):
        assert words in text


def test_the_card_warns():
    text = " ".join(card().split())
    for words in (
        "a plausible face, not evidence",
        "must not be used to identify",
        "non-commercial research only",
        "PNG or JPEG files of at most 2 MB",
        "## Misuse",
        "## Limits",
    ):
        assert words in text


def test_the_evaluation_has_its_place():
    assert "| style | dB |" in card(evaluation="\n| style | dB |\n")
    assert "Not evaluated" in card()


def test_the_objective_is_told_as_configured():
    text = card(config=presets.preset("modern"))
    assert "Loss: l1 1, 1 - SSIM 0.1" in text
    assert "a moving average" in text
    assert "adversarial 0.01" in card()
    assert "those of the last step" in card()


def test_a_run_that_recorded_nothing_has_a_card_too(tmp_path):
    run = RunRecord.read(tmp_path)
    assert run == RunRecord({}, {})
    assert "recorded no validation" in card(run, weights="")
    assert "not from this folder" in card(run, weights="")


def test_foreign_portraits_and_changes_are_told_where_there_are_any():
    assert "Portraits besides" not in card(config=presets.preset("modern"))
    chosen = ["data.foreign=f", "data.foreign_share=0.5", "data.augment=0.7"]
    text = card(config=presets.preset("modern").override(chosen))
    assert "Portraits besides: portraits by other people's style networks 50%, data.augment 0.7." in text
    scores = {"model": {"psnr": 17.0, "ssim": 0.6}, "foreign": {"psnr": 15.456, "ssim": 0.5678}}
    last = {"step": 1, "pictures": 16, "epoch": 1, "validation": scores}
    assert "of the same persons | 15.46 | 0.568 |" in card(RunRecord(last, {}))


def test_a_system_that_does_something_else_says_what():
    config = presets.preset("normalised_face")
    text = card(config=config, **base.create(config).card)
    assert "frontal, neutral and evenly lit" in text
    assert "the recogniser does not tell apart" in text
    for words in ("artistic portrait", "stylised", "Styles"):
        assert words not in text
    assert "Styles: train" in card()
