"""What passes the guard, as a browser and as someone with bad intentions would try it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from apps.live.guard import Guard
from apps.live.headers import page_policy
from apps.live.pages import Pages
from apps.live.server import make_app
from apps.settings import DemoConfig, RunConfig
from streamvos.errors import InputError

HERE, WIRE = "http://127.0.0.1:7860", "ws://127.0.0.1:7860"


@pytest.fixture
def client(pages: Pages) -> Iterator[TestClient]:
    with TestClient(make_app(pages), HERE, follow_redirects=False) as client:
        yield client


CLOSED = [
    "/gradio_api/file={url}",
    "/gradio_api/file/{url}",
    "/gradio_api/proxy={url}",
    "/file={url}",
    "/gradio_api/file=/etc/passwd",
    "/openapi.json",
    "/docs",
    "/redoc",
    "/monitoring",
    "/monitoring/summary",
    "/monitoring/x",
    "/config",
    "/svelte/x.js",
    "/pwa_icon",
    "/manifest.json",
    "/gradio_api/openapi.json",
    "/gradio_api/info",
    "/gradio_api/app_id",
    "/gradio_api/token",
    "/gradio_api/user",
    "/gradio_api/runs",
    "/gradio_api/startup-events",
    "/gradio_api/heartbeat/s",
    "/gradio_api/queue/data?session_hash=s",
    "/gradio_api/queue/join",
    "/gradio_api/queue/status",
    "/gradio_api/run/predict",
    "/gradio_api/api/predict",
    "/gradio_api/call/predict",
    "/gradio_api/upload",
    "/gradio_api/upload_progress?upload_id=x",
    "/gradio_api/component_server",
    "/gradio_api/process_recording",
    "/gradio_api/deep_link",
    "/gradio_api/dev/reload",
    "/gradio_api/vibe-edit",
    "/gradio_api/mcp/",
    "/logout",
    "/assets/../../../../etc/passwd",
    "/assets/%2e%2e/%2e%2e/index.html",
    "//live/pages",
]


@pytest.fixture(scope="module")
def secret_server() -> Iterator[str]:
    """A server that the demo's server must not ask; its address."""

    async def hush(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hush"})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(hush, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.txt"
        server.should_exit = True
        thread.join(20)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_of_gradio_is_served_that_the_page_does_not_need(client, secret_server, method) -> None:
    for path in CLOSED:
        path = path.format(url=secret_server)
        answer = client.request(method, path, content=b"{}" if method in ("POST", "PUT", "PATCH") else None)
        assert answer.status_code in (404, 405), (path, answer.status_code, answer.text[:200])
        assert "hush" not in answer.text and "root:" not in answer.text


def test_the_page_and_its_parts_are_served(client) -> None:
    html = client.get("/").text
    for path in (*re.findall(r'(?:src|href)="\./(assets/[^"]+)"', html), "theme.css", "live/page.js"):
        assert client.get(f"/{path}").status_code == 200, path
    assert "data:text/javascript" not in html


def test_only_our_own_page_may_change_something(client, pages) -> None:
    path = f"/live/{pages.new().token}/upload?name=a.mp4"
    num_pages = len(pages)
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:7861"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example", "x-forwarded-host": "evil.example"},
    ):
        for target in ("/live/pages", path):
            assert client.post(target, headers=headers, content=b"x").status_code == 403, headers
    assert len(pages) == num_pages
    for headers in ({}, {"origin": HERE}, {"origin": HERE, "sec-fetch-site": "same-origin"}):
        assert client.post("/live/pages", headers=headers).json()["token"]


def test_only_our_own_page_may_open_the_websocket(client, pages) -> None:
    path = f"{WIRE}/live/{pages.new().token}/socket"
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path, headers=headers):
            pass
    with client.websocket_connect(path, headers={"origin": HERE}) as wire:
        assert wire.receive_json()["state"] == "empty"


