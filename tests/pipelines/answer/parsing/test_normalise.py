"""Other ways to ask the same: each gets the answer of the plain question."""

import pytest

from pipelines.answer import ask

SAME = [
    ("How much time does the dog spend in the picture?", "how long was the dog visible?"),
    ("How long was at least one car visible?", "how long was a car visible?"),
    ("What is the total time that the dog can be seen?", "how long was the dog visible?"),
    ("Until when was the dog visible?", "when was the dog last seen?"),
    ("On which side of the picture was the dog at 0:05?", "where was the dog at 0:05?"),
    ("Is there a dog anywhere in the video?", "is there a dog in the video?"),
    ("At what point does the dog come in?", "when did the dog appear?"),
    ("What is the earliest moment at which the dog can be seen?", "when was the dog first seen?"),
    ("What is the latest time at which the dog is in view?", "when was the dog last seen?"),
    ("What is the highest number of cars in a single frame?", "how many cars were there at once?"),
    ("Is there a moment when both the dog and the person are visible?", "were the dog and the person seen together?"),
    ("Can the dog and the person be seen in one frame?", "were the dog and the person seen together?"),
    ("How many seconds of the video show a car?", "how long was a car visible?"),
    ("At most how many cars were in view together?", "how many cars were there at once?"),
    ("Over the whole video, how many cars are there?", "how many cars were there?"),
    ("On how many separate occasions was the dog visible?", "how often did the dog appear?"),
    ("How often did the dog go out of view?", "how often did the dog leave?"),
    ("How many times has the dog gone out of sight?", "how often did the dog leave?"),
    ("Does the person show up earlier than the dog?", "did the person appear before the dog?"),
    ("Did the dog come into view later than the person?", "did the dog appear after the person?"),
    ("Did the dog and the person ever share the picture?", "were the dog and the person visible at the same time?"),
    ("At 0:11, is the dog in the picture?", "is the dog in the picture at 0:11?"),
    ("After the dog left, what happened?", "what happened after the dog left?"),
    ("Between 0:16 and 0:32, what happened?", "what happened between 0:16 and 0:32?"),
    ("Which came first: the dog or the bicycle?", "which came first, the dog or the bicycle?"),
    ("Was the dog on the left, in the middle or on the right at 0:05?", "where was the dog at 0:05?"),
    ("Was object 3 on the left or the right?", "where was object 3?"),
    ("Has a dog appeared yet?", "did a dog appear?"),
    ("How far into the video does the dog turn up?", "when did the dog appear?"),
    ("How many cars does the fullest frame show?", "how many cars were there at once?"),
    ("How many individual cars can be told apart?", "how many cars were there?"),
    ("Up to now, how many cars came by?", "how many cars appeared?"),
    ("Would I find the dog in the frame at 0:11?", "was the dog there at 0:11?"),
    ("Where should I look for the dog at 0:05?", "where was the dog at 0:05?"),
    ("For how many seconds can you see one or more cars?", "how long were any cars visible?"),
    ("Does the person enter the picture ahead of the dog?", "did the person appear before the dog?"),
    ("Between the dog and the bicycle, which one shows up first?", "which came first, the dog or the bicycle?"),
    ("When did the car in white appear?", "when did the white car appear?"),
    ("Was the car in red there while the car in white was in view?", "was the red car there while the white car was?"),
    ("Did the person in blue appear before the car in red came?", "did the blue person appear before the red car?"),
    ("Did the car in red leave before the car in white?", "did the red car leave before the white car?"),
    ("Is the person dressed in blue seen at 0:11?", "is the blue person seen at 0:11?"),
    ("Have you already seen a dog?", "did you see a dog?"),
]


@pytest.mark.parametrize(("question", "plain"), SAME, ids=[question for question, _ in SAME])
def test_same_answer(film, question, plain):
    answer, expected = ask(film, question), ask(film, plain)
    assert answer == expected and answer.outcome == "answered"


SAID = [
    # the dog walks from the left (0:05) to the right (0:20), the person stays in the middle
    ("Was the dog to the left of the person at 0:06?", "Yes: dog (object 1) was to the left of person (object 2)"),
    ("Was the dog left of the person at 0:19?", "No: dog (object 1) was to the right of person (object 2)"),
    ("At 0:19, was the dog further right than the person?", "Yes: dog (object 1) was to the right"),
    ("Is the person on the right side of the dog at 0:06?", "Yes: person (object 2) was to the right of dog"),
    ("Was object 3 to the left of object 4?", "Yes: car (object 3) was to the left of car (object 4)"),
    ("Was the dog left of the person?", "At times: dog (object 1) was to the left of person (object 2), in "),
    ("Did the dog come back after it left?", "Yes, between 0:20.0"),
    ("Does the dog ever come back after going out of sight?", "Yes, between 0:20.0"),
    ("Did the dog return after leaving?", "Yes, between 0:20.0"),
    ("Was the person in blue?", "person (object 2) was mostly blue"),  # the colour is what is asked
]


@pytest.mark.parametrize(("question", "part"), SAID, ids=[question for question, _ in SAID])
def test_said(film, question, part):
    answer = ask(film, question)
    assert answer.outcome == "answered" and part in answer.text, answer.text
    assert answer.evidence


ABSTAINED = [
    ("Was the dog to the left of the bicycle at 0:06?", "not_observed"),
    ("Was the dog left of the bicycle?", "not_observed"),  # never at the same time
    ("Was the car to the left of the person?", "ambiguous"),
    ("Was the submarine left of the dog?", "not_detectable"),
    ("Did the bicycle return after it left?", "not_observed"),
    ("What happened after it left?", "ambiguous"),
    ("Did the person in red leave before the dog came?", "not_observed"),
    ("How far into the video was the submarine?", "not_detectable"),
    ("Was the dog ahead of the person at 0:06?", "not_detectable"),  # a place, not a time
    ("Which car was between the dog and the person?", "not_understood"),
]


@pytest.mark.parametrize(("question", "outcome"), ABSTAINED, ids=[question for question, _ in ABSTAINED])
def test_abstains(film, question, outcome):
    answer = ask(film, question)
    assert answer.outcome == outcome, answer.text


def test_both_sides_are_proved_at_the_time_asked(film):
    answer = ask(film, "was the dog to the left of the person at 0:06?")
    assert {proof.object_id for proof in answer.evidence} == {1, 2}
    assert all(5.5 <= proof.from_s <= 7.5 for proof in answer.evidence)


@pytest.mark.parametrize(
    ("question", "object_id"),
    [("was the person there while object 3 was visible?", 3), ("what happened after the dog left?", 1)],
    ids=["while", "after"],
)
def test_the_event_that_tells_the_time_is_proved_too(film, question, object_id):
    answer = ask(film, question)
    assert object_id in {proof.object_id for proof in answer.evidence}
