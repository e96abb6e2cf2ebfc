"""How long a person waits: click to mask, frame to screen, question to answer, as a browser on this machine sees it.

A clip of the sample, scaled and played to and fro, is uploaded to a demo of its own in headless Chromium, and goes
through the whole graph, detector included. Clicks and answers are timed in the page, from the event to the first
picture or text that has it; frames on the server, from leaving the source to the page's word that it has drawn them.
The browser computes on the same cores.
"""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import uvicorn

from apps.live.chromium import find_chromium, open_chromium
from apps.live.pages import Pages
from apps.live.server import make_app
from apps.settings import RunConfig, live_defaults, read_config
from eval.reporting.results import Headline
from streamvos.errors import InputError
from streamvos.video.sources import open_source

QUESTIONS = (
    "what was seen?",
    "when did the first car appear?",
    "how many people were there at once?",
    "how long was the first car visible?",
    "was there a dog?",
    "was there a submarine?",
    "what happened in the first two seconds?",
    "where was the car?",
)
GOALS_S = {"click to mask": 1.0, "frame to screen": 0.5, "question to answer": 0.3}
_MS = 120_000
# Presses the button and waits for the answer to the question in the page itself; milliseconds.
_ASK = """question => new Promise(done => {
  const place = document.querySelector('#sv-answer'), began = performance.now();
  const watch = new MutationObserver(() => {
    if (place.querySelector('.sv-question')?.textContent !== question) return;
    watch.disconnect();
    requestAnimationFrame(() => done(performance.now() - began));
  });
  watch.observe(place, { childList: true, subtree: true });
  document.querySelector('#sv-ask-button').click();
})"""


@dataclass(frozen=True)
class DemoBench:
    """What is measured."""

    source: str = "sample:bikes"
    first: int = 30  # frame of the source to begin at
    clip: int = 90  # frames of the source, played to and fro
    width: int = 854
    height: int = 480
    size: int = 0  # working short side; 0: what the demo uses
    clicks: int = 12  # at rest, and as many while it plays
    questions: int = 24  # while it plays
    threads: int = 0  # CPU threads of the graph; 0: likewise
    run_settings: bool = False  # those of `streamvos run` in place of live.toml
    seed: int = 0  # of the places that are clicked

    def __post_init__(self) -> None:
        for name in ("clip", "clicks", "questions"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name}: expected at least 1, got {getattr(self, name)}")


def bench_demo(bench: DemoBench) -> list[dict[str, Any]]:
    """One row for each wait: how often it was measured, median and 95th percentile in seconds, the goal.

    Raises:
        InputError: Chromium or Playwright are not installed.
    """
    find_chromium()
    chosen = {"size": bench.size, "threads": bench.threads}
    defaults = RunConfig() if bench.run_settings else live_defaults()
    run, limits = read_config(None, {name: value for name, value in chosen.items() if value}, defaults)
    pages = Pages(run, limits)
    try:
        with tempfile.TemporaryDirectory() as folder, _served(pages) as address, open_chromium() as browser:
            seconds = 10 + 2 * bench.clicks + bench.questions  # longer than they take
            video = _write_video(bench, Path(folder) / "clip.mp4", 25 * seconds)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(_MS)
            page.goto(address)
            page.wait_for_function("window.StreamVOS?.state().connected")
            return _visit(bench, page, pages, video)
    finally:
        pages.close()


def headline(rows: Sequence[dict[str, Any]]) -> Headline:
    """The wait for a mask while the video plays, beside its goal."""
    row = rows[1]
    return Headline(f"s, {row['what']}, p95", row["p95, s"], row["goal, s"], "goal")


def _visit(bench: DemoBench, page: Any, pages: Pages, video: Path) -> list[dict[str, Any]]:
    page.click("role=tab[name=Upload]")
    page.set_input_files("#sv-upload input[type=file]", str(video))
    page.wait_for_selector("#sv-upload [data-uploaded]")
    page.evaluate("StreamVOS.open({ kind: 'upload', play: false })")
    page.wait_for_function("StreamVOS.state().state === 'ready'")
    player = next(one.player for one in pages.all() if one.player is not None)
    page.click("[aria-label='New object']")  # each click starts one, also inside a mask
    places = np.random.default_rng(bench.seed).uniform(0.2, 0.8, (2 * bench.clicks + 1, 2)).tolist()
    _click(page, *places.pop())  # the first frame of a process is slower than all others
    at_rest = [_click(page, *places.pop()) for _ in range(bench.clicks)]
    page.click("[aria-label^='Play (']")
    time.sleep(2.0)
    player.view.forget_delays()
    playing = []
    for _ in range(bench.clicks):
        playing.append(_click(page, *places.pop()))
        time.sleep(0.5)
    answers = []
    for number in range(bench.questions):
        question = QUESTIONS[number % len(QUESTIONS)]
        page.fill("#sv-question textarea, #sv-question input", question)
        page.evaluate("document.querySelectorAll('#sv-answer .sv-question').forEach(one => one.remove())")
        answers.append(page.evaluate(_ASK, question) / 1000)
        time.sleep(0.3)
    report = player.report()
    if report["state"] != "playing":
        raise InputError(f"the video was {report['state']} before all was measured: {report['notice'] or 'too short'}")
    rows = [
        _row("click to mask, at rest", at_rest),
        _row("click to mask, playing", playing),
        _row("frame to screen, playing", player.view.delays_s()),
        _row("question to answer, playing", answers),
    ]
    return [row | {"frames/s": report["frames_per_s"], "objects": len(report["objects"])} for row in rows]


def _click(page: Any, x: float, y: float) -> float:
    """Click, wait for the mask, and take the object away again; seconds from click to mask."""
    before = page.evaluate("StreamVOS.measured.click.length")
    box = page.locator(".sv-canvas").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.wait_for_function("before => StreamVOS.measured.click.length > before", arg=before)
    seconds = page.evaluate("StreamVOS.measured.click.at(-1)") / 1000
    for one in page.evaluate("StreamVOS.state().objects.filter(one => !one.found).map(one => one.id)")[:-2]:
        page.click(f"[aria-label='Remove object {one}']")
    return seconds


def _row(what: str, seconds: Sequence[float]) -> dict[str, Any]:
    return {
        "what": what,
        "measured": len(seconds),
        "median, s": round(float(np.median(seconds)), 3),
        "p95, s": round(float(np.percentile(seconds, 95)), 3),
        "goal, s": GOALS_S[what.split(",")[0]],
    }


def _write_video(bench: DemoBench, path: Path, num_frames: int) -> Path:
    """The clip at the size of the bench, to and fro."""
    with open_source(bench.source, start_index=bench.first, max_frames=bench.first + bench.clip) as source:
        size = bench.width, bench.height
        images = [cv2.resize(frame.image, size, interpolation=cv2.INTER_CUBIC) for frame in source]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "18"}
        turn = len(images) - 1
        for index in range(num_frames):
            place = turn - abs(turn - index % (2 * turn)) if turn else 0
            for packet in stream.encode(av.VideoFrame.from_ndarray(images[place])):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@contextmanager
def _served(pages: Pages) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(make_app(pages), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(30)
