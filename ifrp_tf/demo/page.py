"""The web page: a picture goes in, its faces come out. Gradio draws it; what it shows is made in `demo`."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ifrp_tf.core.errors import IfrpError
from ifrp_tf.demo import result as demo
from ifrp_tf.demo.result import Opened, Result, Shown

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
#message p { margin: 0; min-height: 1.6em; font-size: 1rem; overflow-wrap: anywhere; }
#message ul { margin: 0.2rem 0 0.4rem; padding-left: 1.2rem; list-style: disc; }
#message li { font-size: 0.9rem; overflow-wrap: anywhere; }
#found img { touch-action: none; cursor: crosshair; user-select: none; object-fit: contain; }
#found label { pointer-events: none; }
.drawn-frame { position: fixed; z-index: 99; pointer-events: none; border: 2px dashed #ffd000;
  outline: 1px solid #000; background: #ffd00022; }
#examples button { min-width: 0; max-width: 140px; padding: 104px 0.3rem 0.4rem; font-size: 0.85rem;
  font-weight: normal; white-space: normal; background-repeat: no-repeat; background-position: 50% 6px;
  background-size: 96px 96px; }
#message .bad { border-left: 4px solid #b91c1c; padding-left: 0.7rem; }
#gallery .grid-wrap { min-height: 0 !important; max-height: none !important; }
#gallery .caption-label { white-space: normal !important; max-width: none !important; }
#attributes .form { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); }
#files .filename { display: table-cell; width: auto; }
#files .stem { white-space: normal !important; overflow-wrap: anywhere; }
#files .filename > * { margin-right: -0.3em; }
#files td:last-child:not(.download) { width: 0; padding: 0; }
#files .download { width: 6.5rem; min-width: 0; }
@media (max-width: 640px) {
  #gallery .grid-container { --grid-cols: 2 !important; }
  #found { height: auto !important; max-height: 70vh; }
  #examples { display: grid !important; grid-template-columns: 1fr 1fr; }
  #examples button { max-width: none; }
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

_TOLD = """What a portrait leaves open is made as you say: -1, it is not so; 0, not said; 1, it is so. An
answer that was told something illustrates it and proves nothing."""

_FIRST = "Waiting for a picture."
_GONE = "That picture is no longer kept. Give it again."


def head() -> str:
    """What the page has in its head: the program that draws boxes."""
    return (
        f"<script>\n{(Path(__file__).parent / 'templates' / 'draw.js').read_text(encoding='utf-8')}</script>"
    )


def build(
    opened: Opened,
    *,
    faces: str = "auto",
    model: str = "",
    where: str = "",
    examples: Sequence[Shown] = (),
    attributes: Sequence[str] = (),
) -> Any:
    """Draws the page.

    Args:
        opened: gives the model that is asked.
        faces: `auto`, they are looked for; `whole`, every picture is one face.
        model: its name, for people.
        where: words on where else pictures go, beginning with a comma; empty for nowhere.
        examples: pictures to click.
        attributes: names of what the model can be told of the sitter, a slider each.

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
                clicked = _examples(gr, examples)
            with gr.Column(min_width=300):
                message = gr.HTML(_said(_FIRST), elem_id="message")
                found = gr.Image(
                    label="Is a face missing? Drag a rectangle over it", visible=False, interactive=False,
                    buttons=["fullscreen"], elem_id="found", height=380,
                    alt_text="Your picture with a numbered frame around each face",
                )  # fmt: skip
                by_hand, box, draw, back = _by_hand(gr)
        with gr.Column(visible=False, elem_id="results") as results:
            sliders, reset = _attributes(gr, attributes)
            shown = _results(gr)
        gr.Markdown(_keeping(where), elem_id="keeping")
        handlers = _Handlers(gr, opened, faces)
        slider, strength, uncertain, legend, gallery, files = shown
        everything = [
            result, message, found, by_hand, box, back, results, slider, strength, uncertain, legend, gallery,
            files,
        ]  # fmt: skip
        once: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 1, "api_visibility": "private"}
        drop.input(handlers.take, [drop, *sliders], everything, show_progress_on=message, **once)
        drop.clear(handlers.forget, None, everything, **once)
        for button, example in zip(clicked, examples, strict=True):
            button.click(
                functools.partial(handlers.example, example), sliders, [drop, *everything],
                show_progress_on=message, **once,
            )  # fmt: skip
        gr.on(
            [draw.click, box.submit],
            handlers.draw,
            [result, box, *sliders],
            everything,
            show_progress_on=message,
            **once,
        )
        back.click(
            handlers.search_again, [result, *sliders], everything, show_progress_on=message, **once
        )  # fmt: skip
        if sliders:
            gr.on(
                [one.input for one in sliders], handlers.tell, [result, *sliders], everything,
                trigger_mode="always_last", show_progress_on=message, **once,
            )  # fmt: skip
            reset.click(
                handlers.reset, [result, *sliders], [*sliders, *everything], show_progress_on=message, **once
            )  # fmt: skip
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


