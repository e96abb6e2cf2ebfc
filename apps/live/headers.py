"""What browsers are told of every response: whose scripts may run, who may frame it, what they may guess."""

from __future__ import annotations

import base64
import hashlib
import re

Headers = list[tuple[bytes, bytes]]

_SCRIPT = re.compile(rb"<script(?P<how>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)
_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_FIXED = [
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # tokens stand in addresses; without any, forms would send no origin
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
]
_NOTHING = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def security_headers(policy: bytes = _NOTHING) -> Headers:
    """The headers of a response; without a `policy`, of one that is no page."""
    return [(b"content-security-policy", policy), *_FIXED]


def page_policy(html: bytes, host: str) -> bytes:
    """The Content-Security-Policy of a page of ours.

    Scripts run that came with the page, each known by its hash, and those of this server. Gradio compiles the small
    functions that bind its widgets to `page.js` (`js=`, `js_on_load`), hence 'unsafe-eval'; it sets styles on elements,
    hence 'unsafe-inline' for these.

    Args:
        html: the page.
        host: by which it was asked for; not every browser takes websockets to the own server for its own.
    """
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(match['text']).digest()).decode()}'": None
        for match in _SCRIPT.finditer(html)
        if b"src=" not in match["how"]
    }
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'self'; "
        f"script-src 'self' 'unsafe-eval' {' '.join(hashes)}; "
        "style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; "
        "font-src 'self' data:; "
        f"connect-src 'self'{sockets}; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ).encode()
