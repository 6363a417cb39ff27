"""Photographs of faces -> checked, de-duplicated TFRecord shards, perhaps with portraits made beforehand.

Finished shards are kept when it is interrupted and started again with the same words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core import files, runtime
from ifrp_tf.core.config import DataConfig
from ifrp_tf.core.errors import ConfigError, DataError, ImageError
from ifrp_tf.data import photos, screening
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images
from ifrp_tf.styles import sets

PROGRESS = "progress.json"
SHARD_PHOTOS = 1_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `run` is asked for.

    Attributes:
        source: folder of photographs, searched recursively.
        output: folder for the shards: empty, or of the same request interrupted.
        data: `side`, `crop`, `validation_count` (held out by a hash of the person), and for the portraits all
            that concerns misalignment, styles and degradations; `sketches` and `foreign` are not used.
        shards: of the training photographs; 0: one for about a thousand.
        portraits: to render for each photograph; 0: none.
        test: folder of photographs to keep apart from; empty: none.
        seed: of the portraits' random numbers.
    """

    source: str
    output: str
    data: DataConfig = DataConfig()
    shards: int = 0
    portraits: int = 0
    test: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.shards <= 100_000 and 0 <= self.portraits <= 1_000 and self.seed >= 0):
            raise ConfigError(
                "Expected shards 0 to 100,000, portraits 0 to 1,000 and a seed of at least 0. "
                f"Received: {self.shards}, {self.portraits} and {self.seed}."
            )


def run(request: Request, *, say: Callable[[str], object] = logging.info) -> int:
    """Writes the shards, `mean_face.png` and `manifest.json`, and says what was dropped and why.

    Args:
        request: what is asked for.
        say: gets the text that a person wants to read.

    Returns:
        The exit code: 0, or 1 where files could not be read as pictures.

    Raises:
        ConfigError: A setting is out of range, or the folder holds something else.
        DataError: There are too few photographs, or the results cannot be written.
    """
    request = dataclasses.replace(request, data=dataclasses.replace(request.data, sketches="", foreign=""))
    output, found = Path(request.output), images.list_pictures(request.source)
    tested = images.list_pictures(request.test) if request.test else []
    styles = sets.of(request.data) if request.portraits else ()
    with runtime.start_up():  # late: a wrong name must not wait for it
        from ifrp_tf.data import shards
    key = _key(request, found, tested)
    if shards.is_prepared(output):
        _same(key, json.loads((output / shards.MANIFEST).read_text(encoding="utf-8")), output)
        say(f"{output} is prepared already")
        return 0
    progress = _begin(request, key, found, tested)
    for name, members in progress["plan"].items():
        if not _kept(output / name, progress["done"].get(name)):
            part, number = name.split("-")[:2]
            made = photos_of(request, members)
            portraits = request.portraits if part == "train" else 0
            records = _records(request, made, styles, portraits, int(number))
            progress["done"][name] = shards.write_shard(output / name, records)
            _save(output / PROGRESS, progress)
            logging.info("%s: %d photographs", name, len(members))
    manifest: dict[str, Any] = {
        "format": shards.FORMAT,
        "key": key,
        "portraits": request.portraits,
        "styles": styles,
    }
    manifest |= {"data": dataclasses.asdict(request.data), "request": dataclasses.asdict(request)}
    for part in ("train", "validation"):
        names = [name for name in progress["plan"] if name.startswith(part)]
        manifest[part] = [{"file": name, **progress["done"][name]} for name in names]
    manifest["dropped"] = progress["dropped"]
    prepared = shards.Prepared(output, manifest)
    images.write_png(output / "mean_face.png", prepared.mean_of_photos())
    _save(output / shards.MANIFEST, manifest)  # the last: with it the folder is whole
    (output / PROGRESS).unlink(missing_ok=True)
    say("\n".join(_lines(manifest, len(found))))
    return 1 if any(reason.startswith(screening.UNREADABLE) for _, reason in manifest["dropped"]) else 0


def photos_of(request: Request, names: Sequence[str]) -> PhotoSet:
    """The photographs of these names below the source, as they are stored; any failure is an error."""
    try:
        pixels = [screening.decoded(Path(request.source) / name, request.data) for name in names]
    except ImageError as error:
        raise DataError(f"A photograph changed meanwhile: {error}", hint="Start again.") from error
    return PhotoSet(np.stack(pixels), tuple(names))


def _key(request: Request, *folders: Sequence[Path]) -> str:
    """A digest of everything that the result depends on."""
    settings = {**dataclasses.asdict(request), "output": ""}
    start = json.dumps(settings, sort_keys=True)
    return files.fingerprint((path for folder in folders for path in folder), start=start)


