"""The table of the compared systems; trainings themselves are those of `tools/train.py`."""

import json

import numpy as np
import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.evaluation import cost, protocols
from ifrp_tf.evaluation.comparison import report, run, systems
from ifrp_tf.evaluation.request import COMPARED, FURTHER, ComparisonRequest
from ifrp_tf.evaluation.statistics import Evidence
from ifrp_tf.evaluation.store import PairRow, PhotoRow, Scores
from ifrp_tf.pictures import images


def request(folder, **options):
    return ComparisonRequest(**{"run_dir": str(folder), "model": "saved_models/ifrp", **options})


def test_every_system_is_trained_on_equal_terms():
    assert set(systems.SYSTEMS) == {*COMPARED, *FURTHER}
    assert request("x").chosen == list(COMPARED)
    configs = [systems.configuration(entry, 40_000) for entry in systems.SYSTEMS.values() if entry.preset]
    assert len(configs) == 10
    assert {config.system for config in configs} == {
        "gatys",
        "johnson",
        "mgan",
        "pix2pix",
        "cyclegan",
        "ifrp",
    }
    for config in configs:
        assert isinstance(config, Config)
        assert (config.data.styles, config.train.pictures, config.train.ema) == ("paper_train", 40_000, 0.999)
        assert config.data == configs[0].data


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"systems": "pix2pics"}, "Did you mean 'pix2pix'"),
        ({"systems": "gatys_oracel"}, "Did you mean 'gatys_oracle'"),
        ({"pictures": 0}, "pictures >= 1"),
        ({"limit": -1}, "limit"),
    ],
)
def test_wrong_usage_is_named(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        request(tmp_path, **options)


STYLES = ("bank_candy", "bank_mosaic", "bank_scream", "bank_feathers", "bank_udnie")
SUBJECTS = ("a", "b", "c", "d")


def measured(psnr, subjects=SUBJECTS):
    """Evidence of a system whose k-th style and n-th subject have a PSNR of psnr + k + n."""

    def scores(value):
        return Scores(value, 0.5, 0.7, 1.0, 2.0, 3.0)

    empty = np.zeros(0, np.float32)
    photos = {
        name: PhotoRow(name, Scores(np.inf, 1, 1, 1, 4, 3), scores(13.0), empty, empty) for name in SUBJECTS
    }
    styles = {
        style: [
            PairRow(style, name, 0.0, scores(psnr + k + n), scores(9.0), empty, empty)
            for n, name in enumerate(SUBJECTS)
            if name in subjects
        ]
        for k, style in enumerate(STYLES)
    }
    return Evidence(styles, photos)


def written(folder, **evidences):
    for name, evidence in evidences.items():
        (folder / name).mkdir()
        groups = run.in_groups("paper_as_is", evidence)
        (folder / name / "paper_as_is.json").write_text(json.dumps({"groups": groups}))
    content = report.collect(request(folder, descriptor="none"), {"mgan": "no photograph"})
    return content, report.markdown(content)


def test_the_tables_hold_means_intervals_and_margins(tmp_path):
    content, text = written(
        tmp_path, gatys=measured(14.0, ("a", "b")), pix2pix=measured(15.0), release=measured(17.0)
    )
    seen, unseen, rest = (" ".join(part.split()) for part in text.split("\n## ")[1:4])
    assert "| pix2pix | 17.50 [" in seen  # styles 0 to 2: 1 on the mean; subjects 0 to 3: 1.5
    assert "| pix2pix | 20.00 [" in unseen
    assert "| IFRP, the release | 22.00 [" in unseen
    assert "| *the mean training face* | 13.00" in unseen
    assert "| MGAN | failed |" in seen
    assert "20.82 / 0.59 / 0.80 / 75.1" in seen
    assert "18.90 / 0.54" in unseen
    assert rest.count("| 0.500 |") == 0  # a power of 2 where photographs have 4
    assert "| 0.500 | 20.82" in seen
    assert "of 3, in one style only" in text
    margins = " ".join(text.split("## Margins of ours, unseen styles")[1].split("##")[0].split())
    assert "| pix2pix | +2.00 [+2.00, +2.00] / +0.000 / +0.000 | +5.93 / +0.14 / +0.17 |" in margins
    assert "| Gatys et al. (mean of photographs) | +3.00 [+3.00, +3.00]" in margins  # its two subjects only
    assert "Unseen styles, here: pix2pix 20.00 > Gatys 18.00." in text
    assert "Unseen styles, in the journal: Gatys 20.25 > pix2pix 18.90." in text
    assert f"--run_dir={tmp_path}" in content["command"]
    json.dumps(content, allow_nan=False)


def test_costly_systems_answer_each_photograph_in_one_style(tmp_path):
    generator = np.random.default_rng(0)
    for name in SUBJECTS:
        images.write_png(tmp_path / f"{name}.png", generator.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    protocol = protocols.Procedural(tmp_path, styles=("tonal", "facets"), side=32)
    before = dict(protocol.settings)
    run.take_in_turn(protocol, 2)
    assert [len(names) for names in protocol.styles.values()] == [1, 1]
    asked = [name for names in protocol.styles.values() for name in names]
    assert len(set(asked)) == 2
    assert len(protocol.photos) == 4  # what is searched stays the same
    assert protocol.settings != before


def test_multiplications_are_those_of_the_layers():
    import keras

    x = keras.Input((16, 16, 4))
    y = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    y = keras.layers.Conv2DTranspose(2, 4, strides=2, padding="same", use_bias=False)(y)
    model = keras.Model(x, y)
    expected = (16 * 16 * 9 * 4 * 8 + 16 * 16 * 16 * 8 * 2) / 1e9
    assert cost.gmac(lambda x: model(x, training=False), (1, 16, 16, 4)) == pytest.approx(expected, rel=1e-6)


def test_aligned_portraits_are_what_the_upright_ones_are(tmp_path):
    """Undone, a tilt leaves the portrait where the photograph is; as it is, it does not."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    images.write_png(tmp_path / "a.png", images.resize(coarse, 64))

    def portrait(**options):
        made = protocols.Procedural(tmp_path, styles=("tonal",), side=64, **options)
        return made.read_portraits("tonal", ("a",)).pixels[0, 20:44, 20:44].astype(float)

    config = protocols.DataConfig(
        side=64, degrade=0.0, strength=1.0, flip=False, max_angle=0.0, max_scale=0.0, max_shift=0.0
    )
    upright = portrait(config=config)
    aligned, tilted = (np.abs(portrait(aligned=flag) - upright).mean() for flag in (True, False))
    assert aligned < 0.7 * tilted


def test_the_sheet_has_a_row_a_system_and_names_its_columns(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    images.write_png(tmp_path / "faces" / "a.png", pixels)
    asked = request(tmp_path / "run", descriptor="none")
    (tmp_path / "run" / "pix2pix").mkdir(parents=True)
    protocol = protocols.Procedural(tmp_path / "faces", styles=("tonal", "facets"), side=128)
    answering = run.Answering(lambda portraits: 255 - portraits, "negative", 0.0)
    run.Bench(asked)._strips("pix2pix", answering, [protocol])
    report.write(asked, {})
    strips = [f"strips/{name}" for name in ("styles", "portraits")] + ["pix2pix/strip", "strips/photographs"]
    rows = [images.read(tmp_path / "run" / f"{name}.png").pixels for name in strips]
    styles, portraits, answers, _ = rows
    sheet = images.read(tmp_path / "run" / "sheet.png").pixels
    np.testing.assert_array_equal(sheet[:, -answers.shape[1] :], np.concatenate(rows))
    np.testing.assert_array_equal(answers[64, 20:100], 255 - portraits[64, 20:100])
    named = sheet[: styles.shape[0], : -answers.shape[1]]
    assert (named == 255).all()  # no system over the corner
    assert (styles < 100).sum(axis=(0, 2))[: styles.shape[1] // 2].any()
    assert (styles < 100).sum(axis=(0, 2))[styles.shape[1] // 2 :].any()


@pytest.mark.slow
def test_the_release_is_measured_on_real_portraits_and_not_twice(data_dir, tmp_path):
    """The tool from end to end, without a training."""
    asked = request(
        tmp_path, data=str(data_dir / "faces/train"), faces=str(data_dir / "faces/test"),
        sketches=str(data_dir / "sketches"), weights=str(data_dir / "weights"), systems="release", limit=3,
        descriptor="none",
    )  # fmt: skip
    said: list[str] = []
    tables, measured_at = [], []
    for _ in range(2):
        assert run.run(asked, say=said.append) == 0
        tables.append(json.loads((tmp_path / "table.json").read_text())["rows"])
        measured_at.append(
            {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("release/*.rows.jsonl")}
        )
    assert "| IFRP, the release |" in said[0]
    assert list(tables[0]) == ["release"]
    assert set(tables[0]["release"]["groups"]) == set(report.GROUPS)
    assert tables[0]["release"]["recovering"]["pictures"] > 0
    assert tables[1] == tables[0]
    assert len(measured_at[0]) == 3
    assert measured_at[1] == measured_at[0]
