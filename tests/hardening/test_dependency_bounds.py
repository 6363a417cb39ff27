import sys

import pytest
import small_model
from helpers import ROOT
from packaging.requirements import Requirement

from hardening import dependency_bounds
from ifrp_tf.core.errors import ConfigError


def test_every_line_of_our_own_requirements_has_both_bounds():
    found = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines()]
    assert len(found) > 10
    for one in found:
        operators = {part.operator for part in one.specifier}
        assert operators in ({">=", "<"}, {"=="}), one


def test_what_fails_is_said():
    assert dependency_bounds.try_out("x", [sys.executable, "-c", "pass"]).passed
    failed = dependency_bounds.try_out("x", [sys.executable, "-c", "import no_such_module"])
    assert not failed.passed
    assert "no_such_module" in failed.detail


def test_what_is_tried_exists(tmp_path):
    for command in dependency_bounds.slice_of(tmp_path / "python", tmp_path).values():
        assert command[0] == str(tmp_path / "python")
        for part in command[1:]:
            if part.endswith(".py"):
                assert (ROOT / part).is_file()


def test_wrong_usage(tmp_path):
    with pytest.raises(ConfigError, match="lowest, highest"):
        dependency_bounds.run(["middle"], tmp_path)
    done = small_model.tool("dependency_bounds", "--which=middle", f"--work={tmp_path}")
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())
