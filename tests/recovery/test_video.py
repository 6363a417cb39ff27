"""The faces of videos: followed, recovered, steadied, pasted; gone on with after a stop."""

import gc
import json
import subprocess
import time
import weakref

import moving
import numpy as np
import pictures
import pytest
import small_model

from ifrp_tf.core.errors import ModelError
from ifrp_tf.pictures.clips import Animation, Frame
from ifrp_tf.pictures.geometry import Place
from ifrp_tf.pictures.video import Video
from ifrp_tf.recovery import video
from ifrp_tf.recovery.manifest import write_table
from ifrp_tf.recovery.recoverer import NO_FACE, Options, Recoverer

pytest.importorskip("av")


def grey(portraits):
    return np.repeat(255 - portraits[..., 1:2], 3, axis=-1)


@pytest.fixture(scope="module")
def recoverer():
    return Recoverer(grey, side=64, name="ifrp/1", fingerprint="m")


def run(source, output, recoverer, progress=None, **options):
    report = recoverer.recover_folder(source, output, options=Options(**options), progress=progress)
    return json.loads(report.path.read_text())["pictures"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with a video of two scenes, an animation of a face and a picture."""
    place = tmp_path_factory.mktemp("clips")
    frames = [moving.face(number, cut=14) for number in range(26)]
    moving.write(place / "clip.mp4", frames, times=moving.times_of(26, variable=False))
    (place / "clip.gif").write_bytes(moving.animation([moving.face(number) for number in range(6)]))
    (place / "small.gif").write_bytes(moving.animation([moving.face(k)[:120, :120] for k in range(3)]))
    (place / "scene.png").write_bytes(pictures.save(pictures.scene(60, 48), "PNG"))
    return place


@pytest.fixture(scope="module")
def made(clips, recoverer, tmp_path_factory):
    output = tmp_path_factory.mktemp("made")
    found = {entry["input"].rpartition("/")[2]: entry for entry in run(clips, output, recoverer)}
    return output, found


def test_clips_among_pictures_are_recovered_in_their_kind(clips, made):
    output, entries = made
    names = {name: entry["film"]["recovered"] for name, entry in entries.items() if "film" in entry}
    # The three of one stem keep their suffixes.
    assert names == {
        "clip.gif": "clip_gif_recovered.gif",
        "clip.mp4": "clip_mp4_recovered.mp4",
        "small.gif": "small_recovered.gif",
    }
    assert {entry["status"] for entry in entries.values()} == {"recovered"}
    before, after = Video(clips / "clip.mp4"), Video(output / "clip_mp4_recovered.mp4")
    assert after.generated
    times = [[frame.time * clip.time_base for frame in clip.frames()] for clip in (before, after)]
    assert times[0] == times[1]
    assert moving.sound_of(clips / "clip.mp4") == moving.sound_of(output / "clip_mp4_recovered.mp4")
    rows = write_table(output / "report.json").read_text().splitlines()
    assert sum("clip_mp4_recovered.mp4" in row for row in rows) == 2
    assert not list(output.glob(".*.film"))


def test_a_face_is_followed_until_the_scene_ends(made):
    entry = made[1]["clip.mp4"]
    assert (entry["film"]["frames"], entry["film"]["cuts"]) == (26, 1)
    assert [(face["first_frame"], face["frames"]) for face in entry["faces"]] == [(0, 14), (14, 12)]
    first, second = (face["box"][0] for face in entry["faces"])
    assert second > first + 40


def test_the_face_is_changed_and_nothing_else(clips, made):
    pairs = zip(
        Video(clips / "clip.mp4").frames(), Video(made[0] / "clip_mp4_recovered.mp4").frames(), strict=True
    )
    x, y, width, height = made[1]["clip.mp4"]["faces"][0]["box"]
    for before, after in list(pairs)[:2]:
        change = np.abs(before.pixels.astype(int) - after.pixels)
        assert change[y + height // 4 : y + height * 3 // 4, x + width // 4 : x + width * 3 // 4].mean() > 15
        change[max(0, y - 8) : y + height + 8, max(0, x - 8) : x + width + 8] = 0
        assert change.mean() < 3


def test_a_small_animation_is_one_face_as_a_whole(made):
    entry = made[1]["small.gif"]
    assert entry["faces"][0]["found_by"] == "whole"
    clip = Animation((made[0] / "small_recovered.gif").read_bytes())
    assert (clip.size, clip.count) == ((64, 64), 3)


def test_flicker_is_measured_and_smoothing_takes_it_away(clips, made, recoverer, tmp_path):
    smooth = made[1]["clip.mp4"]["film"]["flicker"]
    (entry,) = run(clips / "clip.mp4", tmp_path, recoverer, smoothing=0.0)
    rough = entry["film"]["flicker"]
    assert rough["steadied"] == rough["network"] > 0.7 * rough["input"]
    assert smooth["steadied"] < 0.4 * smooth["network"]
    assert smooth["output"] < rough["output"]  # with the grain of its surroundings
    assert smooth["network"] == pytest.approx(rough["network"], rel=0.3)


def test_what_is_there_is_not_made_again(clips, made, recoverer):
    entries = run(clips, made[0], recoverer)
    assert {entry["reason"] for entry in entries} == {"up_to_date"}
    assert sum("film" in entry for entry in entries) == 3


def test_a_stopped_run_goes_on_and_makes_the_same_file(clips, made, recoverer, tmp_path, monkeypatch):
    monkeypatch.setattr(video, "SEGMENT", 8)
    whole = (
        run(clips / "clip.mp4", tmp_path / "whole", recoverer)[0],
        tmp_path / "whole" / "clip_recovered.mp4",
    )
    real, calls = video.recover, []
    for stop in (14, 36, 12):  # frames: while it looks, while it recovers, and again

        def stopped(*arguments, check, left=stop, **options):
            count = iter(range(left))

            def checked():
                if next(count, None) is None:
                    raise video.StoppedError
                calls.append(1)

            return real(*arguments, check=checked, **options)

        monkeypatch.setattr(video, "recover", stopped)
        assert run(clips / "clip.mp4", tmp_path / "parts", recoverer) == []
        assert not (tmp_path / "parts" / "clip_recovered.mp4").exists()
    assert len(list(next((tmp_path / "parts").glob(".*.film")).glob("*.part"))) >= 1
    monkeypatch.setattr(video, "recover", real)
    (entry,) = run(clips / "clip.mp4", tmp_path / "parts", recoverer)
    assert entry == whole[0]
    # Not to the bit: in three runs on a busy machine a frame differed by a level in a few places. Why is not
    # known: encoder and search were the same every time, sums of TensorFlow depend on timing (WORKSPACE.md).
    files = [Video(path) for path in (whole[1], tmp_path / "parts" / "clip_recovered.mp4")]
    for before, after in zip(*(clip.frames() for clip in files), strict=True):
        assert before.time == after.time
        assert np.abs(before.pixels.astype(int) - after.pixels).mean() < 0.1
    assert moving.sound_of(whole[1]) == moving.sound_of(tmp_path / "parts" / "clip_recovered.mp4")


def test_a_clip_without_a_face_and_one_that_is_taken_as_a_whole(recoverer, tmp_path):
    path = moving.write(
        tmp_path / "sea.mp4", [moving.scene(96, 200, number) for number in range(4)], sound=False
    )
    (entry,) = run(path, tmp_path / "a", recoverer)
    assert (entry["status"], entry["reason"], entry["faces"]) == ("failed", "no_face", [])
    (entry,) = run(path, tmp_path / "b", recoverer, fallback="whole")
    assert (entry["status"], entry["notes"]) == ("recovered", [NO_FACE])
    assert Video(tmp_path / "b" / "sea_recovered.mp4").size == (64, 64)
    (entry,) = run(path, tmp_path / "c", recoverer, boxes=((0.0, 0.0, 9.0, 9.0),))
    assert "video" in entry["message"]


def test_broken_clips_are_rows_and_no_tracebacks(clips, recoverer, tmp_path):
    (tmp_path / "in").mkdir()
    data = (clips / "clip.mp4").read_bytes()
    bad = {
        "cut.mp4": data[:9000],
        "empty.mp4": b"",
        "text.mp4": b"a letter",
        "cut.gif": (clips / "clip.gif").read_bytes()[:-400],
    }
    for name, content in bad.items():
        (tmp_path / "in" / name).write_bytes(content)
    entries = run(tmp_path / "in", tmp_path / "out", recoverer)
    reasons = {entry["input"].rpartition("/")[2]: entry["reason"] for entry in entries}
    assert reasons == {
        "cut.mp4": "corrupt",
        "empty.mp4": "empty",
        "text.mp4": "not_an_image",
        "cut.gif": "truncated",
    }
    assert not list((tmp_path / "out").glob(".*.film"))


def test_an_answer_that_cannot_be_used_is_a_row(clips, tmp_path):
    def broken(portraits):
        raise ModelError("not finite")

    (entry,) = run(clips / "clip.gif", tmp_path, Recoverer(broken, side=64, name="m", fingerprint="b"))
    assert (entry["status"], entry["reason"]) == ("failed", "not_recovered")


class Counted:
    """A clip that knows how many of its frames are alive."""

    size, time_base, count, kind, suffix, notes, generated = (32, 24), 1, 0, "x", ".x", (), False

    def __init__(self, length):
        self.length, self.most, self._alive = length, 0, weakref.WeakSet()

    def frames(self, start=0):
        for number in range(start, self.length):
            frame = Frame(np.full((24, 32, 3), number % 250, np.uint8), number, 1)
            self._alive.add(frame)
            gc.collect(0)
            self.most = max(self.most, len(self._alive))
            yield frame
            del frame


def test_frames_pass_through_one_by_one(recoverer):
    clip = Counted(200)
    seen = video.Seen(
        np.arange(200) / 25, np.full(200, 0.04), [], [video.Track(0, np.zeros((200, 4)), video.WHOLE)]
    )
    film = video.Film(
        clip,
        seen,
        64,
        Options(faces="whole"),
        lambda portraits: list(grey(np.stack(portraits))),
        lambda: None,
    )
    assert sum(1 for _ in film.frames()) == 200
    assert clip.most <= 40  # a batch, and what is near in time


def test_steadying_takes_jitter_and_keeps_what_moves_evenly():
    times = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.06, 200))
    straight = np.stack([100 + 50 * times, 3 - times], axis=1)
    np.testing.assert_allclose(video.steadied(times, straight, 0.1), straight, atol=1e-9)
    jitter = np.random.default_rng(2).standard_normal(straight.shape)
    left = video.steadied(times, straight + jitter, 0.1) - straight
    assert left.std() < 0.5
    np.testing.assert_array_equal(video.steadied(times, jitter, 0.0), jitter)


def line(number, *places, cut=False):
    faces = [[*place, 0.9, "blazeface"] for place in places]
    return {"time": number, "duration": 1, "cut": cut, "faces": faces}


def test_tracks_bridge_a_gap_and_end_at_a_cut():
    here, there = (50.0, 50.0, 40.0, 0.0), (150.0, 50.0, 40.0, 179.0)
    lines = [
        *(
            line(0, here),
            line(1, here, there),
            line(2),
            line(3, here, (*there[:3], -179.0)),
            line(4, here, there),
        ),
        *(line(5, here, cut=True), line(6, here), line(7, here), line(8, (*there[:2], 9.0, 0.0))),
    ]
    seen = video._followed(iter(lines), 0.1, 0.0)
    assert [(track.first, track.end) for track in seen.tracks] == [(0, 5), (1, 5), (5, 8)]
    assert seen.tracks[0].place(2) == Place(*here)
    angles = seen.tracks[1].rows[:, 3]  # over 180 degrees, not back by 358
    assert np.abs((angles - 180 + 180) % 360 - 180).max() < 2
    assert not any(track.too_small for track in seen.tracks)


@pytest.mark.slow
def test_a_killed_command_goes_on(tmp_path):
    """kill -9 after the first segment; the same command makes what an undisturbed one makes."""
    frames = [moving.face(number % 60) for number in range(video.SEGMENT + 40)]
    moving.write(tmp_path / "clip.mp4", frames, times=moving.times_of(len(frames), variable=False))
    outputs = [tmp_path / "killed", tmp_path / "whole"]
    commands = [
        small_model.command("recover", f"--input={tmp_path / 'clip.mp4'}", f"--output={output}", *flags)
        for output in outputs
        for flags in [[f"--model={small_model.exported()}"]]
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(commands[0], env=small_model.environment(), **quiet) as child:
        deadline = time.monotonic() + 300
        while not list(outputs[0].glob(".*.film/000000.part")) and time.monotonic() < deadline:
            time.sleep(0.05)
        child.kill()
    assert not (outputs[0] / "clip_recovered.mp4").exists()
    for command in commands:
        done = subprocess.run(
            command, env=small_model.environment(), timeout=600, check=False, **small_model.CAPTURE
        )
        assert done.returncode == 0, done.stderr
    files = [Video(output / "clip_recovered.mp4") for output in outputs]
    for before, after in zip(*(clip.frames() for clip in files), strict=True):
        assert np.abs(before.pixels.astype(int) - after.pixels).mean() < 0.1
