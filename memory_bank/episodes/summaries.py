"""Summaries of stretches of time (text, counts, one vector), and those above them for 5 minutes, 1 hour, 1 day.

After OmniLive (2412.09596, section 3.2): clips are compressed one by one, and the levels above are integrated
as their time has passed, never by going over all clips again. Ours are made of tracks, so counts are exact.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from memory_bank.episodes.policy import LEVEL_MS
from memory_bank.episodes.store import Store
from streamvos.answers import clock, plural

_MAX_EVENTS = 12
_TOLD = {
    "appear": "appeared",
    "return": "came back",
    "leave": "left",
    "occluded": "was hidden",
    "vanish": "was lost from view",
    "removed": "was taken out",
}


class Encoder(Protocol):
    """Turns N sentences into (N, D) float32 unit vectors."""

    name: str

    def encode(self, sentences: Sequence[str]) -> np.ndarray: ...


def add_summary(
    store: Store, encoder: Encoder | None, span: tuple[int, int], frames: tuple[int, int], shot: int, why: str
) -> int:
    """Store the summary of a stretch of time, `span` in ms and `frames` both inclusive; returns its id."""
    text, counts = summarise(store, *span, shot)
    near = store.one("SELECT id FROM keyframe WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1", *frames)
    return store.insert(
        "chunk",
        level=0,
        from_ms=span[0],
        to_ms=span[1],
        from_frame=frames[0],
        to_frame=frames[1],
        shot=shot,
        why=why,
        text=text,
        counts=json.dumps(counts, sort_keys=True),
        embedding=_embed(encoder, text),
        keyframe_id=near["id"] if near else None,
    )


def roll_up(store: Store, encoder: Encoder | None, level: int, from_ms: int) -> tuple[int, int] | None:
    """Store the summary of one window of a level from those below it.

    Returns:
        Its id and how many are below it; None where there are none.
    """
    to_ms = from_ms + LEVEL_MS[level]
    below = store.one(
        "SELECT min(from_ms) AS a, max(to_ms) AS b, min(from_frame) AS f, max(to_frame) AS g, min(shot) AS s, "
        "max(shot) AS t, min(keyframe_id) AS k, count(*) AS n FROM chunk "
        "WHERE level = ? AND from_ms >= ? AND from_ms < ?",
        level - 1,
        from_ms,
        to_ms,
    )
    if below is None or below["a"] is None:
        return None
    text, counts = summarise(store, below["a"], below["b"], None, below["t"] - below["s"] + 1)
    row = store.insert(
        "chunk",
        level=level,
        from_ms=below["a"],
        to_ms=below["b"],
        from_frame=below["f"],
        to_frame=below["g"],
        shot=below["s"],
        why="window passed",
        text=text,
        counts=json.dumps(counts, sort_keys=True),
        embedding=_embed(encoder, text),
        keyframe_id=below["k"],
    )
    return row, below["n"]


def rewrite(store: Store, encoder: Encoder | None, from_ms: int, to_ms: int) -> int:
    """Write the summaries that touch a stretch again, after rows under them were removed; returns how many."""
    touched = store.rows(
        "SELECT id, level, from_ms, to_ms, shot FROM chunk WHERE from_ms <= ? AND to_ms >= ?", to_ms, from_ms
    )
    for row in touched:
        shot = row["shot"] if row["level"] == 0 else None
        text, counts = summarise(store, row["from_ms"], row["to_ms"], shot)
        counted = json.dumps(counts, sort_keys=True)
        store.update("chunk", row["id"], text=text, counts=counted, embedding=_embed(encoder, text))
    return len(touched)


def summarise(
    store: Store, from_ms: int, to_ms: int, shot: int | None, num_shots: int = 1
) -> tuple[str, dict[str, int]]:
    """Text and number of different things by class of the stretch [from_ms, to_ms]."""
    present = store.rows(
        "SELECT coalesce(nullif(e.label, ''), nullif(e.class_name, ''), 'object') AS name, "
        "e.object_id IS NULL AS unnamed, count(DISTINCT e.id) AS things, max(s.count) AS most "
        "FROM span s JOIN entity e ON e.id = s.entity_id WHERE s.from_ms <= ? AND s.to_ms >= ? "
        "GROUP BY name, unnamed ORDER BY things DESC, name",
        to_ms,
        from_ms,
    )
    counts: dict[str, int] = {}
    for row in present:
        counts[row["name"]] = counts.get(row["name"], 0) + (row["most"] if row["unnamed"] else row["things"])
    where = f"shot {shot + 1}" if shot is not None else f"{num_shots} shots" if num_shots > 1 else ""
    head = f"{clock(from_ms)} to {clock(to_ms)}" + (f", {where}" if where else "")
    seen = ", ".join(plural(name, count) for name, count in counts.items()) or "nothing"
    told = _tell_events(store, from_ms, to_ms)
    return f"{head}: seen: {seen}." + (f" {told}" if told else ""), counts


def _tell_events(store: Store, from_ms: int, to_ms: int) -> str:
    rows = store.rows(
        "SELECT v.t_ms, v.kind, v.detail, e.object_id, "
        "coalesce(nullif(e.label, ''), nullif(e.class_name, ''), 'object') AS name "
        "FROM event v JOIN entity e ON e.id = v.entity_id WHERE v.known_ms BETWEEN ? AND ? "
        "AND v.kind IN ('appear', 'return', 'leave', 'occluded', 'vanish', 'removed') "
        "ORDER BY v.t_ms, v.id LIMIT ?",
        from_ms,
        to_ms,
        _MAX_EVENTS,
    )
    told = []
    for row in rows:
        which = f" (object {row['object_id']})" if row["object_id"] is not None else ""
        place = f" at the {row['detail']}" if row["detail"] else ""
        told.append(f"{clock(row['t_ms'])} {row['name']}{which} {_TOLD[row['kind']]}{place}.")
    return " ".join(told)


def _embed(encoder: Encoder | None, text: str) -> bytes | None:
    return None if encoder is None else encoder.encode([text])[0].astype(np.float16).tobytes()
