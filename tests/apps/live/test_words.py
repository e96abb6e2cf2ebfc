from __future__ import annotations

import numpy as np
import pytest

from apps.live.sentences import sentence
from apps.live.words import MEMORIES, Feed, gauges
from memory_bank.protocol import MemoryStats
from streamvos.records import Frame, MemoryEvent, StepResult


def result(index: int, *events: MemoryEvent) -> StepResult:
    frame = Frame("s", index, index / 10, np.zeros((2, 2, 3), np.uint8))
    return StepResult("s", frame.index, frame.time_s, frame.size, events=events)


def event(action: str = "skip", entry: str = "object 1", bank: str = "keyframes", reason: str = "why") -> MemoryEvent:
    return MemoryEvent(bank, action, 0, entry, reason, 7, {"novelty": 0.4})


# Events as the memories write them, and what a person reads.
SAID = {
    "kept": (
        event("write", "object 2, slot 5", reason="kept a view of object 2: it shows something new"),
        "Kept a picture of the dog (#2): it looks different from before",
    ),
    "first": (
        event("write", "object 2, slot 0", reason="kept the first view of object 2: it stays for good"),
        "Kept the first picture of the dog (#2): it stays for good",
    ),
    "soon": (
        event("skip", "object 2", reason="no view of object 2: it is too soon after the last one"),
        "Took no picture of the dog (#2): it is too soon after the last one",
    ),
    "nameless": (event("write", "object 9", "appearance", "first look"), "Learned what the object (#9) looks like"),
    "hidden": (
        event("skip", "object 2", "objects", "object 2 is occluded: only 0 pixels of it show, usually 18128"),
        "The dog (#2) is hidden, at least in part",
    ),
    "gone": (
        event("write", "object 2", "retired", "no longer followed; will be recognised should it return"),
        "The dog (#2) is gone, and will be recognised should it return",
    ),
    "expected": (
        event("evict", "expected place of a fire hydrant", "expected_places", "missed by more than 2 detector runs"),
        "Expects a fire hydrant here no longer: not found again",
    ),
    "place": (
        event("write", "static points of map 5", "scene", "87 points measured in 86 voxels: 86 new"),
        "Measured more of the place in 3D",
    ),
    "answers": (
        event("write", "key frame 192", "episodes", "first picture of object 2 (dog), at 0:07.7, 5.9 KiB"),
        "Kept a picture to answer with: first picture of the dog (#2)",
    ),
    "appeared": (
        event("write", "object 2 (dog)", "episodes", "appeared at 0:07.7 (frame 192): seen in 8 frames over 0.28 s"),
        "Wrote down: the dog (#2) appeared at 0:07.7",
    ),
    "unknown": (event("evict", "slot 3", "another", "too old"), "Dropped slot 3: too old"),
}


@pytest.mark.parametrize("name", SAID)
def test_decisions_are_told_to_people(name):
    said, expected = SAID[name]
    assert sentence(said, {2: "dog"}) == expected


def test_numbers_and_the_words_of_the_memory_are_details(recorded):
    feed = Feed()
    masks = recorded.result_at(1, True).masks
    number, name = int(masks.object_ids[0]), masks.class_names[0]
    first = result(32, event("write", f"object {number}, slot 5", reason="kept a view: it shows something new"))
    feed.add(StepResult("s", 32, 3.2, masks.size, masks=masks, events=first.events))
    feed.add(result(60, event("write", f"object {number}", "retired", reason="gone")))  # by its name, though it left
    line, later = feed.lines()
    assert (line["clock"], line["memory"]) == ("0:03.2", "Pictures of objects") and name
    assert line["text"] == f"Kept a picture of the {name} (#{number}): it looks different from before"
    assert line["details"]["event"] == f"keyframes: write object {number}, slot 5"
    assert line["details"]["numbers"] == {"novelty": 0.4} and line["details"]["bytes"] == 7
    assert later["text"].startswith(f"The {name} (#{number}) is gone")


def test_the_same_again_counts_up_and_the_feed_is_bounded():
    feed = Feed(length=10)
    for index in range(500):
        feed.add(result(index, event(reason=f"frame {index}"), event("evict", f"slot {index}")))
    assert len(feed.lines()) == 10
    feed = Feed()
    for index in range(500):
        feed.add(result(index, event(reason=f"frame {index}"), event("refine")))
    assert [line["times"] for line in feed.lines()] == [500, 500]
    assert feed.lines()[0]["details"]["reason"] == "frame 499"
    feed = Feed()
    levels = [event("write", f"feature vectors, {level} level", "features") for level in ("fine", "coarse")]
    feed.add(result(1, *levels))  # two parts of a memory, one sentence
    assert [line["times"] for line in feed.lines()] == [2]


def test_gauges_have_plain_names_in_the_order_of_the_graph():
    stats = {name: MemoryStats(1, 2, 3) for name in ("episodes", "new one", "keyframes")}
    assert [one["name"] for one in gauges(stats)] == [MEMORIES["keyframes"], "What happened", "new one"]
    told = {"name": "", "bank": "keyframes", "entries": 1, "bytes": 2, "capacity_bytes": 3}
    assert gauges(stats)[0] | {"name": ""} == told
