"""Questions about a made-up sequence of which every fact is known (see conftest)."""

import json
from collections import Counter

import pytest

from eval.compose import solve
from eval.compose.questions import MAX_QUESTIONS, agree, make_questions, read_questions, write_questions
from eval.compose.visibility import Facts
from eval.compose.wording import Who, cast_of
from eval.datasets.composed import ObjectInfo
from streamvos.errors import InputError

DOG, PERSON, BUS = Who("dog", "dog", (1,)), Who("person", "person", (2,)), Who("bus", "bus", (5,))
RED, WHITE, CARS = Who("red car", "car", (3,)), Who("white car", "car", (4,)), Who("car", "car", (3, 4))

# what a person reads off the table in conftest
SOLVED = [
    ("first seen", lambda f: solve.first_seen(f, DOG), {"type": "time", "time_s": 5.0}),
    ("last seen", lambda f: solve.last_seen(f, CARS), {"type": "time", "time_s": 40.0}),
    ("how long", lambda f: solve.how_long(f, DOG), {"type": "duration", "seconds": 20.0}),
    ("how long, any", lambda f: solve.how_long(f, CARS), {"type": "duration", "seconds": 25.0}),
    ("at once", lambda f: solve.at_once(f, CARS, 1.0), {"type": "count", "count": 2}),
    ("in all", lambda f: solve.in_all(f, CARS), {"type": "count", "count": 2}),
    ("before", lambda f: solve.ordered(f, DOG, RED, 1, 1.0), {"type": "yes_no", "value": True}),
    ("after", lambda f: solve.ordered(f, DOG, RED, -1, 1.0), {"type": "yes_no", "value": False}),
    ("too close to order", lambda f: solve.ordered(f, DOG, PERSON, 1, 1.6), None),
    ("together", lambda f: solve.together(f, DOG, WHITE, 1.0), {"type": "yes_no", "value": True}),
    ("never together", lambda f: solve.together(f, DOG, BUS, 1.0), {"type": "yes_no", "value": False}),
    ("nearly together", lambda f: solve.together(f, WHITE, BUS, 2.0), None),
    ("how often", lambda f: solve.how_often(f, DOG, went=False), {"type": "count", "count": 2}),
    ("went away", lambda f: solve.how_often(f, WHITE, went=True), {"type": "count", "count": 2}),
    ("where", lambda f: solve.side_at(f, DOG, 6.0), {"type": "side", "side": "left"}),
    ("where, on the line", lambda f: solve.side_at(f, DOG, 10.0), None),
    ("where, away", lambda f: solve.side_at(f, DOG, 25.0), None),
    ("left of", lambda f: solve.beside(f, DOG, PERSON, 8.0, -1), {"type": "yes_no", "value": True}),
    ("right of", lambda f: solve.beside(f, DOG, PERSON, 8.0, 1), {"type": "yes_no", "value": False}),
    ("beside, too near", lambda f: solve.beside(f, DOG, PERSON, 18.0, 1), None),
    ("visible", lambda f: solve.visible_at(f, BUS, 45.0), {"type": "yes_no", "value": True}),
    ("not visible", lambda f: solve.visible_at(f, BUS, 20.0), {"type": "yes_no", "value": False}),
    ("just coming", lambda f: solve.visible_at(f, BUS, 42.0), None),
    ("came back", lambda f: solve.returned(f, DOG), {"type": "yes_no", "value": True}),
    ("never away", lambda f: solve.returned(f, PERSON), None),
    ("back when", lambda f: solve.return_time(f, DOG), {"type": "time", "time_s": 30.0}),
    ("first", lambda f: solve.winner(f, DOG, BUS, 1.0, "first"), {"type": "thing", "class": "dog", "other": "bus"}),
    ("last seen of two", lambda f: solve.winner(f, DOG, BUS, 1, "last_seen")[0]["class"], "bus"),
    ("the last of several", lambda f: solve.winner(f, CARS, DOG, 1, "last_seen")[0]["class"], "car"),
    ("nobody", lambda f: solve.first_seen(f, Who("cat", "cat", ())), None),
]


@pytest.mark.parametrize(("ask", "answer"), [row[1:] for row in SOLVED], ids=[row[0] for row in SOLVED])
def test_true_answers(truth, ask, answer):
    found = ask(Facts(truth))
    assert (found[0] if isinstance(found, tuple) else found) == answer


def test_what_happened(truth):
    asked = {1: "dog", 2: "person", 3: "car", 4: "car", 5: "bus"}
    answer, evidence = solve.happened(Facts(truth), asked, 37.0, 47.0, 1.0)
    assert answer["events"] == [
        {"event": "disappear", "class": "car", "time_s": 40.0},
        {"event": "appear", "class": "bus", "time_s": 42.0},
    ]
    assert evidence == [(40.0, 40.0), (42.0, 42.0)]
    assert solve.happened(Facts(truth), asked, 37.0, 41.0, 1.0) is None  # the bus comes a second later
    assert solve.happened(Facts(truth), asked, 52.0, 58.0, 1.0) is None  # nothing


