"""The routes beside Gradio's page, as a browser and as someone with bad intentions would use them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from apps.cli import main
from apps.demo_command import parse_login
from apps.live import server
from apps.live.history import encode_jpeg
from apps.live.pages import Pages
from apps.live.server import is_loopback, make_app
from streamvos.errors import InputError

HERE, WIRE = "http://127.0.0.1:7860", "ws://127.0.0.1:7860"


@pytest.fixture
def client(pages: Pages) -> Iterator[TestClient]:
    with TestClient(make_app(pages), HERE) as client:
        yield client


class Visit:
    """A page's end of the websocket; pictures are told to be shown. Keeps the latest message of each type."""

    def __init__(self, socket: WebSocketTestSession) -> None:
        self.socket = socket
        self.latest: dict[str, dict[str, Any]] = {}

    def send(self, **command: Any) -> None:
        self.socket.send_json(command)

    def until(self, kind: str, check: Callable[[dict[str, Any]], Any] = lambda message: True) -> dict[str, Any]:
        """The latest message of a type that passes; waits for it where there is none yet. It is given once."""
        while not (kind in self.latest and check(self.latest[kind])):
            self._receive()
        return self.latest.pop(kind)

    def until_state(self, *states: str) -> dict[str, Any]:
        return self.until("state", lambda message: message["state"] in states)

    def _receive(self) -> None:
        message = self.socket.receive()
        if data := message.get("bytes"):
            length = struct.unpack("<I", data[:4])[0]
            head = json.loads(data[4 : 4 + length]) | {"jpeg": data[4 + length :]}
            self.send(do="shown", frame=head["frame"], past=head["past"])
        else:
            head = json.loads(message["text"])
        self.latest[head["type"]] = head


def test_a_whole_visit(client, pages):
    page = pages.new()
    with client.websocket_connect(f"{WIRE}/live/{page.token}/socket") as socket:
        visit = Visit(socket)
        assert visit.until_state("empty") == {"type": "state", "state": "empty"}
        page.open_sample("carphone", False, [])
        visit.until_state("ready")
        jpeg = visit.until("picture")["jpeg"]
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (
            144,
            193,
            3,
        )  # 176 wide, of pixels that are not square
        visit.send(do="click", x=0.5, y=0.5, on=True, object=None)
        assert visit.until("pointed")["object"] == 1
        assert visit.until("thumbnail")["url"].startswith("data:image/jpeg;base64,")
        visit.send(do="advance")
        state = visit.until("state", lambda one: one.get("num_done") == 2 and one["delay_s"])
        assert [one["id"] for one in state["objects"]] == [1]
        visit.send(do="archive")
        url = visit.until("archive")["url"]
    answer = client.get(f"/{url}")
    assert answer.headers["content-disposition"] == 'attachment; filename="carphone_pristine.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert "carphone_pristine/tracks.json" in packed.namelist()


BAD = {
    "no json": "{",
    "a list": "[]",
    "nested without end": "[" * 3000,
    "no command": "{}",
    "unknown": '{"do": "exec"}',
    "private": '{"do": "__class__"}',
    "a click nowhere": '{"do": "click", "on": true}',
    "a click outside": '{"do": "click", "x": 2, "y": 0, "on": true}',
    "a click on nothing": '{"do": "click", "x": NaN, "y": 0, "on": true}',
    "a click of words": '{"do": "click", "x": "0", "y": 0, "on": "yes"}',
    "an object below": '{"do": "remove", "object": 0}',
    "an object of words": '{"do": "hide", "object": "1", "hidden": true}',
    "nobody": '{"do": "remove", "object": 99}',
    "no name": '{"do": "name", "object": 1, "label": " "}',
    "a name without end": json.dumps({"do": "name", "object": 1, "label": "x" * 65}),
    "a list for a command": '{"do": ["x"]}',
    "a table for a command": '{"do": {"do": "play"}}',
    "half a letter": '{"do": "name", "object": 1, "label": "\\ud800"}',
    "thousands of digits": '{"do": "look", "time_s": ' + "9" * 5000 + "}",
    "an id without end": '{"do": "remove", "object": 1' + "0" * 300 + "}",
    "no kind": '{"do": "open", "discover": false, "classes": []}',
    "a kind of its own": '{"do": "open", "kind": ["upload"], "discover": false, "classes": []}',
    "a class that nobody knows": '{"do": "open", "kind": "camera", "discover": true, "classes": [["car"]]}',
    "a stream of its own": '{"do": "open", "kind": "stream", "name": {}, "discover": false, "classes": []}',
    "a switch that nobody knows": '{"do": "show", "shown": ["hidden"]}',
    "a question without end": json.dumps({"do": "ask", "question": "x" * 501}),
    "a moment before": '{"do": "look", "time_s": -1}',
    "a line": '{"do": "box", "x1": 0.5, "y1": 0.5, "x2": 0.5, "y2": 0.9}',
    "too long": json.dumps({"do": "play", "more": "x" * 9000}),
}


