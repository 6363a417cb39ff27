"""The table of the compared systems; trainings themselves are those of `tools/train.py`."""

import json

import numpy as np
import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.evaluation import comparison, protocols
from ifrp_tf.evaluation.request import COMPARED, ComparisonRequest
from ifrp_tf.pictures import images


def request(folder, **options):
    return ComparisonRequest(**{"run_dir": str(folder), "model": "saved_models/ifrp", **options})


def test_every_system_is_trained_on_equal_terms():
    assert tuple(comparison.SYSTEMS) == COMPARED
    configs = [
        comparison.configuration(entry, 40_000) for entry in comparison.SYSTEMS.values() if entry.preset
    ]
    assert len(configs) == 8
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
        ({"pictures": 0}, "pictures >= 1"),
        ({"limit": -1}, "limit"),
    ],
)
def test_wrong_usage_is_named(tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        request(tmp_path, **options)


def measured(psnr):
    """What an evaluation writes, as far as the table reads it."""

    def table(value):
        values = dict.fromkeys(("psnr", "ssim", "fsim", "frr_top1", "frr_top5"), 0.5)
        return {"styles": {style: {**values, "psnr": value + k} for k, style in enumerate(STYLES)}}

    return {**table(psnr), "input": table(9.0), "mean_face": table(13.0)}


STYLES = ("bank_candy", "bank_mosaic", "bank_scream", "bank_feathers", "bank_udnie")


def test_the_table_means_over_seen_and_unseen_styles(tmp_path):
    for name, psnr in (("pix2pix", 15.0), ("release", 17.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "paper_as_is.json").write_text(json.dumps(measured(psnr)))
    bench = comparison.Bench(request(tmp_path, descriptor="none"))
    content = comparison.collect(bench, {"mgan": "no photograph"})
    text = comparison.markdown(content)
    seen = text.split("## Unseen styles")[0]
    unseen = text.split("## Unseen styles")[1]
    assert "| pix2pix | 16.00 |" in seen.replace("  ", " ")
    assert "| pix2pix | 18.50 |" in unseen.replace("  ", " ")
    assert "| IFRP, the release | 20.50 |" in unseen.replace("  ", " ")
    assert "20.82 / 0.59" in seen
    assert "18.90 / 0.54" in unseen
    assert "| *the mean training face* | 16.50 |" in unseen.replace("  ", " ")
    assert "| MGAN | failed |" in seen.replace("  ", " ")
    assert f"--run_dir={tmp_path}" in content["command"]


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
