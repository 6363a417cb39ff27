"""Help and wrong usage of every tool are answered before TensorFlow, Keras or JAX is imported."""

import json
import subprocess
import sys

import pytest
from helpers import ROOT

TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py"))
NOWHERE = "/no/such/place"
STYLES, PHOTOS = "--styles=tests", "--photos=tests"
OILL, OILLS = "--set=data.styles=oill", ("--faces=tests", "--styles=oill")
# What each tool is given, its exit code, and words of its answer. The folders that exist only need to exist.
WRONG = [
    (["ablate", "--table=losses", "--pictures=x", "--run_dir=r"], 2, "invalid literal"),
    (
        ["ablate", "--table=losses", "--pictures=1", "--run_dir=r", "--set=train.pictures=1"],
        2,
        "--pictures=N",
    ),
    (["ablate", "--table=lossess", "--pictures=64", "--run_dir=r"], 2, "Did you mean 'losses'"),
    (["ablate", "--table=architecture", "--pictures=64", "--run_dir=r", OILL], 2, "Did you mean 'oil'"),
    (["benchmark", "nothing"], 2, "Expected recover, train, styles, serve, collection or detectors"),
    (["benchmark", "recover", f"--model={NOWHERE}"], 3, "Expected a model"),
    (["benchmark", "train", f"--data={NOWHERE}"], 1, "does not exist"),
    (["benchmark", "styles", OILL], 2, "Did you mean 'oil'"),
    (["check_style_bank", f"--styles={NOWHERE}"], 1, "does not exist"),
    (["check_style_bank", STYLES, f"--faces={NOWHERE}"], 1, "does not exist"),
    (["error_budget", f"--faces={NOWHERE}"], 1, "does not exist"),
    (["error_budget", f"--model={NOWHERE}"], 3, "Expected a model"),
    (["error_budget", "--faces=tests", "--styles=oill"], 2, "Did you mean 'oil'"),
    (["evaluate", "--json=r.json", "--protocol=procedural", *OILLS], 2, "Did you mean 'oil'"),
    (["evaluate", "--json=r.json"], 2, "Expected --portraits=DIR"),
    (["evaluate", "--json=r.json", "--protocol=procedural", f"--model={NOWHERE}"], 3, "Expected a model"),
    (["evaluate", "--json=r.json", "--protocol=procedural", f"--faces={NOWHERE}"], 1, "does not exist"),
    (["evaluate", "--json=r.json", PHOTOS, f"--portraits={NOWHERE}"], 1, "does not exist"),
    (["export", f"--run={NOWHERE}", "--output=m/1"], 3, "Expected a model"),
    (["export", "--run=tests", "--output=m/one"], 2, "end in a version number"),
    (["export", "--output=m/1"], 2, "Expected --run"),
    (["fuzz"], 2, "Expected a count or minutes"),
    (["fuzz", "--targets=nope", "--count=1"], 2, "Expected targets out of"),
    (["prepare_faces", f"--input={NOWHERE}", "--output=s"], 1, "does not exist"),
    (["prepare_faces", "--input=tests", "--output=s", "--set=a.b=1"], 2, "Unknown section"),
    (["prepare_faces", "--input=tests", "--output=s", "--test=", "--portraits=1", OILL], 2, "Did you mean"),
    (["preview_styles", "--output=p.png", "--input=tests", "--styles=oill"], 2, "Did you mean 'oil'"),
    (["preview_styles", f"--input={NOWHERE}", "--output=p.png"], 1, "does not exist"),
    (["recover", f"--input={NOWHERE}", "--output=o"], 1, "does not exist"),
    (["recover", "--input=tests", "--output=o", f"--model={NOWHERE}"], 3, "Expected a model"),
    (["recover", "--input=tests", "--output=o", "--box=1,2"], 2, "Expected --box"),
    (["recover_collection", f"--input={NOWHERE}", "--output=o"], 1, "does not exist"),
    (["recover_collection", "--output=o"], 2, "a list as --input"),
    (["recover_collection", "--input=tests", "--output=o", f"--model={NOWHERE}"], 3, "Expected a model"),
    (["recover_collection", "--input=tests", "--output=o", "--strength=0.5"], 2, "Expected --paste"),
    (["recover_remote", "--address=x", "--input=tests", "--output=o"], 2, "Expected an address"),
    (["sample_portrait", "--output=p.png", "--style=oill"], 2, "Did you mean 'oil'"),
    (["sample_portrait", "--output=portrait.jpg"], 2, "end in .png"),
    (["select_styles", f"--styles={NOWHERE}", PHOTOS, "--output=d"], 1, "does not exist"),
    (["serve", f"--model_base_path={NOWHERE}"], 3, "Expected a folder of versions"),
    (["serve", "--port=99999999"], 2, "Expected port"),
    (["soak", "--requests=1"], 2, "Expected 200 or more"),
    (["soak", f"--model={NOWHERE}"], 3, "Expected a model"),
    (["train", "--run_dir=r", "--preset=nope"], 2, "Unknown preset"),
    (["train", "--run_dir=r", OILL], 2, "Did you mean 'oil'"),
    (["train", "--run_dir=r", "--set=x"], 2, "Expected section.key=value"),
    (["train_style_bank", f"--styles={NOWHERE}", PHOTOS, "--run_dir=r"], 1, "does not exist"),
    (["train_style_bank", STYLES, f"--photos={NOWHERE}", "--run_dir=r"], 1, "does not exist"),
]


def probe(commands, folder):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "usage_probe.py")],
        input=json.dumps(commands), capture_output=True, text=True, timeout=300, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {tuple(command): answer for command, answer in zip(commands, json.loads(done.stdout), strict=True)}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Of all commands, from one process; in an empty folder but for one called `tests`."""
    folder = tmp_path_factory.mktemp("usage")
    (folder / "tests").mkdir()
    (folder / "tests" / "a.png").write_bytes(b"")
    plain = [[tool, flag] for tool in TOOLS for flag in ("--help", "--no_such_flag=1")]
    return probe([*plain, *(command for command, _, _ in WRONG)], folder)


@pytest.mark.parametrize("tool", TOOLS)
def test_help_and_an_unknown_flag_are_answered_at_once(answers, tool):
    told, refused = answers[tool, "--help"], answers[tool, "--no_such_flag=1"]
    assert (told["code"], refused["code"]) == (0, 2), refused["said"]
    assert "Exit code" in told["said"]
    assert "no_such_flag" in refused["said"]
    assert (told["early"], refused["early"]) == (None, None)


@pytest.mark.parametrize(("command", "code", "words"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
def test_wrong_usage_is_answered_at_once(answers, command, code, words):
    answer = answers[tuple(command)]
    assert not answer["early"], answer["said"]
    assert answer["code"] == code, answer["said"]
    assert words in answer["said"]


def test_what_imports_too_early_is_caught(tmp_path):
    """Right usage does import Keras: the probe sees it."""
    command = ["sample_portrait", "--output=p.png"]
    answer = probe([command], tmp_path)[tuple(command)]
    assert answer["early"] == "keras"
    assert answer["code"] is None