def _same(key: str, found: dict[str, Any], output: Path) -> None:
    if found.get("key") != key:
        raise ConfigError(
            f"Expected an empty folder, or one of the same request. Received: {output} holds another.",
            hint="Choose another `output`, or delete that folder.",
        )


def _begin(request: Request, key: str, found: Sequence[Path], tested: Sequence[Path]) -> dict[str, Any]:
    """The plan of an interrupted run, or a new one."""
    path = Path(request.output) / PROGRESS
    if path.is_file():
        progress = json.loads(path.read_text(encoding="utf-8"))
        _same(key, progress, path.parent)
        return progress
    if path.parent.is_dir() and any(path.parent.iterdir()):
        _same(key, {}, path.parent)
    names, dropped = screening.choose(request.source, found, request.test, tested, request.data)
    plan = _plan(names, request)
    spare = sorted(set(names).difference(*plan.values()))  # persons are held out whole, photographs counted
    dropped += [(name, "spare: its person is held out") for name in spare]
    progress = {"key": key, "plan": plan, "dropped": dropped, "done": {}}
    _save(path, progress)
    return progress


def _save(path: Path, values: dict[str, Any]) -> None:
    files.write_bytes_atomic(path, json.dumps(values, indent=1).encode())


def _kept(path: Path, entry: dict[str, Any] | None) -> bool:
    whole = entry is not None and path.is_file() and path.stat().st_size == entry["bytes"]
    return whole and entry is not None and files.sha256(path) == entry["sha256"]


def _plan(names: Sequence[str], request: Request) -> dict[str, list[str]]:
    """Shard -> its photographs; who is held out is decided as `photos.split` does."""
    empty = PhotoSet(np.empty((len(names), 0), np.uint8), tuple(names))
    training, held = photos.split(empty, request.data.validation_count)
    plan: dict[str, list[str]] = {}
    for part, members in (("train", training.names), ("validation", held.names)):
        shuffled = sorted(members, key=lambda name: hashlib.sha256(name.encode()).digest())
        wanted = (part == "train" and request.shards) or max(1, round(len(members) / SHARD_PHOTOS))
        count = min(wanted, len(members))
        plan |= {f"{part}-{k:05}-of-{count:05}.tfrecord": shuffled[k::count] for k in range(count)}
    return plan


def _records(
    request: Request, made: PhotoSet, styles: Sequence[str], count: int, number: int
) -> Iterator[dict[str, Any]]:
    """What is stored of each photograph; its portraits are in successive styles, every other one mirrored."""
    from ifrp_tf.data import pipeline_tf

    turns = np.arange(len(made) * count)
    mirrored = (turns // max(count, 1) + turns % max(count, 1)) % 2 == (1 if request.data.flip else 2)
    pixels = made.pixels[turns // max(count, 1)]
    pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    repeated = PhotoSet(pixels, tuple(str(turn) for turn in turns))
    # Another seed for every shard, or the k-th photographs of all shards would be tilted alike.
    seed = request.seed * 1_000_003 + number
    pairs = (
        iter(pipeline_tf.fixed_portraits(repeated, request.data, styles=styles, seed=seed))
        if count
        else iter(())
    )
    for k, name in enumerate(made.names):
        rendered = [next(pairs) for _ in range(count)]
        yield {
            "name": name,
            "photo": made.pixels[k],
            "portraits": [images.to_uint8(np.asarray(portrait)) for portrait, _, _ in rendered],
            "transforms": [np.asarray(transform) for _, _, transform in rendered],
            "mirrored": mirrored[k * count : (k + 1) * count],
        }


def _lines(manifest: dict[str, Any], found: int) -> list[str]:
    counts = {part: sum(entry["count"] for entry in manifest[part]) for part in ("train", "validation")}
    size = sum(entry["bytes"] for part in counts for entry in manifest[part])
    lines = [
        f"{found:,} files: {counts['train']:,} photographs for training in {len(manifest['train'])} shards, "
        f"{counts['validation']:,} for validation, {len(manifest['dropped']):,} dropped; {size / 1e6:,.1f} MB"
    ]
    for reason, count in Counter(why.split(":")[0] for _, why in manifest["dropped"]).most_common():
        first = next((name, why) for name, why in manifest["dropped"] if why.startswith(reason))
        lines.append(f"  {count:,} {reason}, such as {first[0]} ({first[1]})")
    if manifest["portraits"]:
        lines.append(f"{manifest['portraits']} portraits of each, in {len(manifest['styles'])} styles")
    return lines
