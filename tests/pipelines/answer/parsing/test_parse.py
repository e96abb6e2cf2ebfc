"""From words to the typed plan."""

import pytest

from pipelines.answer.kinds import KINDS
from pipelines.answer.parsing.normalise import normalise
from pipelines.answer.parsing.parse import parse
from pipelines.answer.parsing.read import read_question


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
        ("the little one", {"label": "The little one"}),
        ("two dogs", {"classes": {"dog"}, "number": 2}),
    ],
)
def test_things(phrase, expected):
    subject = read_question(f"did you see {phrase}?", ["The little one"]).subject
    for name, value in expected.items():
        assert getattr(subject, name) == value, name


KIND_OF = {
    "how long is the clip?": "video_length",
    "how many scene changes are there before 0:10?": "count_shots",
    "what colour was the car?": "colour",
    "how many times did the dog leave?": "how_often",
    "for how many seconds was the dog there?": "how_long",
    "what is the largest number of dogs?": "how_many",
    "at what time did the dog leave?": "when",
    "on which side was the dog?": "where",
    "did anything happen after 0:10?": "what_happened",
    "who is object 2?": "what_is",
    "which animal came last?": "first_of",
    "list the animals": "what_seen",
    "is there a dog?": "yes_no",
    "were the dog and the cat there together?": "together",
    "was the dog left of the cat?": "beside",
    "was there a dog and a cat?": "both",
    "did the camera move?": "camera_motion",
}


@pytest.mark.parametrize(("question", "kind"), KIND_OF.items(), ids=KIND_OF.values())
def test_kind(question, kind):
    assert parse(normalise(question)).kind == kind


def test_each_kind_is_asked_above():
    assert set(KIND_OF.values()) == set(KINDS)
