"""What a page may ask for over its websocket, and how each is checked: anything may come from there."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from apps.live.evidence import proofs
from apps.live.pages import Page
from apps.live.player import Player
from streamvos.errors import InputError
from streamvos.export.draw import Shown
from streamvos.models import coco

MAX_TEXT = 8192  # of a command; the longest names every class of the detector
SWITCHES = ("masks", "boxes", "ids", "states", "depth")
_MAX_QUESTION = 500
_MAX_EVIDENCE = 12


def parse(text: str) -> dict[str, Any]:
    """A command as it came; raises `InputError` where it is none."""
    if len(text) > MAX_TEXT:
        raise InputError(f"a command has at most {MAX_TEXT} letters")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):  # also numbers with thousands of digits
        raise InputError("a command is a JSON object") from None
    if not isinstance(given, dict):
        raise InputError("a command is a JSON object")
    name = given.get("do")
    if not isinstance(name, str) or name not in COMMANDS:
        raise InputError(f"unknown command {str(name)[:40]!r}")
    return given


def obey(page: Page, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Do what a parsed command asks for; the reply, None where there is nothing to say.

    Raises:
        InputError: something in it is not what was expected, or cannot be done now.
        OutputError: there is no space.
    """
    return COMMANDS[given["do"]](page, given)


def _text(given: Mapping[str, Any], name: str, longest: int) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= longest:
        raise InputError(f"{name}: expected a text of 1 to {longest} letters")
    try:
        value.encode()
    except UnicodeEncodeError:  # half a letter
        raise InputError(f"{name}: expected a text, got letters that do not exist") from None
    return value.strip()


def _number(given: Mapping[str, Any], name: str, most: float, expected: str) -> float:
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise InputError(f"{name}: expected {expected}; got {str(value)[:40]}")
    return float(value)


def _share(given: Mapping[str, Any], name: str) -> float:
    return _number(given, name, 1, "a share of the picture, 0 to 1")


def _time(given: Mapping[str, Any]) -> float | None:
    return None if given.get("time_s") is None else _number(given, "time_s", 1e9, "seconds, or null for now")


def _object(given: Mapping[str, Any]) -> int:
    value = given.get("object")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise InputError(f"object: expected an id of at least 1, got {str(value)[:40]}")
    return value


def _object_or_none(given: Mapping[str, Any]) -> int | None:
    return None if given.get("object") is None else _object(given)


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name)
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected true or false, got {str(value)[:40]}")
    return value


def _names(given: Mapping[str, Any], name: str, known: tuple[str, ...]) -> list[str]:
    value = given.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) and one in known for one in value):
        raise InputError(f"{name}: expected a list of {', '.join(known[:5])} …")
    return list(dict.fromkeys(value))


def _open(page: Page, given: Mapping[str, Any]) -> dict[str, Any]:
    play = "play" in given and _flag(given, "play")
    how = _flag(given, "discover"), _names(given, "classes", tuple(coco.NAMES)), play
    kind = given.get("kind")
    if kind == "sample":
        page.open_sample(_text(given, "name", 64), *how)
    elif kind == "stream":
        name = given.get("name")
        page.open_stream(name if isinstance(name, str) else "", *how)
    elif kind == "upload":
        page.open_upload(*how)
    elif kind == "camera":
        page.open_camera(*how[:2])
    else:
        raise InputError(f"kind: expected sample, upload, camera or stream, got {str(kind)[:40]!r}")
    return {"type": "opened"}


def _again(page: Page, given: Mapping[str, Any]) -> dict[str, Any]:
    page.play_again()
    return {"type": "opened"}


def _show(page: Page, given: Mapping[str, Any]) -> None:
    shown = _names(given, "shown", SWITCHES)
    page.show(Shown(**{name: name in shown for name in SWITCHES}))


def _ask(page: Page, given: Mapping[str, Any]) -> dict[str, Any]:
    """An answer, or why there is none."""
    question = _text(given, "question", _MAX_QUESTION)
    told = {"type": "answer", "question": question, "confidence": None, "evidence": [], "outcome": "refused"}
    if page.player is None:
        return told | {"text": "open a video first, and let it play: answers come from what was seen"}
    try:
        answer = page.player.ask(question)
    except InputError as error:
        return told | {"text": str(error)}
    shown = proofs(page.player.folder / "memory", answer.evidence[:_MAX_EVIDENCE])
    for one in shown:
        one["url"] = data_url(jpeg) if (jpeg := one.pop("jpeg")) else None
    found = {"text": answer.text, "confidence": answer.confidence, "outcome": answer.outcome, "evidence": shown}
    return told | found


def _archive(page: Page, given: Mapping[str, Any]) -> dict[str, Any]:
    _player(page).archive()
    return {"type": "archive", "url": f"live/{page.token}/archive"}


def _player(page: Page) -> Player:
    if page.player is None:
        raise InputError("open a video first")
    return page.player


def _of_player(act: Callable[[Player, Mapping[str, Any]], dict[str, int] | None]) -> Callable[..., Any]:
    def command(page: Page, given: Mapping[str, Any]) -> dict[str, Any] | None:
        done = act(_player(page), given)
        return None if done is None else {"type": "pointed", **done}

    return command


def _note_shown(page: Page, given: Mapping[str, Any]) -> None:
    frame = given.get("frame")
    if page.player is not None and isinstance(frame, int) and given.get("past") is not True:
        page.player.note_shown(frame)


def data_url(jpeg: bytes) -> str:
    """A JPEG as a page takes it in place of an address."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


COMMANDS: dict[str, Callable[[Page, Mapping[str, Any]], dict[str, Any] | None]] = {
    "open": _open,
    "again": _again,
    "show": _show,
    "ask": _ask,
    "archive": _archive,
    "shown": _note_shown,
    "play": _of_player(lambda player, given: player.play()),
    "pause": _of_player(lambda player, given: player.pause()),
    "advance": _of_player(lambda player, given: player.advance()),
    "stop": _of_player(lambda player, given: player.stop()),
    "look": _of_player(lambda player, given: player.look_at(_time(given))),
    "click": _of_player(
        lambda player, given: player.click(
            _share(given, "x"),
            _share(given, "y"),
            _flag(given, "on"),
            _object_or_none(given),
            "new" in given and _flag(given, "new"),
        )
    ),
    "box": _of_player(
        lambda player, given: player.box(
            *(_share(given, name) for name in ("x1", "y1", "x2", "y2")), _object_or_none(given)
        )
    ),
    "name": _of_player(lambda player, given: player.name(_object(given), _text(given, "label", 64))),
    "hide": _of_player(lambda player, given: player.hide(_object(given), _flag(given, "hidden"))),
    "remove": _of_player(lambda player, given: player.remove(_object(given))),
}
SLOW = (
    "open",
    "again",
    "stop",
    "archive",
    "ask",
)  # they wait, for a run to end or for the disk, while the next command is read
