"""Golden FSIM values from the authors' own MATLAB code, run by GNU Octave on pictures made here.

    python tests/support/golden/make_fsim.py --octave=octave-cli --code=FOLDER

FOLDER holds `FeatureSIM.m` (Lin Zhang et al., version 1.0, from the page of the paper or a copy of it; its
licence does not let us ship it). Octave without its image package needs one line more in FOLDER, a
`fspecial.m`: `function h = fspecial(kind, n); h = ones(n) / n ^ 2; end`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def pictures():
    """Pairs of uint8 pictures [H, W, 3] by name, from arithmetic alone."""
    base = scene(128, 128)
    pairs = {
        "noise": (base, clip(base + 12 * texture(128, 128))),
        "blur": (base, clip(box(box(base.astype(float))))),
        "brighter": (base, clip(base + 20.0)),
        "shift": (base, np.roll(base, (2, 1), (0, 1))),
        "inverted": (base, 255 - base),
        "other": (base, scene(128, 128, turn=1.1)),
        "coarse": (base, (base // 32 * 32 + 16).astype("uint8")),
    }
    for name, (height, width) in {"odd": (97, 131), "halved": (385, 400), "third": (650, 701)}.items():
        large = scene(height, width)
        pairs[name] = (large, clip(box(large + 25 * texture(height, width))))
    return pairs


def scene(height, width, turn=0.0):
    """A gradient, soft discs, hard edges and a line, in three different channels."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    x, y = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    face = np.exp(-((x / 0.6) ** 2 + (y / 0.8) ** 2) * 1.5)
    eyes = sum(np.exp(-((x - side) ** 2 + (y + 0.2) ** 2) / 0.01) for side in (-0.3, 0.3))
    mouth = (np.abs(y - 0.45) < 0.04) & (np.abs(x) < 0.3)
    edge = (x + 0.4 * y > 0.55) * 45
    grey = 40 + 25 * x + 150 * face - 90 * eyes - 60 * mouth + edge + 6 * texture(height, width)[..., 0]
    return clip(np.stack([grey, 0.85 * grey + 12 * y, 0.7 * grey + 20], axis=-1))


def texture(height, width):
    """A fixed pattern in [-1, 1] that looks like noise, [H, W, 1]."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return ((7919 * x + 6271 * y + 13 * x * y + 31 * x * x) % 251 / 125.0 - 1.0)[..., None]


def box(image):
    """Means of 3x3 pixels, wrapping around."""
    return sum(np.roll(image, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9


def clip(image):
    """To uint8, rounded."""
    return np.clip(np.rint(image), 0, 255).astype("uint8")


def main():
    """Run Octave on every pair and write `fsim.json`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--octave", default="octave-cli")
    parser.add_argument("--code", required=True)
    arguments = parser.parse_args()
    values = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, pair in pictures().items():
            for letter, image in zip("ab", pair, strict=True):
                Path(folder, letter).write_bytes(image.transpose(2, 1, 0).tobytes())  # Octave: column first
            height, width, _ = pair[0].shape
            read = "reshape(fread(fopen('{}/{}'), inf, 'uint8'), [{} {} 3])"
            a, b = (read.format(folder, letter, height, width) for letter in "ab")
            program = f"printf('%.12f', FeatureSIM({a}, {b}))"
            command = [arguments.octave, "--eval", program]
            run = subprocess.run(command, cwd=arguments.code, capture_output=True, text=True, check=True)
            values[name] = float(run.stdout)
    command = "python tests/support/golden/make_fsim.py --octave=... --code=..."
    made_by = f"FeatureSIM.m 1.0 under GNU Octave 7.3.0: {command}"
    (HERE / "fsim.json").write_text(json.dumps({"made_by": made_by, "fsim": values}, indent=2) + "\n")


if __name__ == "__main__":
    main()
