"""The page in a real browser, as a newcomer meets it."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from pipelines.session import Session
from tests.apps.live.browsing import PHONE, ask, click_at, ids, open_sample, pixel, state, upload, wait_state


def test_one_click_shows_masks_with_names_and_the_feed_speaks_to_people(visit: Any) -> None:
    page = visit()
    page.wait_for_function(
        "[...document.querySelectorAll('.sv-empty .sv-tile img')].filter(one => one.naturalWidth).length == 2"
    )
    page.focus("[aria-label='Open the sample carphone']")
    page.keyboard.press("Enter")
    page.wait_for_function("StreamVOS.state().objects?.some(one => one.name && one.state === 'tracked')")
    told = page.locator(".sv-is.tracked >> nth=0").inner_text()
    assert re.search(r"mask score \d\.\d\d · class score \d\.\d\d", told)
    page.click("[aria-label^=Pause]")
    wait_state(page, "paused")
    line = page.locator(".sv-line summary >> text=Began to follow the >> nth=0")
    line.click()
    detail = page.locator(".sv-line details[open]").inner_text()
    assert "objects: write object 10" in detail and ", frame " in detail
    page.click("[aria-label^='Play (']")
    page.wait_for_function("before => StreamVOS.state().num_done > before + 15", arg=state(page)["num_done"])
    for question in ("what was seen?", "was there a dog?"):
        ask(page, question)
    texts = page.locator(".sv-question").all_inner_texts()
    assert texts == ["was there a dog?", "what was seen?"]  # newest on top
    page.locator(".sv-answer >> nth=1").locator("summary").click()
    page.wait_for_selector(".sv-proof img[alt$='in its box']")
    page.locator(".sv-answer >> nth=1").locator(".sv-text .sv-link >> nth=0").click()
    page.wait_for_function("StreamVOS.state().picture.past")
    number = state(page)["picture"]["frame"]  # counted as in the picture, in answers and in events
    page.wait_for_function(
        "number => document.querySelector('.sv-frame').textContent.startsWith(`frame ${number} of`)", arg=number
    )


def test_a_click_while_it_opens_shows_in_the_first_picture(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    prepare = Session.prepare
    monkeypatch.setattr(Session, "prepare", lambda self, info: (go_on.wait(60), prepare(self, info)))
    page = visit()
    page.evaluate("StreamVOS.open({ kind: 'sample', name: 'bikes', discover: false })")
    page.wait_for_selector(".sv-canvas:visible")
    assert state(page)["state"] == "opening"
    box = page.locator(".sv-canvas").bounding_box()
    page.locator(".sv-canvas").click(position={"x": 0.62 * box["width"], "y": 0.5 * box["height"]})
    page.wait_for_selector("text=your click is kept")
    go_on.set()
    page.wait_for_function("StreamVOS.measured.click.length == 1")
    page.wait_for_selector('[data-object="1"].chosen')
    assert state(page)["picture"]["frame"] == 0 and ids(page) == [1]


def test_the_switches_take_the_masks_away(visit: Any) -> None:
    page = visit()
    open_sample(page)
    click_at(page, 0.62, 0.5)
    with_mask = pixel(page, 0.62, 0.5)
    page.click("#sv-overlay >> text=Masks")
    page.wait_for_function("!StreamVOS.state().shown.masks")
    page.wait_for_timeout(300)
    assert sum(abs(a - b) for a, b in zip(with_mask, pixel(page, 0.62, 0.5), strict=True)) > 30


def test_an_upload_that_is_a_video_plays(visit: Any, make_video: Any) -> None:
    page = visit()
    page.click("role=tab[name=Upload]")
    upload(page, make_video("my film.mp4", 6, size=(128, 192)))
    page.click("#sv-open-upload")
    wait_state(page, "ended")  # it plays at once, as objects are looked for
    assert state(page)["source"]["name"] == "my_film" and state(page)["num_done"] == 6
    assert page.locator(".sv-frame").inner_text().startswith("frame 5 of 0–5")
    ask(page, "how many shots were there?")
    page.locator(".sv-canvas").click(position={"x": 60, "y": 30})
    page.wait_for_selector(".sv-notice >> text=The video is over, so clicking is off.")
    upload(page, make_video("another.mp4", 3, size=(128, 192)))  # has nothing to do with the one that is played
    before = state(page)["video"]
    page.click(".sv-end >> text=Play again")
    page.wait_for_function("before => StreamVOS.state().video > before", arg=before)
    wait_state(page, "ended")
    assert state(page)["source"]["name"] == "my_film" and state(page)["num_done"] == 6
    assert page.locator(".sv-question").inner_text() == "how many shots were there?"  # answers stay
    assert "of the run before" in page.locator(".sv-answer").inner_text()


def test_a_phone(visit: Any) -> None:
    page = visit(PHONE, has_touch=True, is_mobile=True)
    places = [page.locator(f"#sv-{name}").first.bounding_box()["y"] for name in ("viewer", "source", "ask")]
    assert places == sorted(places)  # where a video comes from stays near until one is there
    open_sample(page)
    click_at(page, 0.62, 0.5)
    page.wait_for_selector('[data-object="1"]')
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    names = ("viewer", "objects", "ask", "source", "overlay")
    places = [page.locator(f"#sv-{name}").first.bounding_box()["y"] for name in names]
    assert places == sorted(places)
