"""The sections of the configuration: frozen dataclasses, checked when made."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ifrp_tf.errors import ConfigError
from ifrp_tf.settings import within


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Photographs, misalignment and styles.

    Attributes:
        side: side of the square pictures, pixels.
        crop: centre square cut from each photograph before resizing, pixels (178 for CelebA); 0 = whole.
        styles: name of a style set, or style names separated by commas.
        validation_count: photographs held out of training, chosen by a hash of the person.
        max_angle: largest tilt, degrees.
        max_scale: scale factors lie within 1 ± this.
        max_shift: largest shift, pixels of a side of 128.
        angles: if not empty, tilts are drawn from these degrees only.
        degrade: probability with which a portrait is passed through random scan degradations.
        strength: least strength of a style; each portrait mixes style and photograph by U(strength, 1).
        group: pictures that share one style within a batch; divides the batch size.
        flip: whether photographs are mirrored at random.
        bank: folder of the style bank, for sets of learned styles; empty = the one that is shipped.
        allow_reserved: train on styles that are kept for testing all the same.
        sketches: folder of hand-drawn sketches to train on as well, `sketch/` and `photo/` with equal names.
        sketch_share: part of the groups that are such sketches, misaligned and degraded like the rest.
        sketch_tones: part of these whose photograph takes on brightness and colours of another photograph.
    """

    side: int = 128
    crop: int = 0
    styles: str = "train"
    validation_count: int = 500
    max_angle: float = 30.0
    max_scale: float = 0.15
    max_shift: float = 8.0
    angles: tuple[float, ...] = ()
    degrade: float = 0.5
    strength: float = 0.75
    group: int = 4
    flip: bool = True
    bank: str = ""
    allow_reserved: bool = False
    sketches: str = ""
    sketch_share: float = 0.1
    sketch_tones: float = 0.0

    def __post_init__(self) -> None:
        within(self, side=(16, 1024), crop=(0, 16384), validation_count=(1, 10**6), max_angle=(0, 180))
        within(self, max_scale=(0, 0.9), max_shift=(0, 64), degrade=(0, 1), strength=(0, 1), group=(1, 256))
        within(self, sketch_share=(0, 0.9), sketch_tones=(0, 1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two networks (`networks.py` explains every option).

    Attributes:
        srn: `ijcv` (journal), `wacv` (conference), `fdnn` (the conference network without transformers), or
            `aligner` (only the input transformer, to train it before the rest).
        width: channels of the first stage of the `ijcv` network.
        skips: none (plain autoencoder), unet, top2, or top2_residual (the journal's).
        skip_merge: how a skip joins the decoder.
        stn: where Spatial Transformers sit: `paper` (four, inside), `input` (one, on the portrait), `none`.
        localisation: `full` (the paper's tables), `light` localisation networks, or `cascade`: two in a row
            (with `stn=input`).
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
    stn: Literal["paper", "input", "none"] = "paper"
    localisation: Literal["full", "light", "cascade"] = "full"
    stn_start: Literal["identity", "authors"] = "identity"
    stn_bounded: bool = False
    upsampling: Literal["transposed", "resize"] = "transposed"
    output: Literal["linear", "tanh"] = "linear"
    bottleneck: Literal["conv", "dense"] = "conv"
    normalization: Literal["batch", "instance", "group", "none"] = "batch"
    discriminator_width: int = 32
    discriminator_normalization: Literal["batch", "instance", "group", "none"] = "batch"

    def __post_init__(self) -> None:
        within(self, width=(8, 256), discriminator_width=(8, 256))
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

    def __post_init__(self) -> None:
        within(self, ssim=(0, 100), alignment=(0, 100), adversarial=(0, 100), identity=(0, 1e6))
        within(self, adversarial_decay=(0.1, 1), identity_decay=(0.1, 1), identity_cosine=(0, 100))
        within(self, identity_every=(1, 64), adversarial_start=(0, 10**10))
        if self.identity_cosine and self.identity_network not in ("mobilefacenet", "facenet"):
            raise ConfigError(
                "identity_cosine expects identity_network=mobilefacenet or facenet. "
                f"Received: {self.identity_network}.",
                hint="Only they have a face embedding: choose one, or set loss.identity_cosine=0.",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation and everything periodic.

    Attributes:
        pictures: training pictures to pass; the budget of the run.
        batch_size: pictures a step.
        optimizer: `rmsprop` (paper: rho 0.9, epsilon 1e-8 outside the root) or `adam`.
        learning_rate: of both networks.
        learning_rate_decay: factor an epoch (paper 0.99), floor 1e-6.
        schedule: `paper` (decay an epoch, warm-up lr/50 then lr/5 for 50 steps each) or `cosine` (to 1 %).
        epoch_pictures: pictures after which an epoch ends.
        ema: decay of the exponential moving average of the SRN a step; 0 = none.
        checkpoint_minutes: time between checkpoints (0 = at every epoch's end only).
        checkpoint_steps: steps between checkpoints (0 = by time only).
        patience: epochs without a gain of validation PSNR after which the run stops; 0 = never.
        seed: of everything random.
        deterministic: bit-for-bit repeatable on one machine (slower).
        dtype: `float32` or `bfloat16` (mixed).
        jit_compile: XLA.
    """

    pictures: int = 100_000
    batch_size: int = 16
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    learning_rate: float = 1e-3
    learning_rate_decay: float = 0.99
    schedule: Literal["paper", "cosine"] = "paper"
    epoch_pictures: int = 8_000
    ema: float = 0.0
    checkpoint_minutes: float = 5.0
    checkpoint_steps: int = 0
    patience: int = 0
    seed: int = 1
    deterministic: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    jit_compile: bool = False

    def __post_init__(self) -> None:
        within(self, pictures=(1, 10**10), batch_size=(1, 4096), learning_rate=(1e-8, 1), ema=(0, 0.99999))
        within(self, learning_rate_decay=(0.1, 1), epoch_pictures=(1, 10**9), checkpoint_minutes=(0, 1e5))
        within(self, checkpoint_steps=(0, 10**9), patience=(0, 10**6), seed=(0, 2**31 - 1))
        if self.epoch_pictures < self.batch_size:
            raise ConfigError(
                "Expected train.epoch_pictures >= train.batch_size. "
                f"Received: {self.epoch_pictures} < {self.batch_size}."
            )

    @property
    def steps(self) -> int:
        """Steps of the whole run, rounded up."""
        return -(-self.pictures // self.batch_size)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return max(1, self.epoch_pictures // self.batch_size)