def _examples(gr: Any, examples: Sequence[Shown]) -> list[Any]:
    if not examples:
        return []
    gr.Markdown("No picture at hand? Try one of these (the photograph is NASA's, in the public domain):")
    with gr.Row(elem_id="examples"):
        return [gr.Button(one.caption, elem_id=f"example_{k}") for k, one in enumerate(examples)]


def _attributes(gr: Any, names: Sequence[str]) -> tuple[list[Any], Any]:
    """A slider for each, and what sets all back; nothing of a model that cannot be told any."""
    if not names:
        return [], None
    with gr.Accordion("What is known of the sitter", open=False, elem_id="attributes"):
        gr.Markdown(_TOLD)
        sliders = [
            gr.Slider(-1, 1, 0, step=0.1, label=name.replace("_", " ").capitalize(), elem_id=name, buttons=[])
            for name in names
        ]
        return sliders, gr.Button("Say nothing", elem_id="reset", size="sm")


def _by_hand(gr: Any) -> tuple[Any, ...]:
    with gr.Column(visible=False, elem_id="by_hand") as group:
        box = gr.Textbox(
            label="or type its place in pixels: x, y, width, height", max_lines=1, elem_id="box",
            placeholder="120, 40, 200, 220",
        )  # fmt: skip
        with gr.Row():
            draw = gr.Button("Recover this face", elem_id="draw", size="sm")
            back = gr.Button("Take boxes back, search again", elem_id="back", size="sm", interactive=False)
    return group, box, draw, back


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

    def _asked(self, told: Sequence[float]) -> Opened:
        """The model, told what the sliders say; where all are at 0 it is asked as one that cannot be told."""
        return lambda: (
            self._opened().with_attributes(np.array(told, np.float32)) if any(told) else self._opened()
        )

    def take(self, given: tuple[str, str] | None, *told: float) -> list[Any]:
        """A picture was dropped."""
        if given is None:
            return self.forget()
        path, name = given
        try:
            return self._all(demo.recover(path, name, self._asked(told), self._faces))
        except IfrpError as error:
            return self._nothing(_said(f"“{name}” cannot be used: {error}", bad=True))

    def example(self, example: Shown, *told: float) -> list[Any]:
        """An example was clicked."""
        return [_text(example.path), *self.take((_text(example.path), example.path.name), *told)]

    def draw(self, result: Result | None, box: str, *told: float) -> list[Any]:
        """A box was drawn or typed."""
        return self._changed(result, lambda known: demo.recover_in_box(known, box, self._asked(told)))

    def search_again(self, result: Result | None, *told: float) -> list[Any]:
        """The boxes are taken back."""
        return self._changed(result, lambda known: demo.search_again(known, self._asked(told), self._faces))

    def tell(self, result: Result | None, *told: float) -> list[Any]:
        """A slider was moved."""
        return self._changed(result, lambda known: demo.tell(known, self._asked(told)))

    def reset(self, result: Result | None, *told: float) -> list[Any]:
        """Nothing is to be said any more."""
        nothing = [0.0] * len(told)
        return [*nothing, *self.tell(result, *nothing)]

    def forget(self) -> list[Any]:
        """The picture was taken away; where it lay, there may already be the next one."""
        return self._nothing(_said(_FIRST))

    def _changed(self, result: Result | None, change: Callable[[Result], Result]) -> list[Any]:
        if result is None:
            return self._nothing(_said(_GONE, bad=True))
        try:
            return self._all(change(result))
        except IfrpError as error:
            said = _said(str(error), bad=True, picture=result)
            return [self._gr.skip(), said, *[self._gr.skip()] * 11]

    def _all(self, result: Result) -> list[Any]:
        compared, faces, kept = result.before_after(1.0), result.faces(), result.files(1.0)
        gr, placed = self._gr, bool(result.placed)
        return [
            result, _said(result.message(), result.notes(), picture=result),
            gr.update(value=_text(result.found()), visible=True), gr.update(visible=True), "",
            gr.update(interactive=bool(result.drawn)),
            gr.update(visible=compared is not None), compared and tuple(_texts(compared)),
            gr.update(value=1, visible=placed), False, gr.update(visible=False),
            [(_text(one.path), one.caption) for one in faces], _texts(kept),
        ]  # fmt: skip

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
        return [
            pictures,
            self._gr.update(visible=uncertain),
            _said(result.message(), result.notes(), picture=result),
        ]

    def _nothing(self, message: str) -> list[Any]:
        gr = self._gr
        hidden = gr.update(visible=False)
        return [
            None, message, gr.update(value=None, visible=False), hidden, "", gr.update(interactive=False),
            hidden, None, hidden, False, hidden, [], None,
        ]  # fmt: skip


def _said(words: str, notes: Sequence[str] = (), *, bad: bool = False, picture: Result | None = None) -> str:
    kind = ' class="bad"' if bad else ""
    size = f' data-width="{picture.pixels.shape[1]}"' if picture else ""
    said = f'<p role="{"alert" if bad else "status"}"{kind}{size}>{html.escape(words)}</p>'
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"{said}<ul>{listed}</ul>" if listed else said


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
