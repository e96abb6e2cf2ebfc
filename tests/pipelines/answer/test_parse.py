"""From words to the typed plan, and the arithmetic of intervals."""

import pytest

from pipelines.answer.intervals import intersect, most_at_once, total, union
from pipelines.answer.parsing.normalise import normalise
from pipelines.answer.parsing.parse import parse
from pipelines.answer.vocabulary import classes_of, is_plural, singular, suggest
from streamvos.answers import clock
from streamvos.models.coco import NAMES


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("at 0:05", (5000, 5000)),
        ("at 1:02:03.5", (3_723_500, 3_723_500)),
        ("at 5 seconds", (5000, 5000)),
        ("at second 5", (5000, 5000)),
        ("between 1:00 and 2:00", (60_000, 120_000)),
        ("between 2:00 and 1:00", (60_000, 120_000)),
        ("from 5s to 10s", (5000, 10_000)),
        ("between 0:10 and 1 minute 20 seconds", (10_000, 80_000)),
        ("between one minute and 90 seconds", (60_000, 90_000)),
        ("in the first 3 seconds", (0, 3000)),
        ("in the first two minutes of the video", (0, 120_000)),
        ("before 0:10", (None, 10_000)),
        ("after half a minute", (30_000, None)),
        ("between 5 and 8 seconds", (5000, 8000)),
        ("from 5 to 8 seconds", (5000, 8000)),
        ("from 5-8 seconds", (5000, 8000)),
        ("from 5 until 8.5 s", (5000, 8500)),
        ("from 5 seconds to 8", (5000, 8000)),
        ("between second 5 and 8", (5000, 8000)),
        ("between seconds 5 and 8", (5000, 8000)),
        ("between one and two minutes", (60_000, 120_000)),
    ],
)
def test_times(text, window):
    (span,) = parse(normalise(f"was there a dog {text}?")).times
    assert (span.from_ms, span.to_ms) == window


@pytest.mark.parametrize(
    ("text", "times"),
    [("at 5 and 8 seconds", [5000, 8000]), ("at 5, 8 and 11 seconds", [5000, 8000, 11_000])],
)
def test_no_time_is_dropped(text, times):
    query = parse(normalise(f"was there a dog {text}?"))
    assert [span.from_ms for span in query.times] == [span.to_ms for span in query.times] == times
    assert query.subject.number is None


def test_a_number_of_things_takes_no_unit():
    query = parse(normalise("were 2 cars there from 5 to 8 seconds?"))
    assert query.subject.number == 2 and [(span.from_ms, span.to_ms) for span in query.times] == [(5000, 8000)]


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("the red car", {"classes": {"car"}, "colour": "red", "definite": True}),
        ("an orange car", {"classes": {"car"}, "colour": "orange"}),
        ("an orange", {"classes": {"orange"}, "colour": None}),
        ("people", {"classes": {"person"}, "plural": True}),
        ("bikes", {"classes": {"bicycle"}, "plural": True}),
        ("a hot dog", {"classes": {"hot dog"}}),
        ("traffic lights", {"classes": {"traffic light"}}),
        ("object 3", {"object_id": 3, "classes": set()}),
        ("#12", {"object_id": 12}),
        ("track 4", {"object_id": 4}),
        ("the little one", {"label": "the little one"}),
        ("two dogs", {"classes": {"dog"}, "number": 2}),
    ],
)
def test_things(phrase, expected):
    subject = parse(normalise(f"did you see {phrase}?"), ["The little one"]).subject
    for name, value in expected.items():
        assert getattr(subject, name) == value, name


def test_vehicle_and_animal_are_groups():
    assert {"car", "truck", "bus", "motorcycle", "bicycle"} <= classes_of("vehicles")
    assert "dog" in classes_of("animal") and "car" not in classes_of("animal")


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_known_in_singular_and_plural(name):
    assert classes_of(name) >= {name}
    if name not in ("skis", "scissors", "sheep", "broccoli"):
        head, _, tail = name.rpartition(" ")
        many = {"person": "people", "mouse": "mice", "knife": "knives"}.get(
            tail, tail + ("es" if tail.endswith(("s", "sh", "ch", "x")) else "s")
        )
        assert classes_of(f"{head} {many}".strip()) >= {name}
        assert is_plural(many) and singular(many) == tail


def test_suggestions_are_only_suggestions():
    assert suggest("bycicle", None) == "bicycle" and suggest("submarine", None) is None
    assert [suggest(word, None) for word in ("not", "more", "happy", "bark")] == [None] * 4
    assert classes_of("submarine") is None


def test_intervals_by_hand():
    assert union([(5, 9), (0, 3), (2, 4)]) == [(0, 4), (5, 9)]
    assert intersect([(0, 10)], [(5, 20), (-5, 2)]) == [(0, 2), (5, 10)]
    assert total([(0, 10), (5, 12), (20, 21)]) == 13 and total([]) == 0
    assert most_at_once([]) == (0, None)
    assert most_at_once([([(0, 10)], 1), ([(5, 20)], 1), ([(12, 14)], 3)]) == (4, (12, 14))
    assert most_at_once([([(0, 5)], 1), ([(5, 9)], 1)]) == (2, (5, 5))  # both are seen in the frame at 5
    assert most_at_once([([(0, 5), (3, 9)], 1)]) == (1, (0, 9))  # one thing counts once


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0:00.0"), (5049, "0:05.0"), (59_960, "1:00.0"), (61_500, "1:01.5"), (3_600_000, "1:00:00.0")]
)
def test_clock(ms, text):
    assert clock(ms) == text
