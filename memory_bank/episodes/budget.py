"""Keeping the store within its bytes: old detail goes first, then old summaries, at last the oldest facts."""

from __future__ import annotations

from collections.abc import Callable

from memory_bank.episodes import policy
from memory_bank.episodes.moment import Tell
from memory_bank.episodes.policy import LEVEL_MS
from memory_bank.episodes.store import Store
from streamvos.answers import clock

Evicted = Callable[[str, str], None]  # what went, why that
_PINNED = (
    "SELECT first_keyframe FROM span WHERE first_keyframe IS NOT NULL "
    "UNION SELECT last_keyframe FROM span WHERE last_keyframe IS NOT NULL"
)


def enforce(store: Store, budget_bytes: int, now_ms: int, tell: Tell) -> None:
    """Thin the store out until it fits with a little room, following `policy.LADDER` rung by rung."""
    taken = store.total_bytes()
    if taken <= budget_bytes:
        return
    over = f"{taken:,} bytes are taken, {budget_bytes:,} allowed"
    store.thinned = True
    goal = int(budget_bytes * policy.RELIEF)

    def evicted(what: str, why: str) -> None:
        tell("evict", what, f"{over}: {why}")

    for kinds, share in policy.LADDER:
        floor = int(budget_bytes * share)
        while (excess := store.total_bytes() - goal) > 0:
            usage = store.usage()
            held = {kind: usage.get(kind, (0, 0))[1] for kind in kinds}
            if sum(held.values()) <= floor and "past" not in kinds:
                break
            # the larger kind first, the others when it has nothing left to give
            ranked = sorted(kinds, key=lambda kind: -held[kind])
            if not any(_THIN[kind](store, excess, now_ms, evicted) for kind in ranked):
                break
        if store.total_bytes() <= goal:
            return


