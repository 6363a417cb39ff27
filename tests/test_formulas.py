"""The list of names beside the formulas, and that no tool needs these to tell a wrong name."""

import faults
import faults_program
import pytest

from ifrp_tf.styles import formulas, procedural


def test_every_formula_has_its_name_in_order():
    assert tuple(procedural.STYLES) == formulas.NAMES
    assert {*formulas.TRAIN, *formulas.RESERVED} == set(formulas.NAMES)
    assert not set(formulas.TRAIN) & set(formulas.RESERVED)


@pytest.mark.parametrize(
    ("tool", "flags"),
    [
        ("ablate", ("--table=architecture", "--pictures=64", "--run_dir=never", "--set=data.styles=oill")),
        ("benchmark", ("styles", "--set=data.styles=oill")),
        ("evaluate", ("--json=never.json", "--protocol=procedural", "--faces=tests", "--styles=oill")),
        ("prepare_faces", ("--input=tests", "--output=never", "--portraits=1", "--set=data.styles=oill")),
        ("preview_styles", ("--input=tests", "--output=never.png", "--styles=oill")),
        ("sample_portrait", ("--output=never.png", "--style=oill")),
        ("train", ("--preset=toy", "--run_dir=never", "--set=data.styles=oill")),
    ],
)  # fmt: skip
def test_a_wrong_name_is_told_before_keras_is_there(tool, flags):
    ended = faults.tool(tool, *flags, python=("-X", "importtime"))
    assert ended.code == 2
    assert "Did you mean 'oil'" in ended.err
    assert not faults_program.imported(ended) & {"tensorflow", "keras", "jax"}
