"""URLs: which are allowed, secrets from the environment, and no secret in any message."""

from __future__ import annotations

import os
import re
from urllib.parse import SplitResult, urlsplit

from streamvos.errors import InputError
from streamvos.video.names import safe_name

# What FFmpeg itself may open while it follows a playlist or a redirect of a URL of this scheme. Never `file`:
# a playlist from the network must not read this machine's files.
PROTOCOLS = {
    "http": "http,https,tcp,tls,crypto,httpproxy",
    "https": "http,https,tcp,tls,crypto,httpproxy",
    "rtsp": "rtsp,rtp,rtcp,srtp,udp,tcp,tls",
    "rtsps": "rtsp,rtsps,rtp,rtcp,srtp,udp,tcp,tls",
}
LOCAL_PROTOCOLS = "file"  # a local playlist must not reach out into the network

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: "C:\clip.mp4" is a path

_USER = re.compile(r"(?s)[^@]*:.*@|(?i:(?:(?!%40|@).)*(?::|%3a).*%40)")  # up to the last @, or the last one encoded
_SECRET = re.compile(
    r"(?i)((?<![a-z])(?:user(?:name)?|login|pass(?:word|wd|phrase)?|pwd|pw|token|(?:api|access|stream)?[_-]?key|secret|"
    r"auth|credentials?|sig(?:nature)?|session|sid)(?:=|%3d))[^/&;?#]*"
)


def scheme_of(spec: str) -> str | None:
    """The scheme of a URL in lower case, or None for a path.

    Raises:
        InputError: a scheme that is not allowed. FFmpeg would take `concat:`, `file:`, `subfile:` and many
        more,
            through which a source from outside could read any file of this machine.
    """
    match = _SCHEME.match(spec)
    if match is None:
        return None
    scheme = match.group(1).lower()
    if scheme in PROTOCOLS:
        host = _parts(spec, mask_secrets(spec)).hostname
        if not host:
            raise InputError(f"source {mask_secrets(spec)!r}: expected a host, as in {scheme}://host/path")
        return scheme
    hint = "; give a local file by its path alone" if scheme == "file" else ""
    raise InputError(
        f"source {mask_secrets(spec)!r}: URLs of the scheme {scheme!r} are not opened "
        f"(allowed: {', '.join(PROTOCOLS)}){hint}"
    )


def expand_environment(url: str) -> str:
    """Replace `${NAME}` by the environment variable, so that passwords need not stand on the command line.

    Raises:
        InputError: a variable is not set, or what came out is no URL.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise InputError(f"source {mask_secrets(url)!r}: the environment variable {name} is not set")
        return os.environ[name]

    expanded = re.sub(r"\$\{(\w+)\}", value_of, url)
    masked = mask_secrets(expanded)
    try:
        _ = _parts(expanded, masked).port
    except ValueError:
        raise _unreadable(masked) from None
    return expanded


def mask_secrets(url: str) -> str:
    """The URL with user, password, query values, fragment and what the path names a secret replaced by ***.

    People write passwords as they are, with spaces, `/`, `?`, `#` and `@`, where a URL would have them encoded, so the
    user's part is not looked for by the rules of URLs: whatever stands before the last `@` is masked where a `:` stands
    before it too, and everything where that `@` may belong to a password as well as to a query. A harmless `@` may so
    mask more than was needed.
    """
    start = re.match(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*", url).end()
    head, rest = url[:start], url[start:]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user = _USER.match(rest)
    if user is None and "@" in authority:  # a user without a password
        user = re.match(r".*@", authority, re.DOTALL)
    if user is not None and re.search("[?#]", user.group()):
        return head + "***"
    if user is not None:
        head, rest = head + "***@", rest[user.end() :]
    rest, has_fragment, _ = rest.partition("#")
    rest, has_query, query = rest.partition("?")
    rest = _SECRET.sub(r"\1***", rest)
    if has_query:
        rest += "?" + re.sub(r"[^&;]+", _masked_parameter, query)
    return head + rest + ("#***" if has_fragment else "")


def name_of(url: str) -> str:
    """A folder name from host and last part of the path, without user, password and query."""
    masked = re.sub(r"[?#].*", "", mask_secrets(url), flags=re.DOTALL)
    place = masked.partition("://")[2].rpartition("***@")[2]
    authority, _, path = place.partition("/")
    host = re.sub(r":\d*$", "", authority).strip("[]").lower()
    last = path.rstrip("/").rsplit("/", 1)[-1]
    return safe_name(f"{host}_{last.rsplit('.', 1)[0]}" if last else host)


def _parts(url: str, masked: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # its text has the password
        raise _unreadable(masked) from None


def _unreadable(masked: str) -> InputError:
    return InputError(
        f"source {masked!r}: expected scheme://user:password@host:port/path; in a password write / as %2F, ? as %3F, "
        "# as %23, @ as %40, [ as %5B"
    )


def _masked_parameter(match: re.Match[str]) -> str:
    name, is_named, _ = re.sub("%3d", "=", match.group(), flags=re.IGNORECASE).partition("=")
    return f"{name}=***" if is_named else "***"
