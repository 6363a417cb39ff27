"""Pages of a PDF as pictures: drawn by PDFium (extra `pdf`), as finely as the scan that they hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from ifrp_tf.core.errors import ImageError

_ONE = threading.Lock()  # PDFium may be used by one thread at a time
_POINTS = 72
_DPI, _LEAST_DPI = 300, 150
_IMAGE = 3
_OBJECTS = 200


def count(data: bytes) -> int:
    """How many pages there are.

    Args:
        data: The file's bytes.

    Raises:
        ImageError: The file cannot be read, or the extra `pdf` is not installed.
    """
    with _opened(data) as document:
        return len(document)


def draw(
    data: bytes,
    page: int,
    fit: Callable[[float, float], float],
    admit: Callable[[int, int], None],
    notes: list[str],
) -> Image.Image:
    """Draws a page, on white.

    Args:
        data: The file's bytes.
        page: 1 for the first.
        fit: Given the width and height in pixels that the page would have, the factor by which to shrink it.
        admit: Called with width and height before memory is taken for the pixels.
        notes: A list to which is added which page it is of how many, and how finely it is drawn.

    Returns:
        An image of mode RGB.

    Raises:
        ImageError: The file or the page cannot be read, or the extra `pdf` is not installed.
    """
    with _opened(data) as document:
        many = len(document)
        if not 1 <= page <= many:
            raise ImageError("no_page", f"expected a page from 1 to {many}, received {page}.")
        found = document[page - 1]
        scale = _dpi(found) / _POINTS
        width, height = (length * scale for length in found.get_size())
        factor = fit(width, height)
        scale *= factor * (1 - 1e-5)  # sides are rounded up, and a scan must not grow by a pixel
        admit(round(width * factor), round(height * factor))
        image = found.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB")
    notes.append(f"page {page} of {many} of a PDF, drawn at {scale * _POINTS:.0f} dpi")
    return image


def _dpi(page: Any) -> float:
    """Of the finest picture in a page that fills a good part of it, or of print."""
    width, height = page.get_size()
    best = 0.0
    for index, item in enumerate(page.get_objects(filter=[_IMAGE], max_depth=3)):
        if index == _OBJECTS:
            break
        left, bottom, right, top = item.get_bounds()
        if (right - left) * (top - bottom) > 0.1 * width * height:
            best = max(best, _POINTS * max(item.get_px_size()) / max(right - left, top - bottom))
    return max(best, _LEAST_DPI) if best else _DPI


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    try:
        import pypdfium2
    except ImportError as error:
        hint = "Install the extra that reads it: pip install 'ifrp_tf[pdf]'."
        message = "expected a picture, received a PDF document."
        raise ImageError("unsupported_format", message, hint=hint) from error
    with _ONE:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                message = "expected a PDF that anybody may read, received one with a password."
                raise ImageError("unsupported_format", message) from error
            raise ImageError("corrupt", f"the PDF data is damaged: {error}") from error
        try:
            yield document
        except pypdfium2.PdfiumError as error:
            raise ImageError("corrupt", f"the PDF data is damaged: {error}") from error
        finally:
            document.close()
