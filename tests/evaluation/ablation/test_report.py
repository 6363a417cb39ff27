"""The table as Markdown, from results as an evaluation gives them."""

from ifrp_tf.evaluation.ablation import report, row, run
from ifrp_tf.evaluation.statistics import METRICS


def part(styles, psnr):
    values = dict.fromkeys(METRICS, 0.5) | {"psnr": psnr}
    trivial = {"mean": dict.fromkeys(METRICS, 0.25) | {"psnr": 9.5}}
    return {
        "mean": values, "fcr": 0.5, "input": trivial, "mean_face": trivial, "styles": styles,
        "photos": {"mirrored": {"frr_top1": 0.875, "frr_top5": 1.0}},
        "chance": {"frr_top1": 0.1, "frr_top5": 0.5},
        "confidence": {"level": 0.95, "model": {"mean": {name: [psnr - 1, psnr + 1] for name in METRICS}}},
        "counts": {"subjects": 10}, "gallery": {"size": 10},
        "settings": {
            "descriptor": {"name": "dlib"}, "protocol": {"photos": "abc", "limit": 10, "side": 64}
        },
    }  # fmt: skip


def content(monkeypatch, table, results):
    data = __file__  # a plan asks whether it is there, nothing more
    jobs = run.plan(run.Request(table=table, pictures=64, base="modern", data=data, run_dir="r"))
    found = dict(zip([job.name for job in jobs[1]], results, strict=False))
    monkeypatch.setattr(row, "result", lambda job: found.get(job.name))
    return report.collect(*jobs, {"pixel + identity": "No weights."}, command="python tools/ablate.py")


def result(psnr, seen=("oil",)):
    training = {"parameters": 1_000, "seconds": 61.0, "pictures_per_second": 9.9}
    return {"training": training, "unseen": part(["facets"], psnr), "seen": part(list(seen), psnr + 1)}


def test_rows_stand_beside_the_trivial_answers_and_the_paper(monkeypatch):
    text = report.markdown(content(monkeypatch, "losses", [result(15.0), result(15.5)]))
    unseen, seen = text.split("## ")[1:3]
    assert "| pixel | 15.00 [14.00, 16.00] | 0.500 | 0.500 | 50.0 |" in unseen
    assert "| pixel | 16.00 [15.00, 17.00] |" in seen
    line = next(line for line in unseen.splitlines() if line.startswith("| pixel + adversarial |"))
    assert line.endswith("| 0.58 | 0.72 |")
    assert "*the mean training face* | 9.50" in unseen
    assert "*chance* | – | – | – | 10.0 | 50.0 |" in unseen
    assert "*the photographs mirrored* | – | – | – | 87.5 | 100.0 |" in unseen
    assert "Not there: pixel + identity, pixel + adversarial + identity" in text
    assert "pixel + identity failed: No weights." in text
    assert text.count("tools/train.py") == 4
    widths = {line.count("|") for line in unseen.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_other_portraits_have_their_own_trivial_answers(monkeypatch):
    made = content(monkeypatch, "training_styles", [result(15.0), result(15.0, ("oil", "pencil"))])
    unseen, seen = report.markdown(made).split("## ")[1:3]
    assert unseen.count("the mean training face") == 1
    assert "the mean training face, of 1 style" in seen
    assert "the mean training face, of 2 styles" in seen


def test_rows_tested_on_different_photographs_are_told(monkeypatch):
    other = result(15.0)
    assert "delete tested.json" not in report.markdown(content(monkeypatch, "losses", [result(15.0), other]))
    other["seen"]["settings"]["protocol"]["photos"] = "other"
    assert "delete tested.json" in report.markdown(content(monkeypatch, "losses", [result(15.0), other]))


def test_nothing_finished_yet(monkeypatch):
    assert "No row is finished." in report.markdown(content(monkeypatch, "transformer", []))


def test_a_metric_that_the_paper_does_not_name(monkeypatch):
    text = report.markdown(content(monkeypatch, "transformer", [result(15.0)]))
    assert "paper: unlabelled |" in text
    assert "| 11 angles, inside | – | – | – | – | – | 0.66 |" in text


def test_what_most_rows_share_is_said_once(monkeypatch):
    made = content(monkeypatch, "recipe", [result(15.0), result(15.0)])
    training = report.markdown(made).split("## Training")[1]
    assert "| modern | – |" in training
    assert "| another seed | train.seed=2 |" in training
    assert "Where a row says nothing else: data.strength=0.75, data.styles=all_train, " in training
