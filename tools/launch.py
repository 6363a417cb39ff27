"""Starts a tool: flags, exit codes, and no traceback for what a user can mend.

Exit codes of every tool: 0 all good, 1 some inputs failed, 2 wrong usage, 3 model unusable, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from absl import flags

from ifrp_tf.core.errors import ConfigError, IfrpError, ModelError

MODEL = str(Path(__file__).resolve().parent.parent / "saved_models" / "ifrp")
"""The model that is shipped, wherever a tool is started from."""


def launch(main: Callable[[], int], description: str) -> None:
    """Runs `main` after parsing the command line, and exits with its code.

    Args:
        main: does the work; its flags are parsed when it is called.
        description: the tool's docstring, for `--help`.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(main, description)
        if sys.stdout is not None:  # closed from the start
            sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _run(main: Callable[[], int], description: str) -> int:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if {"-h", "-help", "--help", "--helpshort", "--helpfull"} & set(sys.argv[1:]):
        print(f"{description.strip()}\n{flags.FLAGS.main_module_help()}")
        return 0
    try:
        extra = flags.FLAGS(sys.argv)[1:]
        if extra:
            raise ConfigError(f"Expected flags only. Received: {' '.join(extra)}.", hint="See --help.")
        return main()
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except flags.Error as error:
        return _fail(f"{error} See --help.", 2)
    except BrokenPipeError:
        raise
    except (IfrpError, OSError) as error:  # OSError: such as a full disk while training
        code = 2 if isinstance(error, ConfigError) else 3 if isinstance(error, ModelError) else 1
        return _fail(error, code)
    except Exception as error:
        if not _out_of_memory(error):
            raise
        first = (str(error).splitlines() or ["none is left."])[0]
        hint = "Take fewer pictures at a time; for training a smaller --set=train.batch_size."
        return _fail(f"Not enough memory: {first} {hint}", 1)


def _out_of_memory(error: Exception) -> bool:  # by name: neither TensorFlow nor JAX is imported here
    known = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    return known or str(error).startswith("RESOURCE_EXHAUSTED")


def _fail(words: object, code: int) -> int:
    print(f"{Path(sys.argv[0]).name}: {' '.join(str(words).split())}", file=sys.stderr)
    return code
