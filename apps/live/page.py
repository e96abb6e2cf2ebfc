"""The page: Gradio's forms, and the places that `page.js` fills."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from apps.live.connection import data_url
from apps.live.pages import SUFFIXES, Pages
from apps.settings import DemoConfig
from streamvos.answers import clock
from streamvos.errors import InputError, OutputError
from streamvos.export.draw import Shown
from streamvos.models import coco
from streamvos.sample import SAMPLES

FOLDER = Path(__file__).parent
_SCRIPTS = ("page_elements.js", "page.js", "page_viewer.js")  # one function: they share their names
_SWITCHES = {"Masks": "masks", "Boxes": "boxes", "Names": "ids", "States": "states", "Depth": "depth"}
_MAX_EVIDENCE = 12
_PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}


def theme() -> gr.themes.Base:
    """One accent colour, and fonts that every machine has: nothing is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue="teal",
        neutral_hue="zinc",
        radius_size="sm",
        text_size="sm",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        color_accent="*primary_600",
        color_accent_soft="*primary_50",
        color_accent_soft_dark="*primary_950",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_large_text_size="*text_md",
        button_large_padding="6px 12px",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
    )


def head() -> str:
    """What goes into the page's head."""
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return f"<script>(() => {{\n{script}\n}})();</script>"


def css() -> str:
    return (FOLDER / "page.css").read_text(encoding="utf-8")


def build(pages: Pages) -> gr.Blocks:
    """The page of one server."""
    with gr.Blocks(title="StreamVOS", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)) as blocks:
        token = gr.State(None)
        gr.HTML(
            "<h1>StreamVOS</h1><p>Point at something in a video, watch it being followed, and ask what was seen.</p>",
            elem_id="sv-title",
        )
        with gr.Row(elem_id="sv-columns"):
            with gr.Column(scale=5, min_width=320):
                viewer = _part("viewer")
                _part("timeline", container=True)
                _part("memory", container=True)
                _part("feed", container=True)
            with gr.Column(scale=3, min_width=320):
                sources = _sources(pages.limits)
                _part("objects", container=True)
                with gr.Group(elem_id="sv-ask"):
                    question = gr.Textbox(
                        label="Ask", placeholder="when did the first car appear?", max_length=500, elem_id="sv-question"
                    )
                    ask = gr.Button("Ask", elem_id="sv-ask-button")
                    answer = _part("answer", container=True)
                with gr.Group(elem_id="sv-overlay"):
                    switches = gr.CheckboxGroup(
                        list(_SWITCHES),
                        value=[name for name, field in _SWITCHES.items() if getattr(Shown(), field)],
                        label="Drawn into the picture",
                    )

        blocks.load(lambda: _new_page(pages), None, [token, viewer], **_PRIVATE)
        _open_by(pages, token, sources)
        switches.change(
            _said(pages, lambda page, names: page.show(_shown(names))), [token, switches], sources.said, **_PRIVATE
        )
        for asked in (question.submit, ask.click):
            asked(lambda token, text: _answer(pages, token, text), [token, question], answer, **_PRIVATE)
    return blocks


def _sources(limits: DemoConfig) -> _Sources:
    """Where a video comes from, and what is looked for in it."""
    with gr.Group(elem_id="sv-source"):
        said = _part("said", visible="hidden")
        with gr.Tabs():
            with gr.Tab("Sample"):
                sample = gr.Dropdown(sorted(SAMPLES), value="bikes", label="Clip", filterable=False)
                open_sample = gr.Button("Open", variant="primary", elem_id="sv-open-sample")
            with gr.Tab("Upload", elem_id="sv-upload"):
                upload = gr.File(
                    label=f"Video, up to {limits.max_upload_mib} MiB and {limits.max_video_s / 60:.0f} min",
                    file_types=list(SUFFIXES),
                    file_count="single",
                    height=120,
                )
                open_upload = gr.Button("Open", variant="primary", elem_id="sv-open-upload")
            with gr.Tab("Camera"):
                gr.Markdown("The camera of this device. Its pictures go to this server and nowhere else.")
                open_camera = gr.Button("Open", variant="primary", elem_id="sv-open-camera")
            with gr.Tab("Stream"):
                stream = gr.Dropdown(
                    sorted(limits.streams),
                    label="Stream" if limits.streams else "None is listed in [demo.streams] of the --config",
                    interactive=bool(limits.streams),
                )
                open_stream = gr.Button("Open", variant="primary", elem_id="sv-open-stream")
        discover = gr.Checkbox(label="Also find objects by itself", value=False)
        classes = gr.Dropdown(
            sorted(coco.NAMES),
            label="Only these (all, where none is chosen)",
            multiselect=True,
            visible=False,
        )
    return _Sources(said, sample, open_sample, upload, open_upload, open_camera, stream, open_stream, discover, classes)


