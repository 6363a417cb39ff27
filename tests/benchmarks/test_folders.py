import pytest
import small_model

from benchmarks import folders
from hardening.kill import cases
from ifrp_tf.core.errors import ConfigError, DataError, ModelError
from ifrp_tf.recovery.recoverer import Recoverer


@pytest.mark.slow
def test_folders_of_both_sizes_are_recovered_whole(monkeypatch):
    reports = []
    monkeypatch.setattr(folders, "LARGE", 96)
    recover = Recoverer.recover_folder

    def recording(self, source, output, **options):
        reports.append(recover(self, source, output, **options))
        return reports[-1]

    monkeypatch.setattr(Recoverer, "recover_folder", recording)
    result = folders.measure(small_model.run_folder(), pictures=17, rounds=2)
    side = str(Recoverer.load(small_model.run_folder()).side)
    assert list(result["folders"]) == [side, "96"]
    assert (result["pictures"], result["data"]) == (17, "drawn faces")
    for row in result["folders"].values():
        speed = row["pictures_per_second"]
        assert speed > 0
        assert row["cores"] > 0
        assert row["to_network"] == pytest.approx(speed / result["network"])
    # Of each size a call to warm up and a timed one a round; nothing is passed over as done before.
    assert [(one.recovered, one.skipped, one.failed) for one in reports] == [(17, 0, 0)] * 8


def test_photographs_are_repeated_where_there_are_too_few(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "LARGE", 96)
    cases.draw(tmp_path, 3)
    result = folders.measure(small_model.run_folder(), tmp_path, pictures=4, rounds=1)
    assert (result["pictures"], result["data"]) == (4, str(tmp_path))


def test_wrong_usage_and_unusable_inputs(tmp_path):
    for numbers in ({"pictures": 0}, {"rounds": 0}):
        with pytest.raises(ConfigError, match=r"Received: \d+ and \d+"):
            folders.measure(small_model.run_folder(), **numbers)
    with pytest.raises(ModelError, match="missing"):
        folders.measure(tmp_path / "missing")
    with pytest.raises(DataError, match="missing"):
        folders.measure(small_model.run_folder(), tmp_path / "missing")
