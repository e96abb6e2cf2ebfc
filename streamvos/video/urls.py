"""URLs: which are allowed, secrets from the environment, and no secret in any message."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

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
        if not urlsplit(spec).hostname:
            raise InputError(f"source {mask_secrets(spec)!r}: expected a host, as in {scheme}://host/path")
        return scheme
    hint = "; give a local file by its path alone" if scheme == "file" else ""
    raise InputError(
        f"source {mask_secrets(spec)!r}: URLs of the scheme {scheme!r} are not opened "
        f"(allowed: {', '.join(PROTOCOLS)}){hint}"
    )


def expand_environment(url: str) -> str:
    """Replace `${NAME}` by the environment variable, so that passwords need not stand on the command line."""

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise InputError(f"source {mask_secrets(url)!r}: the environment variable {name} is not set")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value_of, url)


def mask_secrets(url: str) -> str:
    """The URL with user, password, query values and fragment replaced by ***."""
    masked = re.sub(r"(?<=://)[^/?#\s]*@", "***@", url)
    masked = re.sub(r"([?&][^=&#\s]+=)[^&#\s]*", r"\1***", masked)
    return re.sub(r"#\S*$", "#***", masked)


def name_of(url: str) -> str:
    """A folder name from host and last part of the path, without user, password and query."""
    parts = urlsplit(url)
    last = parts.path.rstrip("/").rsplit("/", 1)[-1]
    return safe_name(f"{parts.hostname}_{last.rsplit('.', 1)[0]}" if last else str(parts.hostname))