def _open_by(pages: Pages, token: gr.State, forms: _Sources) -> None:
    """What the forms' buttons do."""
    stop_camera = "() => window.StreamVOS.closeCamera()"
    found = [forms.discover, forms.classes]
    forms.discover.change(lambda on: gr.update(visible=on), forms.discover, forms.classes, **_PRIVATE)
    forms.open_sample.click(fn=None, js=stop_camera)
    forms.open_sample.click(
        _said(pages, lambda page, name, *more: page.open_sample(name, *more)),
        [token, forms.sample, *found],
        forms.said,
        **_PRIVATE,
    )
    forms.open_upload.click(fn=None, js=stop_camera)
    forms.open_upload.click(_said(pages, _open_upload), [token, forms.upload, *found], forms.said, **_PRIVATE)
    forms.open_stream.click(fn=None, js=stop_camera)
    forms.open_stream.click(
        _said(pages, lambda page, name, *more: page.open_stream(name or "", *more)),
        [token, forms.stream, *found],
        forms.said,
        **_PRIVATE,
    )
    forms.open_camera.click(
        _said(pages, lambda page, *more: page.open_camera(*more)), [token, *found], forms.said, **_PRIVATE
    )
    forms.open_camera.click(fn=None, js="() => window.StreamVOS.openCamera()")


class _Sources(NamedTuple):
    """The forms that open a video."""

    said: gr.HTML
    sample: gr.Dropdown
    open_sample: gr.Button
    upload: gr.File
    open_upload: gr.Button
    open_camera: gr.Button
    stream: gr.Dropdown
    open_stream: gr.Button
    discover: gr.Checkbox
    classes: gr.Dropdown


def _part(name: str, **settings: Any) -> gr.HTML:
    """A place that `page.js` fills; what is its value never becomes HTML."""
    return gr.HTML(
        value="",
        html_template="<div></div>",
        js_on_load=f"window.StreamVOS.mount({name!r}, element, props, watch)",
        apply_default_css=False,
        elem_id=f"sv-{name}",
        **settings,
    )


def _new_page(pages: Pages) -> tuple[str | None, str]:
    try:
        page = pages.new()
    except InputError as error:
        return None, json.dumps({"refused": str(error)})
    return page.token, json.dumps({"token": page.token})


def _said(pages: Pages, act: Callable[..., None]) -> Callable[..., str]:
    """A handler that says on the page what went wrong; empty where nothing did."""
    turns = 0

    def handle(token: str | None, *given: Any) -> str:
        nonlocal turns
        turns += 1  # a value that does not change is not noticed by the page
        try:
            act(pages.get(token or ""), *given)
        except (InputError, OutputError) as error:
            return json.dumps({"text": str(error), "kind": "error", "turn": turns})
        return json.dumps({"text": None, "turn": turns})

    return handle


def _open_upload(page: Any, path: str | None, discover: bool, classes: list[str]) -> None:
    if not path:
        raise InputError("choose a video file first")
    page.open_upload(Path(path), discover, classes)


def _shown(names: list[str]) -> Shown:
    return Shown(**{field: name in names for name, field in _SWITCHES.items()})


def _answer(pages: Pages, token: str | None, question: str) -> str:
    """An answer, or why there is none, as JSON for the page."""
    given = {"question": question, "confidence": None, "evidence": [], "outcome": "refused"}
    try:
        player = pages.get(token or "").player
        if player is None:
            raise InputError("open a video first, and let it play: answers come from what was seen")
        answer = player.ask(question)
    except InputError as error:
        return json.dumps(given | {"text": str(error)})
    proofs = [
        {
            "time_s": one.from_s,
            "clock": clock(round(1000 * one.from_s)),
            "frame": one.frame_index,
            "object": one.object_id,
            "claim": one.claim,
            "url": None if one.thumbnail is None else data_url(one.thumbnail.read_bytes()),
        }
        for one in answer.evidence[:_MAX_EVIDENCE]
    ]
    said = {"text": answer.text, "confidence": answer.confidence, "outcome": answer.outcome, "evidence": proofs}
    return json.dumps(given | said)
