"""The server of the demo: Gradio's page, and the routes of the live parts beside it, all behind a guard."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable
from typing import Literal

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from apps.live.camera import MAX_BYTES
from apps.live.guard import Guard
from apps.live.login import Login
from apps.live.page import build, css, head, theme
from apps.live.pages import Pages
from apps.live.routes import login_routes, page_routes
from apps.settings import DemoConfig, RunConfig
from streamvos.errors import InputError

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def make_app(pages: Pages, host: str = "127.0.0.1", login: tuple[str, str] | None = None) -> ASGIApp:
    """The application.

    Args:
        pages: closed by whoever made them.
        host: that it will be bound to; on this machine alone, requests by other names are refused (DNS rebinding).
        login: user and password that the page asks for; not None where others can reach it.

    Raises:
        InputError: others can reach it, and no login is asked for.
    """
    is_open = is_open_to_others(host, pages.limits)
    if is_open and login is None:
        raise InputError(f"{host} is reached from other machines, or through a proxy: set a login with --auth")
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    asked = None if login is None else Login(*login)
    if asked is not None:
        app.include_router(login_routes(asked))
    app.include_router(page_routes(pages))
    gr.mount_gradio_app(
        app,
        build(pages.limits),
        path="",
        show_error=False,
        ssr_mode=False,
        footer_links=[],
        theme=theme(),
        css=css(),
        head=head(),
    )
    names = None if is_open else tuple(dict.fromkeys((*_LOOPBACK, f"[{host}]" if ":" in host else host)))
    return Guard(app, asked, pages.limits.behind_proxy, names)


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
        InputError: host and port cannot be bound, or others can reach them and no login is asked for.
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
                proxy_headers=False,  # the guard decides whom it believes
                server_header=False,
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


def is_open_to_others(host: str, limits: DemoConfig) -> bool:
    """Whether a page at this host can be reached from other machines, by itself or through a proxy."""
    return limits.behind_proxy or not is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether a host to bind to is reached from this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
