"""Questions about what never happened: whoever answers them with a time, a place or a number has made it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from eval.compose import solve
from eval.compose.drafts import Draft, Setting
from eval.compose.solve import Answer, Solution
from eval.compose.visibility import Facts
from eval.compose.wording import NEVER_THERE, UNDETECTABLE, Who, plural_of, with_article

_ABOUT_NOTHING = (
    "Was there {a}?",
    "When did the {name} first appear?",
    "How many {plural} were there?",
    "How long was the {name} visible?",
    "Where was the {name}?",
    "Did you see {a}?",
    "When was the {name} last seen?",
    "Is there {a} anywhere in the video?",
    "At what point does the {name} come in?",
)


def absent(setting: Setting) -> Iterator[Draft]:
    """Things that could have been seen, and were not there."""
    there = {who.class_name for who in setting.by_class}
    names = [name for name in NEVER_THERE if name not in there]
    for name in setting.rng.permutation(names)[:6].tolist():
        yield Draft("absent", _ABOUT_NOTHING, _words(name), _always("not_observed"))


def undetectable(setting: Setting) -> Iterator[Draft]:
    """Things for which there is no detector."""
    for name in setting.rng.permutation(UNDETECTABLE)[:6].tolist():
        yield Draft("undetectable", _ABOUT_NOTHING, _words(name), _always("cannot_detect"))


def false_premise(setting: Setting) -> Iterator[Draft]:
    """Events that did not happen, of things that were there, or the other way round."""
    missing = [name for name in NEVER_THERE if name not in {who.class_name for who in setting.by_class}]
    for who in setting.ones:
        back = (
            "When did {the} come back?",
            "At what time does {the} return?",
            "How long after leaving did {the} return?",
        )
        yield Draft("false_premise", back[:2], who.words, partial(_if, solve.gone_for_good, who=who))
        left = ("When did {the} leave?", "At what time did {the} go out of view?", "When does {the} disappear?")
        yield Draft("false_premise", left, who.words, partial(_if, solve.never_left, who=who))
        words = {**who.words, "name": str(setting.rng.choice(missing))}
        nobody = ("What happened after the {name} left?", "Did {the} appear after the {name} had left?")
        yield Draft("false_premise", nobody, words, partial(_if, solve.appeared, who=who))
    for who, other in setting.pairs:
        words = {**who.words, "other": other.words["the"]}
        before = ("Did {the} leave before {other} came?", "Had {the} gone when {other} appeared?")
        yield Draft("false_premise", before, words, partial(_stayed, who=who, other=other, apart_s=setting.tolerance_s))


def outside(setting: Setting) -> Iterator[Draft]:
    """Times that the video does not have."""
    phrasings = (
        "Was {the} there at {time}?",
        "What happened at {time}?",
        "How many {plural} were there between {time} and {until}?",
        "Where was {the} at {time}?",
    )
    for who in setting.by_class:
        beyond = float(int(setting.length_s) + int(setting.rng.integers(30, 600)))
        words = {**who.words, **setting.told(beyond, beyond + 20)}
        yield Draft("outside", phrasings, words, _always("not_covered"))


TRAPS = (absent, undetectable, false_premise, outside)


def _words(name: str) -> dict[str, str]:
    return {"name": name, "a": with_article(name), "plural": plural_of(name)}


def _always(kind: str) -> Callable[[Facts], Solution]:
    def solve_it(_: Facts) -> Solution:
        return _nothing(kind), []

    return solve_it


def _if(holds: Callable[[Facts, Who], object], facts: Facts, who: Who) -> Solution | None:
    return (_nothing("not_observed"), []) if holds(facts, who) else None


def _stayed(facts: Facts, who: Who, other: Who, apart_s: float) -> Solution | None:
    """One was there all the time from before another came: it did not leave before that."""
    mine, theirs = solve.appeared(facts, who), solve.appeared(facts, other)
    if mine is None or theirs is None or not solve.never_left(facts, who) or theirs.from_s - mine.from_s <= 2 * apart_s:
        return None
    return _nothing("not_observed"), []


def _nothing(kind: str) -> Answer:
    return {"type": kind}
