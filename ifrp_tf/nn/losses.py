"""The loss terms of the method as pure functions of tensors; weights are applied by the trainer.

Equations are those of the IFRP journal (IJCV 2019). Every function returns a float32 scalar, the mean
over the batch, whatever the dtype of its inputs.
"""

from __future__ import annotations

from typing import Literal

from keras import ops

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import metrics
from ifrp_tf.nn.layers import affine_grid

EPSILON = 1e-6


def pixel_loss(recovered: Tensor, photos: Tensor, kind: Literal["l2", "l1", "charbonnier"] = "l2") -> Tensor:
    """Eq. 1: distance of the recovered faces from the photographs, mean over all elements.

    Args:
        recovered: [N, H, W, 3], about [-1, 1].
        photos: [N, H, W, 3] in [-1, 1].
        kind: `l2` (paper: squared), `l1`, or `charbonnier` (smooth l1, epsilon 1e-3).

    Returns:
        Scalar in [0, inf).
    """
    difference = ops.cast(recovered, "float32") - ops.cast(photos, "float32")
    if kind == "l2":
        return ops.mean(ops.square(difference))
    if kind == "l1":
        return ops.mean(ops.abs(difference))
    if kind == "charbonnier":
        return ops.mean(ops.sqrt(ops.square(difference) + EPSILON))
    raise ConfigError(f"Expected pixel loss l2, l1 or charbonnier. Received: {kind!r}.")


def structure_loss(recovered: Tensor, photos: Tensor) -> Tensor:
    """1 - SSIM of the luminances (our addition; Wang et al. 2004), mean over pictures; in [0, 2]."""
    # SSIM's constants stand for data that starts at zero, so [-1, 1] is shifted to [0, 2].
    first, second = (ops.cast(x, "float32") + 1.0 for x in (recovered, photos))
    return 1.0 - ops.mean(metrics.ssim(first, second, max_value=2.0))


def identity_loss(recovered: Tensor, photos: Tensor, *, relative: bool = True) -> Tensor:
    """Eq. 2: squared distance of frozen-network features, mean over elements.

    Args:
        recovered: features of the recovered faces, any shape [N, ...].
        photos: features of the photographs, same shape.
        relative: divide by the mean square of the photographs' features, so that the weight does not
            depend on the network (their scale differs by 10^4); False is the paper's literal term.

    Returns:
        Scalar in [0, inf).
    """
    recovered, photos = ops.cast(recovered, "float32"), ops.stop_gradient(ops.cast(photos, "float32"))
    error = ops.mean(ops.square(recovered - photos))
    return error / (ops.mean(ops.square(photos)) + EPSILON) if relative else error


def cosine_loss(recovered: Tensor, photos: Tensor) -> Tensor:
    """1 - cosine of face embeddings [N, D] (our addition to eq. 2), mean over pictures; in [0, 2]."""
    recovered, photos = ops.cast(recovered, "float32"), ops.stop_gradient(ops.cast(photos, "float32"))
    cosine = ops.sum(ops.normalize(recovered, axis=-1) * ops.normalize(photos, axis=-1), axis=-1)
    return ops.mean(1.0 - cosine)


def alignment_loss(predicted: Tensor, known: Tensor, side: int = 128) -> Tensor:
    """Mean distance, in pixels, between where two transforms put the corners (our addition).

    Args:
        predicted: [N, 4] transforms of the input Spatial Transformer (`layers.affine_grid`).
        known: [N, 4] transforms that undo the misalignment (`misalign.undoing_parameters`).
        side: side of the pictures.

    Returns:
        Scalar in [0, inf).
    """
    difference = (affine_grid(predicted, 2, 2) - affine_grid(known, 2, 2)) * (side - 1.0)
    return ops.mean(ops.sqrt(ops.sum(ops.square(difference), axis=-1) + EPSILON))


