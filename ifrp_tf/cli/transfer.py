"""Changes one attribute of a face and keeps the person: DIAT (Li, Zuo and Zhang 2016).

python tools/transfer.py --model=runs/diat_mouth --input=photos --output=changed
python tools/transfer.py --model=runs/diat_mouth --input=paintings --output=changed --portraits   # by the SRN

Every attribute has a model of its own, which --preset=diat trains; none is released yet. Once one is,
--attribute=mouth finds it as diat_mouth beside the released models. Writes <stem>_<attribute>.png, the face
in its frame, <stem>_<attribute>_sheet.png (before | after) and report.json. The answer shows what was not:
every file says so. Exit code: 0 all good, 1 some pictures failed, 2 wrong usage, 3 model unusable, 130
interrupted.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.cli.command import option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `transfer` is asked for.

    Attributes:
        input: A file, a folder or a pattern.
        output: Folder for the answers.
        attribute: What faces are to have, such as smile or glasses=-1. Empty: what the model gives.
        model: A version, a folder of versions or a run. Empty: a released one for the attribute.
        portraits: The pictures are portraits; the SRN makes photographs of them first.
        srn: The model that does it. Empty: the released one.
        face: Of a picture with several, from 1 from the left; 0: such pictures are refused.
        overwrite: Make everything again.
    """

    input: str
    output: str
    attribute: str = ""
    model: str = ""
    portraits: bool = False
    srn: str = ""
    face: int = option(0, low=0)
    overwrite: bool = False


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(request.input, request.model, request.srn)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.core import assets
        from ifrp_tf.recovery import transfer
        from ifrp_tf.recovery.recoverer import Recoverer

    model = transfer.Transfer.load(transfer.find(request.attribute, request.model))
    restore = Recoverer.load(request.srn or assets.MODEL) if request.portraits else None
    given = {**vars(request), "input": "", "output": "", "overwrite": False}
    return transfer.transfer_all(
        request.input,
        request.output,
        model,
        restore=restore,
        face=request.face,
        settings=f"transfer {given} {model.fingerprint} {restore and restore.fingerprint}",
        overwrite=request.overwrite,
        say=print,
    )
