"""Faults 201-203: pictures whose faces were the wrong way up, or none."""

import functools
from pathlib import Path

import numpy as np
import pytest
from faults import Fault
from skimage.data import astronaut, coffee

from benchmarks import empties
from ifrp_tf.core.errors import ConfigError
from ifrp_tf.pictures import images
from ifrp_tf.recovery import crops, detection
from ifrp_tf.recovery.blazeface import BlazeFace

detector = functools.cache(BlazeFace)


def turned_scans(_: Path) -> list[tuple[int, np.ndarray]]:
    """Of a whole picture, and of one that is all face."""
    pictures = (astronaut(), astronaut()[60:182, 164:286])
    return [(turn, np.rot90(one, -turn // 90)) for one in pictures for turn in detection.WAYS]


def the_right_way_up(made: list[tuple[int, np.ndarray]]) -> None:
    for turn, pixels in made:
        (face,) = detection.find(np.ascontiguousarray(pixels), detector())
        assert abs((face.place.angle - turn + 180) % 360 - 180) < 15


def art_without_a_face(_: Path) -> list[np.ndarray]:
    kinds = (empties._nebula, empties._stairs, empties._glass, empties._blobs)
    return [coffee(), *(kind(np.random.default_rng(seed)) for kind in kinds for seed in (7, 77))]


def nothing_found(made: list[np.ndarray]) -> None:
    assert [detection.find(pixels, detector()) for pixels in made] == [[]] * len(made)


def holiday_photographs(folder: Path) -> Path:
    images.write_png(folder / "holiday.png", np.ascontiguousarray(astronaut()))
    return folder


def refused_with_the_cure(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"holiday\.png: a face of") as refused:
        crops.check(folder, detector=detector())
    assert "prepare_faces.py --align" in refused.value.hint


ROWS = [
    Fault(201, "a scan that is turned", turned_scans, the_right_way_up),
    Fault(202, "art without a face", art_without_a_face, nothing_found),
    Fault(203, "whole photographs given for crops", holiday_photographs, refused_with_the_cure),
]
