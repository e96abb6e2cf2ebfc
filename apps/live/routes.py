"""The demo's own routes: a page's secret, its websocket, its uploads, its archive, and the login."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, WebSocket
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from apps.live.connection import Connection
from apps.live.login import COOKIE, Login, login_page
from apps.live.page import script
from apps.live.pages import Pages
from streamvos.errors import InputError, OutputError

_MAX_FORM = 4096
_NEVER_KEPT = {"cache-control": "no-store"}


def page_routes(pages: Pages) -> APIRouter:
    """Everything of a page is asked for by its token, which only the page that made it is told."""
    router = APIRouter()

    @router.get("/live/page.js")
    def page_script() -> Response:
        return Response(script(), media_type="text/javascript", headers=_NEVER_KEPT)

    @router.post("/live/pages")
    def new_page() -> Response:
        try:
            return JSONResponse({"token": pages.new().token}, headers=_NEVER_KEPT)
        except InputError as error:
            return _refusal(503, str(error))

    @router.websocket("/live/{token}/socket")
    async def live(wire: WebSocket, token: str) -> None:
        await wire.accept()
        try:
            page = pages.get(token)
        except InputError:
            await wire.close(4404)
            return
        await Connection(wire, page).serve()

    @router.post("/live/{token}/upload")
    async def upload(request: Request, token: str, name: str = "") -> Response:
        try:
            page = pages.get(token)
        except InputError as error:
            return _refusal(404, str(error))
        length = request.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or len(length) > 15:
            return _refusal(411, "the length of the file was not told")
        try:
            await page.uploads.receive(name, int(length), request.stream())
        except OutputError as error:
            return _refusal(507, str(error))
        except InputError as error:
            return _refusal(400, str(error))
        except ClientDisconnect:
            return _refusal(400, "the file did not come whole: send it again")
        return JSONResponse({"name": page.uploads.latest.name})

    @router.get("/live/{token}/archive")
    def archive(token: str) -> Response:
        try:
            player = pages.get(token).player
            if player is None or player.packed is None or not player.packed.is_file():
                raise InputError("nothing is packed here: open a video, let it play, and press Export")
        except InputError as error:
            return _refusal(404, str(error))
        return FileResponse(
            player.packed, media_type="application/zip", filename=player.packed.name, headers=_NEVER_KEPT
        )

    return router


def login_routes(login: Login) -> APIRouter:
    """The form, and where it is sent."""
    router = APIRouter()

    @router.get("/login")
    def form() -> Response:
        return HTMLResponse(login_page())

    @router.post("/login")
    async def enter(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM:
                return HTMLResponse(login_page("This is too long."), 413, {"connection": "close"})
        address = request.client.host if request.client is not None else ""
        wait_s = login.throttle.wait_s(address)  # asked last: of tries that come at the same time each counts
        if wait_s > 0:
            seconds = int(wait_s) + 1
            return HTMLResponse(
                login_page(f"Too many wrong tries: wait {seconds} s."), 429, {"retry-after": str(seconds)}
            )
        try:
            given = parse_qs(body.decode(), max_num_fields=8)
        except ValueError:
            given = {}
        user, password = (given.get(name, [""])[0] for name in ("username", "password"))
        cookie = login.enter(user, password, address)
        if cookie is None:
            return HTMLResponse(login_page("User or password are wrong."), 400)
        response = RedirectResponse("./", 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, cookie, max_age=12 * 3600, httponly=True, samesite="strict", secure=is_secure)
        return response

    return router


def _refusal(status: int, why: str) -> JSONResponse:
    # what was sent and is not read any more must not be taken for the next request
    return JSONResponse({"error": why}, status, _NEVER_KEPT | {"connection": "close"})
