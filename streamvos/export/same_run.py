"""Whether a run may go on: same source, same settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamvos.errors import InputError

_SOURCE_FACTS = ("kind", "width", "height", "rate", "time_base")
# Where and how fast a run computes, not what: these may change between a run and its continuation.
_FREE = (
    "runner",
    "threads",
    "output.overlay_threads",
    "output.queue_frames",
    "output.segment_frames",
    "source.prefetch_frames",
    "source.decode_threads",
    "source.open_timeout_s",
    "source.read_timeout_s",
    "source.reconnect_attempts",
    "source.reconnect_first_s",
    "source.reconnect_max_s",
    "source.rtsp_transport",
)
_SHOWN = 4


def expect_same_source(folder: Path, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `InputError` where two descriptions of a source speak of different ones."""
    for name in _SOURCE_FACTS:
        if earlier.get(name) != now[name]:
            raise InputError(
                f"{str(folder)!r} cannot go on: it was made from another source ({name} "
                f"{earlier.get(name)}, now {now[name]}); give the same source, or start anew with overwrite=True"
            )


def expect_same_settings(folder: Path, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `InputError` where two configurations would not give the same results; it names what differs.

    A setting that only one of them knows is one of another version, which nobody has changed.
    """
    before, after = _flat(earlier), _flat(now)
    changed = [name for name in after if name in before and name not in _FREE and before[name] != after[name]]
    if not changed:
        return
    shown = [f"{name} was {_text(before[name])}, now {_text(after[name])}" for name in changed[:_SHOWN]]
    more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    raise InputError(
        f"{str(folder)!r} cannot go on: it was run with other settings ({'; '.join(shown)}{more}); "
        "give the same ones, or start anew with overwrite=True"
    )


def _flat(config: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            values |= _flat(value, f"{where}{name}.")
        else:
            values[f"{where}{name}"] = value
    return values


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
