import numpy as np
import pytest
from drawn_protocol import save, write_folders
from PIL import Image

from ifrp_tf.core.errors import DataError
from ifrp_tf.evaluation import pairs
from ifrp_tf.evaluation.pairs import FolderPairs, Gallery, Problem


def problems(found):
    return {(problem.file.rsplit("/", 1)[-1], problem.reason) for problem in found.problems}


def test_formats_and_endings_may_be_mixed(tmp_path):
    portraits, photos = write_folders(tmp_path)
    found = FolderPairs(portraits, photos, side=32)
    names = tuple(f"person {k}" for k in range(5))
    assert found.photos == names
    assert dict(found.styles) == {"ink": names, "oil": names}
    assert found.problems == ()
    pair = found.read_portraits("oil", names[1:3])
    assert pair.names == names[1:3]
    assert pair.angles is None
    expected = np.asarray(Image.open(next((portraits / "oil").glob("person 2.*"))))
    np.testing.assert_array_equal(pair.pixels[1], expected)
    np.testing.assert_array_equal(
        found.read_photos(names[:1]).pixels[0], np.asarray(Image.open(photos / "person 0.jpg"))
    )


def test_missing_partners_are_problems_and_cost_nothing_else(tmp_path):
    portraits, photos = write_folders(tmp_path)
    (photos / "person 1.png").unlink()
    next((portraits / "oil").glob("person 2.*")).unlink()
    save(photos / "nobody.png", np.zeros((32, 32, 3), np.uint8))
    found = FolderPairs(portraits, photos, side=32)
    assert found.styles["oil"] == ("person 0", "person 3", "person 4")
    assert found.styles["ink"] == ("person 0", "person 2", "person 3", "person 4")
    lost = [problem.reason for problem in found.problems if problem.is_failure]
    assert lost == ["no_photo", "no_photo"]
    assert ("nobody.png", "no_portrait") in problems(found)
    assert "nobody" in found.photos, "it is still somebody to confuse with"


def test_what_does_not_fit_the_layout_is_told(tmp_path):
    portraits, photos = write_folders(tmp_path)
    save(portraits / "loose.png", np.zeros((32, 32, 3), np.uint8))
    save(photos / "person 0.png", np.zeros((32, 32, 3), np.uint8))
    save(portraits / "oil" / "person 3.bmp", np.zeros((32, 32, 3), np.uint8))
    (portraits / "oil" / "notes.txt").write_text("hello")
    (portraits / "oil" / ".hidden").write_text("x")
    found = FolderPairs(portraits, photos, side=32)
    reasons = {(name.partition(".")[0], reason) for name, reason in problems(found)}
    assert reasons == {
        ("loose", "no_style"),
        ("person 0", "duplicate_photo"),
        ("person 3", "duplicate"),
        ("notes", "no_photo"),
    }
    assert len(found.styles["oil"]) == 5


def test_a_corrupt_file_costs_itself(tmp_path):
    portraits, photos = write_folders(tmp_path)
    victim = next((portraits / "ink").glob("person 1.*"))
    victim.write_bytes(victim.read_bytes()[:60])
    (photos / "person 3.png").write_bytes(b"not a picture")
    found = FolderPairs(portraits, photos, side=32)
    read = found.read_portraits("ink", found.photos)
    assert read.names == ("person 0", "person 2", "person 3", "person 4")
    assert len(read.pixels) == 4
    assert read.problems["person 1"].file == str(victim)
    assert read.problems["person 1"].is_failure
    assert found.read_photos(["person 3"]).pixels.shape == (0, 32, 32, 3)


def test_names_may_lie_deeper_and_hold_dots(tmp_path):
    for folder in ("portraits/oil", "photos"):
        save(tmp_path / folder / "group" / "mr. x.v2.png", np.full((32, 32, 3), 9, np.uint8))
    found = FolderPairs(tmp_path / "portraits", tmp_path / "photos", side=32)
    assert found.styles == {"oil": ("group/mr. x.v2",)}


def test_portraits_are_letterboxed_and_photographs_cropped(tmp_path):
    wide = np.zeros((32, 64, 3), np.uint8)
    wide[:, 16:48] = 255
    save(tmp_path / "portraits" / "oil" / "a.png", wide)
    save(tmp_path / "photos" / "a.png", wide)
    found = FolderPairs(tmp_path / "portraits", tmp_path / "photos", side=32)
    assert found.read_photos(["a"]).pixels.min() > 250
    assert found.read_portraits("oil", ["a"]).pixels[0, 16, 0].max() < 5


@pytest.mark.parametrize("missing", ["portraits", "photos"])
def test_a_folder_that_is_not_there_is_told(tmp_path, missing):
    portraits, photos = write_folders(tmp_path)
    wrong = {"portraits": portraits, "photos": photos, missing: tmp_path / "potraits"}
    with pytest.raises(DataError, match="potraits"):
        FolderPairs(wrong["portraits"], wrong["photos"], side=32)
    with pytest.raises(DataError, match="Expected a folder"):
        FolderPairs(next(photos.iterdir()), photos, side=32)


def test_no_pair_at_all_is_an_error_that_says_how(tmp_path):
    portraits, photos = write_folders(tmp_path)
    with pytest.raises(DataError, match=r"portraits/<style>/<name>\.png"):
        FolderPairs(portraits / "oil", photos, side=32)


def test_the_settings_follow_the_files(tmp_path):
    portraits, photos = write_folders(tmp_path)
    before = FolderPairs(portraits, photos, side=32).settings
    assert FolderPairs(portraits, photos, side=32).settings == before
    save(photos / "person 0.jpg", np.full((32, 32, 3), 7, np.uint8))
    assert FolderPairs(portraits, photos, side=32).settings != before


def test_a_gallery_knows_its_subjects(tmp_path):
    _, photos = write_folders(tmp_path)
    gallery = Gallery(photos, side=16)
    assert gallery.photos == tuple(f"person {k}" for k in range(5))
    assert gallery.read_photos(gallery.photos).pixels.shape == (5, 16, 16, 3)


def test_names_without_endings_by_name(tmp_path):
    found: list[Problem] = []
    files = {name: tmp_path / name for name in ("a.jpg", "a.png", "b", "c.txt", "d.JPEG")}
    assert list(pairs.by_name(files, found)) == ["a", "b", "c.txt", "d"]
    assert found == [
        Problem(str(tmp_path / "a.png"), "duplicate", "the name is taken by 'a.jpg', which is used.")
    ]