def generator_adversarial_loss(fake_logits: Tensor, kind: Literal["bce", "hinge"] = "bce") -> Tensor:
    """Non-saturating -log D(G(s)) (authors' code; eq. 3 with targets 1), or -D for `hinge`.

    Args:
        fake_logits: [N, 1], (-inf, inf): DN before its sigmoid, on recovered faces.
        kind: `bce` (paper) or `hinge`.
    """
    fake_logits = ops.cast(fake_logits, "float32")
    return ops.mean(ops.softplus(-fake_logits)) if kind == "bce" else -ops.mean(fake_logits)


def discriminator_adversarial_losses(
    real_logits: Tensor, fake_logits: Tensor, kind: Literal["bce", "hinge"] = "bce"
) -> tuple[Tensor, Tensor]:
    """Eq. 3: (-log D(real), -log(1 - D(fake))), or the hinge losses; their mean trains the DN.

    Args:
        real_logits: [N, 1], (-inf, inf), on photographs.
        fake_logits: [N, 1], (-inf, inf), on recovered faces.
        kind: `bce` (paper) or `hinge`.
    """
    real_logits, fake_logits = ops.cast(real_logits, "float32"), ops.cast(fake_logits, "float32")
    if kind == "bce":
        return ops.mean(ops.softplus(-real_logits)), ops.mean(ops.softplus(fake_logits))
    return ops.mean(ops.relu(1.0 - real_logits)), ops.mean(ops.relu(1.0 + fake_logits))


def matching_losses(
    real_logits: Tensor, fake_logits: Tensor, wrong_logits: Tensor, is_wrong: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Hinge losses of a critic that also sees photographs with attributes that are not theirs (Reed 2016).

    Args:
        real_logits: [N], (-inf, inf), on photographs with their attributes.
        fake_logits: [N], on recovered faces with those of their photographs.
        wrong_logits: [N], on photographs with others.
        is_wrong: [N], 1 where there are others, 0 where nothing is known that could be wrong.

    Returns:
        Float32 scalars: photographs, recovered faces, and photographs with others among those that have any.
    """
    real, fake = discriminator_adversarial_losses(real_logits, fake_logits, "hinge")
    wrong = ops.relu(1.0 + ops.cast(wrong_logits, "float32")) * is_wrong
    return real, fake, ops.sum(wrong) / ops.maximum(ops.sum(is_wrong), 1.0)


def attribute_loss(logits: Tensor, attributes: Tensor) -> Tensor:
    """Binary cross-entropy of attributes over those that are known.

    Args:
        logits: [N, A], (-inf, inf), that each is there.
        attributes: [N, A], -1, 1, or 0 for unknown.

    Returns:
        Float32 scalar, the mean over what is not 0; 0 where nothing is known.
    """
    known = ops.abs(attributes)
    wrong = ops.softplus(-attributes * ops.cast(logits, "float32")) * known
    return ops.sum(wrong) / ops.maximum(ops.sum(known), 1.0)


def margin_gates(real_error: Tensor, fake_error: Tensor) -> tuple[Tensor, Tensor]:
    """Which of (DN, SRN) to update (authors' code): a network that wins waits for the other.

    The DN is skipped when either of its errors is below 0.3, the SRN when either is above 0.7; when both
    would wait, both are updated.

    Args:
        real_error: mean binary cross-entropy of the DN on photographs.
        fake_error: the same on recovered faces.

    Returns:
        Two boolean scalars: update the DN, update the SRN.
    """
    update_dn = ops.logical_not(ops.logical_or(real_error < 0.3, fake_error < 0.3))
    update_srn = ops.logical_not(ops.logical_or(real_error > 0.7, fake_error > 0.7))
    neither = ops.logical_not(ops.logical_or(update_dn, update_srn))
    return ops.logical_or(update_dn, neither), ops.logical_or(update_srn, neither)


def gram(features: Tensor) -> Tensor:
    """Gram matrices, divided by the number of positions (Johnson et al. 2016, eq. 3).

    Args:
        features: [N, H, W, C].

    Output shape: `[N, C, C]`, float32.
    """
    x = ops.reshape(features, (ops.shape(features)[0], -1, features.shape[-1]))
    count = ops.cast(ops.shape(x)[1], "float32")
    return ops.cast(ops.matmul(ops.transpose(x, (0, 2, 1)), x), "float32") / count