def test_bad_commands_are_refused_and_the_page_goes_on(client, pages):
    page = pages.new()
    with client.websocket_connect(f"{WIRE}/live/{page.token}/socket") as socket:
        visit = Visit(socket)
        visit.send(do="play")
        assert visit.until("refused")["text"] == "open a video first"
        page.open_sample("carphone", False, [])
        visit.until_state("ready")
        for name, text in BAD.items():
            socket.send_text(text)
            assert visit.until("refused")["text"], name
        socket.send_bytes(b"no camera is open here")
        visit.send(do="advance")
        visit.until("state", lambda one: one.get("num_done") == 1)


def test_a_camera_of_the_page(client, pages):
    page = pages.new()
    with client.websocket_connect(f"{WIRE}/live/{page.token}/socket") as socket:
        visit = Visit(socket)
        page.open_camera(False, [])
        visit.until_state("opening")
        noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
        for shift in range(40):
            socket.send_bytes(encode_jpeg(np.roll(noise, shift, axis=1)))
        state = visit.until("state", lambda one: one.get("num_done", 0) >= 1)
        assert state["source"]["live"] and state["source"]["name"] == "camera"
        visit.send(do="stop")
        visit.until_state("stopped")


def test_a_token_opens_its_own_page_alone(client, pages):
    with client.websocket_connect(f"{WIRE}/live/guess/socket") as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()
    assert closed.value.code == 4404
    assert client.get("/live/guess/archive").status_code == 404
    page = pages.new()
    assert client.get(f"/live/{page.token}/archive").json() == {
        "error": "nothing is packed here: open a video, let it play, and press Export"
    }


def test_login_of_the_command_line():
    assert parse_login(None) is None and parse_login("ann:a:b") == ("ann", "a:b")
    for text in ("ann", ":", "ann:", ":word", ""):
        with pytest.raises(InputError, match="expected USER:PASSWORD"):
            parse_login(text)


@pytest.mark.parametrize(
    ("words", "is_made_up"),
    [
        ([], False),
        (["--host", "0.0.0.0"], True),
        (["--host", "0.0.0.0", "--auth", "ann:word"], False),
        (["--config", "proxy.toml"], True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_password_is_made_up_where_others_can_reach_the_page(monkeypatch, tmp_path, capsys, words, is_made_up):
    given = []
    monkeypatch.setattr(
        server, "serve", lambda *_, on_ready, **more: (on_ready("http://x"), given.append(more["login"]))
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "proxy.toml").write_text("[demo]\nbehind_proxy = true\n")
    for _ in range(2):
        assert main(["demo", *words]) == 0
    told = capsys.readouterr().out
    if not is_made_up:
        assert given[0] == given[1] == (("ann", "word") if words else None) and "password" not in told
        return
    assert given[0] != given[1]
    for user, password in given:
        assert len(password) >= 16 and f"log in as {user} with the password {password}" in told


def test_a_port_that_is_taken_is_said(capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be opened" in capsys.readouterr().err
    assert main(["demo", "--port", "99999"]) == 2


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.0.0.9", "localhost", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.3", "example.org")))
