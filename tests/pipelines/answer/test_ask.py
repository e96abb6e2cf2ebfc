"""Each kind of question and each way of not answering, on a film of which every fact is known."""

import json
import sqlite3

import pytest

from memory_bank.episodes import EpisodeMemory, Moment, Sighting
from pipelines.answer import ask
from streamvos.answers import Answer
from streamvos.errors import InputError

ANSWERED = [
    # when
    ("When did the dog first appear?", ["0:05.0", "object 1", "frame 50"]),
    ("when did the first car appear?", ["0:10.0", "object 3"]),
    ("When did the second car appear?", ["0:12.0", "object 4"]),
    ("when did cars appear", ["0:10.0", "0:12.0"]),
    ("when did the dog leave?", ["left the picture at 0:20.0", "0:35.0"]),
    ("when did the dog leave for the last time?", ["0:35.0"]),
    ("When did the dog come back?", ["came back at 0:30.0"]),
    ("when was the last time you saw a person?", ["0:39.9"]),
    ("At what time did #4 disappear?", ["0:18.0", "object 4"]),
    ("when was the red car visible?", ["0:10.0", "0:15.0", "object 3"]),
    ("when did Rex appear?", ["Rex (object 6)", "0:44.0"]),
    # how long
    ("How long was the dog visible?", ["20.0 s", "0:05.0", "0:30.0"]),
    ("how long was a car there?", ["8.0 s"]),  # the union of 10-15 and 12-18
    ("how long was the person visible in the first 10 seconds?", ["8.0 s"]),
    ("how long is the video?", ["59.9 s"]),
    ("how long was the dog gone?", ["away for 10.0 s", "0:20.0", "0:30.0", "0:35.0", "did not come back"]),
    ("how long was the dog out of view?", ["away for 10.0 s"]),
    ("how long was the dog not visible between 0:22 and 0:26?", ["away for 4.0 s"]),
    ("how long was the person gone?", ["last seen at 0:39.9", "did not come back"]),
    # how many
    ("How many cars were there?", ["2 cars", "object 3", "object 4"]),
    ("how many cars were there at once?", ["At most 2 cars", "0:12.0 to 0:15.0"]),
    ("how many things were visible at the same time?", ["At most 4", "0:12.0"]),
    ("how many cars were there at 0:11?", ["1 car at 0:11.0", "object 3"]),
    ("How many vehicles were there between 0:16 and 0:45?", ["2 vehicles", "object 4", "object 5"]),
    ("how many objects did you see", ["6 objects"]),
    ("how many kinds of things were there?", ["4 kinds"]),
    ("how many cuts are there?", ["2 shots, 1 cut", "0:40.0"]),
    ("how many people were there?", ["1 person"]),
    ("could you please tell me how many people there were?", ["1 person"]),
    ("Hi, I would like to know how many cars there were, thanks!", ["2 cars"]),
    # how often
    ("how often did the dog appear?", ["twice", "0:05.0", "0:30.0"]),
    ("how many times did the bicycle appear?", ["once"]),  # a gap is no absence
    # what
    ("What did you see?", ["2 shots", "1 dog", "1 person", "2 cars", "1 bicycle", "1 Rex"]),
    ("what was there at 0:11?", ["dog (object 1)", "person (object 2)", "car (object 3)"]),
    ("what happened between 0:16 and 0:32?", ["car (object 4)", "0:18.0", "dog (object 1) left", "came back"]),
    ("what happened after the dog left?", ["came back", "0:30.0", "0:40.0"]),
    ("summarise the video", ["2 cars"]),
    ("which vehicles were on the left?", ["1 car", "object 3"]),
    ("what is object 3?", ["car", "red", "0:10.0"]),
    ("what was there in the second shot?", ["bicycle", "Rex"]),
    ("what was there at the end?", ["1 bicycle"]),
    ("Who was there at 0:03?", ["person (object 2)"]),
    ("what happened between 16 and 19 seconds?", ["car (object 4)", "0:18.0"]),
    ("what happened from 16 to 19 seconds?", ["car (object 4)", "0:18.0"]),
    # where
    ("where was the dog at 0:05?", ["on the left"]),
    ("where was the dog at 0:19.5?", ["on the right", "object 1"]),
    ("where was the dog?", ["on the left", "in the middle", "on the right"]),
    ("where did the bicycle appear?", ["at the top", "0:42.0"]),
    # yes or no
    ("Was there a dog?", ["Yes", "0:05.0"]),
    ("did you see a car on the right?", ["Yes", "object 4"]),
    ("is there a bike at the end?", ["Yes", "object 5"]),
    ("did the dog come back?", ["Yes", "0:30.0"]),
    ("were there two cars at the same time?", ["Yes", "2 cars"]),
    ("were there 3 cars?", ["No", "2 cars"]),
    ("was the dog there while the bicycle was visible?", ["No"]),
    ("were the dog and the person visible at the same time?", ["Yes", "0:05.0 to 0:20.0"]),
    ("were the dog and the bicycle visible at the same time?", ["No"]),
    ("was there a dog and a person?", ["Yes", "0:05.0", "0:02.0"]),
    ("were there two cars and a dog?", ["Yes", "2 cars", "0:05.0"]),
    ("was there a dog and a cat?", ["No", "cat"]),
    ("were there three cars and a dog?", ["No", "2 cars"]),
    ("did the dog and the person come back?", ["No", "0:30.0", "person"]),
    ("can you tell me whether the dog came back?", ["Yes", "0:30.0"]),
    ("was object 3 red?", ["Yes", "red"]),
    ("was object 4 red?", ["No", "white"]),
    # order
    ("did the person appear before the dog?", ["Yes", "0:02.0", "0:05.0"]),
    ("which came first, the dog or the bicycle?", ["dog (object 1)", "before", "bicycle (object 5)"]),
    ("what appeared first?", ["person (object 2)", "0:02.0"]),
    ("what appeared last?", ["Rex (object 6)", "0:44.0", "the last of"]),
    ("which object came last?", ["Rex (object 6)", "0:44.0", "the last of"]),
    ("what came last?", ["Rex (object 6)", "0:44.0", "the last of"]),
    ("what was seen last?", ["bicycle (object 5)", "last seen at 0:59.9"]),
    ("which was seen last, the dog or the person?", ["person (object 2) was last seen at 0:39.9", "after", "0:35.0"]),
    ("which came last, the dog or the bicycle?", ["bicycle (object 5)", "after", "dog (object 1)"]),
    ("what did you see before the dog appeared?", ["1 person"]),
    # colour
    ("what colour was object 3?", ["red"]),
    ("what color is the bicycle?", ["green"]),
]