def test_only_one_thing_is_meant(truth):
    by_class, by_colour = cast_of(truth)
    assert {who.words["the"] for who in by_class} == {"the dog", "the person", "a car", "the bus"}
    assert {who.name for who in by_colour} == {"brown dog", "person in blue", "red car", "white car", "yellow bus"}


def test_twins_of_one_colour_have_no_colour(make_truth):
    objects = (ObjectInfo(1, "car", "red"), ObjectInfo(2, "car", "red", 1), ObjectInfo(3, "car", "blue"))
    _, by_colour = cast_of(make_truth(objects, lambda _: (), 1))
    assert [who.name for who in by_colour] == ["blue car"]


def test_balanced_and_bounded(truth):
    questions = make_questions(truth, 0)
    kinds = Counter(question.kind for question in questions)
    assert len(questions) == MAX_QUESTIONS and len(kinds) == 20 and set(kinds.values()) <= {2, 3, 4}
    assert len({question.id for question in questions}) == len({question.text for question in questions}) == 60
    said = [question.answer["value"] for question in questions if question.answer["type"] == "yes_no"]
    assert 0.3 < sum(said) / len(said) < 0.7
    assert all(question.evidence for question in questions if not question.never_happened and not question.as_of_s)


def test_same_seed_same_questions(truth):
    assert make_questions(truth, 1) == make_questions(truth, 1)
    assert make_questions(truth, 1) != make_questions(truth, 2)


def test_as_of_asks_only_about_what_was_known(truth):
    for seed in range(5):
        for question in make_questions(truth, seed):
            if question.as_of_s is not None:
                assert all(b <= question.as_of_s for _, b in question.evidence)


def test_what_people_would_answer_either_way_is_not_asked(make_truth, make_seen):
    """Away for 1.5 s: gone or not? A third of it shows: visible or not? A glimpse: seen or not?"""
    away = make_truth((ObjectInfo(1, "dog", "brown"),), lambda t: () if 5 <= t < 6.5 else (make_seen(1, 100),), 200)
    third = make_truth((ObjectInfo(1, "dog", "brown"),), lambda t: (make_seen(1, 100, share=0.3),), 200)
    glimpse = make_truth(
        (ObjectInfo(1, "dog", "brown"),), lambda t: (make_seen(1, 100, share=1.0 if t < 0.2 or t > 9 else 0.2),), 200
    )
    for seed in range(5):
        assert not {q.kind for q in make_questions(glimpse, seed)} & {"first_seen", "how_often", "comes_back"}
        assert not {q.kind for q in make_questions(away, seed)} & {"how_often", "comes_back"}
        assert {q.kind for q in make_questions(third, seed)} <= {"absent", "undetectable", "outside", "so_far"}


def test_background_things_are_not_asked_about(make_truth, make_seen):
    room = make_truth((ObjectInfo(1, "chair", "brown"),), lambda _: (make_seen(1, 100),), 100)
    assert {question.kind for question in make_questions(room, 0)} == {"absent", "undetectable"}


def test_of_several_the_one_that_stays_longest_is_last(make_truth, make_seen):
    """The first car stays to the end, the second comes later and goes; the dog goes in between."""

    def at(time_s):
        here = [make_seen(1, 10)] + [make_seen(2, 200)] * (5 <= time_s < 10) + [make_seen(3, 400)] * (time_s < 15)
        return tuple(here)

    objects = (ObjectInfo(1, "car", "red"), ObjectInfo(2, "car", "blue"), ObjectInfo(3, "dog", "brown"))
    answer, _ = solve.winner(
        Facts(make_truth(objects, at, 300)), Who("car", "car", (1, 2)), Who("dog", "dog", (3,)), 1.0, "last_seen"
    )
    assert answer["class"] == "car"


def test_nobody_and_nothing(make_truth):
    assert {q.kind for q in make_questions(make_truth((), lambda _: (), 10), 0)} == {"absent", "undetectable"}
    with pytest.raises(InputError, match="at least one frame"):
        make_questions(make_truth((), lambda _: (), 0), 0)


def test_agree():
    events = {"type": "events", "events": [{"event": "appear", "class": "dog", "time_s": 5.0}]}
    later = {"type": "events", "events": [{"event": "appear", "class": "dog", "time_s": 6.0}]}
    assert agree(events, later, 1.0) and not agree(events, later, 0.5)
    assert agree({"type": "time", "time_s": 1.0}, {"type": "time", "time_s": 1.4}, 0.5)
    assert not agree({"type": "count", "count": 1}, {"type": "count", "count": 2}, 5.0)
    assert not agree({"type": "count", "count": 1}, {"type": "time", "time_s": 1.0}, 5.0)


def test_written_and_read(truth, tmp_path):
    write_questions(truth, tmp_path, 3)
    assert (tmp_path / "events" / "made-up.jsonl").stat().st_size
    path = tmp_path / "questions" / "made-up.json"
    assert read_questions(path) == make_questions(truth, 3)
    assert json.loads(path.read_text())["seed"] == 3
    with pytest.raises(InputError, match="does not exist"):
        read_questions(tmp_path / "none.json")
    path.write_text('{"questions": [{"id": 1}]}')
    with pytest.raises(InputError, match="not a file of questions"):
        read_questions(path)
