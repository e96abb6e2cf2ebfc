"""Arithmetic on stretches of time: closed intervals of integer milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Interval = tuple[int, int]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Merge intervals that touch or overlap; in order."""
    merged: list[Interval] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def intersect(left: Iterable[Interval], right: Iterable[Interval]) -> list[Interval]:
    """What lies in both; intervals that touch share a point."""
    a, b = union(left), union(right)
    found = []
    i = j = 0
    while i < len(a) and j < len(b):
        begin, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if begin <= end:
            found.append((begin, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return found


def total(intervals: Iterable[Interval]) -> int:
    """Milliseconds covered, what overlaps counted once."""
    return sum(end - begin for begin, end in union(intervals))


def most_at_once(groups: Sequence[tuple[Iterable[Interval], int]]) -> tuple[int, Interval | None]:
    """The most that were there at the same time, by a sweep over starts and ends.

    Args:
        groups: for each thing its intervals and for how many it stands; a thing counts once at any time.

    Returns:
        The number, and the first stretch of time at which it held; (0, None) where there are no intervals.
    """
    # a start comes before an end at the same time: two things seen in the same frame were there together
    edges = []
    for intervals, weight in groups:
        for begin, end in union(intervals):
            edges += [(begin, 0, weight), (end, 1, -weight)]
    edges.sort()
    now = most = 0
    when: Interval | None = None
    for index, (time, _, change) in enumerate(edges):
        now += change
        if now > most:
            most = now
            when = (time, edges[index + 1][0])
    return most, when
