"""Animations are read frame by frame, and written in segments that make one file."""

import io

import moving
import numpy as np
import pictures
import pytest
from PIL import Image

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures import clips
from ifrp_tf.pictures.clips import Animation, is_animation
from ifrp_tf.recovery.folder import is_output

FRAMES = [moving.scene(40, 56, shift) for shift in (0, 9, 30, 50, 90)]
WORDS = "ifrp_tf: generated face, not evidence; model m; sha256 0"


def written(clip, path, sizes=(2, 1, 2)):
    """The file of a clip's own frames, written in segments."""
    frames, segments, first = list(clip.frames()), [], 0
    for size in sizes:
        segments.append(path / str(first))
        clip.write(segments[-1], frames[first : first + size], first)
        first += size
    clip.join(segments, path / "whole", clip.size, WORDS)
    return (path / "whole").read_bytes()


@pytest.mark.parametrize(("format", "levels"), [("GIF", 0), ("PNG", 0), ("WEBP", 3)])
def test_an_animation_keeps_its_frames_times_and_loop(format, levels, tmp_path):
    durations = [40, 80, 30, 100, 60]
    clip = Animation(moving.animation(FRAMES, format, durations))
    assert (clip.size, clip.count, clip.suffix) == ((56, 40), 5, f".{format.lower()}")
    assert [frame.duration for frame in clip.frames()] == durations
    assert [frame.time for frame in clip.frames(3)] == [150, 250]
    data = written(clip, tmp_path)
    assert is_output(data)
    assert Image.open(io.BytesIO(data)).info["loop"] == 0
    again = Animation(data)
    assert again.count == 5
    for before, after in zip(clip.frames(), again.frames(), strict=True):
        assert (before.time, before.duration) == (after.time, after.duration)
        assert np.abs(before.pixels.astype(int) - after.pixels).mean() <= levels


def test_what_is_an_animation():
    assert is_animation(moving.animation(FRAMES))
    still = moving.animation(FRAMES[:1])
    for data in (b"", b"text", still, pictures.save(FRAMES[0], "JPEG"), pictures.animated("TIFF"), still[:9]):
        assert not is_animation(data)


def test_what_hides_thousands_of_frames_in_few_bytes_is_refused(monkeypatch):
    monkeypatch.setattr(clips, "_MOST_FRAMES", 50)
    assert not is_animation(pictures.gif_of_frames(51))
    monkeypatch.setattr(clips.decoding, "COUNTED_GIF_BYTES", 100)
    with pytest.raises(ImageError, match="at most 50 frames"):
        list(Animation(pictures.gif_of_frames(51)).frames())


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_the_missing_end_of_an_animation_is_noticed(format):
    data = moving.animation(FRAMES, format)
    with pytest.raises(ImageError) as caught:
        list(Animation(data[: len(data) * 2 // 3]).frames())
    assert caught.value.reason == "truncated"


def test_transparent_pixels_are_laid_on_white():
    frames = [np.dstack([pixels, np.full((40, 56), 255, np.uint8)]) for pixels in FRAMES]
    for pixels in frames:
        pixels[:10, :10] = 0
    shown = list(Animation(moving.animation(frames, "WEBP", lossless=True)).frames())
    assert all((frame.pixels[:10, :10] == 255).all() for frame in shown)
    np.testing.assert_array_equal(shown[1].pixels[20:], FRAMES[1][20:])
