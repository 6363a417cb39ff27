"""Measures a style bank: which style image its faces are nearest to, and whether the person is still known.

python tools/check_style_bank.py --styles=data/styles/paper,data/styles/extra --faces=data/faces/test

Prints a table in Markdown. Exit code: 0 done, 1 the data cannot be used, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

from absl import flags
from launch import launch

_BANK = flags.DEFINE_string("bank", "", "Folder of the bank. Empty: the one that is shipped.")
_STYLES = flags.DEFINE_list("styles", None, "Style images, folders or patterns, by commas.", required=True)
_FACES = flags.DEFINE_string("faces", "data/faces/test", "Folder of test photographs.")
_COUNT = flags.DEFINE_integer("count", 500, "Photographs, which are also the gallery.", lower_bound=6)
_WEIGHTS = flags.DEFINE_string("weights", "data/weights", "Folder with VGG-19 and MobileFaceNet.")
_JSON = flags.DEFINE_string("json", "", "Also write the numbers here.")


def main() -> int:
    """Returns the exit code."""
    from ifrp_tf.core import files, runtime

    files.require(*_STYLES.value, _BANK.value, _FACES.value)
    with runtime.start_up():  # late: --help and wrong usage need no TensorFlow
        from ifrp_tf.evaluation.diagnostics import style_bank
    print(
        style_bank.run(
            _BANK.value,
            _STYLES.value,
            _FACES.value,
            weights=_WEIGHTS.value,
            count=_COUNT.value,
            json_file=_JSON.value,
        )
    )
    return 0


if __name__ == "__main__":
    launch(main, __doc__)
