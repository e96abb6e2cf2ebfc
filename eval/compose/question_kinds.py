"""Kinds of questions about what happened in a composed sequence, each with its true answer as a function of the facts.

Phrasings are what people would ask, whether or not the answering part understands them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from eval.compose import solve
from eval.compose.drafts import Draft, Setting
from eval.compose.wording import Who

_NUM_TIMES = 20  # at which the same is asked; only some are certain


def first_seen(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "When was {the} first seen?",
        "When did {the} first appear?",
        "At what time does {the} show up for the first time?",
        "When do you see {the} for the first time?",
        "What is the earliest moment at which {the} can be seen?",
        "How far into the video does {the} turn up?",
    )
    for who in setting.by_class:
        yield Draft("first_seen", phrasings, who.words, partial(solve.first_seen, who=who))


def last_seen(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "When was {the} last seen?",
        "When was the last time {the} was visible?",
        "At what time was {the} seen for the last time?",
        "When did you last see {the}?",
        "Until when can {the} be seen?",
        "What is the latest time at which {the} is in view?",
    )
    for who in setting.by_class:
        yield Draft("last_seen", phrasings, who.words, partial(solve.last_seen, who=who))


def how_long(setting: Setting) -> Iterator[Draft]:
    one = (
        "How long was {the} visible?",
        "For how long was {the} in view?",
        "How many seconds was {the} on screen in total?",
        "How much time does {the} spend in the picture?",
        "What is the total time that {the} can be seen?",
        "For how many seconds do you see {the}?",
    )
    several = (
        "How long was at least one {name} visible?",
        "For how long was there {a} in view?",
        "How many seconds of the video show {a}?",
        "For how many seconds can you see one or more {plural}?",
    )
    for who in setting.by_class:
        words = {**who.words, "name": who.name}
        yield Draft("how_long", one if who.is_one else several, words, partial(solve.how_long, who=who))


def at_once(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "How many {plural} were there at once?",
        "What is the largest number of {plural} visible at the same time?",
        "What's the most {plural} you could see at once?",
        "At most how many {plural} were in view together?",
        "What is the highest number of {plural} in a single frame?",
        "How many {plural} does the fullest frame show?",
    )
    for who in setting.by_class:
        yield Draft("at_once", phrasings, who.words, partial(solve.at_once, who=who, least_s=setting.tolerance_s))


def in_all(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "How many different {plural} were there?",
        "How many {plural} appear in the video in total?",
        "How many {plural} did you see in all?",
        "Over the whole video, how many {plural} are there?",
        "What is the total number of {plural}?",
        "How many individual {plural} can be told apart?",
    )
    for who in setting.by_class:
        yield Draft("in_all", phrasings, who.words, partial(solve.in_all, who=who))


def order(setting: Setting) -> Iterator[Draft]:
    before = (
        "Did {the} appear before {other}?",
        "Was {the} seen before {other} came into view?",
        "Does {the} show up earlier than {other}?",
        "Does {the} enter the picture ahead of {other}?",
    )
    after = ("Did {the} appear after {other}?", "Did {the} come into view later than {other}?")
    for one, other in setting.class_pairs:
        words = {**one.words, "other": other.words["the"]}
        for phrasings, sign in ((before, 1), (after, -1)):
            yield Draft(
                "order",
                phrasings,
                words,
                partial(solve.ordered, who=one, other=other, sign=sign, apart_s=setting.tolerance_s),
            )


def while_there(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "Were {the} and {other} visible at the same time?",
        "Was {the} there while {other} was in view?",
        "Did {the} and {other} ever share the picture?",
        "Were {the} and {other} ever seen together?",
        "Is there a moment when both {the} and {other} are visible?",
        "Can {the} and {other} be seen in one frame?",
    )
    for one, other in setting.class_pairs:
        words = {**one.words, "other": other.words["the"]}
        yield Draft(
            "while", phrasings, words, partial(solve.together, who=one, other=other, least_s=setting.tolerance_s)
        )


def how_often(setting: Setting) -> Iterator[Draft]:
    came = (
        "How often did {the} appear?",
        "How many times did {the} come into view?",
        "On how many separate occasions was {the} visible?",
        "How many times does {the} enter the picture?",
    )
    went = ("How many times did {the} disappear?", "How often did {the} go out of view?")
    for who in setting.ones:
        yield Draft("how_often", came, who.words, partial(solve.how_often, who=who, went=False))
        yield Draft("how_often", went, who.words, partial(solve.how_often, who=who, went=True))


def where(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "Where was {the} at {time}?",
        "In which part of the picture was {the} at {time}?",
        "Where in the picture is {the} at {time}?",
        "Was {the} on the left, in the middle or on the right at {time}?",
        "On which side of the picture was {the} at {time}?",
        "Where should I look for {the} at {time}?",
    )
    for who, time_s in _at_times(setting):
        words = {**who.words, **setting.told(time_s)}
        yield Draft("where", phrasings, words, partial(solve.side_at, who=who, time_s=time_s))


def left_right(setting: Setting) -> Iterator[Draft]:
    left = (
        "Was {the} to the left of {other} at {time}?",
        "At {time}, is {the} left of {other}?",
        "At {time}, do you see {the} on the left-hand side of {other}?",
    )
    right = ("Was {the} to the right of {other} at {time}?", "At {time}, was {the} further right than {other}?")
    for one, other in setting.pairs:
        for time_s in setting.rng.permutation(setting.instants_s)[:_NUM_TIMES].tolist():
            words = {**one.words, "other": other.words["the"], **setting.told(time_s)}
            for phrasings, sign in ((left, -1), (right, 1)):
                yield Draft(
                    "left_right",
                    phrasings,
                    words,
                    partial(solve.beside, who=one, other=other, time_s=time_s, sign=sign),
                )


def visible_at(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "Was {the} visible at {time}?",
        "Could you see {the} at {time}?",
        "Was {the} there at {time}?",
        "At {time}, is {the} in the picture?",
        "Do you see {the} at {time}?",
        "Would I find {the} in the frame at {time}?",
    )
    for who in setting.by_class:
        for time_s in setting.rng.permutation(setting.instants_s)[:_NUM_TIMES].tolist():
            words = {**who.words, **setting.told(time_s)}
            yield Draft("visible_at", phrasings, words, partial(solve.visible_at, who=who, time_s=time_s))


def between(setting: Setting) -> Iterator[Draft]:
    phrasings = (
        "What happened between {time} and {until}?",
        "What happens from {time} to {until}?",
        "What went on between {time} and {until}?",
        "What changes between {time} and {until}?",
        "Tell me what happened from {time} to {until}.",
    )
    asked = {one: who.class_name for who in setting.by_class for one in who.ids}
    for time_s in setting.instants_s:
        for until_s in setting.instants_s:
            if 0 < until_s - time_s <= max(8.0, setting.length_s / 3):
                words = setting.told(time_s, until_s)
                yield Draft(
                    "between",
                    phrasings,
                    words,
                    partial(solve.happened, asked=asked, from_s=time_s, to_s=until_s, tolerance_s=setting.tolerance_s),
                )


def comes_back(setting: Setting) -> Iterator[Draft]:
    whether = (
        "Did {the} come back?",
        "Does {the} ever come back after going out of sight?",
        "Did {the} return after it disappeared?",
        "Does {the} reappear?",
        "Is {the} seen again once it is gone?",
    )
    when = ("When did {the} come back?", "At what time does {the} return?", "When was {the} visible again?")
    for who in setting.ones:
        yield Draft("comes_back", whether, who.words, partial(solve.returned, who=who))
        yield Draft("comes_back", when, who.words, partial(solve.return_time, who=who))


def came_first(setting: Setting) -> Iterator[Draft]:
    first = (
        "Which came first, {the} or {other}?",
        "Which appeared first: {the} or {other}?",
        "What was seen first, {the} or {other}?",
        "Between {the} and {other}, which one shows up first?",
    )
    last = ("Which was seen last, {the} or {other}?", "Which came last, {the} or {other}?")
    for one, other in setting.class_pairs:
        if one.class_name != other.class_name:
            words = {**one.words, "other": other.words["the"]}
            who_won = partial(solve.winner, who=one, other=other, apart_s=setting.tolerance_s)
            yield Draft("came_first", first, words, partial(who_won, which="first"))
            yield Draft("came_first", last[:1], words, partial(who_won, which="last_seen"))
            yield Draft("came_first", last[1:], words, partial(who_won, which="last"))


def colour(setting: Setting) -> Iterator[Draft]:
    for who in setting.by_colour:
        words = who.words
        yield Draft("colour", ("When did {the} first appear?",), words, partial(solve.first_seen, who=who))
        yield Draft("colour", ("When was {the} last seen?",), words, partial(solve.last_seen, who=who))
        yield Draft("colour", ("How long was {the} visible?",), words, partial(solve.how_long, who=who))
        for time_s in setting.rng.permutation(setting.instants_s)[:_NUM_TIMES].tolist():
            told = {**words, **setting.told(time_s)}
            yield Draft("colour", ("Where was {the} at {time}?",), told, partial(solve.side_at, who=who, time_s=time_s))


def so_far(setting: Setting) -> Iterator[Draft]:
    for share in (0.4, 0.55, 0.7, 0.85):
        now = round(share * setting.length_s, 1)
        for who in setting.by_class:
            yield Draft(
                "so_far",
                ("Have you seen {a} yet?", "Has {a} appeared yet?"),
                who.words,
                partial(solve.seen, who=who),
                now,
            )
            count = (
                "How many {plural} have there been so far?",
                "How many different {plural} did you see so far?",
                "Up to now, how many {plural} came by?",
            )
            yield Draft("so_far", count, who.words, partial(solve.in_all, who=who), now)
        for who in setting.ones:
            still = ("Is {the} still visible?", "Is {the} in the picture right now?", "Can you see {the} now?")
            yield Draft("so_far", still, who.words, partial(solve.visible_now, who=who), now)
            where_now = ("Where is {the} now?", "Where is {the} at the moment?")
            yield Draft("so_far", where_now, who.words, partial(solve.side_now, who=who), now)


KINDS = (
    *(first_seen, last_seen, how_long, at_once, in_all, order, while_there, how_often, where, left_right),
    *(visible_at, between, comes_back, came_first, colour, so_far),
)


def _at_times(setting: Setting) -> Iterator[tuple[Who, float]]:
    for who in setting.ones:
        for time_s in setting.rng.permutation(setting.instants_s)[:_NUM_TIMES].tolist():
            yield who, time_s
