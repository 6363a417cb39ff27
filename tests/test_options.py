import pytest

from ifrp_tf.errors import ConfigError
from ifrp_tf.options import Options, parse_boxes


@pytest.mark.parametrize(
    "options",
    [
        {"faces": "some"},
        {"faces": "auto", "paste": True, "strength": 1.5},
        {"faces": "auto", "paste": True, "strength": float("nan")},
        {"paste": True},
        {"boxes": ((1, 2, 3, 4),)},
        {"faces": "auto", "strength": 0.5},
    ],
)
def test_what_is_out_of_range_or_contradictory_is_refused(options):
    with pytest.raises(ConfigError, match="Received"):
        Options(**options)


def test_settings_tell_options_apart_that_make_other_outputs():
    every = [
        Options(),
        Options(flip_average=True),
        Options(faces="auto"),
        Options(faces="auto", fallback=False),
        Options(faces="auto", boxes=((1, 2, 3, 4),)),
        Options(faces="auto", boxes=((1, 2, 3, 4), (5, 6, 7, 8))),
        Options(faces="auto", paste=True),
        Options(faces="auto", paste=True, strength=0.8),
    ]
    assert len({options.settings() for options in every}) == len(every)
    assert every[0].settings() == ""  # manifests from before there were options
    assert Options(uncertainty=True).settings() == ""  # it adds an output and changes none


def test_boxes_are_four_numbers():
    assert parse_boxes(["1,2,3,4", " -1.5, 2, 30 ,4e1"]) == ((1, 2, 3, 4), (-1.5, 2, 30, 40))
    for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "nan,1,2,3", "1,2,inf,4"):
        with pytest.raises(ConfigError, match="--box"):
            parse_boxes([text])
