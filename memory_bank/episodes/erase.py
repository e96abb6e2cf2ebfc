"""Forgetting one object: its rows, the pictures that only it cites, its part in the summaries."""

from __future__ import annotations

from memory_bank.episodes import summaries
from memory_bank.episodes.store import Store
from memory_bank.episodes.summaries import Encoder


def erase_object(store: Store, object_id: int, encoder: Encoder | None) -> tuple[int, int, int]:
    """Delete everything about an object.

    Returns:
        How many rows of facts and how many pictures are gone, and how many summaries were written again.
    """
    entity = store.one("SELECT id FROM entity WHERE object_id = ?", object_id)
    if entity is None:
        return 0, 0, 0
    spans = store.rows("SELECT * FROM span WHERE entity_id = ?", entity["id"])
    num_rows = 0
    for table in ("observation", "event", "track", "span"):
        rows = store.rows(f"SELECT id FROM {table} WHERE entity_id = ?", entity["id"])
        num_rows += store.delete(table, [row["id"] for row in rows])
    num_rows += store.delete("entity", [entity["id"]])
    frames = {row[name] for row in spans for name in ("first_keyframe", "last_keyframe")} - {None}
    num_pictures = store.delete("keyframe", sorted(frames - _cited(store)))
    if not spans:
        return num_rows, num_pictures, 0
    begin, end = min(row["from_ms"] for row in spans), max(row["to_ms"] for row in spans)
    return num_rows, num_pictures, summaries.rewrite(store, encoder, begin, end)


def _cited(store: Store) -> set[int | None]:
    rows = store.rows(
        "SELECT first_keyframe FROM span UNION SELECT last_keyframe FROM span UNION SELECT keyframe_id FROM chunk"
    )
    return {row[0] for row in rows}
