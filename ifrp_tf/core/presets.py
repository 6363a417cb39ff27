"""Named configurations. Each is a complete experiment; `--set` changes single values.

The presets themselves are declared by the systems (`PRESETS` in `ifrp_tf/systems/<system>/settings.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from ifrp_tf.core import files
from ifrp_tf.core.config import Config, nearest, system_names, system_settings
from ifrp_tf.core.errors import ConfigError


def all_presets() -> dict[str, Callable[[], Config]]:
    """What makes each preset, by its name, over all systems; those of `ifrp` first."""
    found: dict[str, Callable[[], Config]] = {}
    for system in sorted(system_names(), key=lambda name: name != "ifrp"):
        found.update(system_settings(system).PRESETS)
    return found


def preset(name: str) -> Config:
    """The configuration called `name`.

    Args:
        name: of a preset, such as `modern` or `pix2pix`.

    Raises:
        ConfigError: if there is none, naming the nearest.
    """
    known = all_presets()
    if name not in known:
        raise ConfigError(f"Unknown preset {name!r}.", hint=nearest(name, list(known)))
    return known[name]()


def check_data(name: str, data: str) -> None:
    """Raises unless there are photographs where a preset needs them; needs no TensorFlow.

    Args:
        name: of the preset.
        data: folder of photographs, or what `tools/prepare_faces.py` made; empty = drawn faces.

    Raises:
        ConfigError: none are named, and the preset is not one that draws its own (its name ends in `toy`).
        DataError: there are none.
    """
    if data:
        files.list_pictures(data)
    elif not name.endswith("toy"):
        raise ConfigError(
            f"Expected `data=FOLDER` of photographs for preset {name}. Received: none.",
            hint="Only the preset toy draws its own faces.",
        )
