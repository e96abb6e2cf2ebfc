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
from apps.live.history import encode_jpeg
from apps.live.pages import Pages
from apps.live.server import is_loopback, make_app
from apps.settings import DemoConfig, RunConfig
from streamvos.errors import InputError

HERE, WIRE = "http://127.0.0.1:7860", "ws://127.0.0.1:7860"


@pytest.fixture
def pages(small_graph) -> Iterator[Pages]:
    pages = Pages(RunConfig(small_graph), DemoConfig())
    yield pages
    pages.close()


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
    "a moment before": '{"do": "look", "time_s": -1}',
    "a line": '{"do": "box", "x1": 0.5, "y1": 0.5, "x2": 0.5, "y2": 0.9}',
    "too long": json.dumps({"do": "play", "more": "x" * 5000}),
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


def test_other_sites_and_other_names_are_refused(client, pages):
    page = pages.new()
    headers = {"origin": "http://evil.example"}
    path = f"{WIRE}/live/{page.token}/socket"
    with client.websocket_connect(path, headers=headers) as socket, pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_text()
    assert closed.value.code == 4403
    with client.websocket_connect(path, headers={"origin": HERE}) as socket:
        assert socket.receive_json()["state"] == "empty"
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400
    assert client.get("/").status_code == 200


def test_files_of_the_server_are_not_served(client, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    for path in (
        f"/gradio_api/file={secret}",
        f"/file={secret}",
        "/gradio_api/file=/etc/passwd",
    ):
        answer = client.get(path)
        assert answer.status_code in (401, 403, 404), (path, answer.text[:300])
        assert "hush" not in answer.text and "root:" not in answer.text
    assert not client.get("/gradio_api/info").json()["named_endpoints"]


def test_a_request_can_name_only_what_was_uploaded(client, pages, tmp_path, monkeypatch):
    """Gradio itself would copy any path, and fetch any URL, before our handler is asked."""
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"hush")
    page = pages.new()
    config = client.get("/config").json()
    (upload,) = [one for one in config["components"] if one["type"] == "file"]
    (call,) = [one for one in config["dependencies"] if upload["id"] in one["inputs"]]
    opened = []
    monkeypatch.setattr(type(page), "open_upload", lambda self, path, *more: opened.append(path))
    for path in (
        str(secret),
        "/etc/passwd",
        "http://127.0.0.1:1/x.mp4",
        "https://example.org/x.mp4",
        "../x.mp4",
        None,
        3,
    ):
        named = {"path": path, "meta": {"_type": "gradio.FileData"}}
        data = {"data": [None, named, False, []], "fn_index": call["id"], "session_hash": "s"}
        for route in ("queue/join", "run/predict", "api/predict"):
            answer = client.post(f"/gradio_api/{route}", json=data)
            assert answer.status_code == 400 and "only uploaded files" in answer.text, (path, route)
    assert client.post("/gradio_api/queue/join", content=b"[" * 5000).status_code >= 400
    assert client.post("/gradio_api/queue/join", content=b" " * (2 << 20)).status_code == 400
    name = client.post("/gradio_api/upload", files={"files": ("a.mp4", b"mine")}).json()[0]
    named = {"path": name, "meta": {"_type": "gradio.FileData"}}
    data = {"data": [None, named, False, []], "fn_index": call["id"], "session_hash": "s"}
    assert client.post("/gradio_api/queue/join", json=data).status_code == 200
    assert opened == []


def test_a_login_guards_the_page(pages):
    with TestClient(make_app(pages, login=("ann", "long word")), HERE) as client:
        assert client.get("/config").status_code == 401
        assert client.post("/login", data={"username": "ann", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "ann", "password": "long word"}).status_code == 200
        assert client.get("/config").status_code == 200


def test_login_of_the_command_line():
    assert parse_login(None) is None and parse_login("ann:a:b") == ("ann", "a:b")
    for text in ("ann", ":", "ann:", ":word", ""):
        with pytest.raises(InputError, match="expected USER:PASSWORD"):
            parse_login(text)


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
