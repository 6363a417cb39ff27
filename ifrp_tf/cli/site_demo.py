"""Writes a page without a server: a folder for any static host, in which the browser computes all.

python tools/site_demo.py --output=site --runtime=node_modules/onnxruntime-web [--model=saved_models/ifrp]

`make site-demo` fetches the runtime (onnxruntime-web, from npm) and calls this. Try it with
python -m http.server --directory=site: as a file alone a browser does not run it.

Exit code: 0 written, 2 wrong usage or no runtime, 3 model unusable.
"""

from __future__ import annotations

import dataclasses

from ifrp_tf.core.assets import MODEL


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What `site_demo` is asked for.

    Attributes:
        output: Folder to make; one that is there is replaced.
        runtime: Folder of the npm package onnxruntime-web.
        model: A version, or a folder of versions.
    """

    output: str
    runtime: str
    model: str = MODEL


def run(request: Request) -> int:
    """Returns the exit code."""
    from ifrp_tf.core import runtime
    from ifrp_tf.demo import site

    with runtime.start_up():
        folder = site.write(request.model, request.runtime, request.output)
    print(f"{folder}: {site.size(folder) / 1e6:.1f} MB")
    return 0
