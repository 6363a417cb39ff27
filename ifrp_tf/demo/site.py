"""A page without a server: a folder of files for any static host, whose visitors' browsers do all the work.

The network is ONNX with its weights as float16, as they were released, and computes in float32 in ONNX
Runtime Web, which is given as a folder: it comes from npm and is no part of this package.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

from ifrp_tf.core.errors import ConfigError
from ifrp_tf.core.files import atomic
from ifrp_tf.core.rendering import render
from ifrp_tf.recovery.manifest import PROVENANCE, provenance
from ifrp_tf.release import folder as model_folder

RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""What is taken of `onnxruntime-web/dist`."""

_NETWORK = "network.onnx.gz"
_PROGRAMS = ("site.js", "recover.js", "pixels.js")


def write(model: str | Path, runtime: str | Path, output: str | Path) -> Path:
    """Writes the page.

    Args:
        model: a version folder, or a folder of versions: the newest.
        runtime: the folder of the npm package `onnxruntime-web`.
        output: the folder to make; what is there under its name is replaced.

    Returns:
        `output`: about 22 MB.

    Raises:
        ConfigError: the runtime is not there, `output` is another folder, or the package `onnx`, `tf2onnx` or
            `onnxruntime` is not installed.
        ModelError: the model is unusable, or ONNX Runtime answers otherwise than Keras.
        DataError: the folder cannot be written.

    Example:
        >>> write("saved_models/ifrp", "node_modules/onnxruntime-web", "site")  # doctest: +SKIP
        PosixPath('site')
    """
    output, library = Path(output), Path(runtime) / "dist"
    for name in RUNTIME:
        if not (library / name).is_file():
            raise ConfigError(
                f"Expected `runtime` to be the npm package onnxruntime-web. Received: no {library / name}.",
                hint="`make site-demo` fetches it; so does: npm install onnxruntime-web.",
            )
    if output.exists() and not (output / _NETWORK).is_file():
        raise ConfigError(
            f"Expected `output` to be a new folder, or a page that was written before. Received: {output}."
        )
    found = model_folder.locate(model)
    fingerprint, side = model_folder.verify(found.path), model_folder.read_side(found)
    from ifrp_tf.release import checks, onnx  # TensorFlow, late

    with atomic(output, folder=True) as folder:
        network, _ = checks.write_onnx(found.path, folder / "network.onnx")
        _packed(folder / _NETWORK, onnx.halved(network.read_bytes()))
        network.unlink()
        _packed(folder / "runtime.wasm.gz", (library / RUNTIME[2]).read_bytes())
        for name in RUNTIME[:2]:
            (folder / name).write_bytes((library / name).read_bytes())
        _pages(folder, found.name, fingerprint, side)
    return output


def size(folder: str | Path) -> int:
    """Bytes of the files of a folder."""
    return sum(path.stat().st_size for path in Path(folder).iterdir())


def _packed(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def _pages(folder: Path, name: str, fingerprint: str, side: int) -> None:
    for program in (*_PROGRAMS, "site.css"):
        (folder / program).write_text(render(__package__, program), encoding="utf-8")
    values = {
        "name": name,
        "side": side,
        "text": provenance(name, fingerprint)[PROVENANCE],
        "megabytes": -(-size(folder) // 10**6),
    }
    (folder / "index.html").write_text(render(__package__, "site.html", **values), encoding="utf-8")
    files = sorted(path.name for path in folder.iterdir())
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.encode() + b"\0" + (folder / file).read_bytes())
    version = digest.hexdigest()[:16]
    program = render(__package__, "offline.js", files=["./", *files], version=version)
    (folder / "offline.js").write_text(program, encoding="utf-8")
    for path in folder.iterdir():
        os.chmod(path, 0o644)
