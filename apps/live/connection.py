"""The websocket of a page: pictures and state go out, what a person does comes in.

Out: pictures as binary messages (length of the head as uint32, little-endian; head as JSON; JPEG), everything else as
JSON. A picture is sent once the one before is on the screen, so a slow network sees fewer pictures and none too late.
In: JSON commands, see `commands.py`; binary messages are JPEGs of the page's camera.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
import time
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from apps.live.commands import SLOW, data_url, obey, parse
from apps.live.pages import Page
from apps.live.player import Player
from streamvos.errors import InputError, OutputError

_log = logging.getLogger(__name__)
_REPORT_EVERY_S = 0.25
_SHOWN_WITHIN_S = 2.0  # then the next picture goes out all the same: the page may sleep in the background
_MAX_TASKS = 4  # of slow commands on their way
_GONE = (WebSocketDisconnect, RuntimeError)  # the page went while something was on its way to it


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
            try:
                given = parse(message.get("text") or "")
            except InputError as error:
                await self._tell({"type": "refused", "text": str(error)})
                continue
            if given["do"] not in SLOW:
                await self._obey(given)
            elif len(self._tasks) < _MAX_TASKS:
                task = asyncio.create_task(self._obey(given))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                await self._tell({"type": "refused", "do": given["do"], "text": "wait for what was asked before"})

    async def _obey(self, given: dict[str, Any]) -> None:
        """Do what one message asks for, and say what came of it; whatever it is, the page can go on."""
        if given["do"] == "shown":
            self._shown.set()
        try:
            reply = await asyncio.to_thread(obey, self._page, given)
        except (InputError, OutputError) as error:
            reply = {"type": "refused", "do": given["do"], "text": str(error)}
        except Exception:
            _log.exception("a command of a page failed: %s", given["do"])
            reply = {"type": "refused", "do": given["do"], "text": "this failed; the server's log says why"}
        if reply is not None:
            await self._tell(reply)

    async def _send(self) -> None:
        """Send what has changed, until cancelled."""
        reported: dict[str, Any] | None = None
        reported_at = shown_number = -1.0
        thumbnails: dict[int, int] = {}
        stills = -1
        self._page.stills.wanted()
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
            if stills != self._page.stills.version:
                stills = self._page.stills.version
                await self._send_sources()
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

    async def _send_sources(self) -> None:
        rows = self._page.stills.rows()
        for row in rows:
            row["url"] = data_url(jpeg) if (jpeg := row.pop("jpeg")) else None
        await self._tell({"type": "sources", "sources": rows})

    async def _send_thumbnails(self, player: Player, sent: dict[int, int]) -> None:
        for object_id, (number, jpeg) in player.view.thumbnails().items():
            if sent.get(object_id) != number:
                sent[object_id] = number
                await self._tell({"type": "thumbnail", "object": object_id, "url": data_url(jpeg)})

    async def _tell(self, message: dict[str, Any]) -> None:
        async with self._sent:
            with contextlib.suppress(*_GONE):
                await self._socket.send_text(json.dumps(message))
