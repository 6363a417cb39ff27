import drawn_bank
import numpy as np
import pytest
from drawn_protocol import save
from PIL import Image

from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.data import toy_faces
from ifrp_tf.evaluation import protocols
from ifrp_tf.evaluation.protocols import Procedural, Sketches
from ifrp_tf.styles import bank, sets

SIDE = 48


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    for k, face in enumerate(toy_faces.draw(6, side=SIDE, seed=4).pixels):
        save(folder / "set" / f"{k}.png", face)
    return folder


@pytest.fixture(scope="module")
def procedural(faces):
    return Procedural(faces, styles=("statistics", "tonal"), side=SIDE)


@pytest.fixture
def sketches(tmp_path):
    for k, face in enumerate(toy_faces.draw(4, side=SIDE, seed=5).pixels):
        grey = np.repeat(face.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
        for part in ("one", "two"):
            save(tmp_path / part / "photo" / f"{k}.jpg", face)
            if (part, k) != ("two", 3):
                save(tmp_path / part / "sketch" / f"{k}.png", grey)
    (tmp_path / "README").write_text("not a set")
    return tmp_path


def turned(pixels, degrees):
    """Pillow turns counter-clockwise."""
    return np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BILINEAR))


def likeness(a, b):
    """Correlation of the middles, where every turn shows the face."""
    middle = slice(SIDE // 4, 3 * SIDE // 4)
    return np.corrcoef(a[middle, middle].mean(axis=2).ravel(), b[middle, middle].mean(axis=2).ravel())[0, 1]


def test_every_photograph_is_in_every_style(procedural):
    assert len(procedural.photos) == 6
    assert dict(procedural.styles) == {"statistics": procedural.photos, "tonal": procedural.photos}
    found = procedural.read_portraits("tonal", procedural.photos[:2])
    assert found.names == procedural.photos[:2]
    assert found.pixels.shape == (2, SIDE, SIDE, 3)
    assert found.pixels.dtype == np.uint8
    assert found.pixels.std() > 5


def test_a_portrait_depends_on_seed_style_and_name_alone(procedural, faces):
    names = procedural.photos
    whole = procedural.read_portraits("statistics", names)
    part = procedural.read_portraits("statistics", [names[4], names[1]])
    np.testing.assert_array_equal(part.pixels, whole.pixels[[4, 1]])
    assert part.angles == (whole.angles[4], whole.angles[1])
    few = Procedural(faces, styles=("statistics",), side=SIDE, limit=2)
    assert few.photos == names[:2]
    np.testing.assert_array_equal(few.read_portraits("statistics", few.photos).pixels, whole.pixels[:2])
    other = Procedural(faces, styles=("statistics",), side=SIDE, limit=1, seed=1)
    assert other.read_portraits("statistics", names[:1]).angles[0] != whole.angles[0]
    assert len(set(whole.angles)) == 6
    assert all(abs(angle) <= 30 for angle in whole.angles)
    assert procedural.read_portraits("tonal", names[:1]).angles[0] != whole.angles[0]


def test_the_angle_is_that_of_the_picture(procedural):
    names = procedural.photos
    found, photos = procedural.read_portraits("statistics", names), procedural.read_photos(names).pixels
    steep = [k for k, angle in enumerate(found.angles) if abs(angle) > 8]
    right, wrong = (
        np.mean([likeness(found.pixels[k], turned(photos[k], sign * found.angles[k])) for k in steep])
        for sign in (1, -1)
    )
    assert steep
    assert right > wrong + 0.1


def test_the_limit_takes_a_sample_of_all_folders(faces):
    order = Procedural(faces, styles=("tonal",), side=SIDE).photos
    assert set(order) == {f"set/{k}" for k in range(6)}
    assert list(order) != sorted(order)


def test_the_settings_say_what_the_pictures_are(faces):
    first = Procedural(faces, styles=("tonal",), side=SIDE).settings
    assert first == Procedural(faces, styles=("tonal",), side=SIDE).settings
    assert first["max_angle"] == 30.0
    assert first["strength"] == 1.0
    assert first["degrade"] == 0.0
    assert first != Procedural(faces, styles=("tonal",), side=SIDE, seed=1).settings


def test_sketches_come_as_they_are_and_misaligned(sketches):
    config = DataConfig(side=SIDE, max_scale=0.0, max_shift=0.0)
    found = Sketches(sketches, side=SIDE, config=config)
    assert set(found.styles) == {"one", "one_misaligned", "two", "two_misaligned"}
    assert set(found.photos) == {f"one/{k}" for k in range(4)} | {f"two/{k}" for k in range(3)}
    names = found.styles["one"]
    plain, moved = (found.read_portraits(style, names) for style in ("one", "one_misaligned"))
    sketch = np.asarray(Image.open(sketches / "one" / "sketch" / f"{names[0][-1]}.png"))
    np.testing.assert_array_equal(plain.pixels[0], sketch)
    assert plain.angles == (0.0,) * 4
    for k, angle in enumerate(moved.angles):
        assert likeness(moved.pixels[k], turned(plain.pixels[k], angle)) > 0.98
    again = found.read_portraits("one_misaligned", names[::-1])
    np.testing.assert_array_equal(again.pixels, moved.pixels[::-1])
    assert set(Sketches(sketches, side=SIDE, limit=1).photos) < set(found.photos)


def test_a_bad_photograph_costs_itself(tmp_path):
    save(tmp_path / "a.png", np.full((SIDE, SIDE, 3), 99, np.uint8))
    (tmp_path / "b.png").write_bytes(b"x")
    found = Procedural(tmp_path, styles=("statistics",), side=SIDE)
    read = found.read_portraits("statistics", found.photos)
    assert read.names == ("a",)
    assert len(read.angles) == 1
    assert list(read.problems) == ["b"]


def test_protocols_by_name(faces, sketches):
    styles = protocols.build("procedural", side=SIDE, faces=str(faces)).styles
    assert set(styles) == {"engraving", "impasto", "facets"}
    assert protocols.build("sketches", side=SIDE, sketches=str(sketches), limit=2).name == "sketches"
    with pytest.raises(ConfigError, match="Unknown protocol"):
        protocols.build("papers", side=SIDE)
    with pytest.raises(ConfigError, match="Unknown style"):
        protocols.build("procedural", side=SIDE, faces=str(faces), styles="reservd")


def test_no_pictures_are_told(tmp_path):
    with pytest.raises(DataError):
        protocols.build("procedural", side=SIDE, faces=str(tmp_path / "none"))
    with pytest.raises(DataError, match="no pair"):
        protocols.build("sketches", side=SIDE, sketches=str(tmp_path))


def test_the_hand_drawn_sketches(data_dir):
    found = protocols.build("sketches", side=128, sketches=str(data_dir / "sketches"))
    assert {style: len(names) for style, names in found.styles.items()} == {
        "ar": 60, "ar_misaligned": 60, "cuhk": 88, "cuhk_misaligned": 88
    }  # fmt: skip
    read = found.read_portraits("ar_misaligned", found.styles["ar"][:3])
    assert read.pixels.shape == (3, 128, 128, 3)
    assert np.ptp(read.angles) > 0
    assert all(abs(angle) <= 30 for angle in read.angles)


def test_the_papers_protocol_needs_and_uses_the_bank(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "FOLDER", str(tmp_path / "none"))
    bank.load.cache_clear()
    with pytest.raises(ConfigError, match="style bank"):
        protocols.build("paper", side=SIDE, faces=str(faces))
    names = [name.removeprefix(bank.PREFIX) for name in sets.PAPER_TEST]
    drawn_bank.write(tmp_path / "none", drawn_bank.random_bank(names=names), reserved=())
    bank.load.cache_clear()
    found = protocols.build("paper", side=SIDE, faces=str(faces), limit=2)
    assert found.name == "paper"
    assert set(found.styles) == set(sets.PAPER_TEST)
    assert found.settings["bank"]
    pictures = [found.read_portraits(style, found.photos).pixels for style in ("bank_candy", "bank_wave")]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 2
    bank.load.cache_clear()
