"""A headless browser for tests and benchmarks of the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamvos.errors import InputError

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--no-sandbox",  # it opens nothing but our own page; containers give it no sandbox
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
INSTALL = "apt-get install chromium, and pip install playwright"


def find_chromium() -> str:
    """Path of the browser; raises `InputError` that says how to get one."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        raise InputError(f"no Chromium is installed; get it with: {INSTALL}")
    return path


@contextmanager
def open_chromium() -> Iterator[Any]:
    """A browser of Playwright, closed at the end.

    Raises:
        InputError: browser or driver are not installed.
    """
    path = find_chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise InputError(f"Playwright is not installed; get it with: {INSTALL}") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()
