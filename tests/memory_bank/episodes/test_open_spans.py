"""When appearances open, are bridged, and close; and why."""

import sqlite3

import pytest

from memory_bank.episodes import EpisodeConfig, EpisodeMemory, EpisodeReader
from memory_bank.episodes.open_spans import MAX_BRIEF
from memory_bank.episodes.policy import ending_of, is_gap, region_of, score_thinning
from streamvos.errors import InputError

MIDDLE = (0.4, 0.4, 0.6, 0.6)


def play(tmp_path, scene, seen, frames=100, **config):
    """Ten frames a second; `seen(index)` gives the sightings. Returns spans as (from, to, ended) and events."""
    _, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up", EpisodeConfig(**config))
    for index in range(frames):
        memory.write(moment(index, 100 * index, *seen(index)))
    memory.close()
    with memory.read() as reader:
        spans = [(span.from_ms, span.to_ms, span.ended) for span in reader.spans()]
        kinds = [(event.kind, event.t_ms) for event in reader.events() if event.kind not in ("named", "labelled")]
    return spans, kinds, memory.drain_events()


def test_opens_when_first_tracked_and_closes_when_lost(tmp_path, scene):
    sighting, _ = scene
    spans, kinds, _ = play(tmp_path, scene, lambda i: [sighting(1)] if 20 <= i <= 50 else [])
    assert spans == [(2000, 5000, "unknown")]
    assert kinds == [("appear", 2000), ("vanish", 5000)]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [(4, [(0, 9900, "end")]), (8, [(0, 4900, "unknown"), (5800, 9900, "end")])],
    ids=["short flicker is bridged", "long absence is a return"],
)
def test_flicker(tmp_path, scene, missing, expected):
    sighting, _ = scene
    spans, _, _ = play(tmp_path, scene, lambda i: [] if 50 <= i < 50 + missing else [sighting(1)])
    assert spans == expected


def test_brief_thing_is_rejected_unless_the_user_pointed_at_it(tmp_path, scene):
    sighting, _ = scene
    spans, kinds, events = play(
        tmp_path, scene, lambda i: [sighting(1)] * (10 <= i < 12) + [sighting(2, prompted=i == 30)] * (30 <= i < 32)
    )
    assert spans == [(3000, 3100, "unknown")]
    rejected = [event for event in events if event.action == "reject"]
    assert len(rejected) == 1 and "too brief" in rejected[0].reason


def test_decisions_are_told_with_times_frames_and_numbers(tmp_path, scene):
    sighting, _ = scene
    _, _, events = play(tmp_path, scene, lambda i: [sighting(1)] * (20 <= i <= 50) + [sighting(2, "cat")] * (i == 60))
    told = {(event.action, event.frame_index, event.entry): event.reason for event in events}
    assert told["write", 0, "key frame 0"] == "first picture of a summary, at 0:00.0, 0.1 KiB"
    assert told["write", 23, "object 1 (dog)"] == (  # the frame of the decision, not that of the first sighting
        "appeared at 0:02.0 (frame 20): seen in 4 frames over 0.30 s, at least 0.25 s are needed"
    )
    closed = "was visible from 0:02.0 to 0:05.0 (frames 20 to 50); then it was lost from view"
    assert told["write", 56, "object 1 (dog)"] == closed
    assert told["reject", 66, "object 2 (cat)"] == (
        "too brief to state: seen in 1 frame over 0.00 s, 2 frames over 0.25 s are needed; it was lost from view"
    )
    assert told["write", 99, "summary 1"] == "covers 0:00.0 to 0:09.9 (frames 0 to 99); closed: the video ended"


def test_one_track_for_each_thing_and_shot(tmp_path, scene):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(100):
        here = [sighting(1)] if index % 20 < 10 else []
        memory.write(moment(index, 100 * index, *here, cut=index == 60, shot=int(index >= 60)))
    memory.close()
    with memory.read() as reader:
        assert [span.shot for span in reader.spans()] == [0, 0, 0, 1, 1]
    rows = sqlite3.connect(tmp_path / "memory.sqlite").execute("SELECT shot, from_ms, to_ms FROM track").fetchall()
    assert rows == [(0, 0, 4900), (1, 6000, 8900)]


def hidden_early(sighting, index):
    """Object 1 is seen for 0.2 s, hidden for 0.7 s, and seen again for long."""
    if index < 10 or index > 50:
        return []
    return [sighting(1, state="occluded" if 13 <= index < 20 else "tracked")]


def test_brief_first_sighting_counts_once_the_object_is_confirmed(tmp_path, scene):
    sighting, _ = scene
    spans, kinds, _ = play(tmp_path, scene, lambda i: hidden_early(sighting, i))
    assert spans == [(1000, 1200, "occluded"), (2000, 5000, "unknown")]
    assert kinds == [("appear", 1000), ("occluded", 1200), ("return", 2000), ("vanish", 5000)]
    with EpisodeMemory(tmp_path, "s", "made up").read() as reader:
        (thing,) = reader.things()
        assert reader.picture(1000, 1000, 1200).is_file()
    assert thing.first_ms == 1000
    with EpisodeReader(tmp_path, 2100) as reader:  # it was not known yet
        assert reader.spans() == []


@pytest.mark.parametrize("what", ["cut", "removed"])
def test_brief_sighting_does_not_count_beyond_a_cut_or_a_removal(tmp_path, scene, what):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(60):
        shot = int(what == "cut" and index >= 19)
        removed = (1,) * (what == "removed" and index == 19)
        here = hidden_early(sighting, index)
        memory.write(moment(index, 100 * index, *here, cut=shot == 1 and index == 19, shot=shot, removed=removed))
    memory.close()
    with memory.read() as reader:
        assert [span.from_ms for span in reader.spans()] == [2000]


