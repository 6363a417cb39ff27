import json
from pathlib import Path

import pytest

from ifrp_tf.errors import ConfigError, DataError
from ifrp_tf.ledger import MANIFEST, Made, Manifest, ReportWriter

MADE = Made("a" * 64, 10, 123, "m", ("x_recovered.png",), (0, 0, 3, 4), ("note",))
LATER = Made("b" * 64, 11, 124, "m", ("y_recovered.png",), (0, 0, 3, 4), ())


def test_the_last_line_of_an_input_counts_and_every_output_is_remembered(tmp_path):
    with Manifest(tmp_path / "new" / "out") as manifest:
        assert manifest.get("x.png") is None
        manifest.add("x.png", MADE)
        manifest.add("שלום \udcff.png", MADE)
        manifest.add("x.png", LATER)
        assert manifest.get("x.png") == LATER
    with Manifest(tmp_path / "new" / "out") as manifest:
        assert manifest.get("x.png") == LATER
        assert manifest.get("שלום \udcff.png") == MADE
        assert manifest.outputs() == {"x_recovered.png", "y_recovered.png"}


@pytest.mark.parametrize(
    "junk", ['{"input": "z.png", "sha', "junk\n", "[1]\n", '{"input": "z.png"}\n', "\xff\0\n"]
)
def test_lines_cut_or_damaged_are_passed_over(tmp_path, junk):
    with Manifest(tmp_path) as manifest:
        manifest.add("x.png", MADE)
    with open(tmp_path / MANIFEST, "a", encoding="latin-1") as file:
        file.write(junk)
    with Manifest(tmp_path) as manifest:
        assert manifest.get("z.png") is None
        manifest.add("y.png", LATER)
    with Manifest(tmp_path) as manifest:
        assert manifest.get("x.png") == MADE
        assert manifest.get("y.png") == LATER


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    with Manifest(tmp_path), pytest.raises(DataError, match="another run"):
        Manifest(tmp_path)
    with Manifest(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_to_is_wrong_usage(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/out")):
        with pytest.raises(ConfigError, match="can be written to"):
            Manifest(folder)


def test_the_report_is_json_and_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("before")
    for entries in ([], [{"input": "a"}], [{"input": "é \ud83c"}, {"input": "b"}]):
        writer = ReportWriter(path, {"model": {"name": "ifrp/1"}})
        for entry in entries:
            writer.add([entry])
        writer.add([])
        before = path.read_text()
        writer.close({"counts": {"failed": 0}, "interrupted": False})
        assert path.read_text() != before
        writer.discard()
        assert json.loads(path.read_text()) == {
            "model": {"name": "ifrp/1"},
            "pictures": entries,
            "counts": {"failed": 0},
            "interrupted": False,
        }
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def test_a_discarded_report_leaves_nothing(tmp_path):
    writer = ReportWriter(tmp_path / "report.json", {"model": None})
    writer.add([{"input": "a"}])
    writer.discard()
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match="could not be written"):
        ReportWriter(tmp_path / "missing" / "report.json", {})
