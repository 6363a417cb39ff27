"""What a system declares, so that one trainer, one export, one recovery and one evaluation serve all.

A system is a method for recovering (or painting, or changing) faces: its networks, who is trained on what,
and how an answer is computed. It is a folder below `ifrp_tf/systems` with three files of known names:

* `settings.py`: `ModelConfig`, `LossConfig`, `PRESETS`, and optionally `check(config)`; imports no Keras;
* `networks.py`: functions that build Keras models;
* `system.py`: a subclass of `System`, named by `SYSTEM`, in `keras.ops` only.

The training step (`training/step_tf.py`, `training/step_jax.py`) knows no system. It computes `forward`
once, trains the critics on its outputs with the gradient stopped, and the main player through it, in the
order in which `players` lists them (the phases of StyleGAN3, reduced to what a step with one shared forward
pass needs).
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import keras

from ifrp_tf.core.config import Config, system_names
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.types import Tensor
from ifrp_tf.nn.optimizers import build_optimizer

Networks = Mapping[str, Callable[..., Any]]
"""Networks by name, to be called as `networks[name](x, training=True)`."""


@dataclasses.dataclass(frozen=True)
class Step:
    """What the terms of a player may look at.

    Attributes:
        batch: tensors by the names of `System.batch_names`; a part that the data do not have is None.
        outputs: of `System.forward`; for a critic with the gradient stopped.
        networks: those of all players but the main one, whose networks are called in `forward` only.
        number: integer scalar, steps done so far.
        gradient: `gradient(function, x)`: the gradient of the sum of `function(x)` with respect to `x`, by
            which a term can penalise slopes; it can itself be differentiated.
        memo: what `once` has computed.
    """

    batch: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    networks: Networks
    number: Tensor
    gradient: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
    memo: dict[str, Any] = dataclasses.field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, computed by the first term that asks for `name` and shared with the others.

        Not inside `keras.ops.cond`: what is computed in one branch does not exist outside of it.
        """
        if name not in self.memo:
            self.memo[name] = make()
        return self.memo[name]


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of a player's loss: the only place where it is named and weighted.

    Attributes:
        name: in logs, in `metrics.jsonl`, in the model card.
        value: the unweighted term, a float32 scalar, of a `Step`.
        weight: a number, or a function of the integer step.
        title: for people, such as "1 - SSIM"; the name where empty.
    """

    name: str
    value: Callable[[Step], Tensor]
    weight: float | Callable[[Tensor], Tensor] = 1.0
    title: str = ""

    def weight_at(self, step: Tensor) -> Tensor:
        """The weight at a step."""
        return self.weight(step) if callable(self.weight) else self.weight


@dataclasses.dataclass(frozen=True)
class Player:
    """An optimizer, the networks that it updates, and what they are trained on.

    Attributes:
        name: its optimizer is called `<name>_optimizer` in checkpoints.
        networks: names of the networks that it updates.
        terms: its loss is their weighted sum. No terms: the networks and the moments of the optimizer are
            kept in checkpoints, and nothing is trained.
        critic: whether it sees the outputs of `forward` with the gradient stopped. Exactly one player is
            no critic: the main one, which is trained through `forward`.
        start: step at which it begins; a critic computes nothing before.
    """

    name: str
    networks: tuple[str, ...]
    terms: tuple[Term, ...]
    critic: bool = False
    start: int = 0

    def loss(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the terms, and the unweighted terms by name, in their order."""
        values = {term.name: term.value(step) for term in self.terms}
        total: Tensor = 0.0
        for term in self.terms:
            total = total + term.weight_at(step.number) * values[term.name]
        return total, values