@pytest.mark.parametrize(("question", "parts"), ANSWERED, ids=[question for question, _ in ANSWERED])
def test_answered(film, question, parts):
    answer = ask(film, question)
    no = parts[0] == "No"
    assert answer.outcome in (("answered", "not_observed") if no else ("answered",)), answer.text
    for part in parts:
        assert part.lower() in answer.text.lower(), answer.text
    assert 0 < answer.confidence <= 1
    if "how long is the video" not in question and not no:
        assert answer.evidence
        for proof in answer.evidence:
            assert proof.from_s <= proof.to_s and proof.claim
            assert proof.thumbnail is None or proof.thumbnail.is_file()
            if proof.object_id is not None:
                assert f"object {proof.object_id}" in proof.claim


WRONG_PARTS = [
    ("how many cars were there at 0:16?", "object 3"),
    ("which vehicles were on the left?", "object 4"),
    ("what was there at 0:11?", "object 4"),
    ("what did you see before the dog appeared?", "car"),
    ("was there a person in shot 1?", "0:41"),
    ("what was there in the second shot?", "dog"),
    ("were there 4 things visible at the same time?", "object 5"),
    ("were the 4 things visible at the same time?", "object 6"),
    ("were the vehicles and the dog visible at the same time?", "object 5"),
]


