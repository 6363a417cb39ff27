"""`data_jax` in a process whose Keras backend is JAX; the facts come back as JSON."""

import json
import subprocess
import sys

import pytest
from helpers import jax_environment, write_drawings

pytestmark = pytest.mark.slow

CHILD = """
import json, sys
import jax, jax.numpy as jnp
import numpy as np
from ifrp_tf.data import pipeline_jax as data_jax; from ifrp_tf.data import toy_faces
from ifrp_tf.core.config import Config
from ifrp_tf.data.foreign import ForeignPortraits
config = Config().override(["data.side=64", "train.batch_size=8", "data.group=4", "data.flip=false"])
pixels = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
make = jax.jit(lambda step: data_jax.make_batch(step, pixels, config, ("tonal", "mosaic")))
batches = [[np.asarray(part) for part in make(jnp.int32(k))] for k in range(5)]
again = [np.asarray(part) for part in make(jnp.int32(3))]
seen = np.round((np.concatenate([b[1][:, 0, 0, 0] for b in batches]) + 1) / 2 * 255).astype(int)
sketched = {}
for tones in (0.0, 1.0):
    chosen = config.override([f"data.sketches={sys.argv[1]}", "data.sketch_share=0.5", "data.degrade=0.0",
                              f"data.sketch_tones={tones}"])
    make = jax.jit(lambda step: data_jax.make_batch(step, 0 * pixels + 10, chosen, ("tonal", "mosaic")))
    parts = [[np.asarray(part).reshape(2, 4, -1) for part in make(jnp.int32(k))[:2]] for k in range(8)]
    portrait, photo = (np.concatenate(part) for part in zip(*parts))
    drawn = np.abs(portrait - (2 * 1.5 / 255 - 1)).max((1, 2)) < 0.01  # levels 1 and 2
    levels = {round(float(x + 1) * 127.5) for x in photo[drawn].mean(2).ravel()}
    sketched[tones] = [int(drawn.sum()), sorted(levels)]
level = lambda base: (base + pixels[:, :1, :1] * np.ones((1, 64, 64, 3), np.uint8)).astype(np.uint8)
foreign = ForeignPortraits(level(100)[:6], np.arange(6, dtype=np.int32), np.float32([[0.1, 1.0, 0, 0]] * 6))
chosen = config.override(["data.foreign_share=0.5", "data.degrade=0.0", "data.augment=0.3"])
plain = chosen.override(["data.augment=0.0"])
def maker(c):
    return jax.jit(lambda step: data_jax.make_batch(step, pixels, c, ("tonal",), foreign))
make, bare = maker(chosen), maker(plain)
painted, wrong, changed = 0, 0, 0
for k in range(6):
    portrait, photo, _ = (np.asarray(part).reshape(2, 4, -1) for part in bare(jnp.int32(k)))
    given, shown = (np.round((part[..., 0] + 1) * 127.5).astype(int) for part in (portrait, photo))
    mine = given.min(1) >= 100
    painted += int(mine.sum())
    wrong += int((given[mine] != shown[mine] + 100).sum())
    changed += int(np.abs(np.asarray(make(jnp.int32(k))[0]).reshape(2, 4, -1) - portrait).max() > 0.1)
photos = toy_faces.draw(3, side=64)
fixed = [data_jax.fixed_portraits(photos, config.data, styles=("tonal", "mosaic")) for _ in range(2)]
print(json.dumps({
    "shapes": [list(part.shape) for part in batches[0]],
    "range": [float(batches[0][0].min()), float(batches[0][0].max())],
    "first_pass": sorted(seen[:20].tolist()), "second_pass": sorted(seen[20:].tolist()),
    "orders_differ": seen[:20].tolist() != seen[20:].tolist(),
    "repeatable": all(np.array_equal(a, b) for a, b in zip(batches[3], again)),
    "groups_differ": bool(np.abs(batches[0][2][0] - batches[0][2][4]).max() > 0),
    "fixed_repeatable": bool(np.array_equal(fixed[0][0], fixed[1][0])),
    "fixed_photo_error": float(np.abs((fixed[0][1] + 1) / 2 * 255 - photos.pixels).max()),
    "sketched": [sketched[0.0], sketched[1.0]],
    "foreign": [painted, wrong, changed],
    "tensorflow": "tensorflow" in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawings")
    write_drawings(folder, {1: 101, 2: 102})
    environment = jax_environment()
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # compiling takes most of the time
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_batch_has_the_form_of_the_tensorflow_pipeline(facts):
    assert facts["shapes"] == [[8, 64, 64, 3], [8, 64, 64, 3], [8, 4]]
    assert facts["range"][0] >= -1
    assert facts["range"][1] <= 1
    assert facts["tensorflow"] is False


def test_every_pass_shows_every_photograph_once_in_a_new_order(facts):
    assert facts["first_pass"] == list(range(20))
    assert facts["second_pass"] == list(range(20))
    assert facts["orders_differ"]


def test_batches_and_fixed_portraits_are_functions_of_seed_and_step(facts):
    assert facts["repeatable"]
    assert facts["groups_differ"]
    assert facts["fixed_repeatable"]
    assert facts["fixed_photo_error"] < 0.01


def test_some_groups_are_hand_drawn_and_may_take_on_the_tones_of_others(facts):
    (count, levels), (toned_count, toned) = facts["sketched"]
    assert 3 <= count <= 13
    assert (levels, toned) == ([101, 102], [10])
    assert toned_count == count


def test_some_groups_are_foreign_with_their_own_photographs(facts):
    painted, wrong, changed = facts["foreign"]
    assert 2 <= painted <= 10
    assert wrong == 0
    assert changed >= 1
