import json
import os
import subprocess

import pytest

from ifrp_tf.core.config import Config
from ifrp_tf.core.errors import ModelError
from ifrp_tf.release import folder as model_folder
from ifrp_tf.release.folder import locate, read_config, verify


def version(folder):
    """A folder with the files of a version, though no model is in them."""
    (folder / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
        (folder / name).write_text(f"content of {name}")
    (folder / "config.json").write_text(json.dumps(Config().to_dict()))
    model_folder.write_checksums(folder)
    return folder


def test_the_highest_version_wins_by_number(tmp_path):
    for number in ("2", "10", "9"):
        version(tmp_path / "ifrp" / number)
    (tmp_path / "ifrp" / ".11.tmp").mkdir()
    (tmp_path / "ifrp" / "old").mkdir()
    found = locate(tmp_path / "ifrp")
    assert (found.kind, found.path, found.name) == ("version", tmp_path / "ifrp" / "10", "ifrp/10")


def test_a_version_can_be_named_itself(tmp_path):
    found = locate(version(tmp_path / "ifrp" / "2"))
    assert (found.kind, found.name) == ("version", "ifrp/2")
    assert read_config(found) == Config()


def test_a_run_and_its_weights_are_found_with_their_configuration(tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    weights = tmp_path / "run" / "model" / "srn.weights.h5"
    weights.write_bytes(b"")
    (tmp_path / "run" / "config.json").write_text(json.dumps(Config().to_dict()))
    for named in (tmp_path / "run", weights):
        found = locate(named)
        assert (found.kind, found.path) == ("weights", weights)
        assert read_config(found) == Config()
    assert locate(tmp_path / "run").name == "run"


def test_what_is_no_model_is_refused_with_what_is_there(tmp_path):
    with pytest.raises(ModelError, match="nothing there"):
        locate(tmp_path / "missing")
    with pytest.raises(ModelError, match="an empty folder"):
        locate(tmp_path)
    (tmp_path / "portrait.png").write_bytes(b"")
    with pytest.raises(ModelError, match=r"Received: portrait\.png"):
        locate(tmp_path)
    with pytest.raises(ModelError, match=r"a \.weights\.h5 file"):
        locate(tmp_path / "portrait.png")
    (tmp_path / "3").mkdir()
    with pytest.raises(ModelError, match=r"3/saved_model\.pb"):
        locate(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"model": {"depth": 3}}',
        '{"model": 3}',
        "[" * 100_000,
        f'{{"train": {{"ema": 1{"0" * 400}}}}}',
    ],
    ids=["nothing", "a list", "unknown", "a number", "nested too deeply", "a vast number"],
)
def test_a_configuration_of_something_else_is_refused(tmp_path, text):
    folder = version(tmp_path / "1")
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json"):
        read_config(locate(folder))


def test_the_fingerprint_follows_the_content(tmp_path):
    first, second = (verify(version(tmp_path / name)) for name in "12")
    assert first == second
    assert len(first) == 64
    (tmp_path / "2" / "MODEL_CARD.md").write_text("another")
    model_folder.write_checksums(tmp_path / "2")
    assert verify(tmp_path / "2") != first


def test_the_sums_are_those_of_sha256sum(tmp_path):
    folder = version(tmp_path / "a folder" / "1")
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True
    )


def test_an_altered_file_is_named_with_both_sums(tmp_path):
    folder = version(tmp_path / "1")
    before = model_folder.sha256(folder / "saved_model.pb")
    (folder / "saved_model.pb").write_text("content of saved_model.pB")
    after = model_folder.sha256(folder / "saved_model.pb")
    with pytest.raises(ModelError, match=f"saved_model.pb.*expected SHA-256 {before}.*Received: {after}"):
        verify(folder)
    assert len(verify(folder, trust=True)) == 64


def test_a_missing_a_foreign_and_an_unlisted_file_are_named(tmp_path):
    folder = version(tmp_path / "1")
    (folder / "saved_model.cpb").write_text("loaded in place of the other")
    with pytest.raises(ModelError, match=r"saved_model\.cpb.*expected SHA-256 not listed"):
        verify(folder)
    (folder / "saved_model.cpb").unlink()
    (folder / ".DS_Store").write_text("what desktops leave behind")
    verify(folder)
    (folder / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelError, match="variables.data.*no such file"):
        verify(folder)
    (folder / "variables" / "variables.index").unlink()
    with pytest.raises(ModelError, match=r"Expected variables/variables\.index"):
        verify(folder, trust=True)


@pytest.mark.parametrize("text", [None, "", "nonsense\n", "\0\xff"])
def test_missing_and_damaged_sums_are_refused(tmp_path, text):
    folder = version(tmp_path / "1")
    (folder / "SHA256SUMS").unlink()
    if text is not None:
        (folder / "SHA256SUMS").write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match=r"SHA256SUMS|expected SHA-256 not listed"):
        verify(folder)


@pytest.mark.parametrize("trust", [False, True])
def test_links_that_leave_the_folder_are_refused_trusted_or_not(tmp_path, trust):
    folder = version(tmp_path / "1")
    (tmp_path / "elsewhere").write_text("content of saved_model.pb")
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pb").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="link.*elsewhere"):
        verify(folder, trust=trust)


def test_links_within_the_folder_and_to_the_folder_are_followed(tmp_path):
    folder = version(tmp_path / "store" / "1")
    os.rename(folder / "saved_model.pb", folder / "graph")
    (folder / "saved_model.pb").symlink_to("graph")
    model_folder.write_checksums(folder)
    (tmp_path / "ifrp").symlink_to(tmp_path / "store")
    assert verify(locate(tmp_path / "ifrp").path)
