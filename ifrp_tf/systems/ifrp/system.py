"""IFRP: the style removal network (SRN) against the discriminative network (DN).

L = L_pixel + λ L_adversarial + η L_identity (journal eq. 4) plus our optional terms, which have weight 0 in
the paper's presets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
from keras import ops

from ifrp_tf.core.config import Config
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn import losses
from ifrp_tf.nn.features import networks as features
from ifrp_tf.nn.features import squeezenet
from ifrp_tf.nn.optimizers import decayed_weight
from ifrp_tf.systems.base import Networks, Player, Step, System, Term
from ifrp_tf.systems.ifrp.networks import ALIGNMENT_LAYER, build_discriminator, build_srn

# The feature map compared by the identity term of each network: relu3_2, or its counterpart.
IDENTITY_UNITS = {
    "vgg19": "block3_conv2",
    "mobilefacenet": features.MOBILEFACENET_FEATURE,
    "facenet": features.FACENET_FEATURE,
}


class Ifrp(System):
    """The method of the journal (IJCV 2019) and of the conference paper (WACV 2018).

    Args:
        config: `model` and `loss` are those of `systems/ifrp/settings.py`.
        identity_network: frozen network with the outputs that `build_identity_network` gives, or None;
            `load_frozen` reads it.
        perceptual_network: frozen network of `build_perceptual_network`, or None; likewise.
    """

    name = "ifrp"
    method = (
        "the style removal network (SRN) of `ifrp_tf`, after the IFRP method of\n"
        "Shiri, Yu, Porikli, Hartley and Koniusz"
    )
    released = "srn"

    def __init__(
        self,
        config: Config,
        identity_network: keras.Model | None = None,
        perceptual_network: keras.Model | None = None,
    ) -> None:
        super().__init__(config)
        self.identity_network, self.perceptual_network = identity_network, perceptual_network

    def load_frozen(self, weights: str) -> None:
        """Reads the feature networks of the identity and perceptual terms, where these have a weight."""
        self.identity_network = build_identity_network(self.config, weights)
        self.perceptual_network = build_perceptual_network(self.config, weights)

    def build(self) -> dict[str, keras.Model]:
        """`srn` and `dn`."""
        side = self.config.data.side
        return {
            "srn": build_srn(self.config.model, side=side),
            "dn": build_discriminator(self.config.model, side=side),
        }

    def build_released(self) -> keras.Model:
        """The SRN."""
        return build_srn(self.config.model, side=self.config.data.side)

    def views(self, networks: Mapping[str, keras.Model]) -> dict[str, keras.Model]:
        """The SRN with the transform of its input transformer as a second output, where supervised."""
        srn = networks["srn"]
        inner = srn.get_layer(ALIGNMENT_LAYER).output if self.config.loss.alignment else srn.output
        return {"srn": keras.Model(srn.input, [srn.output, inner])}

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Recovers the faces."""
        recovered, transforms = networks["srn"](batch["portraits"], training=True)
        return {"recovered": recovered, "transforms": transforms}

    @property
    def players(self) -> Sequence[Player]:
        """The DN, then the SRN (the order of the authors' code)."""
        loss = self.config.loss
        critic = (
            Term("real", lambda step: self._dn_losses(step)[0], 0.5),
            Term("fake", lambda step: self._dn_losses(step)[1], 0.5),
        )
        terms = critic if loss.adversarial else ()
        return (
            Player("dn", ("dn",), terms, critic=True, start=loss.adversarial_start),
            Player("srn", ("srn",), tuple(self._srn_terms())),
        )

    def gates(self, critic: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The margin gates of the authors' code: a network that wins waits for the other."""
        if not self.config.loss.margin_gate:
            return {}
        dn, srn = losses.margin_gates(values["real"], values["fake"])
        return {"dn": dn, "srn": srn}

    def architecture(self) -> str:
        """What the card says of the network."""
        model = self.config.model
        return (
            f"{model.srn}, width {model.width}, transformers: {model.stn}, skips: {model.skips}, "
            f"up-sampling: {model.upsampling}"
        )

    def _srn_terms(self) -> list[Term]:
        loss, side = self.config.loss, self.config.data.side
        epoch = self.config.train.epoch_steps
        network = loss.identity_network
        terms = [
            Term(
                "pixel",
                lambda s: losses.pixel_loss(s.outputs["recovered"], s.batch["photos"], loss.pixel),
                title=loss.pixel,
            ),
            Term(
                "structure",
                lambda s: losses.structure_loss(s.outputs["recovered"], s.batch["photos"]),
                loss.ssim,
                title="1 - SSIM",
            ),
            Term(
                "alignment",
                lambda s: losses.alignment_loss(s.outputs["transforms"], s.batch["transforms"], side),
                loss.alignment,
            ),
        ]
        if network != "none":
            terms += [
                Term("identity", self._identity, loss.identity, title=f"identity ({network} features)"),
                Term("cosine", self._cosine, loss.identity_cosine, title=f"identity ({network} cosine)"),
            ]
        terms += [
            Term("perceptual", self._perceptual, loss.perceptual, title="perceptual (SqueezeNet)"),
            Term("adversarial", self._adversarial, loss.adversarial),
        ]
        decays = {"identity": loss.identity_decay, "adversarial": loss.adversarial_decay}
        return [_decayed(term, decays.get(term.name), epoch) for term in terms if term.weight]

    def _dn_losses(self, step: Step) -> tuple[Tensor, Tensor]:
        """Eq. 3 on photographs and on recovered faces."""

        def both() -> tuple[Tensor, Tensor]:
            dn = step.networks["dn"]
            # Separate passes: in one batch, batch norm would leak which half a picture is from.
            real = dn(step.batch["photos"], training=True)
            fake = dn(step.outputs["recovered"], training=True)
            return losses.discriminator_adversarial_losses(real, fake, self.config.loss.adversarial_kind)

        return step.once("dn", both)

    def _features(self, step: Step) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Features of the recovered faces and of the photographs, of every k-th picture."""
        every = self.config.loss.identity_every
        assert self.identity_network is not None
        fake = self.identity_network(_enlarged(step.outputs["recovered"][::every]), training=False)
        real = self.identity_network(_enlarged(step.batch["photos"][::every]), training=False)
        return fake, real

    def _identity(self, step: Step) -> Tensor:
        loss = self.config.loss
        fake, real = step.once("identity", lambda: self._features(step))
        unit = IDENTITY_UNITS[loss.identity_network]
        return losses.identity_loss(fake[unit], real[unit], relative=loss.identity_relative)

    def _cosine(self, step: Step) -> Tensor:
        fake, real = step.once("identity", lambda: self._features(step))
        return losses.cosine_loss(fake["embedding"], real["embedding"])

    def _perceptual(self, step: Step) -> Tensor:
        every = self.config.loss.perceptual_every
        assert self.perceptual_network is not None
        fake = self.perceptual_network(step.outputs["recovered"][::every], training=False)
        real = self.perceptual_network(step.batch["photos"][::every], training=False)
        return ops.mean(squeezenet.perceptual_distance(fake, real))

    def _adversarial(self, step: Step) -> Tensor:
        loss = self.config.loss

        def term() -> Tensor:
            logits = step.networks["dn"](step.outputs["recovered"], training=True)
            return losses.generator_adversarial_loss(logits, loss.adversarial_kind)

        return ops.cond(
            step.number >= loss.adversarial_start, term, lambda: ops.convert_to_tensor(0.0, "float32")
        )


def _decayed(term: Term, decay: float | None, epoch_steps: int) -> Term:
    if decay is None:
        return term
    weight = term.weight
    assert not callable(weight)
    return Term(
        term.name, term.value, lambda step: decayed_weight(weight, decay, step, epoch_steps), term.title
    )


def _enlarged(pictures: Tensor) -> Tensor:
    """Pictures [N, 128, 128, 3] for the feature networks, of pictures of any side."""
    if pictures.shape[1] == features.PHOTO_SHAPE[0]:
        return pictures
    return keras.ops.image.resize(pictures, features.PHOTO_SHAPE[:2], interpolation="bilinear")


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
        build = features.facenet if loss.identity_network == "facenet" else features.mobilefacenet
        return build(weights, outputs=(unit, "embedding"), dtype=dtype)
    network = features.vgg19(weights, outputs=(unit,), dtype=dtype)
    return keras.Model(network.input, {unit: network.output}, name=network.name)


def build_perceptual_network(config: Config, weights: str) -> keras.Model | None:
    """The frozen SqueezeNet of the perceptual loss, or None where its weight is zero.

    Args:
        config: `loss.perceptual`; the network computes in `train.dtype`.
        weights: folder with `squeezenet11_imagenet.npz`.

    Raises:
        DataError: the weights are missing or damaged.
    """
    if not config.loss.perceptual:
        return None
    return squeezenet.squeezenet(
        weights, outputs=squeezenet.LOSS_TAPS, dtype=config.train.dtype, side=config.data.side
    )


SYSTEM = Ifrp
