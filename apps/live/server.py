"""The server of the demo: Gradio's page, and the routes of the live parts beside it."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import signal
import socket
import threading
from collections.abc import Callable
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
from apps.live.uploads import OnlyUploads
from apps.settings import DemoConfig, RunConfig
from streamvos.errors import InputError

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
    async def live(wire: WebSocket, token: str) -> None:
        await wire.accept()
        if not _same_origin(wire):
            await wire.close(4403)
            return
        try:
            page = pages.get(token)
        except InputError:
            await wire.close(4404)
            return
        await Connection(wire, page).serve()

    @app.get("/live/{token}/archive")
    def archive(token: str) -> Response:
        try:
            player = pages.get(token).player
            if player is None or player.packed is None or not player.packed.is_file():
                raise InputError("nothing is packed here: open a video, let it play, and press Export")
        except InputError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        return FileResponse(player.packed, media_type="application/zip", filename=player.packed.name)

    app.add_middleware(OnlyUploads)
    blocks = build(pages)
    # Gradio checks which files a request may name only once this is set, which `launch` does and mounting does not.
    blocks.has_launched = True
    return gr.mount_gradio_app(
        app,
        blocks,
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
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until Ctrl-C; all pages' videos are closed and removed at the end.

    Args:
        port: 0 takes any that is free.
        on_ready: called with the address, once it is open.

    Raises:
        InputError: host and port cannot be bound.
    """
    with _bound(host, port) as listener:
        pages = Pages(run, limits, runner)
        try:
            app = make_app(pages, host, login)
            config = uvicorn.Config(
                app,
                log_level="warning",
                ws_max_size=MAX_BYTES,
                ws="websockets-sansio",
                timeout_graceful_shutdown=2,  # pages that are open would be waited for without end
            )
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidies up as Ctrl-C does
            on_ready(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}")
            with contextlib.suppress(KeyboardInterrupt):
                uvicorn.Server(config).run([listener])
        finally:
            pages.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=64)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{host}:{port} cannot be opened ({why}); choose another with --host and --port") from None


def is_loopback(host: str) -> bool:
    """Whether a host to bind to is reached from this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _same_origin(wire: WebSocket) -> bool:
    """Browsers let any page open a websocket to any server; only our own page may."""
    origin = wire.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == wire.headers.get("host")


def _checker(user: str, password: str) -> Callable[[str, str], bool]:
    def is_right(given_user: str, given_password: str) -> bool:
        pairs = ((given_user, user), (given_password, password))
        return all([secrets.compare_digest(given.encode(), right.encode()) for given, right in pairs])

    return is_right
