"""Settings of recovery that is told attributes: those of `ifrp`, and what is new."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from ifrp_tf.core.config import Config, DataConfig, TrainConfig, within
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.systems.ifrp import settings as ifrp


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(ifrp.ModelConfig):
    """The SRN with a second input, and a critic of `discriminator_width` that has no norms.

    Attributes:
        keep: the layers that the network takes over stay as they are: told nothing it answers as the network
            that it began from, to the bit, whatever is trained. Without it told and untold answers are
            trained together, and the untold ones lose (.35 dB in 12,000 pictures).
    """

    keep: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.srn != "ijcv":
            raise ConfigError(f"Expected srn=ijcv, which can be told attributes. Received: srn={self.srn}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig(ifrp.LossConfig):
    """The objective of the SRN with a conditional adversarial term, and what the network is told.

    Attributes:
        adversarial: weight of the critic's verdict on (recovered face, attributes).
        adversarial_kind: hinge.
        real: what the critic takes for real: photographs, or the answers of the same network told nothing.
            These differ from told ones in nothing but what telling does, so that a critic sees its traces
            and not how soft an answer is.
        adversarial_decay: factor an epoch; the weight falls to no less than half.
        wrong: weight of photographs with attributes that are not theirs, beside that of recovered faces.
        auxiliary: weight of the attributes that a frozen reader sees in recovered faces (`reader`).
        reader: what it looks at: maps of SqueezeNet, or for tests the pixels.
        warm_up: steps over which the adversarial term gains its weight, so that the critic learns first.
        hide_all: chance with which a picture's attributes are all hidden from the network.
        hide_one: chance with which a single attribute is.
        contradict: chance with which one shown attribute is the opposite of what it is, and the critic's
            terms and the reader's ask for it. Without it nothing rewards following the vector against the
            portrait.
    """

    adversarial: float = 0.003
    adversarial_kind: Literal["hinge"] = "hinge"
    real: Literal["photographs", "untold"] = "photographs"
    adversarial_decay: float = 1.0
    wrong: float = 0.5
    auxiliary: float = 0.3
    reader: Literal["squeezenet", "pixels"] = "squeezenet"
    warm_up: int = 200
    hide_all: float = 0.3
    hide_one: float = 0.15
    contradict: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        within(self, wrong=(0, 100), auxiliary=(0, 100), warm_up=(1, 10**6))
        within(self, hide_all=(0, 1), hide_one=(0, 1), contradict=(0, 1))


check = ifrp.check


def afrp() -> Config:
    """What a vector of attributes adds to a released network; some 15 minutes on two cores.

    It begins from that network (`--initial=saved_models/ifrp`), all of which it takes over and keeps.
    """
    recipe = ifrp.modern()
    return _told(
        recipe,
        data=dataclasses.replace(
            recipe.data,
            foreign="data/foreign",
            foreign_share=0.5,
            augment=0.4,
            backdrop=0.15,
            restyle=0.06,
            weak=0.06,
            labels="data/labels",
        ),
        loss={"perceptual": 0.05, "perceptual_every": 2, "identity_cosine": 0.15, "alignment": 0.0},
        train=dataclasses.replace(
            recipe.train, learning_rate=3e-4, ema=0.995, pictures=16_000, epoch_pictures=4_000
        ),
    )


def afrp_toy() -> Config:
    """`toy` that is told who of the drawn faces smiles and who wears glasses: for tests, without data."""
    recipe = ifrp.toy()
    return _told(
        recipe, data=recipe.data, loss={"warm_up": 50, "reader": "pixels"}, train=recipe.train, keep=False
    )


def _told(
    recipe: Config, data: DataConfig, loss: dict[str, Any], train: TrainConfig, *, keep: bool = True
) -> Config:
    """A recipe of `ifrp` as one of `afrp`; `loss` are the settings that differ from the recipe's."""
    own = {"adversarial", "adversarial_kind", "adversarial_decay"}
    kept = {name: value for name, value in dataclasses.asdict(recipe.loss).items() if name not in own}
    model = ModelConfig(**dataclasses.asdict(recipe.model), keep=keep)
    return Config(system="afrp", data=data, model=model, loss=LossConfig(**{**kept, **loss}), train=train)


PRESETS: dict[str, Callable[[], Config]] = {"afrp": afrp, "afrp_toy": afrp_toy}
