"""Settings of the IFRP system: its networks, its objective, and the named experiments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from ifrp_tf.core.config import Config, DataConfig, TrainConfig, within
from ifrp_tf.core.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two networks (`networks.py` explains every option).

    Attributes:
        srn: `ijcv` (journal), `wacv` (conference), `fdnn` (the conference network without transformers), or
            `aligner` (only the input transformer, to train it before the rest).
        width: channels of the first stage of the `ijcv` network.
        skips: none (plain autoencoder), unet, top2, or top2_residual (the journal's).
        skip_merge: how a skip joins the decoder.
        skip_blocks: residual blocks of each skip of `top2_residual` (3 in the journal).
        deep_blocks: residual blocks at 1/16 and at 1/8 of the side in the decoder (0 in the journal).
        stn: where Spatial Transformers sit: `paper` (four, inside), `input` (one, on the portrait), `none`.
        localisation: `full` (the paper's tables), `light` localisation networks, or `cascade`: two in a row
            (with `stn=input`).
        align_side: side at which the transformer of `stn=input` looks at the portrait, pixels; 0 = half.
            With one number the same weights serve pictures of two sizes: training may begin with small ones.
        stn_start: `identity`, or `authors` (their code starts at 57.3 degrees; see method notes).
        stn_bounded: bound angle, scale and shift.
        upsampling: 4x4 transposed convolutions (paper), or nearest-neighbour resize + 3x3.
        output: `linear` (paper; clipped when used) or `tanh`.
        bottleneck: `conv` (journal) or `dense` (the conference's 2,048 units).
        normalization: of the SRN.
        discriminator_width: channels of the first stage of the DN (32 in the authors' code).
        discriminator_normalization: of the DN.
    """

    srn: Literal["ijcv", "wacv", "fdnn", "aligner"] = "ijcv"
    width: int = 32
    skips: Literal["none", "unet", "top2", "top2_residual"] = "top2_residual"
    skip_merge: Literal["concat", "add"] = "concat"
    skip_blocks: int = 3
    deep_blocks: int = 0
    stn: Literal["paper", "input", "none"] = "paper"
    localisation: Literal["full", "light", "cascade"] = "full"
    align_side: int = 0
    stn_start: Literal["identity", "authors"] = "identity"
    stn_bounded: bool = False
    upsampling: Literal["transposed", "resize"] = "transposed"
    output: Literal["linear", "tanh"] = "linear"
    bottleneck: Literal["conv", "dense"] = "conv"
    normalization: Literal["batch", "instance", "group", "none"] = "batch"
    discriminator_width: int = 32
    discriminator_normalization: Literal["batch", "instance", "group", "none"] = "batch"

    def __post_init__(self) -> None:
        within(self, width=(8, 256), discriminator_width=(8, 256), skip_blocks=(0, 8), deep_blocks=(0, 8))
        within(self, align_side=(0, 1024))
        if self.align_side % 16:
            raise ConfigError(f"Expected a multiple of 16 as align_side, or 0. Received: {self.align_side}.")
        if self.stn_bounded and self.stn_start == "authors":
            raise ConfigError(
                "Expected stn_start=identity with stn_bounded=true. Received: stn_start=authors.",
                hint="The authors' start is a fault kept for reproduction; it has no bounded form.",
            )
        if self.stn != "input" and (self.srn == "aligner" or self.localisation == "cascade"):
            raise ConfigError(
                f"Expected stn=input for srn=aligner and localisation=cascade. Received: stn={self.stn}.",
            )
        if self.srn in ("wacv", "fdnn") and self.stn == "input":
            raise ConfigError(
                f"Expected srn=ijcv for stn=input. Received: srn={self.srn}.",
                hint="The conference networks have the paper's transformers or none.",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Objective of the SRN: pixel + adversarial (λ) + identity (η) and our additions (0 in the paper).

    Attributes:
        pixel: `l2` (paper), `l1` or `charbonnier`, mean over elements, weight 1.
        ssim: weight of 1 - SSIM.
        alignment: weight of the error of the input transformer against the known misalignment.
        adversarial: λ.
        adversarial_decay: factor an epoch; λ falls to no less than half.
        adversarial_kind: `bce` (non-saturating, paper) or `hinge`.
        adversarial_start: step at which the DN and the adversarial term begin.
        margin_gate: skip D when it wins and G when it loses (authors' code).
        identity_network: `mobilefacenet`, `vgg19` (conference: relu3_2), `facenet` (journal) or `none`.
        identity: η, weight of the feature term.
        identity_relative: divide by the mean square of the photograph's features.
        identity_cosine: weight of 1 - cosine of the embeddings (face networks only).
        identity_decay: factor an epoch; η falls to no less than half.
        identity_every: the identity terms, as costly as the SRN itself, look at every k-th picture only.
        perceptual: weight of the distance of SqueezeNet's maps (`squeezenet.perceptual_distance`).
        perceptual_every: that term looks at every k-th picture only.
    """

    pixel: Literal["l2", "l1", "charbonnier"] = "l2"
    ssim: float = 0.0
    alignment: float = 0.0
    adversarial: float = 0.01
    adversarial_decay: float = 0.995
    adversarial_kind: Literal["bce", "hinge"] = "bce"
    adversarial_start: int = 0
    margin_gate: bool = True
    identity_network: Literal["mobilefacenet", "vgg19", "facenet", "none"] = "vgg19"
    identity: float = 0.1
    identity_relative: bool = True
    identity_cosine: float = 0.0
    identity_decay: float = 0.995
    identity_every: int = 1
    perceptual: float = 0.0
    perceptual_every: int = 1

    def __post_init__(self) -> None:
        within(self, ssim=(0, 100), alignment=(0, 100), adversarial=(0, 100), identity=(0, 1e6))
        within(self, adversarial_decay=(0.1, 1), identity_decay=(0.1, 1), identity_cosine=(0, 100))
        within(self, identity_every=(1, 64), adversarial_start=(0, 10**10), perceptual=(0, 100))
        within(self, perceptual_every=(1, 64))
        if self.identity_cosine and self.identity_network not in ("mobilefacenet", "facenet"):
            raise ConfigError(
                "identity_cosine expects identity_network=mobilefacenet or facenet. "
                f"Received: {self.identity_network}.",
                hint="Only they have a face embedding: choose one, or set loss.identity_cosine=0.",
            )


def check(config: Config) -> None:
    """Settings of several sections that must go together.

    Raises:
        ConfigError: they do not.
    """
    if config.loss.alignment and config.model.stn != "input":
        raise ConfigError(
            f"loss.alignment expects model.stn=input. Received: model.stn={config.model.stn}.",
            hint="The paper's inner transformers have no known target.",
        )
    if config.model.align_side > config.data.side or config.data.side % (config.model.align_side or 1):
        raise ConfigError(
            "Expected model.align_side to divide data.side. "
            f"Received: {config.model.align_side} and {config.data.side}."
        )


def paper() -> Config:
    """The journal (IJCV 2019) with its literal values where they are known.

    Trained on the paper's three styles (`evaluate.py --protocol=paper` tests on its ten); RMSprop 1e-3, batch
    64, λ 1e-2; squared error; four inner transformers; no scan degradations. The identity term is on VGG-19
    relu3_2 (FaceNet's weights are not at hand by default) and relative: the authors' η of 1e-3 multiplies a
    gradient that lacks the factor 127.5 of their preprocessing, so the literal number means something else
    in every other code base (method notes, A).
    """
    return Config(
        data=DataConfig(styles="paper_train", degrade=0.0, strength=1.0),
        train=TrainConfig(batch_size=64, pictures=7_500_000, epoch_pictures=30_000),
    )


def wacv() -> Config:
    """The conference paper (WACV 2018): its network, batch 32, constant η on VGG-19 relu3_2."""
    return Config(
        data=DataConfig(styles="paper_train", degrade=0.0, strength=1.0),
        model=ModelConfig(srn="wacv", upsampling="resize"),
        loss=LossConfig(identity_decay=1.0),
        train=TrainConfig(batch_size=32, pictures=7_350_000, epoch_pictures=30_000),
    )


def fdnn() -> Config:
    """Face destylization (DICTA 2017): no transformers, no identity term."""
    return Config(
        data=DataConfig(styles="paper_train", degrade=0.0, strength=1.0),
        model=ModelConfig(srn="fdnn", stn="none", upsampling="resize"),
        loss=LossConfig(identity_network="none", identity=0.0),
        train=TrainConfig(batch_size=32, pictures=7_500_000, epoch_pictures=30_000),
    )


def modern() -> Config:
    """Our recipe: where measurements led so far, and what is still open (docs/recipe.md)."""
    return Config(
        data=DataConfig(styles="all_train"),
        model=ModelConfig(stn="input", stn_bounded=True, localisation="cascade", upsampling="resize"),
        loss=LossConfig(
            pixel="l1",
            ssim=0.15,
            alignment=0.02,
            adversarial=0.0,
            identity_network="mobilefacenet",
            identity=0.0,
            identity_cosine=0.1,
            identity_decay=1.0,
            identity_every=2,
        ),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=8e-4,
            schedule="cosine",
            pictures=300_000,
            ema=0.999,
            dtype="bfloat16",
        ),
    )


def aligner() -> Config:
    """The input transformer of `modern` alone, trained on the known misalignment: where `modern` begins.

    With the true transform instead of the predicted one, the first released model gained 0.9 dB and 0.10
    SSIM, and this small network sees several times as many pictures in the same time as the whole SRN.
    """
    recipe = modern()
    return dataclasses.replace(
        recipe,
        model=dataclasses.replace(recipe.model, srn="aligner"),
        loss=LossConfig(pixel="l1", alignment=1.0, adversarial=0.0, identity_network="none", identity=0.0),
        train=dataclasses.replace(recipe.train, learning_rate=1e-3, batch_size=32, pictures=150_000),
    )


def tiny() -> Config:
    """`modern` at an eighth of the width in float32: for tests and for trying things out."""
    return Config(
        data=DataConfig(validation_count=16),
        model=ModelConfig(width=8, stn="input", stn_bounded=True, localisation="light", upsampling="resize"),
        loss=LossConfig(pixel="l1", alignment=0.02, identity_network="none", identity=0.0, adversarial=0.003),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=1e-3,
            schedule="cosine",
            pictures=8_000,
            batch_size=8,
            epoch_pictures=2_000,
            ema=0.99,
        ),
    )


def toy() -> Config:
    """Drawn faces of 64 x 64 pixels: learns in two minutes on two CPU cores, needs no data at all."""
    return Config(
        data=DataConfig(side=64, validation_count=32, max_angle=15.0, max_shift=4.0, degrade=0.0),
        model=ModelConfig(
            width=8,
            stn="input",
            stn_bounded=True,
            localisation="light",
            upsampling="resize",
            discriminator_width=8,
        ),
        loss=LossConfig(pixel="l1", alignment=0.05, identity_network="none", identity=0.0, adversarial=0.002),
        train=TrainConfig(
            optimizer="adam",
            learning_rate=3e-3,
            schedule="cosine",
            pictures=6_000,
            epoch_pictures=3_000,
            ema=0.98,
        ),
    )


PRESETS: dict[str, Callable[[], Config]] = {
    "paper": paper,
    "wacv": wacv,
    "fdnn": fdnn,
    "modern": modern,
    "aligner": aligner,
    "tiny": tiny,
    "toy": toy,
}
