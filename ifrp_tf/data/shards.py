"""Prepared photographs: TFRecord shards with a manifest (`prepare_faces.py`), and `tf.data` batches of them.

As in `data.py`, position is one integer: which photographs and portraits a step sees is a function of (seed,
step). Photographs are dealt to the shards by a hash of their names, so a pass takes the shards in a new order
and the photographs of each shard in a new order, with one shard in memory.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ifrp_tf.core import files
from ifrp_tf.core.config import Config, DataConfig
from ifrp_tf.core.errors import ConfigError, DataError
from ifrp_tf.core.types import Tensor
from ifrp_tf.data import pipeline_tf
from ifrp_tf.data.photos import PhotoSet
from ifrp_tf.pictures import images

MANIFEST = "manifest.json"
FORMAT = 1
# Settings that rendered portraits do not depend on.
_FREE = {"validation_count", "group", "labels"}


def is_prepared(folder: str | Path) -> bool:
    """Whether `folder` holds the manifest of prepared shards."""
    return bool(str(folder)) and (Path(folder) / MANIFEST).is_file()


def write_shard(path: Path, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Writes one shard, whole or not at all, and returns the `count`, `bytes` and `sha256` of the file.

    Args:
        path: of the shard.
        records: `name` str, `photo` uint8 [S, S, 3], `portraits` uint8 [k, S, S, 3], `transforms` float32
            [k, 4] and `mirrored` bool [k]: whether a portrait shows the photograph mirrored. k may be 0.

    Raises:
        DataError: If it cannot be written.
    """
    count = 0
    try:
        with files.atomic(path) as temporary:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for count, record in enumerate(records, start=1):  # noqa: B007
                    writer.write(_serialised(record))
            entry = {"count": count, "bytes": temporary.stat().st_size, "sha256": files.sha256(temporary)}
    except tf.errors.OpError as error:
        raise DataError(f"{str(path)!r} could not be written: {error}.", hint="Is the disk full?") from error
    return entry


