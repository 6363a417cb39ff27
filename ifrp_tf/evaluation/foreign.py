"""The protocol of portraits that other people's style networks painted: the honest yardstick.

Styles made by the project's own formulas and its own style bank flatter a model that was trained on their
relatives. These portraits come from networks, styles and photographs that no model here is trained on; they
are already tilted. The folder holds `val.csv` (see `foreign_portraits`) and, relative to it, the portraits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ifrp_tf.core.errors import DataError
from ifrp_tf.data import foreign
from ifrp_tf.evaluation.pairs import Pictures, Problem, Protocol, by_name, digest, read
from ifrp_tf.evaluation.protocols import some_of
from ifrp_tf.pictures import images

TABLE = "val.csv"


class Foreign(Protocol):
    """Portraits by foreign networks, by style, and their photographs.

    Args:
        folder: with `val.csv` and the portraits.
        faces: folder of the photographs; a photograph is called there by the end of its path in the table.
        side: of the pictures, pixels.
        limit: portraits to take of each style, chosen by a hash of their names; 0 = all.
        table: name of the table in `folder`.

    Raises:
        DataError: if the table cannot be used, or not one of its photographs is in `faces`.

    Example:
        >>> protocol = Foreign("data/foreign", "data/faces/test", side=128)  # doctest: +SKIP
        >>> {style: len(names) for style, names in protocol.styles.items()}  # doctest: +SKIP
        {'val_ink_woodcut': 250, ...}
    """

    name = "foreign"

    def __init__(
        self, folder: str | Path, faces: str | Path, *, side: int, limit: int = 0, table: str = TABLE
    ) -> None:
        self.side = side
        problems: list[Problem] = []
        root = Path(faces)
        files = {path.relative_to(root).as_posix(): path for path in images.list_pictures(root)}
        named = {path: name for name, path in by_name(files, problems, "duplicate_photo").items()}
        self._portraits: dict[tuple[str, str], tuple[Path, float]] = {}
        photos: dict[str, Path] = {}
        for row in foreign.rows(Path(folder), table):
            place = foreign.ending(row["photo"], files)
            name = named.get(files[place]) if place else None
            if place is None or name is None:
                problems.append(Problem(row["portrait"], "no_photo", f"no photograph {row['photo']!r}."))
                continue
            photos[name] = files[place]
            tilt = math.degrees(float(row["undo_theta_rad"]))
            self._portraits[row.get("style") or "foreign", name] = Path(folder) / row["portrait"], tilt
        if not photos:
            raise DataError(
                f"Expected photographs of {Path(folder) / table} in {str(faces)!r}. Received: none.",
                hint="The column photo names files as the folder of photographs does.",
            )
        styles: dict[str, list[str]] = {}
        for style, name in self._portraits:
            styles.setdefault(style, []).append(name)
        self.styles = {style: tuple(some_of(names, limit)) for style, names in sorted(styles.items())}
        used = {name for names in self.styles.values() for name in names}
        self._photos = {name: photos[name] for name in some_of(used, 0)}
        self.photos, self.problems = tuple(self._photos), tuple(problems)
        self.settings = {
            "photos": digest(self._photos.values()),
            "portraits": digest(path for path, _ in self._portraits.values()),
            "styles": list(self.styles),
            "side": side,
            "limit": limit,
        }

    def read_photos(self, names: Sequence[str]) -> Pictures:
        """The photographs of those names."""
        return read({name: self._photos[name] for name in names}, self.side, rule="crop")

    def read_portraits(self, style: str, names: Sequence[str]) -> Pictures:
        """The portraits of those photographs in a style, with their tilts."""
        found = read({name: self._portraits[style, name][0] for name in names}, self.side)
        angles = tuple(round(self._portraits[style, name][1], 4) for name in found.names)
        return Pictures(found.names, found.pixels, found.problems, angles)
