"""Judges answers to questions of the composed benchmark: right, wrong, rightly or wrongly left open, or made up.

What an answer says is read from its sentence, as a person reads it: the first time, the first length of time, the
first number, yes or no, the first side, the first of two things named. Brackets, with the numbers of objects and
frames, are skipped. So any system that answers in English can be judged.

Verdicts: `correct` (within the tolerance) and `wrong`; `abstained rightly` (the right one of not observed, cannot be
detected, not covered) and `abstained wrongly` (nothing said of something that was there, or the wrong reason); and
`hallucinated` (answered what never happened). An answer is `grounded` where its evidence names a time within a second
of where the proof lies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from eval.compose.questions import Question
from eval.compose.visibility import inside
from streamvos.answers import Answer, clock

AnswerVerdict = Literal["correct", "wrong", "abstained rightly", "abstained wrongly", "hallucinated"]
GROUNDING_SLACK_S = 1.0

_RIGHT_OUTCOME = {"not_observed": "not_observed", "cannot_detect": "not_detectable", "not_covered": "not_covered"}
_CLOCK = re.compile(r"(?<![\d:.])(?:(\d+):)?(\d{1,4}):(\d{2}(?:\.\d+)?)(?![\d:])")
_LENGTH = re.compile(r"(?<![\d:.])(\d+(?:\.\d+)?) ?(?:s|secs?|seconds?)\b|(?P<clock>[\d:.]+) \((?:h:m)?m:ss\)")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBERS = {word: number for number, word in enumerate(_WORDS)} | {"none": 0, "never": 0, "once": 1, "twice": 2}
_NUMBER = re.compile(rf"\b(\d+|{'|'.join(_NUMBERS)})\b")
_SIDE = re.compile(r"\b(?:(?:top|bottom|upper|lower)[ -])?(left|right|middle|cent(?:re|er))\b|\b(?:top|bottom)\b")
_DENIES = re.compile(r"(?:no|none|never|nothing|nobody|0|i did not|i saw no|there (?:was|were) no)\b")
_CAME = re.compile(r"\b(?:appear\w*|came|comes|enter\w*|return\w*|arriv\w*)\b")
_WENT = re.compile(r"\b(?:left|leaves|disappear\w*|was hidden|was lost|gone|went|vanish\w*|exit\w*)\b")


@dataclass(frozen=True)
class JudgedAnswer:
    """What became of one question; `grounded` is None where the answer is not correct or has nothing to prove."""

    kind: str
    never_happened: bool
    verdict: AnswerVerdict
    grounded: bool | None
    ms: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(question: Question, answer: Answer, ms: float, times_s: Sequence[float] = ()) -> JudgedAnswer:
    """Judge one answer.

    Args:
        question: with its true answer.
        answer: what was said.
        ms: that the answer took.
        times_s: of the frames, for evidence that cites them by number.
    """
    verdict = _verdict(question, answer)
    grounded = None
    if verdict == "correct" and question.evidence:
        cited = [time for proof in answer.evidence for time in (proof.from_s, proof.to_s)]
        cited += [times_s[proof.frame_index] for proof in answer.evidence if 0 <= proof.frame_index < len(times_s)]
        grounded = any(inside(time, question.evidence, GROUNDING_SLACK_S) for time in cited)
    return JudgedAnswer(question.kind, question.never_happened, verdict, grounded, ms)


def summary(judged: Sequence[JudgedAnswer]) -> dict[str, Any]:
    """Numbers of all questions or of a kind; None where nothing was asked that could tell.

    Returns:
        `questions`; `accuracy, %` (correct or rightly abstained); the number of each verdict; `hallucinated, %` of
        what never happened; `grounded, %` of the correct answers that have something to prove; `median ms`.
    """
    verdicts = [one.verdict for one in judged]
    right = [verdict in ("correct", "abstained rightly") for verdict in verdicts]
    traps = [one.verdict == "hallucinated" for one in judged if one.never_happened]
    return {
        "questions": len(judged),
        "accuracy, %": _percent(right),
        **{name: verdicts.count(name) for name in AnswerVerdict.__args__},
        "hallucinated, %": _percent(traps),
        "grounded, %": _percent([one.grounded for one in judged if one.grounded is not None]),
        "median ms": round(median(one.ms for one in judged), 1) if judged else None,
    }


def say(truth: Mapping[str, Any]) -> Answer:
    """A true answer as a sentence, without evidence: what a system says that knows it, or always guesses it."""
    kind = truth["type"]
    if kind in _RIGHT_OUTCOME:
        return Answer("I cannot say.", 1.0, _RIGHT_OUTCOME[kind])  # type: ignore[arg-type]
    if kind == "events":
        did = {"appear": "appeared", "return": "came back", "disappear": "disappeared"}
        parts = [f"{one['class']} {did[one['event']]} at {_told(one['time_s'])}" for one in truth["events"]]
        return Answer("; ".join(parts), 1.0, "answered")
    said = {
        "time": lambda: f"At {_told(truth['time_s'])}.",
        "duration": lambda: f"For {truth['seconds']:.1f} s.",
        "count": lambda: f"{truth['count']}.",
        "yes_no": lambda: "Yes." if truth["value"] else "No.",
        "side": lambda: f"{truth['side']}.",
        "thing": lambda: f"The {truth['class']}.",
    }
    return Answer(said[kind](), 1.0, "answered")


def _verdict(question: Question, answer: Answer) -> AnswerVerdict:
    truth = question.answer
    text = answer.text.lower()
    if question.never_happened:
        denied = answer.outcome == "answered" and _DENIES.match(text) is not None
        if answer.outcome == _RIGHT_OUTCOME[truth["type"]] or (truth["type"] == "not_observed" and denied):
            return "abstained rightly"
        return "hallucinated" if answer.outcome == "answered" and not denied else "abstained wrongly"
    if truth["type"] == "yes_no" and not truth["value"] and answer.outcome == "not_observed":
        return "correct"  # what was not observed did not happen
    if answer.outcome != "answered":
        return "abstained wrongly"
    return "correct" if _states(text, truth, question.tolerance) else "wrong"


def _states(text: str, truth: Mapping[str, Any], tolerance: float) -> bool:
    """Whether a sentence, in lower case, says what is true."""
    bare = re.sub(r"\[[^\]]*\]|\((?!(?:h:m)?m:ss\))[^)]*\)", " ", text)
    kind = truth["type"]
    if kind == "time":
        said = _times(bare)
        return bool(said) and abs(said[0] - truth["time_s"]) <= tolerance + 0.051  # told in tenths of a second
    if kind == "duration":
        length = _length(bare)
        return length is not None and abs(length - truth["seconds"]) <= tolerance + 0.051
    if kind == "count":
        return _count(bare) == truth["count"]
    if kind == "yes_no":
        return bare.startswith("yes" if truth["value"] else "no")
    if kind == "side":
        return _side(bare) == truth["side"]
    if kind == "thing":
        return _named_first(bare, truth["class"], truth["other"])
    return _tells(bare, truth["events"], tolerance)


def _times(text: str) -> list[float]:
    return [3600 * int(h or 0) + 60 * int(m) + float(s) for h, m, s in _CLOCK.findall(text)]


def _length(text: str) -> float | None:
    found = _LENGTH.search(text)
    if found is None:
        return None
    return _times(found["clock"])[0] if found["clock"] else float(found[1])


def _count(text: str) -> int | None:
    found = _NUMBER.search(_CLOCK.sub(" ", text))
    return None if found is None else _NUMBERS[found[1]] if found[1] in _NUMBERS else int(found[1])


def _side(text: str) -> str | None:
    found = None if text.startswith("no") else _SIDE.search(text)
    return None if found is None else found[1] if found[1] in ("left", "right") else "middle"


def _named_first(text: str, name: str, other: str) -> bool:
    if text.startswith("at the same time"):
        return False
    places = [found.start() if (found := re.search(rf"\b{re.escape(one)}\b", text)) else None for one in (name, other)]
    return places[0] is not None and (places[1] is None or places[0] < places[1])


def _tells(text: str, events: Sequence[Mapping[str, Any]], tolerance: float) -> bool:
    """Whether all events are told, each with its thing and time, and nobody comes or goes who did not."""
    told = set()
    for part in re.split(r"[;\n]|\. ", text):
        went = _WENT.search(part) is not None
        if not went and _CAME.search(part) is None:
            continue
        fits = {
            place
            for place, event in enumerate(events)
            if (event["event"] == "disappear") == went
            and event["class"] in part
            and any(abs(time_s - event["time_s"]) <= tolerance + 0.051 for time_s in _times(part))
        }
        if not fits:
            return False
        told |= fits
    return len(told) == len(events)


def _told(time_s: float) -> str:
    return clock(round(1000 * time_s))


def _percent(flags: Sequence[bool]) -> float | None:
    return round(100 * sum(flags) / len(flags), 1) if flags else None
