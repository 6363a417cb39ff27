"""The same numbers from every backend: run as a program under JAX, imported under TensorFlow.

`python backends.py FOLDER` reads the networks and inputs that `prepare` left in FOLDER and writes
`numbers.npz` there. One process for all rooms, since most of its time is spent starting.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import ops
from objectives import Objective

from ifrp_tf.core.config import Config, TrainConfig
from ifrp_tf.nn import losses, optimizers
from ifrp_tf.nn.layers import BoundTransform, SpatialTransformer, affine_grid, bilinear_sample
from ifrp_tf.systems.ifrp.networks import build_discriminator, build_srn
from ifrp_tf.systems.ifrp.settings import LossConfig, ModelConfig

NETWORKS = {
    "srn_paper": ModelConfig(width=8, stn="paper", localisation="light", skip_merge="add"),
    "srn_input": ModelConfig(
        width=8, stn="input", localisation="light", stn_bounded=True, upsampling="resize"
    ),
    "dn": ModelConfig(discriminator_width=8),
}
SIDE = 64


def prepare(folder):
    """Writes inputs and networks with random weights, far from their identity start."""
    random = np.random.default_rng(5)
    for name, config in NETWORKS.items():
        network = (build_discriminator if name == "dn" else build_srn)(config, side=SIDE)
        randomise(network, random)
        network.save(folder / f"{name}.keras")
    np.savez(
        folder / "inputs.npz",
        pictures=random.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype("float32"),
        photos=random.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype("float32"),
        features=random.normal(size=(2, 9, 9, 4)).astype("float32"),
        transforms=np.array([[0.3, 0.9, 0.1, -0.2], [-0.5, 1.2, 0.0, 0.3]], "float32"),
        known=np.array([[0.2, 1.0, 0.1, 0.0], [-0.5, 1.1, 0.1, 0.2]], "float32"),
        logits=random.normal(size=(4, 1)).astype("float32"),
        embeddings=random.normal(size=(4, 16)).astype("float32"),
    )


def randomise(network, random):
    """Moves what starts at zero or one: the transforms, the biases, the running statistics."""
    for variable in network.weights:
        noise = random.normal(size=variable.shape)
        if "transform" in variable.path or "free" in variable.path:
            variable.assign(np.asarray(variable) + 0.05 * noise)
        elif "moving_variance" in variable.path:
            variable.assign(np.exp(0.2 * noise))
        elif len(variable.shape) == 1:
            variable.assign(np.asarray(variable) + 0.1 * noise)


def gradient(function, array):
    """The gradient of the scalar `function(array)`."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(function)(array)
    import tensorflow as tf

    tensor = tf.constant(array)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = function(tensor)
    return tape.gradient(value, tensor)


def compiled(function, inputs):
    """`function(inputs)`; under JAX as one program, since compiling every operation alone takes longer."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)(inputs)
    return function(inputs)


def compute(folder):
    """Numbers by `room/name` under the current backend."""
    with np.load(Path(folder) / "inputs.npz") as archive:
        inputs = dict(archive)
    rooms = [
        compiled(layer_numbers, inputs),
        compiled(loss_numbers, inputs),
        network_numbers(inputs, folder),
        schedule_numbers(),
    ]
    return {name: np.asarray(value) for room in rooms for name, value in room.items()}


def layer_numbers(inputs):
    features, transforms = inputs["features"], inputs["transforms"]
    weight = np.cos(np.arange(features.size, dtype="float32")).reshape(features.shape)

    def sampled(x, p, fill):
        return ops.sum(weight * bilinear_sample(x, affine_grid(p, 9, 9), fill))

    numbers = {}
    for fill in ("zero", "edge"):
        numbers[f"layers/{fill}"] = SpatialTransformer(fill)([features, transforms])
        numbers[f"layers/{fill}_by_transform"] = gradient(
            lambda p, f=fill: sampled(features, p, f), transforms
        )
        numbers[f"layers/{fill}_by_features"] = gradient(
            lambda x, f=fill: sampled(x, transforms, f), features
        )
    numbers["layers/bound"] = BoundTransform()(transforms)
    return numbers


def network_numbers(inputs, folder):
    return {
        f"networks/{name}": keras.models.load_model(Path(folder) / f"{name}.keras").predict(
            inputs["pictures"], verbose=0
        )
        for name in NETWORKS
    }


def loss_numbers(inputs):
    pictures, photos, logits = inputs["pictures"], inputs["photos"], inputs["logits"]
    numbers = {f"losses/{k}": losses.pixel_loss(pictures, photos, k) for k in ("l2", "l1", "charbonnier")}
    numbers["losses/structure"] = losses.structure_loss(pictures, photos)
    numbers["losses/identity"] = losses.identity_loss(pictures, photos)
    numbers["losses/cosine"] = losses.cosine_loss(inputs["embeddings"], inputs["embeddings"][::-1])
    numbers["losses/alignment"] = losses.alignment_loss(inputs["transforms"], inputs["known"])
    for kind in ("bce", "hinge"):
        numbers[f"losses/{kind}_srn"] = losses.generator_adversarial_loss(logits, kind)
        real, fake = losses.discriminator_adversarial_losses(logits, -2 * logits, kind)
        numbers |= {f"losses/{kind}_real": real, f"losses/{kind}_fake": fake}
    numbers["losses/structure_by_pictures"] = gradient(lambda x: losses.structure_loss(x, photos), pictures)
    errors = ops.convert_to_tensor(np.array([0.1, 0.5, 0.9], "float32"))
    numbers["losses/gates"] = ops.stack(losses.margin_gates(errors[:, None], errors[None]))
    config = Config(loss=LossConfig(identity_network="none", ssim=0.5))
    terms = Objective(config, None).terms(pictures, photos, None, None)
    numbers["objective/total"] = Objective(config, None).total({**terms, "adversarial": 2.0}, 5000)
    return numbers


def schedule_numbers():
    steps = [0, 49, 50, 99, 100, 500, 69_000, 400_000]
    paper, cosine = optimizers.PaperSchedule(1e-3, 0.99, 500), optimizers.CosineSchedule(1e-3, 70_000)
    numbers = {
        "schedules/paper": np.array([float(paper(step)) for step in steps]),
        "schedules/cosine": np.array([float(cosine(step)) for step in steps]),
        "schedules/weight": np.array([float(optimizers.decayed_weight(0.01, 0.995, s, 500)) for s in steps]),
    }
    for kind in ("rmsprop", "adam"):
        variable = keras.Variable(np.ones(4, "float32"))
        optimizer = optimizers.build_optimizer(TrainConfig(optimizer=kind), "srn_optimizer")
        optimizer.build([variable])
        for scale in (1.0, -0.3):
            step = ops.convert_to_tensor(np.array([1e-8, 1e-5, 1e-2, 1.0], "float32") * scale)
            optimizer.apply([step], [variable])
        numbers[f"schedules/{kind}"] = np.asarray(variable) - 1.0
    return numbers


if __name__ == "__main__":
    np.savez(Path(sys.argv[1]) / "numbers.npz", **compute(sys.argv[1]))
