"""The page: Gradio's forms, and the places that `page.js` fills."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from apps.live.commands import SWITCHES
from apps.live.uploads import SUFFIXES
from apps.settings import DemoConfig
from streamvos.export.draw import Shown
from streamvos.models import coco

FOLDER = Path(__file__).parent
_SCRIPTS = (  # one function: they share their names
    "page_elements.js",
    "page_sources.js",
    "page_answers.js",
    "page_viewer.js",
    "page_forms.js",
    "page.js",
)
_SWITCHES = {"masks": "Masks", "boxes": "Boxes", "ids": "Names", "states": "States", "depth": "Depth"}


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
    return '<script src="live/page.js"></script>'


def script() -> str:
    """What `live/page.js` is."""
    parts = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    return f"(() => {{\n{parts}\n}})();\n"


def css() -> str:
    return (FOLDER / "page.css").read_text(encoding="utf-8")


def build(limits: DemoConfig) -> gr.Blocks:
    """The page: widgets and places alone. What they do is done by `page.js` over the page's own websocket, because
    Gradio runs a function for whoever names the session, which is no secret."""
    with gr.Blocks(title="StreamVOS", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(
            "<h1>StreamVOS</h1><p>Point at something in a video, watch it being followed, and ask what was seen.</p>",
            elem_id="sv-title",
        )
        with gr.Row(elem_id="sv-columns"):
            with gr.Column(scale=5, min_width=320):
                _part("viewer")
                _part("timeline", container=True)
                _part("memory", container=True)
                _part("feed", container=True)
            with gr.Column(scale=3, min_width=320):
                _sources(limits)
                _part("objects", container=True)
                with gr.Group(elem_id="sv-ask"):
                    question = gr.Textbox(
                        label="Ask", placeholder="when did the first car appear?", max_length=500, elem_id="sv-question"
                    )
                    ask = gr.Button("Ask", elem_id="sv-ask-button")
                    _part("answer", container=True)
                with gr.Group(elem_id="sv-overlay"):
                    switches = gr.CheckboxGroup(
                        [(title, name) for name, title in _SWITCHES.items()],
                        value=[name for name in SWITCHES if getattr(Shown(), name)],
                        label="Drawn into the picture",
                    )
        switches.change(**_in_page("names => StreamVOS.show(names)"), inputs=switches)
        for asked in (question.submit, ask.click):
            asked(**_in_page("question => StreamVOS.ask(question)"), inputs=question)
    return blocks


def _sources(limits: DemoConfig) -> None:
    """Where a video comes from, and what is looked for in it."""
    with gr.Group(elem_id="sv-source"):
        with gr.Tabs():
            with gr.Tab("Videos"):
                _part("sources", container=True)
            with gr.Tab("Upload"):
                _part("upload", accept=",".join(SUFFIXES), limit=_upload_limit(limits))
                open_upload = gr.Button("Open", variant="primary", elem_id="sv-open-upload")
            with gr.Tab("Camera"):
                gr.Markdown("The camera of this device. Its pictures go to this server and nowhere else.")
                open_camera = gr.Button("Open", variant="primary", elem_id="sv-open-camera")
        discover = gr.Checkbox(label="Find objects by itself", value=True)
        classes = gr.Dropdown(
            sorted(coco.NAMES),
            label="Only these kinds (all, where none is chosen)",
            multiselect=True,
            elem_id="sv-classes",
        )
    for one in (discover, classes):
        one.change(**_in_page("(discover, classes) => StreamVOS.find(discover, classes)"), inputs=[discover, classes])
    open_upload.click(**_in_page("() => StreamVOS.open({ kind: 'upload' })"))
    open_camera.click(**_in_page("() => StreamVOS.open({ kind: 'camera' })"))


def _upload_limit(limits: DemoConfig) -> str:
    return f"Video, up to {limits.max_upload_mib} MiB and {limits.max_video_s / 60:.0f} min"


def _in_page(script: str) -> dict[str, Any]:
    """The settings of an event that never reaches Gradio's server."""
    return {"fn": None, "js": script, "api_visibility": "private", "show_progress": "hidden"}


def _part(name: str, container: bool = False, **told: str) -> None:
    """A place that `page.js` fills; what it is told is text, never HTML."""
    gr.HTML(
        value="",
        html_template="<div></div>",
        js_on_load=f"(window.svParts ??= []).push([{name!r}, element, {json.dumps(told)}]); window.StreamVOS?.mount()",
        apply_default_css=False,
        elem_id=f"sv-{name}",
        container=container,
    )