def test_brief_sightings_wait_in_bounded_memory_and_in_snapshots(tmp_path, scene, contents):
    sighting, moment = scene

    def moments(first, last):
        for index in range(first, last):
            crowd = [sighting(100 + index)] if index < 60 else []
            yield moment(index, 100 * index, *hidden_early(sighting, index - 50), *crowd)

    straight = EpisodeMemory(tmp_path / "a", "s", "made up")
    for one in moments(0, 120):
        straight.write(one)
        held = straight._writer._spans
        assert len(held.brief) <= MAX_BRIEF and len(held.pictures) <= 2 * MAX_BRIEF + 20
    assert len(held.brief) == MAX_BRIEF - 1  # object 1 was taken out of it
    straight.close()
    first = EpisodeMemory(tmp_path / "b", "s", "made up")
    for one in moments(0, 68):  # object 1 waits
        first.write(one)
    state = first.state_dict()
    for one in moments(68, 90):
        first.write(one)
    first._store.db.close()
    second = EpisodeMemory(tmp_path / "b", "s", "made up")
    second.load_state_dict(state)
    for one in moments(68, 120):
        second.write(one)
    second.close()
    assert contents(tmp_path / "b") == contents(tmp_path / "a")
    with second.read() as reader:
        assert [(span.from_ms, span.to_ms) for span in reader.spans()] == [(6000, 6200), (7000, 10_000)]


def test_reasons_of_endings(tmp_path, scene):
    sighting, _ = scene

    def seen(index):
        hidden = [sighting(1, state="occluded" if index > 20 else "tracked")]
        leaving = [sighting(2, box=(0.0, 0.4, 0.2, 0.6))] if index < 30 else []
        return hidden + leaving

    spans, kinds, _ = play(tmp_path, scene, seen)
    assert {span[2] for span in spans} == {"occluded", "left"}
    assert ("leave", 2900) in kinds and ("occluded", 2000) in kinds
    assert ending_of("lost", MIDDLE) == "unknown" and ending_of("occluded", (0.0, 0, 0.1, 0.1)) == "left"


def test_cut_and_removal_and_gap_end_appearances(tmp_path, scene):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(40):
        t_ms = 100 * index + (60_000 if index >= 30 else 0)
        memory.write(
            moment(
                index,
                t_ms,
                sighting(1),
                sighting(2),
                cut=index == 10,
                shot=int(index >= 10),
                removed=(2,) * (index == 20),
            )
        )
    memory.close()
    with memory.read() as reader:
        ended = [(span.entity_id, span.from_ms, span.ended) for span in reader.spans()]
        assert ended[:2] == [(1, 0, "cut"), (2, 0, "cut")]
        assert (2, 1000, "removed") in ended and (1, 1000, "gap") in ended and (1, 63_000, "end") in ended
        stretches = [(s.from_ms, s.to_ms, s.status) for s in reader.coverage()]
    assert stretches == [(0, 2900, "processed"), (2900, 63_000, "gap"), (63_000, 63_900, "processed")]


def test_class_is_a_vote_and_label_stays(tmp_path, scene):
    sighting, _ = scene
    play(tmp_path, scene, lambda i: [sighting(1, "cat" if i % 4 == 0 else "dog", label="Rex" if i == 30 else None)])
    with EpisodeMemory(tmp_path, "s", "made up").read() as reader:
        (thing,) = reader.things()
    assert (thing.class_name, thing.label, thing.colour) == ("dog", "Rex", "brown")
    assert thing.confidence == pytest.approx(0.75)


def test_single_picture_is_stated(tmp_path, scene):
    sighting, _ = scene
    spans, _, _ = play(tmp_path, scene, lambda i: [sighting(1)], frames=1)
    assert spans == [(0, 0, "end")]


def test_low_frame_rate_is_no_gap_and_one_missed_frame_is_bridged(tmp_path, scene):
    sighting, moment = scene
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(20):
        memory.write(moment(index, 4000 * index, *([] if index == 9 else [sighting(1)])))
    memory.close()
    with memory.read() as reader:
        assert [s.status for s in reader.coverage()] == ["processed"]
        assert [(s.from_ms, s.to_ms) for s in reader.spans()] == [(0, 76_000)]


@pytest.mark.parametrize(
    ("box", "region"),
    [
        ((0.0, 0.0, 0.2, 0.2), "top left"),
        ((0.4, 0.4, 0.6, 0.6), "middle"),
        ((0.8, 0.4, 1.0, 0.6), "right"),
        ((0.4, 0.8, 0.6, 1.0), "bottom"),
    ],
)
def test_region(box, region):
    assert region_of(box) == region


def test_policies_of_gap_and_thinning():
    assert is_gap(3000, 100.0, 2.0) and not is_gap(1900, 100.0, 2.0) and not is_gap(3000, None, 2.0)
    assert not is_gap(8000, 4000.0, 2.0)
    assert score_thinning(500, 500, 100_000) < score_thinning(500, 500, 1000)  # old goes first
    assert score_thinning(500, 500, 1000) < score_thinning(5000, 500, 1000)  # dense goes first


@pytest.mark.parametrize("wrong", [{"chunk_s": 0.0}, {"bridge_s": -1.0}])
def test_config_is_checked(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        EpisodeConfig(**wrong)


def test_a_budget_that_holds_no_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match="budget_bytes: expected at least"):
        EpisodeMemory(tmp_path, "s", "made up", budget_bytes=1000)