def _thin_observations(store: Store, excess: int, now_ms: int, evicted: Evicted) -> int:
    entries, size = store.usage()["observation"]
    if not entries:
        return 0
    wanted = max(1, excess * entries // size + 1)
    rows = store.rows(
        "SELECT id, t_ms, t_ms - before AS gap_before, after - t_ms AS gap_after FROM (SELECT id, t_ms, "
        "lag(t_ms) OVER w AS before, lead(t_ms) OVER w AS after, row_number() OVER w AS rank "
        "FROM observation WINDOW w AS (PARTITION BY span_id ORDER BY t_ms, id)) "
        "WHERE rank % 2 = 0 AND after IS NOT NULL"
    )
    ranked = sorted(
        (policy.score_thinning(row["gap_before"], row["gap_after"], now_ms - row["t_ms"]), row["id"]) for row in rows
    )
    gone = store.delete("observation", [row_id for _, row_id in ranked[:wanted]])
    if gone:
        evicted(f"{gone} of {entries} observations", "those nearest to their neighbours for their age")
    return gone


def _thin_keyframes(store: Store, excess: int, now_ms: int, evicted: Evicted) -> int:
    entries, size = store.usage()["keyframe"]
    if not entries:
        return 0
    wanted = max(1, excess * entries // size + 1)
    rows = store.rows(
        "SELECT id, t_ms, t_ms - before AS gap_before, after - t_ms AS gap_after FROM (SELECT id, t_ms, "
        "lag(t_ms) OVER w AS before, lead(t_ms) OVER w AS after FROM keyframe WINDOW w AS (ORDER BY t_ms, id)) "
        f"WHERE id NOT IN ({_PINNED})"
    )
    ranked = sorted(
        (
            policy.score_thinning(row["gap_before"] or 0, row["gap_after"] or 0, now_ms - row["t_ms"]),
            row["id"],
        )
        for row in rows
    )
    # half of the candidates at most: the worth of a picture rises when its neighbour goes
    gone = store.delete("keyframe", [row_id for _, row_id in ranked[: min(wanted, (len(ranked) + 1) // 2)]])
    if gone:
        evicted(f"{gone} of {entries} key frames", "those nearest to their neighbours for their age, cited by no span")
    return gone


def _merge_summaries(store: Store, excess: int, now_ms: int, evicted: Evicted) -> int:
    entries, size = store.usage()["chunk"]
    if not entries:
        return 0
    wanted = max(1, excess * entries // size + 1)
    for level in range(len(LEVEL_MS) - 1):
        rows = store.rows(
            "SELECT c.id FROM chunk c WHERE c.level = ? AND EXISTS (SELECT 1 FROM chunk up WHERE up.level = ? "
            "AND up.from_ms <= c.from_ms AND up.to_ms >= c.to_ms) ORDER BY c.from_ms LIMIT ?",
            level,
            level + 1,
            wanted,
        )
        gone = store.delete("chunk", [row["id"] for row in rows])
        if gone:
            evicted(f"{gone} summaries of level {level}", f"summaries of level {level + 1} cover them")
            return gone
    return 0


def _forget_past(store: Store, excess: int, now_ms: int, evicted: Evicted) -> int:
    """Forget the oldest spans and events, and note up to when, so that answers can say so."""
    num_spans = store.usage()["span"][0]
    rows = store.rows(
        "SELECT id, to_ms FROM span WHERE ended IS NOT NULL ORDER BY to_ms, id LIMIT ?",
        max(1, num_spans // 20),
    )
    if rows:
        horizon = rows[-1]["to_ms"]
    else:  # no span has ended: half of the events, then half of the summaries
        middle = store.one(
            "SELECT t_ms FROM event WHERE kind NOT IN ('named', 'labelled') ORDER BY t_ms "
            "LIMIT 1 OFFSET (SELECT count(*) / 2 FROM event WHERE kind NOT IN ('named', 'labelled'))"
        )
        if middle is None:
            old = store.rows("SELECT id FROM chunk ORDER BY from_ms, id LIMIT (SELECT (count(*) + 1) / 2 FROM chunk)")
            gone = store.delete("chunk", [row["id"] for row in old])
            if gone:
                evicted(f"{gone} summaries", "the oldest half")
            return gone
        horizon = middle["t_ms"]
    gone = _forget_until(store, horizon, [row["id"] for row in rows])
    evicted(f"{gone} rows", f"the oldest; everything before {clock(horizon)} is forgotten")
    return gone


def _forget_until(store: Store, horizon: int, span_ids: list[int]) -> int:
    gone = 0
    for start in range(0, len(span_ids), 500):
        part = span_ids[start : start + 500]
        old = store.rows(f"SELECT id FROM observation WHERE span_id IN ({','.join('?' * len(part))})", *part)
        gone += store.delete("observation", [row["id"] for row in old])
    gone += store.delete("span", span_ids)
    events = store.rows("SELECT id FROM event WHERE t_ms <= ? AND kind NOT IN ('named', 'labelled')", horizon)
    gone += store.delete("event", [row["id"] for row in events])
    _delete_orphans(store)
    passed = store.rows("SELECT id FROM coverage WHERE to_ms <= ? AND id < (SELECT max(id) FROM coverage)", horizon)
    gone += store.delete("coverage", [row["id"] for row in passed])
    store.set_meta("forgotten_until_ms", str(horizon))
    return gone


def _delete_orphans(store: Store) -> None:
    """Delete tracks, things and their names that no span stands for any more."""
    for table, column in (("track", "id"), ("entity", "id")):
        used = "track_id" if table == "track" else "entity_id"
        rows = store.rows(
            f"SELECT {column} AS id FROM {table} WHERE id NOT IN (SELECT {used} FROM span WHERE {used} IS NOT NULL)"
        )
        store.delete(table, [row["id"] for row in rows])
    rows = store.rows("SELECT id FROM event WHERE entity_id IS NOT NULL AND entity_id NOT IN (SELECT id FROM entity)")
    store.delete("event", [row["id"] for row in rows])


_THIN: dict[str, Callable[[Store, int, int, Tell], int]] = {
    "observation": _thin_observations,
    "keyframe": _thin_keyframes,
    "chunk": _merge_summaries,
    "past": _forget_past,
}
