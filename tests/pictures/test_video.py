"""Videos are read upright frame by frame, and written with their times and their sound."""

import sys
from fractions import Fraction

import moving
import numpy as np
import pytest

from ifrp_tf.core.errors import ImageError
from ifrp_tf.pictures.video import Video, is_video

pytest.importorskip("av")

FRAMES = [moving.scene(64, 96, 5 * number) for number in range(18)]
WORDS = "ifrp_tf: generated face, not evidence; model m; sha256 0"


def rewritten(clip, folder, size=7):
    frames = list(clip.frames())
    segments = []
    for first in range(0, len(frames), size):
        segments.append(folder / f"{first}.part")
        clip.write(segments[-1], iter(frames[first : first + size]), first)
    target = folder / f"out{clip.suffix}"
    clip.join(segments, target, clip.size, WORDS)
    return target


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_video_keeps_its_frames_times_and_sound(suffix, tmp_path):
    path = moving.write(tmp_path / f"in{suffix}", FRAMES)
    assert is_video(path.read_bytes()[:300])
    clip = Video(path)
    assert (clip.size, clip.suffix, clip.generated) == ((96, 64), suffix, False)
    expected = [Fraction(time, moving.TICKS) for time in moving.times_of(18)]
    assert [
        round(frame.time * clip.time_base - time, 3)
        for frame, time in zip(clip.frames(), expected, strict=True)
    ] == [0] * 18
    assert [frame.time for frame in clip.frames(16)] == [frame.time for frame in clip.frames()][16:]
    again = Video(rewritten(clip, tmp_path))
    assert (again.size, again.generated) == (clip.size, True)
    for before, after in zip(clip.frames(), again.frames(), strict=True):
        assert before.time * clip.time_base == after.time * again.time_base
        assert before.duration * clip.time_base == after.duration * again.time_base
        assert np.abs(before.pixels.astype(int) - after.pixels).mean() < 4
    assert moving.sound_of(path) == moving.sound_of(tmp_path / f"out{suffix}")


def test_frames_are_turned_and_stretched_as_the_file_asks(tmp_path):
    turned = Video(moving.write(tmp_path / "turned.mp4", FRAMES[:2], rotation=90))
    assert (turned.size, turned.notes) == ((64, 96), ("turned by 270 degrees, as the file asks",))
    shown = next(turned.frames()).pixels
    assert np.abs(shown.astype(int) - np.rot90(FRAMES[0])).mean() < 4
    assert Video(rewritten(turned, tmp_path)).notes == ()  # they are upright as they are
    wide = Video(moving.write(tmp_path / "wide.mp4", FRAMES[:2], shape=Fraction(4, 3)))
    assert wide.size == (128, 64)
    assert next(wide.frames()).pixels.shape == (64, 128, 3)


def test_an_odd_size_and_a_container_that_cannot_be_kept(tmp_path):
    frames = [moving.scene(64, 96, number) for number in range(3)]
    clip = Video(moving.write(tmp_path / "in.avi", frames, times=[0, 25, 50], sound=False))
    assert clip.suffix == ".mkv"
    cropped = [frame.pixels[:49, :81] for frame in clip.frames()]
    clip.write(
        tmp_path / "part",
        [type(f)(p, f.time, f.duration) for p, f in zip(cropped, clip.frames(), strict=True)],
        0,
    )
    clip.join([tmp_path / "part"], tmp_path / "out.mkv", (81, 49), WORDS)
    again = Video(tmp_path / "out.mkv")
    assert again.size == (81, 49)
    assert np.abs(next(again.frames()).pixels.astype(int) - cropped[0]).mean() < 4


def refusal(path):
    with pytest.raises(ImageError) as caught:
        list(Video(path).frames())
    return caught.value.reason


def test_what_is_broken_is_refused_with_a_reason(tmp_path):
    frames = [moving.scene(64, 96, 3 * number) for number in range(36)]
    for suffix, reasons in {".mp4": ("corrupt",), ".mkv": ("truncated",), ".webm": ("truncated",)}.items():
        data = moving.write(tmp_path / f"in{suffix}", frames).read_bytes()
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(data[: len(data) // 2])
        assert refusal(cut) in reasons  # of an MP4 the index comes last
    fast = rewritten(Video(tmp_path / "in.mp4"), tmp_path)  # where it comes first
    cut.write_bytes(fast.read_bytes()[: fast.stat().st_size // 2])
    assert refusal(cut) == "truncated"
    cut.write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))
    assert refusal(cut) == "corrupt"
    assert not is_video(b"")
    assert not is_video(b"\0\0\0\x18ftypheic")


def test_a_sound_alone_is_no_video(tmp_path):
    import av

    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert refusal(tmp_path / "sound.mp4") == "not_an_image"


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    path = moving.write(tmp_path / "in.mp4", FRAMES[:1], sound=False)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImageError, match=r"pip install 'ifrp_tf\[video\]'"):
        Video(path)