OTHER_NAMES = (
    "evil.example",
    "127.0.0.1.evil.example",
    "0.0.0.0:7860",
    "localhost@evil.example",
    "[::2]:7860",
    "",
    ":",
)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_name_that_leads_to_this_machine_is_refused(client, pages, name) -> None:
    """Otherwise a site that has its own name lead here (DNS rebinding) is of the page's own origin."""
    headers = {"host": name, "origin": f"http://{name}"}
    for answer in (client.get("/", headers=headers), client.post("/live/pages", headers=headers)):
        assert answer.status_code == 403 and "localhost, 127.0.0.1, [::1]" in answer.json()["error"]
    path = f"/live/{pages.new().token}/socket"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{WIRE}{path}", headers=headers):
        pass
    assert len(pages) == 1


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:7860", "127.0.0.1:80", "[::1]:7860", "[::1]"])
def test_the_names_of_this_machine_are_answered(client, name) -> None:
    assert client.get("/", headers={"host": name}).status_code == 200


@pytest.mark.parametrize(
    ("host", "proxy"), [("0.0.0.0", False), ("::", False), ("10.0.0.3", False), ("127.0.0.1", True)]
)
def test_a_page_that_others_can_reach_asks_for_a_login(small_graph, host, proxy) -> None:
    pages = Pages(RunConfig(small_graph), DemoConfig(behind_proxy=proxy))
    try:
        with pytest.raises(InputError, match="set a login with --auth"):
            make_app(pages, host)
        with TestClient(
            make_app(pages, host, ("ann", "word")), "http://demo.example", follow_redirects=False
        ) as client:
            assert client.get("/").headers["location"] == "login"  # by any name: only who logs in gets further
            assert client.post("/live/pages").status_code == 401
            assert client.post("/login", data={"username": "ann", "password": "word"}).status_code == 303
            assert client.post("/live/pages").json()["token"]
    finally:
        pages.close()


def test_a_forwarded_name_is_believed_only_of_a_proxy(client, small_graph) -> None:
    claims = {
        "x-gradio-server": "http://evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "x-forwarded-for": "9.9.9.9",
    }
    page = client.get("/", headers=claims).text
    assert "evil.example" not in page and HERE in page
    pages = Pages(RunConfig(small_graph), DemoConfig(behind_proxy=True))
    try:
        with TestClient(make_app(pages, login=("ann", "word")), HERE, follow_redirects=False) as proxied:
            entered = proxied.post("/login", data={"username": "ann", "password": "word"})
            proxied.headers["cookie"] = entered.headers["set-cookie"].partition(";")[0]
            headers = {"x-forwarded-host": "evil.example, demo.example", "x-forwarded-proto": "https"}
            assert "https://demo.example" in proxied.get("/", headers=headers).text
            post = headers | {"origin": "https://demo.example"}
            assert proxied.post("/live/pages", headers=post).status_code == 200
            assert proxied.post("/live/pages", headers=headers | {"origin": HERE}).status_code == 403
    finally:
        pages.close()


@pytest.mark.parametrize("path", ["/", "/live/page.js", "/theme.css", "/openapi.json", "/live/guess/archive"])
def test_every_response_says_what_browsers_may_do_with_it(client, path) -> None:
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "'unsafe-inline'" not in headers["content-security-policy"].replace("style-src 'self' 'unsafe-inline'", "")
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_the_policy_lists_the_scripts_of_the_page_by_their_hash() -> None:
    html = b"<script>1</script><script type='module' src='a.js'></script><script >2</script>"
    policy = page_policy(html, "127.0.0.1:7860").decode()
    assert policy.count("'sha256-") == 2 and "ws://127.0.0.1:7860" in policy
    assert "'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='" in policy  # of "1"
    assert "evil" not in page_policy(html, "evil; script-src *").decode()


def test_a_refused_request_is_not_read(pages) -> None:
    """However long its body is: what is long to parse would hold up everybody."""
    told = []

    async def app(scope, receive, send) -> None:
        raise AssertionError("let through")

    async def receive() -> dict:
        raise AssertionError("read")

    async def send(message) -> None:
        told.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "headers": [(b"host", b"127.0.0.1")]}
    with pytest.raises(StopIteration):
        Guard(app)(scope, receive, send).send(None)
    assert told[0]["status"] == 404 and (b"connection", b"close") in told[0]["headers"]