def _serialised(record: Mapping[str, Any]) -> bytes:
    def texts(values: Sequence[bytes]) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    transforms = np.asarray(record["transforms"], np.float32).ravel()
    features = {
        "name": texts([record["name"].encode()]),
        "photo": texts([images.encode_png(record["photo"])]),
        "portraits": texts([images.encode_png(portrait) for portrait in record["portraits"]]),
        "transforms": tf.train.Feature(float_list=tf.train.FloatList(value=transforms)),
        "mirrored": tf.train.Feature(int64_list=tf.train.Int64List(value=map(int, record["mirrored"]))),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A folder of prepared shards, its training part.

    Attributes:
        folder: with the manifest.
        manifest: what `prepare_faces.run` wrote.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path, config: DataConfig) -> Prepared:
        """Opens a prepared folder after checking that it is whole and fits the settings.

        Args:
            folder: with a `manifest.json`.
            config: `side` and `crop` must be those of the shards; where portraits were rendered, all that
                they depend on must be.

        Raises:
            DataError: If the manifest or a shard is missing, damaged or of another size.
            ConfigError: If the settings differ.
        """
        folder = Path(folder)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise ValueError(f"format {manifest['format']}")
            for entry in (*manifest["train"], *manifest["validation"]):
                size = (folder / entry["file"]).stat().st_size
                if size != entry["bytes"]:
                    raise ValueError(f"{entry['file']} has {size:,} bytes, expected {entry['bytes']:,}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"Expected prepared shards in {folder}. Received: {error}.", hint="Prepare them again."
            ) from error
        made, now = manifest["data"], json.loads(json.dumps(dataclasses.asdict(config)))
        keys = set(now) - _FREE if manifest["portraits"] else {"side", "crop"}
        wrong = sorted(key for key in keys & set(made) if made[key] != now[key])
        if wrong:
            shown = "; ".join(f"data.{key}={made[key]!r}, not {now[key]!r}" for key in wrong)
            raise ConfigError(
                f"Expected the settings of the shards in {folder}: {shown}.", hint="Give them as they were."
            )
        return cls(folder, manifest)

    def __len__(self) -> int:
        return sum(entry["count"] for entry in self.manifest["train"])

    @functools.cached_property
    def mean_face(self) -> np.ndarray:
        """The pixel-wise mean training photograph, uint8 [side, side, 3]."""
        return images.read(self.folder / "mean_face.png").pixels

    def mean_of_photos(self) -> np.ndarray:
        """Computes `mean_face`, a picture at a time."""
        names = [str(self.folder / entry["file"]) for entry in self.manifest["train"]]
        side, total = self.manifest["data"]["side"], np.zeros(3, np.float64)
        for record in tf.data.TFRecordDataset(names):
            total = total + _photo(record, side)[1].numpy()
        return np.round(total / len(self)).astype(np.uint8)

    def parts(self, *, rendered: bool = True) -> tuple[Any, PhotoSet]:
        """What is trained on and what is held out: photographs in memory, or itself if it has portraits.

        Args:
            rendered: whether portraits can be used; else photographs are stylised again.
        """
        training = self if rendered and self.manifest["portraits"] else self.load("train")
        held_out = self.load()
        logging.info("prepared: %d photographs for training, %d for validation", len(training), len(held_out))
        return training, held_out

    def select(self, indices: Iterable[int]) -> PhotoSet:
        """Training photographs in memory, by their places in the shards: see `PhotoSet.select`."""
        chosen = list(indices)
        return self.load("train", limit=max(chosen, default=0) + 1).select(chosen)

    def load(self, part: str = "validation", *, limit: int = 0) -> PhotoSet:
        """The first `limit` (0: all) photographs of a part, `train` or `validation`, in memory."""
        names = [str(self.folder / entry["file"]) for entry in self.manifest[part]]
        side = self.manifest["data"]["side"]
        found = tf.data.TFRecordDataset(names).take(limit or -1)
        rows = list(found.map(lambda record: _photo(record, side), num_parallel_calls=2).as_numpy_iterator())
        return PhotoSet(np.stack([row[1] for row in rows]), tuple(row[0].decode() for row in rows))

    def batches(self, config: Config, *, step: int = 0) -> tf.data.Dataset:
        """Training batches from `step` on, without end; elements are those of `data.batches`.

        Rendered portraits are taken in turn: a photograph shows another one every pass. Where there are none,
        photographs are read into memory and stylised on the fly.

        Raises:
            DataError: if there are fewer photographs than pictures in a batch.
        """
        train, count, side = config.train, self.manifest["portraits"], config.data.side
        if not count:
            return pipeline_tf.batches(self.load("train"), config, step=step)
        if len(self) < train.batch_size:
            raise DataError(
                f"Expected at least train.batch_size={train.batch_size} photographs. Received: {len(self)}."
            )
        records = self._records(step * train.batch_size, train.seed)
        made = records.map(lambda record, turn: _pair(record, turn, side, count), num_parallel_calls=2)
        return made.batch(train.batch_size, drop_remainder=True).prefetch(4)

    def _records(self, position: int, seed: int) -> tf.data.Dataset:
        """(serialised record, turn of its portraits) from `position` on, without end."""
        names = tf.constant([str(self.folder / entry["file"]) for entry in self.manifest["train"]])
        counts = [entry["count"] for entry in self.manifest["train"]]
        passed, rest = divmod(position, sum(counts))
        place = 0
        while rest >= (size := counts[int(_shard_at(passed * len(counts) + place, len(counts), seed))]):
            rest, place = rest - size, place + 1

        def shard(visit: Tensor) -> tf.data.Dataset:
            number = _shard_at(visit, len(counts), seed)
            whole = tf.data.TFRecordDataset(tf.gather(names, number)).batch(max(counts))
            return whole.flat_map(lambda records: shuffled(records, visit))

        def shuffled(records: Tensor, visit: Tensor) -> tf.data.Dataset:
            key = tf.stack([tf.cast(seed, tf.int64), visit])
            order = tf.random.experimental.stateless_shuffle(tf.range(tf.size(records, tf.int64)), key)
            turns = order + visit // len(counts)
            return tf.data.Dataset.from_tensor_slices((tf.gather(records, order), turns))

        first = passed * len(counts) + place
        return tf.data.Dataset.range(first, np.iinfo(np.int64).max).flat_map(shard).skip(rest)


def _shard_at(visit: Tensor, count: int, seed: int) -> Tensor:
    """Which shard is read as the `visit`-th: every pass takes all of them, in a new order."""
    visit = tf.cast(visit, tf.int64)
    key = tf.stack([tf.cast(seed, tf.int64), visit // count])
    return tf.random.experimental.index_shuffle(visit % count, key, tf.cast(count - 1, tf.int64))


def _photo(record: Tensor, side: int) -> tuple[Tensor, Tensor]:
    form = {name: tf.io.FixedLenFeature((), tf.string) for name in ("name", "photo")}
    parsed = tf.io.parse_single_example(record, form)
    return parsed["name"], _decoded(parsed["photo"], side)


def _pair(record: Tensor, turn: Tensor, side: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    form = {
        "photo": tf.io.FixedLenFeature((), tf.string),
        "portraits": tf.io.FixedLenFeature((count,), tf.string),
        "transforms": tf.io.FixedLenFeature((count, 4), tf.float32),
        "mirrored": tf.io.FixedLenFeature((count,), tf.int64),
    }
    parsed, chosen = tf.io.parse_single_example(record, form), turn % count
    photo = images.to_model_range(_decoded(parsed["photo"], side))
    photo = tf.where(parsed["mirrored"][chosen] > 0, tf.reverse(photo, [1]), photo)
    portrait = images.to_model_range(_decoded(parsed["portraits"][chosen], side))
    return portrait, photo, parsed["transforms"][chosen]


def _decoded(data: Tensor, side: int) -> Tensor:
    return tf.ensure_shape(tf.io.decode_png(data, channels=3), (side, side, 3))
