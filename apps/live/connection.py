"""The websocket of a page: pictures and state go out, what a person does comes in.

Out: pictures as binary messages (length of the head as uint32, little-endian; head as JSON; JPEG), everything else as
JSON. A picture is sent once the one before is on the screen, so a slow network sees fewer pictures and none too late.
In: JSON commands, see `COMMANDS`; binary messages are JPEGs of the page's camera.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from apps.live.pages import Page
from apps.live.player import Player
from streamvos.errors import InputError, OutputError

_log = logging.getLogger(__name__)
_REPORT_EVERY_S = 0.25
_SHOWN_WITHIN_S = 2.0  # then the next picture goes out all the same: the page may sleep in the background
_MAX_TEXT = 4096
_GONE = (WebSocketDisconnect, RuntimeError)  # the page went while something was on its way to it
_SLOW = ('"archive"', '"stop"')  # they wait for the run to end


def _share(given: Mapping[str, Any], name: str) -> float:
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(f"{name}: expected a share of the picture, 0 to 1; got {value!r}")
    return float(value)


def _object(given: Mapping[str, Any]) -> int:
    value = given.get("object")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"object: expected an id of at least 1, got {value!r}")
    return value


def _object_or_new(given: Mapping[str, Any]) -> int | None:
    return None if given.get("object") is None else _object(given)


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name)
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected true or false, got {value!r}")
    return value


def _label(given: Mapping[str, Any]) -> str:
    value = given.get("label")
    if not isinstance(value, str) or not 0 < len(value.strip()) <= 64:
        raise InputError("label: expected a name of 1 to 64 letters")
    return value.strip()


def _time(given: Mapping[str, Any]) -> float | None:
    value = given.get("time_s")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9):
        raise InputError(f"time_s: expected seconds, or null for now; got {value!r}")
    return None if value is None else float(value)


COMMANDS: dict[str, Callable[[Player, Mapping[str, Any]], dict[str, Any] | None]] = {
    "play": lambda player, given: player.play(),
    "pause": lambda player, given: player.pause(),
    "advance": lambda player, given: player.advance(),
    "stop": lambda player, given: player.stop(),
    "look": lambda player, given: player.look_at(_time(given)),
    "click": lambda player, given: player.click(
        _share(given, "x"), _share(given, "y"), _flag(given, "on"), _object_or_new(given)
    ),
    "box": lambda player, given: player.box(
        *(_share(given, name) for name in ("x1", "y1", "x2", "y2")), _object_or_new(given)
    ),
    "name": lambda player, given: player.name(_object(given), _label(given)),
    "hide": lambda player, given: player.hide(_object(given), _flag(given, "hidden")),
    "remove": lambda player, given: player.remove(_object(given)),
}


class Connection:
    """One open websocket.

    Args:
        socket: accepted.
        page: that it belongs to.
    """

    def __init__(self, socket: WebSocket, page: Page) -> None:
        self._socket, self._page = socket, page
        self._wake, self._shown = asyncio.Event(), asyncio.Event()
        self._sent = asyncio.Lock()  # one message at a time
        self._tasks: set[asyncio.Task[None]] = set()  # what takes long, while messages go on being read

    async def serve(self) -> None:
        """Until the page goes."""
        loop = asyncio.get_running_loop()
        page = self._page

        def listener() -> None:
            with contextlib.suppress(RuntimeError):  # the server is ending
                loop.call_soon_threadsafe(self._wake.set)

        page.listeners.add(listener)
        page.num_connections += 1
        sender = asyncio.create_task(self._send())
        try:
            await self._receive()
        except WebSocketDisconnect:
            pass
        finally:
            sender.cancel()
            page.listeners.discard(listener)
            for task in self._tasks:
                task.cancel()
            page.num_connections -= 1
            page.gone_since = time.monotonic()

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if (jpeg := message.get("bytes")) is not None:
                if self._page.camera is not None:
                    await asyncio.to_thread(self._page.camera.push, jpeg)
                continue
            text = message.get("text") or ""
            if any(name in text for name in _SLOW):
                task = asyncio.create_task(self._answer(text))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                await self._answer(text)

    async def _answer(self, text: str) -> None:
        reply = await self._obey(text)
        if reply is not None:
            await self._tell(reply)

    async def _obey(self, text: str) -> dict[str, Any] | None:
        """Do what one message asks for; the reply, None where there is nothing to say."""
        try:
            if len(text) > _MAX_TEXT:
                raise InputError(f"a command has at most {_MAX_TEXT} letters")
            given = _parsed(text)
            name, player = given.get("do"), self._page.player
            if name == "shown":
                self._shown.set()
                if player is not None and isinstance(given.get("frame"), int) and not given.get("past"):
                    player.note_shown(given["frame"])
                return None
            if name != "archive" and name not in COMMANDS:
                raise InputError(f"unknown command {name!r}")
            if player is None:
                raise InputError("open a video first")
            if name == "archive":
                await asyncio.to_thread(player.archive)
                return {"type": "archive", "url": f"live/{self._page.token}/archive"}
            done = await asyncio.to_thread(COMMANDS[name], player, given)
            return None if done is None else {"type": "pointed", **done}
        except (InputError, OutputError) as error:
            return {"type": "refused", "text": str(error)}

    async def _send(self) -> None:
        """Send what has changed, until cancelled."""
        reported: dict[str, Any] | None = None
        reported_at = shown_number = -1.0
        thumbnails: dict[int, int] = {}
        player: Player | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _REPORT_EVERY_S)
            self._wake.clear()
            if player is not self._page.player:
                player, reported, reported_at, shown_number, thumbnails = self._page.player, None, -1.0, -1.0, {}
            now = time.monotonic()
            if now - reported_at >= _REPORT_EVERY_S:
                report = {"type": "state", "state": "empty"}
                if player is not None:
                    report = await asyncio.to_thread(player.report)
                if report != reported:
                    await self._tell(report)
                    reported = report
                reported_at = now
                if player is not None:
                    await self._send_thumbnails(player, thumbnails)
            if player is not None and player.view.number != shown_number:
                shown_number = player.view.number
                await self._send_picture(player)

    async def _send_picture(self, player: Player) -> None:
        picture = await asyncio.to_thread(player.view.picture)
        if picture is None:
            return
        head = json.dumps(picture[0]).encode()
        self._shown.clear()
        async with self._sent:
            with contextlib.suppress(*_GONE):
                await self._socket.send_bytes(struct.pack("<I", len(head)) + head + picture[1])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._shown.wait(), _SHOWN_WITHIN_S)

    async def _send_thumbnails(self, player: Player, sent: dict[int, int]) -> None:
        for object_id, (number, jpeg) in player.view.thumbnails().items():
            if sent.get(object_id) != number:
                sent[object_id] = number
                await self._tell({"type": "thumbnail", "object": object_id, "url": data_url(jpeg)})

    async def _tell(self, message: dict[str, Any]) -> None:
        async with self._sent:
            with contextlib.suppress(*_GONE):
                await self._socket.send_text(json.dumps(message))


def data_url(jpeg: bytes) -> str:
    """A JPEG as a page takes it in place of an address."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _parsed(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise InputError("a command is a JSON object") from None
    if not isinstance(given, dict):
        raise InputError("a command is a JSON object")
    return given
