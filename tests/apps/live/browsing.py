"""The page in a real browser, for tests: a server, visitors, and what they do again and again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from apps.live.chromium import open_chromium
from apps.live.pages import Pages
from apps.live.server import make_app
from apps.settings import DemoConfig, RunConfig
from pipelines.graph.build import GraphConfig
from streamvos.errors import InputError

MS = 60_000
ROOT = Path(__file__).parents[3]
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server with a small graph."""
    graph = GraphConfig(size=128, threads=1, device="cpu", stages=("detect", "segment", "remember"))
    pages = Pages(RunConfig(graph), DemoConfig(max_upload_mib=2, max_sessions=12, idle_s=1.0))
    with served(make_app(pages)) as place:
        yield place
    pages.close()


@contextmanager
def served(app: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        with open_chromium() as browser:
            yield browser
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """`visit()` opens the page in a browser of its own; errors in its console fail the test, but for what `may_log`
    names."""
    contexts, errors = [], []

    def go(viewport: dict[str, int] = WIDE, may_log: str = "nothing", **more: Any) -> Any:
        contexts.append(browser.new_context(viewport=viewport, **more))
        page = contexts[-1].new_page()
        page.set_default_timeout(MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda one: errors.append(one.text) if is_error(one, may_log) else None)
        page.on("request", lambda one: errors.append(one.url) if not one.url.startswith(own) else None)
        page.goto(address)
        page.wait_for_function("window.StreamVOS?.state().connected")
        return page

    own = (address, "data:", "blob:", address.replace("http", "ws"))
    yield go
    for context in contexts:
        context.close()
    assert errors == []


def is_error(message: Any, may_log: str) -> bool:
    return message.type == "error" and may_log not in message.text


def state(page: Any) -> dict[str, Any]:
    return page.evaluate("StreamVOS.state()")


def wait_state(page: Any, *names: str) -> None:
    page.wait_for_function("names => names.includes(StreamVOS.state().state)", arg=list(names))


def open_sample(page: Any) -> None:
    """At rest, with nothing followed."""
    page.evaluate("StreamVOS.open({ kind: 'sample', name: 'bikes', discover: false })")
    wait_state(page, "ready")
    page.wait_for_selector(".sv-canvas:visible")


def click_at(page: Any, x: float, y: float) -> None:
    """Click the picture, and wait until the mask is on the screen."""
    before = page.evaluate("StreamVOS.measured.click.length")
    box = page.locator(".sv-canvas").bounding_box()
    page.locator(".sv-canvas").click(position={"x": x * box["width"], "y": y * box["height"]})
    page.wait_for_function("before => StreamVOS.measured.click.length > before", arg=before)


def pixel(page: Any, x: float, y: float) -> list[int]:
    script = """([x, y]) => { const c = document.querySelector('.sv-canvas');
        return [...c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data].slice(0, 3); }"""
    return page.evaluate(script, [x, y])


def ids(page: Any) -> list[int]:
    return [one["id"] for one in state(page)["objects"]]


def ask(page: Any, question: str) -> None:
    page.fill("#sv-question textarea, #sv-question input", question)
    page.click("#sv-ask-button")
    page.wait_for_function("text => document.querySelector('.sv-question')?.textContent === text", arg=question)


def upload(page: Any, path: Path) -> None:
    page.set_input_files("#sv-upload input[type=file]", str(path))
    page.wait_for_selector(f"#sv-upload [data-uploaded='{path.name}']")