class System:
    """A method: subclasses declare its networks, its players and its answer.

    Args:
        config: with the sections `model` and `loss` of this system.

    Class attributes:
        name: of the system and of its folder.
        method: what its network is and whose method, for the model card; a part of a sentence.
        released: name of the network that is averaged, exported and recovered with.
        batch_names: what the tensors of a batch are called, in the order in which the data yield them.
        recovers: whether the released network maps portraits to photographs and can be judged by them.
        card: `purpose` and `limits` of `release.card.write`, where it does something else.
        attributes: names of the numbers that the released network is told beside a portrait (`recover_told`).
        tolerance: by how much a graph's answers, in [-1, 1], may differ from Keras's for rounding.

    Example:
        >>> system = create(Config())
        >>> sorted(system.build())
        ['dn', 'srn']
    """

    name: ClassVar[str]
    method: ClassVar[str]
    released: ClassVar[str]
    batch_names: ClassVar[tuple[str, ...]] = ("portraits", "photos", "transforms")
    recovers: ClassVar[bool] = True
    card: ClassVar[Mapping[str, Any]] = {}
    attributes: ClassVar[tuple[str, ...]] = ()
    tolerance: ClassVar[float] = 1e-4

    def __init__(self, config: Config) -> None:
        self.config = config

    def load_frozen(self, weights: str) -> None:
        """Reads the frozen networks that the terms need.

        Args:
            weights: folder with the weight archives of the feature networks.

        Raises:
            DataError: weights that are needed are missing or damaged.
            ConfigError: a network cannot be had under this backend.
        """

    def build(self) -> dict[str, keras.Model]:
        """New functional models by name, among them `released`.

        Raises:
            ConfigError: the settings describe no network.
        """
        raise NotImplementedError

    def build_released(self) -> keras.Model:
        """The released network alone, new."""
        return self.build()[self.released]

    def views(self, networks: Mapping[str, keras.Model]) -> dict[str, keras.Model]:
        """Models over the same variables to call in place of `networks`, with inner tensors as outputs."""
        return {}

    @property
    def players(self) -> Sequence[Player]:
        """In the order in which they are trained within a step; none for a `Solved` system."""
        raise NotImplementedError

    def forward(self, networks: Networks, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The forward pass that all players of a step share.

        Args:
            networks: all, by name.
            batch: tensors by name.

        Returns:
            Float tensors by name; the gradients of the main player go through them.
        """
        raise NotImplementedError

    def gates(self, critic: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Which players are to be updated, given what a critic has lost.

        Args:
            critic: the critic that has just been evaluated, not yet updated.
            values: its unweighted terms.

        Returns:
            Boolean scalars by player; who is not named is updated.
        """
        return {}

    def optimizer(self, player: Player) -> keras.optimizers.Optimizer:
        """The optimizer of a player, not yet built; `<player>_optimizer` must be its name."""
        return build_optimizer(self.config.train, f"{player.name}_optimizer")

    def load_data(self, folder: str) -> tuple[Any, Any] | None:
        """What is trained on, and what is held out, where that is no set of photographs.

        Args:
            folder: as given to the command; empty for drawn faces.

        Returns:
            Anything that `batches` takes, with a `mean_face`, uint8 [S, S, 3]; and what is held out, or None.
            None in place of both: photographs, or prepared shards of them.
        """
        return None

    def batches(self, training: Any, step: int) -> Any:
        """Batches of tensors named by `batch_names`, from a step on, without end; None for the common ones.

        Args:
            training: photographs (`data.photos.PhotoSet`) or prepared shards.
            step: steps done so far.

        Returns:
            A `tf.data.Dataset`, or None: portraits, photographs and transforms as `data.pipeline_tf` makes
            them. A system with batches of its own trains under TensorFlow only.
        """
        return None

    def recover(self, network: Callable[..., Tensor], portraits: Tensor) -> Tensor:
        """Answers of the released network.

        Args:
            network: the released network, or a function that computes the same.
            portraits: float32 [N, S, S, 3] in [-1, 1].

        Returns:
            Float32 [N, S, S, 3], about [-1, 1].
        """
        return network(portraits, training=False)

    def recover_told(self, network: Callable[..., Tensor], portraits: Tensor, attributes: Tensor) -> Tensor:
        """Answers of a released network that is told `attributes`; `recover` gives those to zeros.

        Args:
            network: as for `recover`.
            portraits: float32 [N, S, S, 3] in [-1, 1].
            attributes: float32 [N, A] in [-1, 1], A names in `attributes`; 0 says nothing.

        Returns:
            Float32 [N, S, S, 3], about [-1, 1].
        """
        # A network takes a list of arrays or one of tensors, not a mixture.
        inputs = [keras.ops.convert_to_tensor(each) for each in (portraits, attributes)]
        return network(inputs, training=False)

    def architecture(self) -> str:
        """One line for the model card."""
        return self.name

    @property
    def main(self) -> Player:
        """The player that is trained through `forward`."""
        (main,) = (player for player in self.players if not player.critic)
        return main

    def metric_names(self) -> list[str]:
        """Names of the values that a training step reports, in their order."""
        critics = [player for player in self.players if player.critic and player.terms]
        names = ["loss", *(term.name for term in self.main.terms)]
        names += [f"{critic.name}_{term.name}" for critic in critics for term in critic.terms]
        if critics:
            names += [f"{player.name}_updates" for player in (*critics, self.main)]
        return names


class Solved(System):
    """A system that has no network of its own and trains nothing: every answer minimises `objective`.

    `training/solve.py` does so.
    """

    released = ""

    def build(self) -> dict[str, keras.Model]:
        """None."""
        return {}

    @property
    def players(self) -> Sequence[Player]:
        """None."""
        return ()

    def objective(self, answers: Tensor, targets: Mapping[str, Any]) -> Tensor:
        """The loss of answers, a float32 scalar in `keras.ops`.

        Args:
            answers: float32 [N, S, S, 3] in [-1, 1].
            targets: what they are to agree with, tensors by name.
        """
        raise NotImplementedError


def create(config: Config) -> System:
    """The system of a configuration.

    Raises:
        ConfigError: there is none of that name.
    """
    if config.system not in system_names():
        raise ConfigError(f"Expected one of the systems {system_names()}. Received: {config.system!r}.")
    system: System = importlib.import_module(f"ifrp_tf.systems.{config.system}.system").SYSTEM(config)
    return system


def build_released(config: Config) -> keras.Model:
    """The released network of a configuration, with new weights, computing in float32."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")  # whatever precision the network was trained in
    try:
        return create(config).build_released()
    finally:
        keras.config.set_dtype_policy(policy)
