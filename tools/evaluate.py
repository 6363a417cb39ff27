"""Measures a model, always beside the trivial answers: the portrait as it is, the mean face, chance.

python tools/evaluate.py --model=saved_models/ifrp --portraits=P --photos=Q --json=r.json --report=R
python tools/evaluate.py --model=saved_models/ifrp --protocol=procedural --limit=200 --json=r.json --report=R
python tools/evaluate.py --model=saved_models/ifrp --protocol=sketches --json=r.json

P/<style>/<name>.<ext> pairs with Q/<name>.<ext>. A killed evaluation goes on when it is started again: what
was measured stands in <stem>.rows.jsonl beside the JSON. Exit code: 0 all portraits measured, 1 some not,
2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import MODEL, launch

_MODEL = flags.DEFINE_string("model", MODEL, "A version, a folder of versions, or a run's folder.")
_JSON = flags.DEFINE_string("json", None, "File for the result.", required=True)
_REPORT = flags.DEFINE_string("report", "", "Folder for report.html, evaluation.md, rows.csv and sheets.")
_PORTRAITS = flags.DEFINE_string("portraits", "", "Folder of <style>/<name>.<ext>.")
_PHOTOS = flags.DEFINE_string("photos", "", "Folder of <name>.<ext>: aligned, square, the tight frame.")
_PROTOCOL = flags.DEFINE_enum("protocol", "", ["", "procedural", "sketches", "paper"], "In place of folders.")
_FACES = flags.DEFINE_string("faces", "data/faces/test", "Photographs of --protocol=procedural.")
_SKETCHES = flags.DEFINE_string("sketches", "data/sketches", "Pairs of --protocol=sketches.")
_STYLES = flags.DEFINE_string("styles", "reserved", "Of procedural: train, reserved, all, or names.")
_LIMIT = flags.DEFINE_integer("limit", 0, "Photographs of a protocol (of each set of sketches); 0 = all.")
_SEED = flags.DEFINE_integer("seed", 0, "Of a protocol's random numbers.")
_GALLERY = flags.DEFINE_string("gallery", "", "Photographs to search; by default those of the protocol.")
_DESCRIPTOR = flags.DEFINE_enum(
    "descriptor",
    "dlib",
    ["dlib", "mobilefacenet", "facenet", "none"],
    "What compares faces; none leaves FRR and FCR out.",
)
_WEIGHTS = flags.DEFINE_string(
    "weights", "data/weights", "Folder with the descriptor's weights, or FaceNet's weights file (.h5)."
)
_DETECT = flags.DEFINE_integer("detect", 0, "Look for a face (mtcnn) in the first N pictures of each style.")
_TRUST = flags.DEFINE_boolean("trust", False, "Load a model whose checksums do not match: it is a program.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime
    from ifrp_tf.evaluation.request import Request
    from ifrp_tf.release import folder
    from ifrp_tf.styles import sets

    request = Request(
        model=_MODEL.value,
        json=_JSON.value,
        report=_REPORT.value,
        portraits=_PORTRAITS.value,
        photos=_PHOTOS.value,
        protocol=_PROTOCOL.value,
        faces=_FACES.value,
        sketches=_SKETCHES.value,
        styles=_STYLES.value,
        limit=_LIMIT.value,
        seed=_SEED.value,
        gallery=_GALLERY.value,
        descriptor=_DESCRIPTOR.value,
        weights=_WEIGHTS.value,
        detect=_DETECT.value,
        trust=_TRUST.value,
    )
    folder.locate(request.model)
    needed = {"procedural": request.faces, "sketches": request.sketches}.get(request.protocol, "")
    files.require(request.portraits, request.photos, request.gallery, needed)
    if request.protocol == "procedural":
        sets.resolve(request.styles, allow_reserved=True)
    with runtime.start_up():  # late: wrong usage need not wait for TensorFlow
        from ifrp_tf.evaluation import run
    return run.run(request)


if __name__ == "__main__":
    launch(main, __doc__)
