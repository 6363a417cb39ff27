"""Recover the photorealistic, aligned face behind an artistic portrait (IFRP).

Example:
    >>> from ifrp_tf import Recoverer
    >>> recoverer = Recoverer.load()  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ifrp_tf.core import environment

if TYPE_CHECKING:
    from ifrp_tf.client.client import Client as Client
    from ifrp_tf.core.config import Config as Config
    from ifrp_tf.core.errors import ConfigError as ConfigError
    from ifrp_tf.core.errors import DataError as DataError
    from ifrp_tf.core.errors import IfrpError as IfrpError
    from ifrp_tf.core.errors import ImageError as ImageError
    from ifrp_tf.core.errors import ModelError as ModelError
    from ifrp_tf.core.errors import ServingError as ServingError
    from ifrp_tf.core.errors import TrainingError as TrainingError
    from ifrp_tf.core.presets import preset as preset
    from ifrp_tf.evaluation.run import evaluate as evaluate
    from ifrp_tf.recovery.recoverer import Options as RecoverOptions  # noqa: F401
    from ifrp_tf.recovery.recoverer import Recoverer as Recoverer
    from ifrp_tf.release.load import load as load_model  # noqa: F401

__version__ = "0.2.0"

environment.prepare()

_PUBLIC = {
    "Client": "client.client:Client",
    "Config": "core.config:Config",
    "Recoverer": "recovery.recoverer:Recoverer",
    "RecoverOptions": "recovery.recoverer:Options",
    "evaluate": "evaluation.run:evaluate",
    "load_model": "release.load:load",
    "preset": "core.presets:preset",
    **{
        f"{kind}Error": f"core.errors:{kind}Error"
        for kind in ("Ifrp", "Config", "Data", "Image", "Model", "Serving", "Training")
    },
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for: `import ifrp_tf` itself costs nothing (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
