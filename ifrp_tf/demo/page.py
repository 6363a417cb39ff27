"""The web page: a picture goes in, its faces come out. Gradio draws it; what it shows is made in `demo`."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ifrp_tf.core.errors import IfrpError
from ifrp_tf.demo import result as demo
from ifrp_tf.demo.result import Opened, Result

KEPT_S = 1800
"""Seconds for which pictures and results are kept."""

WAITING = 16
"""Visitors that may wait for their turn; more are asked to come back."""

VISITORS = 8
"""Visitors whose picture is kept at a time; the one who was away longest is forgotten."""

TITLE = "The face behind a portrait"

CSS = """
.gradio-container { max-width: 1080px !important; margin: 0 auto !important; }
.gradio-container h1 { font-size: 1.6rem; margin: 0.4rem 0; }
footer, #files .label-clear-button { display: none !important; }
#notice { border-left: 4px solid #b45309; padding: 0.1rem 0.9rem; }
#message p { margin: 0; min-height: 3em; font-size: 1rem; overflow-wrap: anywhere; }
#message .bad { border-left: 4px solid #b91c1c; padding-left: 0.7rem; }
#gallery .grid-wrap { min-height: 0 !important; max-height: none !important; }
#gallery .caption-label { white-space: normal !important; max-width: none !important; }
#files .filename { display: table-cell; width: auto; }
#files .stem { white-space: normal !important; overflow-wrap: anywhere; }
#files .filename > * { margin-right: -0.3em; }
#files td:last-child:not(.download) { width: 0; padding: 0; }
#files .download { width: 6.5rem; min-width: 0; }
@media (max-width: 640px) {
  #gallery .grid-container { --grid-cols: 2 !important; }
  #found { height: auto !important; }
}
"""

_INTRODUCTION = """# The face behind a portrait
Give a painting, print or sketch: its faces are found, and for each one plausible photograph is made, small
(128 x 128 pixels), by the model **{model}**."""

_NOTICE = """**One plausible face, not evidence of what somebody looked like.** Colour, skin, age, hair and
whatever the artist left out are invented, and what is invented looks as real as what is right. Never use it
to identify, accuse or track anyone, nor to make pictures of real people without their consent. The model
learned from photographs mostly of celebrities and has their biases; for non-commercial research only. Each
file says in its metadata that it is generated."""

_KEEPING = """Pictures are handled by the computer that serves this page{where}, and deleted after {minutes}
minutes at the latest. Up to {megabytes} MB and {megapixels} million pixels: {formats}."""

_UNCERTAIN = """How far, in levels of 255, the answers to 16 slightly changed copies of a portrait lie apart:
dark where they agree, light yellow where it is by 40 or more. The number, a mean of 1 - SSIM, is 0 where all
are alike. At most {most} faces are measured. Where the answers agree the face can still be wrong."""

_FIRST = "Waiting for a picture."
_GONE = "That picture is no longer kept. Give it again."


def build(opened: Opened, *, faces: str = "auto", model: str = "", where: str = "") -> Any:
    """Draws the page.

    Args:
        opened: gives the model that is asked.
        faces: `auto`, they are looked for; `whole`, every picture is one face.
        model: its name, for people.
        where: words on where else pictures go, beginning with a comma; empty for nowhere.

    Returns:
        A `gradio.Blocks` that is not served yet.
    """
    import gradio as gr

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, KEPT_S)) as page:
        result = gr.State(time_to_live=KEPT_S)
        gr.Markdown(_INTRODUCTION.format(model=model))
        gr.Markdown(_NOTICE, elem_id="notice")
        with gr.Row():
            with gr.Column(min_width=300):
                drop = _drop(gr)
            with gr.Column(min_width=300):
                message = gr.HTML(_said(_FIRST), elem_id="message")
                found = gr.Image(
                    label="Faces found", visible=False, interactive=False, buttons=["fullscreen"],
                    alt_text="Your picture with a numbered frame around each face", elem_id="found",
                    height=380,
                )  # fmt: skip
        with gr.Column(visible=False, elem_id="results") as results:
            shown = _results(gr)
        gr.Markdown(_keeping(where), elem_id="keeping")
        handlers = _Handlers(gr, opened, faces)
        slider, strength, uncertain, legend, gallery, files = shown
        everything = [
            drop,
            result,
            message,
            found,
            results,
            slider,
            strength,
            uncertain,
            legend,
            gallery,
            files,
        ]
        once: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 1, "api_visibility": "private"}
        drop.input(handlers.take, drop, everything, show_progress_on=message, **once)
        drop.clear(handlers.forget, None, everything, **once)
        strength.input(
            handlers.blend, [result, strength], [slider, message], trigger_mode="always_last",
            show_progress="hidden", **once,
        ).then(handlers.keep, [result, strength], files, show_progress="hidden", **once)  # fmt: skip
        uncertain.input(handlers.doubt, [result, uncertain], [gallery, legend, message], **once)
    page.queue(max_size=WAITING, default_concurrency_limit=1, api_open=False)
    page.state_session_capacity = VISITORS
    return page


def _drop(gr: Any) -> Any:
    # Gradio would decode the file itself, in its own way, and answer a bad one with "Error". The class is
    # changed: Gradio makes a new object whenever one is updated, and a file beside this one for a new class.
    gr.Image.preprocess = _uploaded
    return gr.Image(
        label="Your picture", type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"],
        buttons=["fullscreen"], height=380, elem_id="drop", alt_text="Your picture",
        placeholder="Drop a picture here\n- or -\nclick to choose a file",
        webcam_options=gr.WebcamOptions(mirror=False),
    )  # fmt: skip


def _uploaded(_: Any, payload: Any) -> tuple[str, str] | None:
    return (payload.path, payload.orig_name or "picture") if payload and payload.path else None


def _results(gr: Any) -> tuple[Any, ...]:
    slider = gr.ImageSlider(
        label="Before | after: pull the line", type="filepath", buttons=["fullscreen"], elem_id="slider",
        interactive=False, max_height=620,
    )  # fmt: skip
    strength = gr.Slider(
        0, 1, 1, step=0.05, label="Strength of the recovered faces (0: your picture as it is)",
        elem_id="strength", buttons=[],
    )  # fmt: skip
    gallery = gr.Gallery(
        label="Recovered faces", columns=4, fit_columns=False, object_fit="contain", buttons=["fullscreen"],
        interactive=False, elem_id="gallery",
    )  # fmt: skip
    uncertain = gr.Checkbox(label="Show where the faces are uncertain", elem_id="uncertain")
    legend = gr.Markdown(_UNCERTAIN.format(most=demo.MOST_UNCERTAIN), visible=False, elem_id="legend")
    files = gr.File(label="Files to keep (PNG)", file_count="multiple", interactive=False, elem_id="files")
    return slider, strength, uncertain, legend, gallery, files


class _Handlers:
    """What happens on the page. An error of the package becomes a message, and nothing else does."""

    def __init__(self, gr: Any, opened: Opened, faces: str) -> None:
        self._gr, self._opened, self._faces = gr, opened, faces

    def take(self, given: tuple[str, str] | None) -> list[Any]:
        """A picture was dropped."""
        if given is None:
            return self.forget()
        path, name = given
        try:
            result = demo.recover(path, name, self._opened, self._faces)
            compared, faces, kept = result.before_after(1.0), result.faces(), result.files(1.0)
        except IfrpError as error:
            return self._nothing(_said(f"“{name}” cannot be used: {error}", bad=True))
        gr, placed = self._gr, bool(result.placed)
        return [
            gr.skip(), result, _said(result.message()),
            gr.update(value=_text(result.found()), visible=placed),
            gr.update(visible=compared is not None), compared and tuple(_texts(compared)),
            gr.update(value=1, visible=placed), False, gr.update(visible=False),
            [(_text(one.path), one.caption) for one in faces], _texts(kept),
        ]  # fmt: skip

    def forget(self) -> list[Any]:
        """The picture was taken away; where it lay, there may already be the next one."""
        return [self._gr.skip(), *self._nothing(_said(_FIRST))[1:]]

    def blend(self, result: Result | None, strength: float) -> list[Any]:
        """The strength was changed."""
        compared = result and result.before_after(strength)
        if not compared:
            return [self._gr.skip(), _said(_GONE, bad=True)]
        return [tuple(_texts(compared)), self._gr.skip()]

    def keep(self, result: Result | None, strength: float) -> Any:
        """The files are to have the strength that is seen."""
        return _texts(result.files(strength)) if result else self._gr.skip()

    def doubt(self, result: Result | None, uncertain: bool) -> list[Any]:
        """The uncertainty is to be seen, or no longer."""
        if result is None:
            return [self._gr.skip(), self._gr.skip(), _said(_GONE, bad=True)]
        try:
            faces = result.faces(uncertain)
        except IfrpError as error:
            return [self._gr.skip(), self._gr.skip(), _said(str(error), bad=True)]
        pictures = [(_text(one.path), one.caption) for one in faces]
        return [pictures, self._gr.update(visible=uncertain), _said(result.message())]

    def _nothing(self, message: str) -> list[Any]:
        gr = self._gr
        hidden = gr.update(visible=False)
        return [
            None,
            None,
            message,
            gr.update(value=None, visible=False),
            hidden,
            None,
            hidden,
            False,
            hidden,
            [],
            None,
        ]


def _said(words: str, *, bad: bool = False) -> str:
    kind = ' class="bad"' if bad else ""
    return f'<p role="{"alert" if bad else "status"}"{kind}>{html.escape(words)}</p>'


def _keeping(where: str) -> str:
    from ifrp_tf.pictures.decoding import FORMATS

    return _KEEPING.format(
        where=where, minutes=KEPT_S // 60, megabytes=demo.FILE_BYTES // 2**20,
        megapixels=demo.PIXELS // 10**6, formats=", ".join(FORMATS),
    )  # fmt: skip


def _text(path: Path) -> str:
    return str(path)


def _texts(paths: Sequence[Path]) -> list[str]:
    return [str(path) for path in paths]
