"""Whatever a page sends over its websocket is answered, and the page goes on."""

from __future__ import annotations

import json
import random
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

from starlette.testclient import TestClient

from apps.live import connection
from apps.live.commands import COMMANDS, obey, parse
from apps.live.pages import Page
from apps.live.player import Player
from apps.live.server import make_app
from streamvos.answers import Answer
from streamvos.errors import InputError

GOOD: list[dict[str, Any]] = [
    {"do": "open", "kind": "sample", "name": "bikes", "discover": False, "classes": ["car"], "play": True},
    {"do": "open", "kind": "stream", "name": "door", "discover": True, "classes": []},
    {"do": "again"},
    {"do": "show", "shown": ["masks", "depth"]},
    {"do": "ask", "question": "was there a dog?"},
    {"do": "archive"},
    {"do": "shown", "frame": 3, "past": False},
    {"do": "play"},
    {"do": "look", "time_s": 1.5},
    {"do": "click", "x": 0.5, "y": 0.25, "on": True, "object": 2, "new": False},
    {"do": "box", "x1": 0, "y1": 0.5, "x2": 1, "y2": 1.0, "object": None},
    {"do": "name", "object": 1, "label": "kid's bike"},
    {"do": "hide", "object": 1, "hidden": True},
    {"do": "remove", "object": 1},
]
ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, -0.0, float("nan"), float("inf"), 10**30, "", " ", "x" * 700, "\ud800", "\x00",
    "__class__", "../../etc/passwd", [], {}, ["x"], [[]], {"do": "play"}, [None], [10**30],
]  # fmt: skip
MARKS = string.printable + "é\u2028\U0001f600"


def messages(count: int, seed: int = 0) -> Iterator[str]:
    """Commands with values, names and letters that are not as they should be."""
    rng = random.Random(seed)
    for _ in range(count):
        command = dict(rng.choice(GOOD))
        for _ in range(rng.randint(0, 3)):
            how = rng.random()
            name = rng.choice(list(command) or ["do"])
            if how < 0.6:
                command[name] = rng.choice(ODD)
            elif how < 0.8:
                command.pop(name, None)
            else:
                command["".join(rng.choices(MARKS, k=3))] = rng.choice(ODD)
        text = json.dumps(command, ensure_ascii=rng.random() < 0.5)
        for _ in range(rng.choice((0, 0, 1, 5))):
            place = rng.randrange(len(text) + 1)
            text = text[:place] + rng.choice(MARKS) + text[place + rng.randint(0, 2) :]
        yield text.encode(errors="replace").decode()


def a_page() -> Page:
    """A page whose video takes every call that has the right form."""
    page = create_autospec(Page, instance=True, token="t")
    page.player = create_autospec(Player, instance=True, folder=Path("nowhere"))
    page.player.ask.return_value = Answer("a dog", 0.5, "answered", ())
    for name in ("play", "pause", "advance", "stop", "look_at", "name", "hide", "remove"):
        getattr(page.player, name).return_value = None
    for name in ("click", "box"):
        getattr(page.player, name).return_value = {"object": 1, "frame": 1}
    return page


def test_every_good_command_is_done() -> None:
    assert {command["do"] for command in GOOD} | {"pause", "advance", "stop"} == set(COMMANDS)
    for command in GOOD:
        obey(a_page(), parse(json.dumps(command)))


def test_thousands_of_odd_messages_are_done_or_refused() -> None:
    page, seen = a_page(), Counter()
    for text in messages(5000):
        try:
            reply = obey(page, parse(text))
        except InputError as error:
            assert len(str(error)) < 400
            seen["refused"] += 1
        else:
            json.dumps(reply)
            seen["done"] += 1
    assert seen["refused"] > 1500 and seen["done"] > 500
    for call in page.player.name.call_args_list:
        assert len(call.args[1].encode()) > 0 and call.args[0] >= 1
    for call in page.player.click.call_args_list:
        assert 0 <= call.args[0] <= 1 and 0 <= call.args[1] <= 1


def test_odd_messages_leave_the_websocket_open(pages, monkeypatch, caplog) -> None:
    page = pages.new()
    monkeypatch.setattr(page, "player", a_page().player)
    monkeypatch.setattr(page, "open_sample", lambda *_: None)
    page.player.view = SimpleNamespace(number=0, thumbnails=dict, picture=lambda: None)
    page.player.report.return_value = {"type": "state", "state": "ready"}
    with (
        TestClient(make_app(pages), "http://127.0.0.1:7860") as client,
        client.websocket_connect(f"ws://127.0.0.1:7860/live/{page.token}/socket") as wire,
    ):
        wire.send_text('{"do":["x"]}')
        while (told := wire.receive_json())["type"] != "refused":
            pass
        assert "unknown command" in told["text"]
        for text in messages(400, seed=1):
            wire.send_text(text)
        wire.send_json({"do": "look", "time_s": "the end"})
        while "the end" not in (told := wire.receive_json()).get("text", ""):
            assert told["type"] in ("refused", "state", "sources", "opened", "answer", "archive", "pointed")
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


def test_a_fault_of_ours_is_told_and_the_page_goes_on(pages, monkeypatch, caplog) -> None:
    def broken(page, given) -> None:
        raise KeyError("a bug of ours")

    monkeypatch.setattr(connection, "obey", broken)
    page = pages.new()
    with (
        TestClient(make_app(pages), "http://127.0.0.1:7860") as client,
        client.websocket_connect(f"ws://127.0.0.1:7860/live/{page.token}/socket") as wire,
    ):
        for _ in range(2):
            wire.send_json({"do": "play"})
            while (told := wire.receive_json())["type"] != "refused":
                pass
            assert told["text"] == "this failed; the server's log says why"
    assert "a command of a page failed" in caplog.text
