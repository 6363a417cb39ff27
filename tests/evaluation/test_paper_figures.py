"""The figures as the journal prints them, checked by what its text says of them."""

import numpy as np
import pytest

from ifrp_tf.evaluation.paper_figures import (
    COLUMNS,
    DIFFERENCES,
    PAPER,
    PAPER_FCR,
    STYLE_DIFFERENCES,
    nearest_column,
)


def test_every_method_has_every_figure():
    assert list(PAPER) == list(PAPER_FCR)
    table = np.array([[list(figures) for figures in columns] for columns in PAPER.values()])
    assert table.shape == (7, len(COLUMNS), 4)
    assert (table[..., 0] > 15).all()
    assert (table[..., 0] < 27).all()
    assert ((table[..., 1:] > 0.2) & (table[..., 1:] < 1)).all()


def test_ifrp_is_the_best_of_them_everywhere():
    for place in range(len(COLUMNS)):
        for k in range(4):
            values = {method: columns[place][k] for method, columns in PAPER.items()}
            assert max(values, key=values.get) == "IFRP"
    assert max(PAPER_FCR, key=PAPER_FCR.get) == "IFRP"
    assert PAPER["IFRP"][1] == (24.83, 0.68, 0.84, 0.8492)
    assert PAPER_FCR["IFRP"] == 0.9206


@pytest.mark.parametrize(
    ("protocol", "reserved", "column"),
    [
        ("procedural", True, "unseen"),
        ("procedural", False, "seen"),
        ("sketches", False, "sketches"),
        ("folders", False, "unseen"),
    ],
)
def test_the_nearest_column(protocol, reserved, column):
    assert nearest_column(protocol, reserved) == column
    assert STYLE_DIFFERENCES[protocol]


def test_differences_are_sentences():
    for text in (*DIFFERENCES, *STYLE_DIFFERENCES.values()):
        assert text.endswith(".")
        assert ": " in text
