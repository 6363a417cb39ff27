"""A style bank with random weights, and style images to train one from."""

import numpy as np

from ifrp_tf.core.archives import write_arrays
from ifrp_tf.pictures import images
from ifrp_tf.styles import bank

NAMES = ("candy", "mosaic", "scream", "frida")


def random_bank(seed=0, names=NAMES):
    random = np.random.default_rng(seed)
    rows = {
        name: bank.initial_style() + random.normal(0, 0.3, bank.PARAMETERS).astype("float32")
        for name in (bank.PHOTOGRAPH, *names)
    }
    return bank.StyleBank(bank.initial_trunk(seed), rows)


def write(folder, made=None, reserved=("wave", "sketch")):
    """Writes a bank as `style_training` does."""
    made = made or random_bank()
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: row.astype("float16") for name, row in made.styles.items()}
    write_arrays(folder / bank.TRUNK, {k: v.astype("float16") for k, v in made.trunk.items()})
    write_arrays(folder / "trained.npz", half)
    if reserved:
        write_arrays(folder / bank.RESERVED_FILE, dict.fromkeys(reserved, half["candy"] + 1))
    return str(folder)


def write_style_images(folder, names=("stripes", "dots")):
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:200, :240]
    for k, name in enumerate(names):
        wave = np.sin(x / (3 + 2 * k)) * (np.sin(y / 5) if k else 1)
        pixels = np.stack([128 + 100 * wave, 128 - 100 * wave, 60 * k + 0 * wave], -1)
        images.write_png(folder / f"{name}.png", pixels.astype(np.uint8))
    return folder
