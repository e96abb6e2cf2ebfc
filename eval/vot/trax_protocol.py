"""The tracker's side of TraX, the Visual Tracking eXchange protocol, version 4, for several objects as masks.

Čehovin, "TraX: The visual Tracking eXchange Protocol and Library", Neurocomputing 2017. A message is a line
`@@TRAX:<name> "<argument>" ...`; quotes and backslashes in arguments are escaped by a backslash; arguments of the form
`key=value` are properties. We say `hello` once; then the client sends `initialize` with a region for each new object,
followed by `frame` with a picture; we answer with a `state` for each object given so far. `quit` ends it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote

from eval.datasets.vot_regions import Mask, Region, Special, format_region, parse_region
from eval.running.trackers import Tracker
from eval.vot.follow import Follower
from streamvos.errors import InputError
from streamvos.video.images import read_image

_MARK = "@@TRAX:"
_HELLO = {
    "trax.version": "4",
    "trax.name": "StreamVOS",
    "trax.image": "path;",
    "trax.region": "mask;",
    "trax.channels": "color;",
    "trax.multiobject": "1",
}
_ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PROPERTY = re.compile(r"[\w.]+=")
_NO_PIXEL = "mask:0,0,1,1,1"  # a mask of no size is not read back by the toolkit's binding


@dataclass(frozen=True)
class Message:
    """One line: its name and its arguments."""

    name: str
    arguments: tuple[str, ...] = ()


def serve(source: TextIO, sink: TextIO, make_tracker: Callable[[], Tracker]) -> None:
    """Follow objects for a TraX client until it says `quit` or goes away.

    Args:
        source, sink: what the client writes, and what it reads.
        make_tracker: see `eval.running.trackers`; a fresh one is made whenever a sequence begins.

    Raises:
        InputError: a message that the protocol does not have here; the client is told the reason first.
    """
    try:
        _say(sink, Message("hello", tuple(f"{key}={value}" for key, value in _HELLO.items())))
        _converse(source, sink, make_tracker)
    except Exception as error:
        _say(
            sink,
            Message("quit", (f"trax.reason={str(error).splitlines()[0] if str(error) else type(error).__name__}",)),
        )
        raise


def parse_messages(source: TextIO) -> Iterator[Message]:
    """The messages of a stream; other lines are passed over."""
    for line in source:
        if line.startswith(_MARK):
            name, _, rest = line.removeprefix(_MARK).strip().partition(" ")
            arguments = (re.sub(r"\\(.)", _unescape, text) for text in _ARGUMENT.findall(rest))
            yield Message(name, tuple(arguments))


def format_message(message: Message) -> str:
    """One line, with its end."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for text in message.arguments)
    return f"{_MARK}{message.name} " + "".join(f'"{text}" ' for text in escaped) + "\n"


def _converse(source: TextIO, sink: TextIO, make_tracker: Callable[[], Tracker]) -> None:
    follower: Follower | None = None
    new: list[Mask] = []
    for message in parse_messages(source):
        if message.name == "quit":
            return
        if message.name == "initialize":
            new.append(_mask(message))
        elif message.name == "frame":
            follower = follower or Follower(make_tracker())
            for region in follower.step(read_image(_path(message)), new):
                _say(sink, Message("state", (_as_trax(region),)))
            sink.flush()
            new = []
        else:
            raise InputError(f"TraX: expected initialize, frame or quit, got {message.name!r}")


def _say(sink: TextIO, message: Message) -> None:
    sink.write(format_message(message))
    if message.name != "state":
        sink.flush()


def _mask(message: Message) -> Mask:
    regions = [text for text in message.arguments if text.startswith("mask:")]
    if len(regions) != 1:
        raise InputError(f"TraX: expected initialize with one mask, got {message.arguments}")
    region = parse_region("m" + regions[0].removeprefix("mask:"))
    assert isinstance(region, Mask)
    return region


def _path(message: Message) -> Path:
    pictures = [text for text in message.arguments if not _PROPERTY.match(text)]
    if len(pictures) != 1 or not pictures[0].startswith("file://"):
        raise InputError(f"TraX: expected frame with one picture, file://PATH, got {message.arguments}")
    place = pictures[0].removeprefix("file://")
    return Path(place) if Path(place).is_file() else Path(unquote(place))


def _as_trax(region: Region) -> str:
    if isinstance(region, Special) or (isinstance(region, Mask) and not region.pixels.size):
        return _NO_PIXEL
    return "mask:" + format_region(region)[1:]


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