@pytest.mark.parametrize(("question", "part"), WRONG_PARTS, ids=[question for question, _ in WRONG_PARTS])
def test_says_no_more_than_asked(film, question, part):
    answer = ask(film, question)
    assert part not in answer.text
    assert all(part not in proof.claim for proof in answer.evidence)


ABSTAINED = [
    ("was there an elephant?", "not_observed", "I did not see an elephant"),
    ("how many buses were there?", "not_observed", "did not see buses"),
    ("was there a dog between 0:21 and 0:29?", "not_observed", "dog (object 1) was there"),
    ("when did the bicycle leave?", "not_observed", "did not see the bicycle leave"),
    ("did the person appear after the dog?", "not_observed", "person (object 2) appeared at 0:02.0"),
    ("did you see a green car?", "not_observed", "red"),
    ("when did object 9 appear?", "not_observed", "no object 9"),
    ("did you see a dog at the top?", "not_observed", "dog"),
    ("what happened after the elephant left?", "not_observed", "elephant"),
    ("when did the third car appear?", "not_observed", "2 cars"),
    ("how many dogs were there at 4 seconds?", "not_observed", "None"),
    ("how many dogs were there at 0:04?", "not_observed", "None"),
    ("how many bicycles were there at 41 seconds?", "not_observed", "None"),
    ("how long was the bicycle gone?", "not_observed", "did not see bicycle (object 5) leave"),  # a gap is no absence
    ("how many cars are on the bicycle?", "not_detectable", '"on the bicycle"'),
    ("what was in the car?", "not_detectable", '"in the car"'),
    ("was the dog there while the person was in the car?", "not_understood", '"in the car"'),
    ("was there a dog, a cat and a car?", "not_understood", "do not understand"),
    ("was there a dog on the left and a car?", "not_understood", "do not understand"),
    ("was the dog out of view at 0:25?", "not_understood", "do not understand"),
    ("was the camera moving?", "not_detectable", "path of the camera"),
    ("did the camera pan after 0:10?", "not_detectable", "path of the camera"),
    ("was there a submarine?", "not_detectable", '"submarine"'),
    ("did the dog bark?", "not_detectable", '"bark"'),
    ("was the person happy?", "not_detectable", '"happy"'),
    ("how many bycicles were there?", "not_detectable", "Did you mean bicycle?"),
    ("did the man appear before the woman?", "not_detectable", "cannot tell"),
    ("was there a dog at 5:00?", "not_covered", "5:00.0"),
    ("what was there at 0:52?", "not_covered", "no frame for"),
    ("how many cars were there between 2:00 and 3:00?", "not_covered", "2:00.0"),
    ("where was the car?", "ambiguous", "object 4"),
    ("how long was the car visible?", "ambiguous", "object 3"),
    ("what happened after the car left?", "ambiguous", "object 3"),
    ("when did it leave?", "ambiguous", '"it"'),
    ("why did the dog look so happy", "not_understood", "0:00.0"),
    ("how many cars were there at 11 and 16 seconds?", "not_understood", "0:11.0 and 0:16.0"),
    ("bla bla", "not_understood", "do not understand"),
]


@pytest.mark.parametrize(("question", "outcome", "part"), ABSTAINED, ids=[question for question, *_ in ABSTAINED])
def test_abstains(film, question, outcome, part):
    answer = ask(film, question)
    assert answer.outcome == outcome, answer.text
    assert part in answer.text, answer.text


GRAMMATICAL = [
    "was there no dog?",
    "was the dog not there?",
    "were there more than 2 cars?",
    "were there at least 2 cars?",
    "how many cars besides object 2?",
    "how many cars appear more often than the dog?",
    "how many cars were there without it?",
    "which of the cars did not appear?",
]


