"""Shows what a person looks like, frontal, neutral and evenly lit: normalised faces after Cole et al. 2017.

python tools/normalise.py --input=photos --output=normalised
python tools/normalise.py --input=paintings --output=normalised --portraits   # through the released SRN
python tools/normalise.py --input=ann --output=ann_normalised --average       # several pictures of one person
python tools/normalise.py --input=holidays --output=balanced --white_balance  # the whole photographs, too

Writes <stem>_normalised.png, <stem>_texture.png and report.json with the landmarks; with --average also
average_normalised.png, with --white_balance <stem>_balanced.png, with --obj a mesh with the texture. The face
is what a recogniser's features leave of it: a guess, not evidence. Exit code: 0 all good, 1 some pictures
failed, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `normalise` is asked for.

    Attributes:
        input: A file, a folder or a pattern.
        output: Folder for the answers.
        model: Of normalised faces: a version, a folder of versions or a run. Empty: the released one.
        portraits: The pictures are portraits; the SRN makes photographs of them first.
        srn: The model that does it. Empty: the released one.
        face: Of a picture with several, from 1 from the left; 0: such pictures are refused.
        average: All pictures show one person: their mean is decoded, too.
        white_balance: Also write the whole photographs in the light that their faces tell.
        obj: Also write the faces as meshes.
        overwrite: Make everything again.
    """

    input: str
    output: str
    model: str = ""
    portraits: bool = False
    srn: str = ""
    face: int = option(0, low=0)
    average: bool = False
    white_balance: bool = False
    obj: bool = False
    overwrite: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime
    from ifrp_tf.core.errors import ConfigError

    files.require(request.input, request.model, request.srn)
    if request.portraits and request.white_balance:
        raise ConfigError(
            "Expected `white_balance` of photographs. Received: it with `portraits`, whose colours are paint."
        )
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.core import assets
        from ifrp_tf.recovery import normalised
        from ifrp_tf.recovery.recoverer import Recoverer

    model = normalised.Normaliser.load(request.model or normalised.MODEL)
    restore = Recoverer.load(request.srn or assets.MODEL) if request.portraits else None
    given = {**vars(request), "input": "", "output": "", "overwrite": False, "obj": False, "average": False}
    return normalised.normalise_all(
        request.input,
        request.output,
        model,
        restore=restore,
        face=request.face,
        average=request.average,
        white_balance=request.white_balance,
        obj=request.obj,
        settings=f"normalise {given} {model.fingerprint} {restore and restore.fingerprint}",
        overwrite=request.overwrite,
        say=print,
    )
