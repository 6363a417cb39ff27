"""The list of names beside the formulas; `test_usage.py` sees that a wrong name needs no Keras."""

from ifrp_tf.styles import formulas, procedural


def test_every_formula_has_its_name_in_order():
    assert tuple(procedural.STYLES) == formulas.NAMES
    assert {*formulas.TRAIN, *formulas.RESERVED} == set(formulas.NAMES)
    assert not set(formulas.TRAIN) & set(formulas.RESERVED)
