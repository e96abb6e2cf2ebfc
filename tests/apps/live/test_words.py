from __future__ import annotations

import numpy as np

from apps.live.words import Feed, gauges
from memory_bank.protocol import MemoryStats
from streamvos.records import Frame, MemoryEvent, StepResult


def result(index: int, *events: MemoryEvent) -> StepResult:
    frame = Frame("s", index, index / 10, np.zeros((2, 2, 3), np.uint8))
    return StepResult("s", frame.index, frame.time_s, frame.size, events=events)


def event(action: str = "skip", entry: str = "object 1", bank: str = "keyframes", reason: str = "why") -> MemoryEvent:
    return MemoryEvent(bank, action, 0, entry, reason, 0)


def test_decisions_are_told_in_words():
    feed = Feed()
    feed.add(result(32, event("write", "object 2, slot 5", reason="novel: 0.4")))
    (line,) = feed.lines()
    assert (line["clock"], line["memory"], line["text"]) == ("0:03.2", "Key frames", "kept object 2, slot 5")
    assert line["reason"] == "novel: 0.4" and line["times"] == 1


def test_the_same_again_counts_up_and_the_feed_is_bounded():
    feed = Feed(length=10)
    for index in range(500):
        feed.add(result(index, event(reason=f"frame {index}"), event("evict", f"slot {index}")))
    assert len(feed.lines()) == 10
    feed = Feed()
    for index in range(500):
        feed.add(result(index, event(reason=f"frame {index}"), event("refine")))
    assert [line["times"] for line in feed.lines()] == [500, 500]
    assert feed.lines()[0]["reason"] == "frame 499"


def test_gauges_keep_the_order_of_the_graph():
    stats = {name: MemoryStats(1, 2, 3) for name in ("episodes", "new one", "keyframes")}
    assert [one["name"] for one in gauges(stats)] == ["Key frames", "Long memory", "new one"]
    assert gauges(stats)[0] | {"name": ""} == {"name": "", "entries": 1, "bytes": 2, "capacity_bytes": 3}
