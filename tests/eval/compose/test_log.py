"""The event log of a made-up sequence of which every fact is known (see conftest)."""

import json

import numpy as np
import pytest

from eval.compose.log import events_of, write_log
from eval.compose.visibility import PLAIN, READINGS, Facts, merged, runs, side_of, steady_runs
from eval.datasets.composed import ObjectInfo, ObjectSeen


def told(events, kind, **wanted):
    return [e for e in events if e["event"] == kind and all(e.get(key) == value for key, value in wanted.items())]


def test_lives(truth):
    events = events_of(truth)
    lives = [(e["time_s"], e["event"], e["object"]) for e in events if e["event"] in ("appear", "leave", "return")]
    assert sorted(lives) == [
        *((2.0, "appear", 2), (5.0, "appear", 1), (10.0, "appear", 3), (15.0, "appear", 4)),
        *((20.0, "leave", 1), (25.0, "leave", 3), (30.0, "return", 1), (33.0, "return", 4), (35.0, "leave", 1)),
        *((40.0, "leave", 4), (42.0, "appear", 5), (50.0, "leave", 5)),
    ]
    assert [event["time_s"] for event in events] == sorted(event["time_s"] for event in events)


def test_a_short_interruption_is_none(truth):
    """The person is hidden for half a second at 0:44."""
    assert Facts(truth).intervals(Facts(truth).visible[2]) == [(2.0, 59.9)]
    assert not told(events_of(truth), "hidden", object=2)


def test_hidden_by_the_scene(truth):
    (event,) = told(events_of(truth), "hidden")
    assert (event["object"], event["from_s"], event["to_s"], event["by"]) == (4, 28.0, 33.0, None)


def test_hidden_by_another(make_truth, make_seen):
    def at(time_s):
        hidden = 5 <= time_s < 8
        return (make_seen(1, 200, share=0.05 if hidden else 1.0), make_seen(2, 210 if hidden or time_s > 4 else 400))

    (event,) = told(
        events_of(make_truth((ObjectInfo(1, "dog", "brown"), ObjectInfo(2, "car", "red")), at, 200)), "hidden"
    )
    assert (event["object"], event["by"], event["from_s"], event["to_s"]) == (1, 2, 4.9, 8.0)


def test_counts_meetings_and_sides(truth):
    events = events_of(truth)
    cars = [(e["time_s"], e["from"], e["to"]) for e in told(events, "count", **{"class": "car"})]
    assert cars == [(10.0, 0, 1), (15.0, 1, 2), (25.1, 2, 1), (28.1, 1, 0), (33.0, 0, 1), (40.1, 1, 0)]
    (meeting,) = told(events, "meet", object=2, other=5)
    assert (meeting["from_s"], meeting["to_s"], meeting["other_class"]) == (42.0, 50.0, "bus")
    assert [(e["from"], e["to"]) for e in told(events, "side", object=1)] == [
        *((None, "left"), ("left", "middle"), ("middle", "right"), (None, "left")),
    ]


@pytest.mark.parametrize(
    ("visible_px", "full_px", "plain"),
    [(2500, 10_000, True), (2499, 10_000, False), (400, 400, True), (399, 399, False), (0, 10_000, False)],
    ids=["a quarter", "less than a quarter", "20x20", "less than 20x20", "nothing"],
)
def test_what_is_visible(make_truth, visible_px, full_px, plain):
    box = (10, 10, 60, 60) if visible_px else None
    frames = make_truth((ObjectInfo(1, "dog", "brown"),), lambda _: (ObjectSeen(1, visible_px, full_px, box),), 20)
    assert bool(Facts(frames).spans[1]) is plain


def test_readings_differ_where_people_do(make_truth, make_seen):
    """Away for 1.5 s: still there for one, away for another."""
    frames = make_truth((ObjectInfo(1, "dog", "brown"),), lambda t: () if 5 <= t < 6.4 else (make_seen(1, 100),), 200)
    assert READINGS[0] == PLAIN and len(Facts(frames).spans[1]) == 2
    assert {len(Facts(frames, reading).spans[1]) for reading in READINGS} == {1, 2}


def test_as_of_knows_nothing_of_later(truth):
    facts = Facts(truth, until_s=19.0)
    assert facts.end_s == 19.0 and facts.spans[1][0].ended == "end" and not facts.spans[5]


def test_nobody(make_truth):
    assert events_of(make_truth((), lambda _: (), 10)) == []
    assert events_of(make_truth((ObjectInfo(1, "dog", "brown"),), lambda _: (), 10)) == []


def test_runs_and_sides():
    flags = np.array([1, 1, 0, 1, 0, 0, 1], bool)
    assert runs(flags) == [(0, 1), (3, 3), (6, 6)]
    assert steady_runs(flags, np.arange(7.0), 2.5) == [(0, 3), (6, 6)]
    assert runs(np.zeros(0, bool)) == []
    assert merged([(3.0, 4.0), (1.0, 2.0), (2.0, 2.5), (3.5, 3.6)]) == [(1.0, 2.5), (3.0, 4.0)]
    assert [side_of(x, 0.05) for x in (0.1, 0.3, 0.5, 0.7, 0.9)] == ["left", None, "middle", None, "right"]


def test_written_one_event_a_line(truth, tmp_path):
    path = tmp_path / "events" / "made-up.jsonl"
    write_log(truth, path)
    assert [json.loads(line) for line in path.read_text().splitlines()] == events_of(truth)
