import pytest

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.evaluation.request import Request


def test_a_protocol_or_two_folders():
    assert Request(model="m", json="r.json", protocol="paper").styles == "reserved"
    assert Request(model="m", json="r.json", portraits="p", photos="q").limit == 0


@pytest.mark.parametrize(
    "wrong", [{}, {"portraits": "p"}, {"portraits": "p", "photos": "q", "protocol": "paper"}]
)
def test_neither_or_both_is_refused(wrong):
    with pytest.raises(ConfigError, match="`portraits=DIR` and `photos=DIR`, or `protocol=NAME`"):
        Request(model="m", json="r.json", **wrong)


@pytest.mark.parametrize("name", ["limit", "seed", "detect"])
def test_numbers_below_nought_are_refused(name):
    with pytest.raises(ConfigError, match=f"`{name}` to be at least 0"):
        Request(model="m", json="r.json", protocol="paper", **{name: -1})


def test_a_folder_is_no_result_file(tmp_path):
    with pytest.raises(ConfigError, match="`json` to be a file"):
        Request(model="m", json=str(tmp_path), protocol="paper")
