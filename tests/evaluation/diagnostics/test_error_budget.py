import json

import numpy as np
import pictures
import pytest
import small_model

from ifrp_tf.core.errors import ModelError
from ifrp_tf.evaluation.diagnostics import error_budget
from ifrp_tf.pictures import images
from ifrp_tf.recovery.recoverer import Recoverer


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    for k in range(4):
        images.write_png(folder / f"person {k}.png", np.roll(pictures.scene(128, 128), 20 * k, axis=1))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model.write_run(tmp_path_factory.mktemp("run") / "run")


@pytest.mark.parametrize("kind", ["run", "version"])
def test_a_model_in_two_parts_answers_as_in_one(model, kind):
    model = small_model.exported() if kind == "version" else model
    network, _ = error_budget._load(model, trust=False)
    portraits = np.random.default_rng(3).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    inside = images.to_model_range(portraits)
    received = network.recover(inside, network.transform.predict(inside, verbose=0))
    assert np.abs(received - Recoverer.load(model).recover_batch(portraits)).max() <= 1


def test_the_truth_is_told_and_the_model_is_the_measure(model, faces, tmp_path):
    path = tmp_path / "budget.json"
    text = error_budget.run(model, faces, styles="oil,facets", limit=3, json_file=str(path))
    found = json.loads(path.read_text())
    answers = found["answers"]
    assert (found["count"], found["styles"]) == (3, ["oil", "facets"])
    assert found["corners"] > 1  # random weights
    assert 0 < found["border"] < 1
    assert (answers["model"]["gain"], answers["model"]["interval"]) == (0, [0, 0])
    assert answers["colour"]["gain"] > 0
    assert answers["colour"]["psnr"] == pytest.approx(answers["model"]["psnr"] + answers["colour"]["gain"])
    assert answers["transform"]["psnr"] != answers["model"]["psnr"]
    assert f"| the model | {answers['model']['psnr']:.2f} |  |" in text
    assert "3 portraits in oil, facets" in text
    moved = found["registration"]
    assert set(moved) == {"portraits", "photographs"}
    # Random weights: both ways of measuring are there, and the transformer alone is off by pixels.
    corners = moved["portraits"]["transform"]["corners"]
    assert corners["p90"] >= corners["median"] > 1
    assert moved["photographs"]["answers"]["degrees"]["median"] >= 0
    behind = found["backgrounds"]
    assert list(behind) == ["white", "grey", "black"]
    assert f"on black {behind['black']['mean']:+.1f} (spread" in text
    median = moved["photographs"]["transform"]["corners"]["median"]
    assert f"| clean, upright photographs, by its transformer | {median:.2f} (" in text


def test_colours_are_told_and_nothing_else():
    truth = np.random.default_rng(0).integers(40, 200, (2, 16, 16, 3)).astype(np.float32)
    moved = truth + np.array([30, -20, 5], np.float32)
    assert np.array_equal(error_budget._recoloured(moved, truth), truth)


def test_a_model_without_a_transformer_on_the_portrait_is_refused(tmp_path, faces):
    run = small_model.write_run(tmp_path / "run", small_model.TINY)
    with pytest.raises(ModelError, match="stn=input"):
        error_budget.measure(run, faces)


def test_what_lies_behind_the_head_is_laid_there_and_nowhere_else():
    """A model that gives the portrait back changes no skin; one that answers with its mean light does."""
    truth = np.full((2, 64, 64, 3), 100, np.float32)
    seen = []

    class Network:
        class transform:
            @staticmethod
            def predict(pictures, **_):
                return np.zeros((len(pictures), 4), np.float32)

        def __init__(self, answer):
            self.answer = answer

        def recover(self, pictures, own):
            seen.append(images.to_uint8(pictures).astype(np.float32))
            return self.answer(seen[-1])

    same = error_budget._backgrounds(Network(lambda x: x), truth)
    assert all(abs(row["mean"]) < 0.01 for row in same.values())
    assert [part[0, 0, 0, 0] for part in seen] == [100, 255, 128, 0]
    assert all(part[0, 32, 32, 0] == 100 for part in seen)
    mean = error_budget._backgrounds(Network(lambda x: 0 * x + x.mean((1, 2, 3), keepdims=True)), truth)
    assert mean["white"]["mean"] > 20 > 0 > -20 > mean["black"]["mean"]
