"""The login of the demo: a form, a cookie, and waits that grow with every wrong try from an address."""

from __future__ import annotations

import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie

COOKIE = "streamvos-login"
_LASTS_S = 12 * 3600.0
_MAX_LOGINS = 1000
_FREE_TRIES = 3  # people mistype
_FIRST_WAIT_S = 1.0
_MAX_WAIT_S = 900.0
_MAX_ADDRESSES = 4096


class Throttle:
    """Waits after wrong tries, for each address by itself: 1 s after the third in a row, twice as long after each more.

    Networks hand IPv6 addresses out in blocks of 64 bits, which count as one. The addresses that were wrong longest ago
    are forgotten where there are too many.
    """

    def __init__(self) -> None:
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()  # wrong tries, end of the wait
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> float:
        """How long an address must wait before its next try, 0 where it need not."""
        with self._lock:
            _, until = self._tries.get(_block(address), (0, 0.0))
        return max(0.0, until - time.monotonic())

    def note_wrong(self, address: str) -> None:
        with self._lock:
            count = self._tries.pop(_block(address), (0, 0.0))[0] + 1
            wait_s = 0.0
            if count >= _FREE_TRIES:
                wait_s = min(_FIRST_WAIT_S * 2.0 ** min(count - _FREE_TRIES, 30), _MAX_WAIT_S)
            self._tries[_block(address)] = count, time.monotonic() + wait_s
            while len(self._tries) > _MAX_ADDRESSES:
                self._tries.popitem(last=False)

    def note_right(self, address: str) -> None:
        with self._lock:
            self._tries.pop(_block(address), None)


class Login:
    """One user and password, and who has given them.

    Args:
        user, password: what is asked for.
    """

    def __init__(self, user: str, password: str) -> None:
        self.throttle = Throttle()
        self._right = user.encode(), password.encode()
        self._known: OrderedDict[str, float] = OrderedDict()  # cookie: when it ends
        self._lock = threading.Lock()

    def enter(self, user: str, password: str, address: str) -> str | None:
        """The value of a new cookie; None where user or password are wrong. Ask `throttle.wait_s` first."""
        given = user.encode(errors="replace"), password.encode(errors="replace")
        if not all([secrets.compare_digest(*pair) for pair in zip(given, self._right, strict=True)]):
            self.throttle.note_wrong(address)
            return None
        self.throttle.note_right(address)
        cookie = secrets.token_urlsafe(24)
        with self._lock:
            self._known[cookie] = time.monotonic() + _LASTS_S
            while len(self._known) > _MAX_LOGINS:
                self._known.popitem(last=False)
        return cookie

    def is_known(self, cookies: str) -> bool:
        """Whether the Cookie header of a request has a cookie that was given and has not ended."""
        try:
            morsel = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        with self._lock:
            return morsel is not None and self._known.get(morsel.value, 0.0) > time.monotonic()


def login_page(message: str = "") -> str:
    """The form, with what was wrong with the last try; `message` is ours, not from outside."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>StreamVOS: log in</title>
<style>
  body {{ font: 15px system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh }}
  :root {{ color-scheme: light dark }}
  form {{ display: grid; gap: 10px; width: 260px }}
  input, button {{ font: inherit; padding: 7px 9px }}
</style></head>
<body><form method="post" action="login">
  <strong>StreamVOS</strong><span role="status">{message}</span>
  <label>User <input name="username" autocomplete="username" required></label>
  <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
  <button>Log in</button>
</form></body></html>
"""


def _block(address: str) -> str:
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return address
    if place.version == 6 and place.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(place) >> 64 << 64, 64)))
    return str(place)
