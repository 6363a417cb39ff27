"""Videos and animations made by the tests: a face that moves, and sound."""

import functools
import io
from fractions import Fraction

import numpy as np
from PIL import Image
from skimage.data import astronaut

TICKS = 600  # of the time base, a second


def scene(height, width, shift=0):
    """A smooth picture of which every turn and flip shows."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = 2 * (columns + shift) % 256, 3 * rows % 256
    return np.stack([red, green, np.full_like(red, 90)], axis=-1).astype(np.uint8)


@functools.cache
def _person():
    return Image.fromarray(astronaut()).crop((100, 0, 356, 300)).resize((128, 150), Image.Resampling.LANCZOS)


def face(number, *, noise=6.0, cut=None, size=(224, 160)):
    """A frame of a face that moves and tilts, with grain of its own; from `cut` on in another place."""
    random = np.random.default_rng(number)
    moved = cut is not None and number >= cut
    canvas = Image.new("RGB", size, (20, 60, 160) if moved else (150, 120, 70))
    sheet = Image.new("RGBA", size)
    sheet.paste(_person(), ((size[0] - 128) // 2, 5))
    across = 40 - 1.5 * (number - cut) if moved else 1.5 * number - 40
    turned = sheet.rotate(6 * np.sin(number / 4), Image.Resampling.BICUBIC, translate=(across, 0))
    canvas.paste(turned, mask=turned)
    pixels = np.asarray(canvas, np.float32) + noise * random.standard_normal((size[1], size[0], 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def times_of(count, *, variable=True):
    """When each frame is shown, in ticks: of a variable rate every third one stays for twice as long."""
    steps = [50 if variable and number % 3 == 0 else 25 for number in range(count)]
    return [sum(steps[:number]) for number in range(count)]


def write(path, frames, *, times=None, rotation=0, shape=None, sound=True):
    """A video file of frames uint8 [H, W, 3]; the sound is a sine. Returns the path."""
    import av

    times = times or times_of(len(frames))
    codec, voice = ("libvpx-vp9", "libopus") if path.suffix == ".webm" else ("libx264", "aac")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=24, options={"crf": "12", "preset": "ultrafast", "cpu-used": "8"}
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        if rotation:
            stream.set_display_rotation(rotation)
        if shape:
            stream.codec_context.sample_aspect_ratio = shape
        audio = container.add_stream(voice, rate=48_000, layout="mono") if sound else None
        for time, pixels in zip(times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            wave = np.sin(2 * np.pi * 440 * np.arange(48 * (1000 * times[-1] // TICKS)) / 48_000)
            for start in range(0, len(wave) - 959, 960):
                part = (0.2 * wave[None, start : start + 960]).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(part, "fltp" if voice == "aac" else "flt", "mono")
                frame.rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def sound_of(path):
    """The packets of the sound: when, and what."""
    import av

    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.audio[0]) if packet.dts is not None]
        return [(float(packet.dts * packet.time_base), bytes(packet)) for packet in packets]


def animation(frames, format="GIF", duration=40, **options):
    """The bytes of an animation."""
    images, stream = [Image.fromarray(pixels) for pixels in frames], io.BytesIO()
    images[0].save(
        stream, format, save_all=True, append_images=images[1:], duration=duration, loop=0, **options
    )
    return stream.getvalue()
