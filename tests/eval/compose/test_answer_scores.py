"""The judge of answers: sentences as our system says them and as others do, a perfect, an empty, a lying answerer."""

import pytest

from eval.compose.answer_scores import JudgedAnswer, judge, say, summary
from eval.compose.questions import Question
from streamvos.answers import Answer, Evidence

TIME = {"type": "time", "time_s": 65.0}
EVENTS = {
    "type": "events",
    "events": [
        {"event": "disappear", "class": "car", "time_s": 40.0},
        {"event": "appear", "class": "bus", "time_s": 42.0},
    ],
}


def verdict(truth, text, outcome="answered", tolerance=1.0):
    return judge(Question("0", "kind", "?", truth, tolerance), Answer(text, 1.0, outcome), 1.0).verdict


CORRECT = [
    (TIME, "Dog (object 3) first appeared at 1:05.4 [frame 1626]; ..."),
    (TIME, "It was 0:01:06."),
    ({"type": "duration", "seconds": 8.0}, "Dog (object 12) was there for 8.4 s: 0:02.0 [frame 20] to 0:10.4."),
    ({"type": "duration", "seconds": 65.0}, "dog was there for 1:05.2 (m:ss): 0:01.0 [frame 3] to 1:06.2 [frame 9]."),
    ({"type": "duration", "seconds": 8.0}, "about 8 seconds"),
    ({"type": "count", "count": 2}, "At most 2 cars at once, first at 0:12.0 to 0:15.0: car (object 3)."),
    ({"type": "count", "count": 2}, "Dog (object 1) appeared twice: dog (object 1) at 0:05.0 [frame 50]."),
    ({"type": "count", "count": 3}, "There were three dogs."),
    ({"type": "yes_no", "value": True}, "Yes: dog (object 1) 0:05.0."),
    ({"type": "yes_no", "value": False}, "No: 1 car."),
    ({"type": "side", "side": "left"}, "Dog (object 1) was at the top left at 0:05.0 [frame 50]."),
    ({"type": "side", "side": "middle"}, "dog was at the bottom at 0:05.0"),
    ({"type": "side", "side": "middle"}, "in the centre"),
    ({"type": "thing", "class": "dog", "other": "bus"}, "Dog (object 1) appeared at 0:05, before bus (object 2)."),
    (EVENTS, "Car (object 4) left the picture (right) at 0:40.5 [frame 405]; bus (object 5) appeared at 0:42.0."),
    (EVENTS, "A car was hidden at 0:39.8; a car was lost from view at 0:40.9; a bus came in at 0:42; 1 to 2 at 0:44."),
]
WRONG = [
    (TIME, "Dog (object 3) first appeared at 1:07.0 [frame 105]."),
    (TIME, "Soon after the start."),
    ({"type": "duration", "seconds": 8.0}, "Dog was there from 0:02.0 to 0:10.0."),
    ({"type": "count", "count": 2}, "3 cars: car (object 2)."),
    ({"type": "yes_no", "value": True}, "No: I did not see it."),
    ({"type": "yes_no", "value": False}, "Yes: 1 dog."),
    ({"type": "side", "side": "left"}, "on the right"),
    ({"type": "thing", "class": "dog", "other": "bus"}, "Bus (object 2) appeared at 0:05, before dog (object 1)."),
    ({"type": "thing", "class": "dog", "other": "bus"}, "At the same time: dog and bus."),
    (EVENTS, "Car (object 4) left the picture at 0:40.5 [frame 405]."),
    (EVENTS, "Car left at 0:40.5; bus appeared at 0:42.0; dog appeared at 0:43.0."),
    (EVENTS, "Car appeared at 0:40.5; bus left at 0:42.0."),
]


@pytest.mark.parametrize(("truth", "text"), CORRECT, ids=[text for _, text in CORRECT])
def test_correct(truth, text):
    assert verdict(truth, text) == "correct"


@pytest.mark.parametrize(("truth", "text"), WRONG, ids=[text for _, text in WRONG])
def test_wrong(truth, text):
    assert verdict(truth, text) == "wrong"


