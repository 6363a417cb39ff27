"""Runs tools with wrong usage in a process in which TensorFlow, Keras and JAX cannot be imported.

Reads `[[tool, *flags], ...]` as JSON and writes `[{"code", "said", "early", "seconds"}, ...]`: the exit code,
what the tool wrote, the module that it asked for too early, and processor seconds. Every tool runs in a fork
of this process, which has the light packages already: the whole takes seconds.
"""

import contextlib
import importlib
import importlib.abc
import io
import json
import os
import runpy
import sys
import time
import traceback
from pathlib import Path

HEAVY = ("tensorflow", "keras", "jax", "tensorflow_serving", "mtcnn", "scipy", "skimage")
LIGHT = ("absl.flags", "numpy", "PIL.Image", "grpc", "google.protobuf.json_format")
TOOLS = Path(__file__).resolve().parents[2] / "tools"


class Barred(importlib.abc.MetaPathFinder):
    """Refuses the heavy packages, and remembers which was asked for first."""

    def __init__(self):
        self.asked = None

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            self.asked = self.asked or name
            raise ImportError(f"{name} is asked for before the usage is known to be right")


def probe(tool, flags):
    barred, written = Barred(), io.StringIO()
    sys.meta_path.insert(0, barred)
    sys.path.insert(0, str(TOOLS))
    sys.argv = [str(TOOLS / f"{tool}.py"), *flags]
    code, start = None, time.process_time()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
    seconds = time.process_time() - start
    return {"code": code, "said": written.getvalue()[-8000:], "early": barred.asked, "seconds": seconds}


def forked(tool, flags):
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        with os.fdopen(theirs, "w") as pipe:
            json.dump(probe(tool, flags), pipe)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def main():
    sys.path.insert(0, str(TOOLS.parent))
    for name in LIGHT:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not set(HEAVY) & set(sys.modules)
    print(json.dumps([forked(tool, flags) for tool, *flags in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
