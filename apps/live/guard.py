"""What stands before the whole application: which requests are let through, whose, and what every response carries.

Gradio serves much that the page does not need: it fetches URLs, takes files, runs functions for whoever names a
session, and describes itself. Here nothing passes that is not listed. What changes something comes from our own page
alone, and where a login is set, from someone who has logged in. Nothing of a refused request is read but its head.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.live.headers import page_policy, security_headers
from apps.live.login import Login

_READ = re.compile(r"/|/login|/theme\.css|/favicon\.ico|/(?:static|assets)/[\w./~@+-]+|/live/[\w./-]+")
_WRITE = re.compile(r"/login|/live/pages|/live/[\w-]+/upload")
_SOCKET = re.compile(r"/live/[\w-]+/socket")
_OPEN = ("/login",)  # to those who have not logged in
_FORWARDED = re.compile(rb"x-forwarded-.*|forwarded|x-real-ip|x-original-.*|x-rewrite-.*|x-gradio-.*")
_NAME = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")  # and port
_MAX_PAGE_BYTES = 16 << 20  # of HTML, which is held until its scripts are known


class Guard:
    """Middleware around everything.

    Args:
        app: what is guarded.
        login: None where none is asked for.
        behind_proxy: take address, name and scheme from X-Forwarded-For, -Host and -Proto. Only behind a proxy that
            sets them itself: anyone else may claim anything there.
        names: by which the server may be asked, None for any. Without a login it is these that keep other sites out:
            their own names can be made to lead here (DNS rebinding), and then this page's origin is theirs.
    """

    def __init__(
        self,
        app: ASGIApp,
        login: Login | None = None,
        behind_proxy: bool = False,
        names: Collection[str] | None = None,
    ) -> None:
        self._app, self._login, self._behind_proxy, self._names = app, login, behind_proxy, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = _without_claims(scope, self._behind_proxy)
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 4000 + refusal[0], "reason": refusal[1]})
        elif refusal is not None:
            await _refuse(scope, send, *refusal)
        elif scope["path"] in ("/", "/login"):
            # nothing of the query, which Gradio would take for a stored page; uncompressed, for the scripts' hashes
            headers = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
            await self._app(scope | {"query_string": b"", "headers": headers}, receive, _PageSend(scope, send))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason where a request does not pass."""
        headers, path = Headers(scope=scope), scope["path"]
        if self._names is not None and _name_of(headers) not in self._names:
            return 403, f"this server answers to {', '.join(self._names)} alone: open it by one of these"
        if scope["type"] == "websocket":
            listed, is_reading = _SOCKET, False
        else:
            is_reading = scope["method"] in ("GET", "HEAD")
            listed = _READ if is_reading else _WRITE
            if not is_reading and scope["method"] != "POST":
                return 405, "only GET and POST are answered here"
        if not listed.fullmatch(path) or ".." in path:
            return 404, "there is nothing here"
        if not is_reading and not is_own(headers):
            return 403, "this may be asked for by the page of this server alone"
        if self._login is not None and path not in _OPEN and not self._login.is_known(headers.get("cookie", "")):
            return 401, "log in first"
        return None


def is_own(headers: Headers) -> bool:
    """Whether a request comes from a page of this server, or from no page at all: browsers tell, pages cannot lie."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def _name_of(headers: Headers) -> str:
    """The host that a request asks for, without the port; "" where that is none."""
    hosts = headers.getlist("host")
    match = _NAME.fullmatch(hosts[0].strip().lower()) if len(hosts) == 1 else None
    return "" if match is None else match[1]


def _without_claims(scope: Scope, behind_proxy: bool) -> Scope:
    """The scope without headers that claim another host or address, which are believed only of a proxy."""
    given = Headers(scope=scope)
    kept = [pair for pair in scope["headers"] if not _FORWARDED.fullmatch(pair[0].lower())]
    told: dict[str, object] = {"headers": kept}
    if behind_proxy:
        if address := _last(given, "x-forwarded-for"):
            told["client"] = (address, 0)
        if host := _last(given, "x-forwarded-host"):
            told["headers"] = [pair for pair in kept if pair[0] != b"host"] + [(b"host", host.encode("latin-1"))]
        if (scheme := _last(given, "x-forwarded-proto")) in ("http", "https"):
            told["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
    return {**scope, **told}


def _last(headers: Headers, name: str) -> str:
    """The last value of a header that every proxy on the way appends to: that of our own one."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    wants_page = status == 401 and scope["path"] == "/"
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"location", b"login")] if wants_page else []
    headers += [(b"connection", b"close")] if scope["method"] == "POST" else []  # its body is not read
    await send(
        {
            "type": "http.response.start",
            "status": 303 if wants_page else status,
            "headers": headers + security_headers(),
        }
    )
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _with_headers(send: Send) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *security_headers()]}
        await send(message)

    return headed


class _PageSend:
    """Sends a page with the policy that its own scripts need."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._host, self._send = Headers(scope=scope).get("host", ""), send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if len(self._body) > _MAX_PAGE_BYTES:
            raise ValueError(f"a page of the demo has more than {_MAX_PAGE_BYTES} bytes")
        if message.get("more_body"):
            return
        policy = security_headers(page_policy(bytes(self._body), self._host))
        own = [*self._start["headers"], (b"cache-control", b"no-store"), *policy]
        await self._send({**self._start, "headers": own})
        await self._send({"type": "http.response.body", "body": bytes(self._body)})
