"""What a request may name as a file: what was uploaded, and nothing else.

Gradio turns every {"path": ...} of a request into a file for the handler, and fetches those that are URLs. A page of
ours names only what it has uploaded; any other request of that kind is refused before Gradio sees it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MAX_BODY = 1 << 20  # of a request that carries no upload
_DEPTH = 40


class OnlyUploads:
    """Middleware in front of Gradio."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and scope["path"].rstrip("/").endswith("/upload")
        if scope["type"] != "http" or scope["method"] != "POST" or is_upload:
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more and len(body) <= _MAX_BODY:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > _MAX_BODY or not _is_allowed(bytes(body)):
            await send({"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"only uploaded files can be named"})
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, replay, send)


def _is_allowed(body: bytes) -> bool:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return True  # a form, such as that of the login; it names no files
    return all(_is_uploaded(path) for path in _paths(given))


def _paths(given: Any, depth: int = 0) -> list[Any]:
    """The values of all keys "path" and "url", however deep."""
    if depth > _DEPTH:
        return [None]  # no form of ours is so deep
    if isinstance(given, list):
        return [path for item in given for path in _paths(item, depth + 1)]
    if isinstance(given, dict):
        own = [given["path"]] if "path" in given else []
        return own + [path for item in given.values() for path in _paths(item, depth + 1)]
    return []


def _is_uploaded(path: Any) -> bool:
    if not isinstance(path, str):
        return False
    folder = Path(get_upload_folder()).resolve()
    return folder in Path(path).resolve().parents
