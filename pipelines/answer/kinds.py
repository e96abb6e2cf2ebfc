"""The kinds of questions: how each begins, and which operation answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.answer.operations import checks, counts, descriptions, places, times
from pipelines.answer.scope import Scope
from pipelines.answer.vocabulary import PICTURE
from streamvos.answers import Answer


@dataclass(frozen=True)
class Kind:
    """One kind of question.

    Args:
        answer: the operation: from the things and times asked about to a sentence with its evidence.
        heads: the words that it begins with, in lower case, each a regular expression; none where parsing makes it
            of another kind, such as "together" of "yes_no".
        needs_subject: without a thing that it is about it is not understood.
        about_things: False where nothing but its times is read behind the head.
    """

    answer: Callable[[Scope], Answer]
    heads: tuple[str, ...] = ()
    needs_subject: bool = False
    about_things: bool = True


# The first kind with a head that fits is taken, so what is general stands behind what is special.
KINDS: dict[str, Kind] = {
    "camera_motion": Kind(
        descriptions.answer_camera_motion,
        (
            r"(?=.*\bcamera\b.*\b(?:mov(?:e[ds]?|ing|ement)|motion|pan(?:s|ned|ning)?|tilt(?:s|ed|ing)?|"
            r"zoom(?:s|ed|ing)?|rotat(?:e[ds]?|ing)|turn(?:s|ed|ing)?|shak(?:es?|ing|y)|shook|still|static|"
            r"stationary|steady|travel(?:s|led|ling)?)\b)",
        ),
        about_things=False,
    ),
    "video_length": Kind(
        times.answer_video_length,
        (
            rf"(?:how long (?:is|was)|what (?:is|was) the (?:length|duration) of|how many seconds (?:is|was)) "
            rf"(?:the|this) {PICTURE}(?: long)?$",
        ),
        about_things=False,
    ),
    "count_shots": Kind(
        counts.answer_count_shots,
        (r"(?:how many|count(?: the)?|what is the number of) (?:cuts|shots|scenes|scene changes|scene cuts)\b",),
        about_things=False,
    ),
    "colour": Kind(
        places.answer_colour,
        (r"(?:what|which) colours?\b", r"what (?:is|was|are|were) the colours? of\b"),
    ),
    "how_often": Kind(
        times.answer_how_often,
        (r"how (?:often|many times)\b", r"what (?:is|was) the number of times\b"),
        needs_subject=True,
    ),
    "how_long": Kind(
        times.answer_how_long,
        (
            r"(?:for )?how long\b",
            r"(?:for )?how (?:much time|many (?:second|minute|hour)s)\b",
            r"what is the duration of\b",
        ),
        needs_subject=True,
    ),
    "how_many": Kind(
        counts.answer_how_many,
        (
            r"how many\b",
            r"(?:what is the )?number of\b",
            r"count(?: the)?\b",
            r"what (?:is|was) the (?=maximum|largest|most|highest)",
        ),
    ),
    "when": Kind(
        times.answer_when,
        (
            r"(?:since |until )?when\b",
            r"(?:at )?(?:what|which) times?\b",
            r"(?:find|show me|show|search for|look for)\b",
        ),
        needs_subject=True,
    ),
    "where": Kind(places.answer_where, (r"where\b", r"(?:in )?(?:what|which) (?:part|place|region|side)\b")),
    "what_happened": Kind(
        descriptions.answer_what_happened,
        (
            r"what (?:is |was )?(?:else )?(?:happened|happens|happening|occurred|changed|going on|went on)\b",
            r"what events?\b",
            r"(?:did|does|has) (?:any|some)thing (?:else )?(?:happen|happened|occur|change|changed)\b",
        ),
    ),
    "what_is": Kind(
        descriptions.answer_what_is,
        (r"(?:what|who) (?:is|was|are) (?=(?:the )?(?:object|track|id|thing|#) ?#?\d+)",),
    ),
    "first_of": Kind(  # its words are all read again: "first" and "left" tell which of two is meant
        times.answer_first_of,
        (
            r"(?=(?:which|who|what)(?: \w+)? (?:came|appeared|was seen|was there|arrived|left|was visible|shows? up) "
            r"(?:first|last)\b)",
            r"(?=what (?:is|was) the (?:first|last) (?:thing|object)\b)",
        ),
    ),
    "what_seen": Kind(
        descriptions.answer_what_seen,
        (
            r"(?:give me |write )?(?:an? |the )?(?:summar(?:y|ise|ize)|overview|describe|description)\b",
            r"list\b",
            r"what did i miss\b",
            r"what is this about\b",
            r"(?:what|who|which)\b",
        ),
    ),
    "yes_no": Kind(
        checks.answer_yes_no,
        (
            r"(?:did|do|does|is|are|was|were|has|have|had|can|could|will) "
            r"(?:there be |you see |you seen |you find |there )?",
            r"any\b",
        ),
        needs_subject=True,
    ),
    "together": Kind(checks.answer_together, needs_subject=True),
    "both": Kind(checks.answer_both, needs_subject=True),
    "beside": Kind(places.answer_beside),
}
