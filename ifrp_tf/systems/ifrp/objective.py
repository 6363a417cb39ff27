"""The training objective, the same for every backend: which loss terms there are and how they add up."""

from __future__ import annotations

import keras

from ifrp_tf.core.config import Config
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import losses
from ifrp_tf.nn.features import networks
from ifrp_tf.nn.optimizers import decayed_weight

# The feature map compared by the identity term of each network: relu3_2, or its counterpart.
IDENTITY_UNITS = {
    "vgg19": "block3_conv2",
    "mobilefacenet": networks.MOBILEFACENET_FEATURE,
    "facenet": networks.FACENET_FEATURE,
}


class Objective:
    """L = L_pixel + λ L_adv + η L_id (journal eq. 4) plus our optional terms.

    Args:
        config: `loss`, and the epoch length from `train`.
        identity_network: frozen network with the outputs that `build_identity_network` gives, or None.
    """

    def __init__(self, config: Config, identity_network: keras.Model | None) -> None:
        self.loss, self.side = config.loss, config.data.side
        self.epoch_steps = config.train.epoch_steps
        self.identity_network = identity_network

    @property
    def term_names(self) -> list[str]:
        """Names of the terms that `terms` returns, without the adversarial one."""
        loss = self.loss
        optional = {
            "structure": loss.ssim,
            "alignment": loss.alignment,
            "identity": self.identity_network is not None and loss.identity,
            "cosine": self.identity_network is not None and loss.identity_cosine,
        }
        return ["pixel"] + [name for name, weight in optional.items() if weight]

    def terms(
        self, recovered: Tensor, photos: Tensor, transforms: Tensor | None, known: Tensor | None
    ) -> dict[str, Tensor]:
        """The unweighted terms that do not involve the DN.

        Args:
            recovered: float32 [N, S, S, 3].
            photos: float32 [N, S, S, 3] in [-1, 1].
            transforms: [N, 4] of the input transformer, where there is one.
            known: [N, 4] transforms that undo the misalignment.
        """
        names = self.term_names
        values = {"pixel": losses.pixel_loss(recovered, photos, self.loss.pixel)}
        if "structure" in names:
            values["structure"] = losses.structure_loss(recovered, photos)
        if "alignment" in names:
            values["alignment"] = losses.alignment_loss(transforms, known, self.side)
        if self.identity_network is not None and ("identity" in names or "cosine" in names):
            every = self.loss.identity_every
            fake = self.identity_network(_enlarged(recovered[::every]), training=False)
            real = self.identity_network(_enlarged(photos[::every]), training=False)
            unit = IDENTITY_UNITS[self.loss.identity_network]
            if "identity" in names:
                values["identity"] = losses.identity_loss(
                    fake[unit], real[unit], relative=self.loss.identity_relative
                )
            if "cosine" in names:
                values["cosine"] = losses.cosine_loss(fake["embedding"], real["embedding"])
        return values

    def total(self, terms: dict[str, Tensor], step: Tensor) -> Tensor:
        """The weighted sum at `step`; `terms` may hold `adversarial`, which gets λ."""
        loss = self.loss
        weights = {
            "pixel": 1.0,
            "structure": loss.ssim,
            "alignment": loss.alignment,
            "identity": decayed_weight(loss.identity, loss.identity_decay, step, self.epoch_steps),
            "cosine": loss.identity_cosine,
            "adversarial": decayed_weight(loss.adversarial, loss.adversarial_decay, step, self.epoch_steps),
        }
        total: Tensor = 0.0
        for name, value in terms.items():
            total = total + weights[name] * value
        return total


def _enlarged(pictures: Tensor) -> Tensor:
    """Pictures [N, 128, 128, 3] for the feature networks, of pictures of any side."""
    if pictures.shape[1] == networks.PHOTO_SHAPE[0]:
        return pictures
    return keras.ops.image.resize(pictures, networks.PHOTO_SHAPE[:2], interpolation="bilinear")


def build_identity_network(config: Config, weights: str) -> keras.Model | None:
    """The frozen feature network of the identity loss, or None where its weights are zero.

    Args:
        config: `loss.identity_network`; the network computes in `train.dtype`.
        weights: folder with the weight archives; for FaceNet, see `facenet.locate`.

    Returns:
        A model from photographs [N, 128, 128, 3] in [-1, 1] to a dict: a feature map under the name of its
        unit and, for the face networks, `embedding`.

    Raises:
        DataError: the weights are missing or damaged.
        ConfigError: FaceNet without TensorFlow.
    """
    loss, dtype = config.loss, config.train.dtype
    if loss.identity_network == "none" or not (loss.identity or loss.identity_cosine):
        return None
    unit = IDENTITY_UNITS[loss.identity_network]
    if loss.identity_network in ("mobilefacenet", "facenet"):
        build = networks.facenet if loss.identity_network == "facenet" else networks.mobilefacenet
        return build(weights, outputs=(unit, "embedding"), dtype=dtype)
    network = networks.vgg19(weights, outputs=(unit,), dtype=dtype)
    return keras.Model(network.input, {unit: network.output}, name=network.name)
