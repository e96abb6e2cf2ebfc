"""The server of the demo: Gradio's page, and the routes of the live parts beside it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import secrets
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import urlsplit

import gradio as gr
import uvicorn
from fastapi import FastAPI, WebSocket
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, JSONResponse, Response

from apps.live.camera import MAX_BYTES
from apps.live.connection import Connection
from apps.live.page import build, css, head, theme
from apps.live.pages import Pages
from apps.settings import DemoConfig, RunConfig
from streamvos.errors import InputError

_log = logging.getLogger(__name__)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def make_app(pages: Pages, host: str = "127.0.0.1", login: tuple[str, str] | None = None) -> FastAPI:
    """The application.

    Args:
        pages: closed by whoever made them.
        host: that it will be bound to; on this machine alone, requests by other names are refused (DNS rebinding).
        login: user and password that the page asks for.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if is_loopback(host):
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*_LOOPBACK, host])

    @app.websocket("/live/{token}/socket")
    async def socket(socket: WebSocket, token: str) -> None:
        await socket.accept()
        if not _same_origin(socket):
            await socket.close(4403)
            return
        try:
            page = pages.get(token)
        except InputError:
            await socket.close(4404)
            return
        await Connection(socket, page).serve()

    @app.get("/live/{token}/archive")
    def archive(token: str) -> Response:
        try:
            player = pages.get(token).player
            if player is None:
                raise InputError("there is nothing to export: open a video first")
            path = player.archive()
        except InputError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        return FileResponse(path, media_type="application/zip", filename=path.name)

    return gr.mount_gradio_app(
        app,
        build(pages),
        path="",
        auth=None if login is None else _checker(*login),
        max_file_size=f"{pages.limits.max_upload_mib}mb",
        show_error=False,
        ssr_mode=False,
        footer_links=[],
        theme=theme(),
        css=css(),
        head=head(),
    )


def serve(
    run: RunConfig,
    limits: DemoConfig,
    *,
    host: str,
    port: int,
    login: tuple[str, str] | None = None,
    runner: Literal["local", "ray"] = "local",
    on_ready: object = None,
) -> None:
    """Serve until Ctrl-C; all pages' videos are closed and removed at the end."""
    pages = Pages(run, limits, runner)
    app = make_app(pages, host, login)
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", ws_max_size=MAX_BYTES, ws="websockets-sansio"
    )
    try:
        uvicorn.Server(config).run()
    finally:
        pages.close()


def is_loopback(host: str) -> bool:
    """Whether a host to bind to is reached from this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _same_origin(socket: WebSocket) -> bool:
    """Browsers let any page open a websocket to any server; only our own page may."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


def _checker(user: str, password: str):
    def is_right(given_user: str, given_password: str) -> bool:
        pairs = ((given_user, user), (given_password, password))
        return all([secrets.compare_digest(given.encode(), right.encode()) for given, right in pairs])

    return is_right