@pytest.mark.parametrize("question", GRAMMATICAL)
def test_words_of_grammar_are_no_things(film, question):
    answer = ask(film, question)
    assert answer.outcome == "not_understood", answer.text
    assert "I can say when, how long" in answer.text
    assert "cannot detect" not in answer.text and "Did you mean" not in answer.text


def test_a_known_thing_is_not_told_as_not_understood(film):
    text = ask(film, "how many cars besides object 2?").text
    assert '"besides"' in text and '"cars"' not in text


def test_only_the_noun_is_told_as_unknown(film):
    answer = ask(film, "was there no submarine?")
    assert answer.outcome == "not_detectable" and '"submarine"' in answer.text and '"no"' not in answer.text


def test_a_woman_is_told_as_any_person(film):
    assert "cannot tell a woman" in ask(film, "did you see a woman?").text


@pytest.mark.parametrize("question", [question for question, _ in ANSWERED])
def test_as_of_is_what_a_memory_knows_that_stopped_there(film, film_until, question):
    """No word and no proof of an answer comes from later than the time asked about."""
    as_of = ask(film, question, as_of_s=13.0)
    for proof in as_of.evidence:
        assert proof.to_s <= 13.0
    stopped = ask(film_until(131), question)
    assert as_of.outcome == stopped.outcome
    for time in ("0:15.0", "0:18.0", "0:20.0", "0:3", "0:4", "0:5"):
        if time not in question:
            assert time not in as_of.text


def test_as_of_hides_names_and_endings(film):
    assert ask(film, "when did Rex appear?", as_of_s=30).outcome == "not_detectable"
    assert "still there" in ask(film, "when did the dog leave?", as_of_s=15).text
    assert ask(film, "did the dog leave?", as_of_s=15).outcome == "not_observed"
    assert ask(film, "what did you see?", as_of_s=-1).outcome == "not_covered"


@pytest.mark.parametrize(
    "question",
    [
        "'; DROP TABLE span; --",
        'how many "dogs" OR 1=1 --',
        "NEAR(dog, cat) AND NOT *",
        'chunk_text MATCH "dog*" {text}: ^a + b',
        "when did object 1); DELETE FROM span; -- appear",
        "\x00 \x1b[31m dog ?",
        "dog" * 150,
        "🐶 ¿dónde? ١٢",
    ],
)
def test_questions_are_data(film, question):
    before = sqlite3.connect(film / "memory.sqlite").execute("SELECT count(*) FROM span").fetchone()
    answer = ask(film, question)
    assert isinstance(answer, Answer)
    assert sqlite3.connect(film / "memory.sqlite").execute("SELECT count(*) FROM span").fetchone() == before


@pytest.mark.parametrize("question", ["", "  ?!", "a" * 501], ids=["empty", "no words", "too long"])
def test_bad_question(film, question):
    with pytest.raises(InputError, match="question: expected"):
        ask(film, question)


def test_no_memory(tmp_path):
    with pytest.raises(InputError, match="no memory"):
        ask(tmp_path, "what did you see?")
    (tmp_path / "memory.sqlite").write_text("not a database at all, but long enough to look at" * 50)
    with pytest.raises(InputError, match="not a memory|cannot be read"):
        ask(tmp_path, "what did you see?")


def test_to_dict_is_json(film):
    plain = json.loads(json.dumps(ask(film, "when did the dog first appear?").to_dict()))
    assert plain["outcome"] == "answered" and plain["evidence"][0]["object_id"] == 1
    assert plain["evidence"][0]["thumbnail"].endswith("000050.jpg")


def test_classes_that_were_only_counted(tmp_path):
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(100):
        count = 3 if 40 <= index < 60 else 1
        dogs = Sighting(None, "dog", "tracked", 0.8, (0.4, 0.4, 0.6, 0.6), 0.04, "brown", count=count)
        memory.write(Moment(index, 100 * index, (120, 160), 0, False, (dogs,), lambda: b"x"))
    memory.close()
    answer = ask(tmp_path, "how many dogs were there?")
    assert "At least 3 dogs" in answer.text and answer.confidence < 0.6
    assert "1 dog at 0:01.0" in ask(tmp_path, "how many dogs were there at 0:01?").text
    assert "At most 3 dogs" in ask(tmp_path, "how many dogs were there at once?").text


