"""TensorFlow without its start-up chatter, for whoever asked for silence with `TF_CPP_MIN_LOG_LEVEL`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def start_up() -> Iterator[None]:
    """Holds back what is written to the error stream inside, if `TF_CPP_MIN_LOG_LEVEL` is 2 or 3.

    TensorFlow prints its first lines before it has read that variable, from C++ that Python cannot silence.
    They are dropped, unless an exception ends the block: then they are printed, for they may say why.

    Example:
        >>> with start_up():
        ...     import tensorflow  # doctest: +SKIP
    """
    wanted = os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("2", "3") and "tensorflow" not in sys.modules
    if not wanted or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
