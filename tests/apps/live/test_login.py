"""Who has not logged in gets nothing, and cannot try for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from apps.live import login as module
from apps.live.login import Login, Throttle
from apps.live.pages import Pages
from apps.live.server import make_app

HERE, WIRE = "http://127.0.0.1:7860", "ws://127.0.0.1:7860"
RIGHT, WRONG = {"username": "ann", "password": "long wörd"}, {"username": "ann", "password": "wrong"}


@pytest.fixture
def client(pages: Pages) -> Iterator[TestClient]:
    app = make_app(pages, login=(RIGHT["username"], RIGHT["password"]))
    with TestClient(app, HERE, follow_redirects=False) as client:
        yield client


def test_a_login_guards_everything(client, pages) -> None:
    token = pages.new().token
    assert client.get("/").headers["location"] == "login"
    assert "<form" in client.get("/login").text
    for path in ("/live/page.js", "/theme.css", f"/live/{token}/archive"):
        assert client.get(path).status_code == 401, path
    for path in ("/live/pages", f"/live/{token}/upload?name=a.mp4"):
        assert client.post(path, content=b"x").status_code == 401, path
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{WIRE}/live/{token}/socket"):
        pass
    assert client.post("/login", data=WRONG).status_code == 400
    answer = client.post("/login", data=RIGHT)
    assert answer.status_code == 303 and answer.headers["location"] == "./"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert client.get("/").status_code == 200 and client.get("/live/page.js").status_code == 200
    with client.websocket_connect(f"{WIRE}/live/{token}/socket") as wire:
        assert wire.receive_json()["state"] == "empty"


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"username=ann", b"a=1&" * 20, b"username=%ff&password=%00"], ids=str
)
def test_a_form_that_makes_no_sense_is_a_wrong_login(client, body) -> None:
    assert client.post("/login", content=body).status_code == 400


def test_a_long_body_is_not_read_to_its_end(client) -> None:
    assert client.post("/login", content=b"x" * (1 << 20)).status_code == 413
    assert client.post("/gradio_api/queue/join", content=b"[" * (1 << 20)).status_code == 404


def test_wrong_tries_make_the_next_one_wait(client, monkeypatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT_S", 60.0)
    assert [client.post("/login", data=WRONG).status_code for _ in range(4)] == [400, 400, 400, 429]
    answer = client.post("/login", data=RIGHT)  # not even the right one: it would tell that it is
    assert answer.status_code == 429 and 0 < int(answer.headers["retry-after"]) <= 61
    assert client.get("/").status_code == 303


def test_the_wait_grows_and_ends_with_a_right_try(monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    login = Login("ann", "word")
    waits = []
    for _ in range(14):
        assert login.enter("ann", "wrong", "9.9.9.9") is None
        waits.append(round(login.throttle.wait_s("9.9.9.9")))
        clock[0] += waits[-1]
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert login.throttle.wait_s("9.9.9.8") == 0
    assert login.enter("ann", "word", "9.9.9.9")
    assert login.enter("ann", "wrong", "9.9.9.9") is None and login.throttle.wait_s("9.9.9.9") == 0


def test_addresses_of_one_network_count_as_one_and_are_bounded(monkeypatch) -> None:
    throttle = Throttle()
    for number in range(4):
        throttle.note_wrong(f"2001:db8:0:1::{number}")
    assert throttle.wait_s("2001:db8:0:1:ffff::1") > 0 and throttle.wait_s("2001:db8:0:2::1") == 0
    monkeypatch.setattr(module, "_MAX_ADDRESSES", 10)
    for number in range(50):
        throttle.note_wrong(f"10.0.0.{number}")
    assert len(throttle._tries) == 10


def test_a_cookie_ends(monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    login = Login("ann", "word")
    cookie = f"a=b; streamvos-login={login.enter('ann', 'word', '9.9.9.9')}"
    assert login.is_known(cookie)
    assert not any(login.is_known(text) for text in ("", "streamvos-login=", "streamvos-login=guess", "=;;=\x00"))
    clock[0] += 13 * 3600
    assert not login.is_known(cookie)