def test_the_most_at_once_is_proved_by_those_who_were_there_then(tmp_path):
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(100):
        here = [object_id for object_id in (1, 2) if index >= 50 or (object_id == 1 and index < 20)]
        dogs = [Sighting(one, "dog", "tracked", 0.8, (0.4, 0.4, 0.6, 0.6), 0.04, "brown") for one in here]
        memory.write(Moment(index, 100 * index, (120, 160), 0, False, tuple(dogs), lambda: b"x"))
    memory.close()
    answer = ask(tmp_path, "how many dogs were there at once?")
    assert "At most 2 dogs at once, first at 0:05.0" in answer.text and "0:00.0" not in answer.text
    assert [(proof.object_id, proof.from_s) for proof in answer.evidence] == [(1, 5.0), (2, 5.0)]


def test_without_detector_a_class_cannot_be_denied(tmp_path):
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(50):
        one = Sighting(1, "", "tracked", 0.8, (0.4, 0.4, 0.6, 0.6), 0.04, "brown", "my toy")
        memory.write(Moment(index, 100 * index, (120, 160), 0, False, (one,), lambda: b"x"))
    memory.close()
    assert ask(tmp_path, "was there a dog?").outcome == "not_detectable"
    assert ask(tmp_path, "how long was my toy visible?").outcome == "answered"


def test_while_the_stream_runs(tmp_path):
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(100):
        one = Sighting(1, "dog", "tracked", 0.8, (0.4, 0.4, 0.6, 0.6), 0.04, "brown")
        memory.write(Moment(index, 100 * index, (120, 160), 0, False, (one,), lambda: b"x"))
        if index == 60:
            assert "0:00.0" in ask(tmp_path, "when did the dog appear?").text
            assert ask(tmp_path, "is the dog still there?").outcome == "answered"
    memory.close()


def test_what_was_forgotten_is_said(film_until):
    directory = film_until(300)
    db = sqlite3.connect(directory / "memory.sqlite")
    with db:
        db.execute("DELETE FROM span WHERE to_ms < 16000")
        db.execute("INSERT INTO meta(key, value) VALUES ('forgotten_until_ms', '16000')")
    db.close()
    answer = ask(directory, "how many cars were there?")
    assert "1 car" in answer.text and "before 0:16.0 is forgotten" in answer.text
    early = ask(directory, "was there a car at 0:11?")
    assert early.outcome == "not_covered" and "0:11.0" in early.text


@pytest.mark.parametrize("start", [126, 124], ids=["5.04 s", "4.96 s"])
@pytest.mark.parametrize("time", ["0:05", "0:05.0", "5 seconds", "second 5"])
def test_a_time_is_as_wide_as_it_is_written(tmp_path, start, time):
    memory = EpisodeMemory(tmp_path, "s", "made up")
    for index in range(250):  # 25 frames a second
        bikes = [Sighting(1, "bicycle", "tracked", 0.8, (0.4, 0.4, 0.6, 0.6), 0.04, "red")] if index >= start else []
        memory.write(Moment(index, 40 * index, (120, 160), 0, False, tuple(bikes), lambda: b"x"))
    memory.close()
    assert "appeared at 0:05.0" in ask(tmp_path, "when did the bike appear?").text
    assert "1 bike at 0:05.0" in ask(tmp_path, f"how many bikes were there at {time}?").text
    assert ask(tmp_path, f"was there a bike at {time}?").outcome == "answered"
    assert "appeared" in ask(tmp_path, f"what happened at {time}?").text
    for other in ("0:04", "0:04.9", "4 seconds", "4.8 s"):
        assert ask(tmp_path, f"was there a bike at {other}?").outcome == "not_observed", other
