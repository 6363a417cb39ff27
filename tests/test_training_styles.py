"""The table of training styles: each row adds one, none is reserved."""

from ifrp_tf.experiments.training_styles import TRAINING_STYLES
from ifrp_tf.styles import sets


def test_each_row_adds_one_style_to_the_row_above():
    chosen = [sets.resolve(row.changes["data.styles"]) for row in TRAINING_STYLES.rows.values()]
    assert [len(styles) for styles in chosen] == [1, 2, 3, 4, 5]
    for fewer, more in zip(chosen, chosen[1:], strict=False):
        assert more[:-1] == fewer


def test_each_row_is_tested_on_what_it_was_trained_on():
    for name, row in TRAINING_STYLES.rows.items():
        assert row.seen == sets.resolve(row.changes["data.styles"])
        assert name.startswith(str(len(row.seen)))
        assert len(row.paper) == 4