LEFT_OPEN = [
    (TIME, "I did not see the dog.", "not_observed", "abstained wrongly"),
    (TIME, "Several things fit.", "ambiguous", "abstained wrongly"),
    ({"type": "yes_no", "value": True}, "No: I did not see it.", "not_observed", "abstained wrongly"),
    ({"type": "yes_no", "value": False}, "No: I did not see it.", "not_observed", "correct"),
    ({"type": "yes_no", "value": False}, "I cannot tell.", "not_understood", "abstained wrongly"),
    ({"type": "not_observed"}, "I did not see a train.", "not_observed", "abstained rightly"),
    ({"type": "not_observed"}, "No: none.", "answered", "abstained rightly"),
    ({"type": "not_observed"}, "Train at 0:05.0.", "answered", "hallucinated"),
    ({"type": "not_observed"}, "I cannot detect trains.", "not_detectable", "abstained wrongly"),
    ({"type": "cannot_detect"}, "I cannot detect drums.", "not_detectable", "abstained rightly"),
    ({"type": "cannot_detect"}, "I did not see a drum.", "not_observed", "abstained wrongly"),
    ({"type": "cannot_detect"}, "Yes: a drum.", "answered", "hallucinated"),
    ({"type": "not_covered"}, "I looked at 0:00 to 1:00.", "not_covered", "abstained rightly"),
    ({"type": "not_covered"}, "On the left.", "answered", "hallucinated"),
]


@pytest.mark.parametrize(("truth", "text", "outcome", "expected"), LEFT_OPEN)
def test_left_open(truth, text, outcome, expected):
    assert verdict(truth, text, outcome) == expected


@pytest.mark.parametrize(
    ("from_s", "to_s", "frame", "expected"),
    [(64.2, 80.0, 642, True), (50.0, 66.0, 500, True), (10.0, 90.0, 655, True), (10.0, 90.0, 100, False)],
    ids=["start", "end", "frame", "beside it"],
)
def test_grounded(from_s, to_s, frame, expected):
    question = Question("0", "kind", "?", TIME, 1.0, ((65.0, 65.0),))
    proof = Evidence(from_s, to_s, frame, 1, "dog", "a dog was there")
    times = [index / 10 for index in range(1000)]
    assert judge(question, Answer("At 1:05.", 1.0, "answered", (proof,)), 1.0, times).grounded is expected


def test_only_what_is_correct_and_can_be_proved_is_grounded_or_not():
    question = Question("0", "kind", "?", TIME, 1.0, ((65.0, 65.0),))
    assert judge(question, Answer("At 1:05.", 1.0, "answered"), 1.0).grounded is False
    assert judge(question, Answer("At 2:05.", 1.0, "answered"), 1.0).grounded is None
    assert judge(Question("0", "kind", "?", TIME, 1.0), Answer("At 1:05.", 1.0, "answered"), 1.0).grounded is None


@pytest.mark.parametrize("truth", [truth for truth, _ in CORRECT] + [row[0] for row in LEFT_OPEN])
def test_the_truth_is_right(truth):
    assert judge(Question("0", "kind", "?", truth, 0.1), say(truth), 1.0).verdict in ("correct", "abstained rightly")


def test_summary():
    judged = [
        JudgedAnswer("a", False, "correct", True, 1.0),
        JudgedAnswer("a", False, "correct", False, 3.0),
        JudgedAnswer("a", False, "wrong", None, 5.0),
        JudgedAnswer("b", True, "abstained rightly", None, 7.0),
        JudgedAnswer("b", True, "hallucinated", None, 9.0),
    ]
    assert summary(judged) == {
        "questions": 5,
        "accuracy, %": 60.0,
        "correct": 2,
        "wrong": 1,
        "abstained rightly": 1,
        "abstained wrongly": 0,
        "hallucinated": 1,
        "hallucinated, %": 50.0,
        "grounded, %": 50.0,
        "median ms": 5.0,
    }


def test_summary_of_nothing():
    empty = summary([])
    assert empty["questions"] == 0
    assert all(empty[key] is None for key in ("accuracy, %", "hallucinated, %", "grounded, %", "median ms"))
