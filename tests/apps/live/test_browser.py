"""The page in a real browser: what a visitor does, from opening it to taking the results home."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from apps.live.pages import Pages
from apps.live.server import make_app
from apps.settings import DemoConfig, RunConfig
from pipelines.graph.build import GraphConfig
from tests.apps.live.browsing import MS, ROOT, ask, click_at, ids, open_sample, pixel, served, state, upload, wait_state


def test_a_visit_from_the_first_click_to_the_archive(visit: Any, tmp_path: Path) -> None:
    page = visit()
    assert "Click a video to start" in page.locator(".sv-empty").inner_text()
    open_sample(page)
    before = pixel(page, 0.62, 0.5)
    click_at(page, 0.62, 0.5)
    assert sum(abs(a - b) for a, b in zip(before, pixel(page, 0.62, 0.5), strict=True)) > 30  # its mask
    click_at(page, 0.2, 0.5)
    page.wait_for_selector('[data-object="2"]')
    page.click("[aria-label='Hide object 2']")
    page.wait_for_selector("[aria-label='Show object 2']")
    page.click("[aria-label='Remove object 1']")
    page.wait_for_selector('[data-object="1"]', state="detached")
    page.click("[aria-label='Rename object 2']")
    page.locator(".sv-input").fill("<img src=x onerror=window.hit=1>")
    page.keyboard.press("Enter")
    page.click("[aria-label^='Play (']")
    page.wait_for_function("StreamVOS.state().num_done >= 12")
    assert ids(page) == [2] and state(page)["objects"][0]["name"].startswith("<img")
    page.wait_for_selector("text=<img src=x onerror=window.hit=1>")  # as text
    assert page.evaluate("window.hit") is None
    page.click("[aria-label^=Pause]")
    wait_state(page, "paused")

    ask(page, "what was seen?")
    proof = page.locator(".sv-proof").first
    page.wait_for_function("() => [...document.querySelectorAll('.sv-proof img')].every(one => one.naturalWidth > 0)")
    proof.click()
    page.wait_for_function("StreamVOS.state().picture.past")
    assert page.locator(".sv-badge").inner_text().startswith("Looking back at")
    page.click("text=Back to now")
    page.wait_for_function("!StreamVOS.state().picture.past")
    ask(page, "was there a <b>submarine</b>?")
    assert page.locator(".sv-answer b").count() == 0
    assert page.locator(".sv-answer >> nth=0").locator(".sv-proof").count() == 0

    with page.expect_download() as coming:
        page.click("[aria-label^='Stop, and save']")
    home = tmp_path / coming.value.suggested_filename
    coming.value.save_as(home)
    with zipfile.ZipFile(home) as packed:
        assert packed.testzip() is None
        names = set(packed.namelist())
        assert {"bikes/overlay.mp4", "bikes/tracks.json", "bikes/prompts.json", "bikes/memory/memory.sqlite"} <= names
        tracks = json.loads(packed.read("bikes/tracks.json"))
    assert home.name == "bikes.zip" and tracks


def test_corrections_and_boxes(visit: Any) -> None:
    page = visit()
    open_sample(page)
    box = page.locator(".sv-canvas").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.9 * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_selector('[data-object="1"].chosen')
    page.click("text=− Take off")
    click_at(page, 0.52, 0.85)
    assert ids(page) == [1]
    page.click("text=+ Add to it")
    click_at(page, 0.65, 0.5)
    assert ids(page) == [1]
    page.click(".sv-modes >> text=Point")
    click_at(page, 0.65, 0.5)  # inside its mask
    assert ids(page) == [1]
    page.click(".sv-modes >> text=New object")
    click_at(page, 0.65, 0.5)
    page.wait_for_selector('[data-object="2"].chosen')


def test_nothing_is_asked_of_no_video(visit: Any) -> None:
    page = visit()
    ask(page, "what was seen?")
    assert "open a video first" in page.locator(".sv-text").inner_text()
    page.evaluate("StreamVOS.open({ kind: 'stream', name: 'door' })")
    page.wait_for_selector("text=not among those of the configuration")


def test_bad_uploads_say_what_is_wrong(visit: Any, tmp_path: Path) -> None:
    page = visit()
    open_sample(page)
    click_at(page, 0.62, 0.5)
    ask(page, "what was seen?")
    page.click("role=tab[name=Upload]")
    page.click("#sv-open-upload")
    page.wait_for_selector("text=choose a video file first")
    bad = tmp_path / "<img src=x onerror=window.hit=1>.mp4"
    bad.write_bytes(b"this is no video" * 100)
    upload(page, bad)
    page.click("#sv-open-upload")
    wait_state(page, "failed")
    page.wait_for_selector("text=cannot be read as a video")
    assert page.evaluate("window.hit") is None
    assert "This did not open" in page.locator(".sv-empty").inner_text()
    assert page.locator(".sv-question").count() == 0  # the answer was of the video before


def test_an_upload_that_is_too_large_is_refused(visit: Any, tmp_path: Path) -> None:
    page = visit(may_log="status of 400")
    page.click("role=tab[name=Upload]")
    (tmp_path / "a.mp4").write_bytes(bytes(3 << 20))
    page.set_input_files("#sv-upload input[type=file]", str(tmp_path / "a.mp4"))
    page.wait_for_selector("text=at most 2 MiB are taken")
    assert page.locator("#sv-upload [data-uploaded]").count() == 0


def test_the_policy_of_the_page_is_kept_and_nobody_may_frame_it(visit: Any, browser: Any, address: str) -> None:
    page = visit(may_log="Content Security Policy")
    told: list[str] = []
    page.on("console", lambda one: told.append(one.text))
    inject = (
        "() => { const one = document.createElement('script'); one.text = 'window.hit = 1'; document.body.append(one) }"
    )
    page.evaluate(inject)
    assert page.evaluate("window.hit") is None and any("Content Security Policy" in text for text in told)
    outside = browser.new_page()
    outside.set_content(f'<iframe src="{address}"></iframe>')
    outside.wait_for_timeout(2000)
    assert outside.frames[1].locator("#sv-title").count() == 0
    outside.close()


def test_another_site_can_neither_take_a_page_nor_listen(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.goto("data:text/html,<p>evil</p>")
    taken = page.evaluate(
        """async url => { try { return (await fetch(url, {method: 'POST'})).status } catch { return 'refused' } }""",
        f"{address}live/pages",
    )
    assert taken == "refused"
    listened = page.evaluate(
        """url => new Promise(done => { const one = new WebSocket(url); one.onopen = () => done('open');
             one.onerror = () => done('refused'); })""",
        f"{address.replace('http', 'ws')}live/guess/socket",
    )
    assert listened == "refused"
    page.close()


def test_the_page_after_a_login(browser: Any) -> None:
    graph = GraphConfig(size=128, threads=1, device="cpu", stages=("segment", "remember"))
    pages = Pages(RunConfig(graph), DemoConfig())
    try:
        with served(make_app(pages, login=("ann", "long word"))) as place:
            page = browser.new_page()
            page.set_default_timeout(MS)
            page.goto(place)
            for password in ("wrong", "long word"):
                page.fill("[name=username]", "ann")
                page.fill("[name=password]", password)
                page.click("text=Log in >> nth=-1")
                if password == "wrong":
                    page.wait_for_selector("text=User or password are wrong")
            page.wait_for_function("window.StreamVOS?.state().connected")
            assert page.url.rstrip("/") == place.rstrip("/") and not page.query_selector("[name=password]")
            page.close()
    finally:
        pages.close()


def test_two_visitors_do_not_see_each_other(visit: Any) -> None:
    one, other = visit(), visit()
    open_sample(one)
    assert state(other)["state"] == "empty"
    open_sample(other)
    click_at(one, 0.62, 0.5)
    one.wait_for_selector('[data-object="1"]')
    time.sleep(0.5)
    assert state(other)["objects"] == [] and state(other)["num_done"] == 0


def test_the_page_comes_back_after_a_lost_connection(visit: Any) -> None:
    page = visit(may_log="ERR_INTERNET_DISCONNECTED")
    open_sample(page)
    page.context.set_offline(True)
    page.evaluate("StreamVOS.disconnect()")
    page.wait_for_function("!StreamVOS.state().connected")
    page.context.set_offline(False)
    page.wait_for_function("StreamVOS.state().connected")
    click_at(page, 0.62, 0.5)
    page.wait_for_selector('[data-object="1"]')
    assert ids(page) == [1] and state(page)["source"]["name"] == "bikes"


def test_the_camera_of_the_page(visit: Any) -> None:
    page = visit(permissions=["camera"])
    page.click("role=tab[name=Camera]")
    page.click("#sv-open-camera")
    page.wait_for_function("StreamVOS.state().num_done >= 3")
    assert state(page)["source"]["live"] and state(page)["source"]["width"] == 640
    page.wait_for_selector("text=dropped")
    page.click("[aria-label^=Stop]:not([aria-label*=save])")
    wait_state(page, "stopped")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_server_with_a_page_open_leaves_nothing(browser: Any, tmp_path: Path, how: signal.Signals) -> None:
    words = [sys.executable, "-m", "apps.live", "--port", "0", "--size", "96", "--stages", "segment"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = re.search(r"http://[\d.:]+", server.stdout.readline()).group()
            page = browser.new_page()
            page.set_default_timeout(MS)
            page.goto(address)
            page.wait_for_function("window.StreamVOS?.state().connected")
            open_sample(page)
            assert list(tmp_path.glob("streamvos-page-*"))
            server.send_signal(how)
            assert server.wait(40) == 0
            assert not list(tmp_path.glob("streamvos-page-*"))
            page.close()
        finally:
            server.kill()
