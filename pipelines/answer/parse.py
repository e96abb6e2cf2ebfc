"""From a question to a typed plan, by rules: head words tell the intent, slots the times and the things.

Strict on purpose: a word that no rule uses makes the question one about something that cannot be detected. "Did
the dog bark?" must not be answered from the fact that a dog was seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pipelines.answer import slots, vocabulary
from pipelines.answer.query import Anchor, Intent, Query, Span, Subject, Verb
from pipelines.answer.rewrite import rewritten, unfronted
from streamvos.errors import InputError

MAX_CHARACTERS = 500

_VERBS: tuple[tuple[Verb, str], ...] = (
    (
        "return",
        r"returns?|returned|returning|(?:comes?|came|coming|get|got) back|reappears?|reappeared|"
        r"(?:appears?|appeared|seen|visible|there) again|back",
    ),
    (
        "appear",
        r"appears?|appeared|appearing|(?:shows?|showed|turns?|turned) up|"
        r"(?:comes?|came|coming)(?: in(?:to view)?| by)?|enters?|entered|entering|"
        r"arrives?|arrived|arriving|emerges?|emerged",
    ),
    (
        "leave",
        r"leaves?|leaving|left|disappear(?:s|ed|ing)?|vanish(?:es|ed|ing)?|exits?|exited|(?:goes|go|went|gone) away|"
        r"gone|departs?|departed",
    ),
    (
        "visible",
        r"visible|seen|see|saw|there|present|in view|in sight|shown|around|here|stays?|stayed|remains?|remained|"
        r"be found|present|on screen|look like|exists?|shows?|showed|spends?|spent",
    ),
)
_PICTURE = r"(?:video|clip|film|movie|recording|footage|stream|picture|frame|image|view|scene|camera|shot|screen)"
_FILLER = (
    r"\b(?:in|on|from|into|out of|of|inside|within|to|over|during|throughout|across) (?:the |this |that |your )?"
    rf"(?:whole |entire )?{_PICTURE}\b",
    rf"\b(?:the|this) (?:whole |entire )?{_PICTURE}\b",
    r"\b(?:please|ever|yet|already|anywhere|somewhere|so far|overall|in total|altogether|in all|at all|actually|"
    r"exactly|also|then|can you tell me|could you tell me|do you know|tell me)\b",
)
_AUXILIARY = re.compile(
    r"\b(?:is|was|are|were|be|been|being|does|do|did|has|have|had|can|could|will|would|you|i|we|which|who|what|"
    r"get|happen to|many|much|number|count|how|for|in|on|at|time|times|there|same|to)\b"
)
_AT_ONCE = (
    r"\b(?:at once|(?:all )?at the same time|simultaneously|together|at (?:the )?most|at any (?:one |given )?time|"
)
_AT_ONCE += r"maximum|largest|highest|most|max)\b"
_BESIDE = re.compile(  # "to the left of", "further right than"
    r"\b(?:(?:to|on|at) the |(?:further|farther|more) (?:to the )?)?(left|right)(?:[ -]?hand)?(?: side)? (?:of|than)\b"
)
_HEADS: tuple[tuple[Intent, str], ...] = (
    (
        "video_length",
        rf"^(?:how long (?:is|was)|what (?:is|was) the (?:length|duration) of|how many seconds (?:is|was)) "
        rf"(?:the|this) {_PICTURE}( long)?$",
    ),
    (
        "count_shots",
        r"^(?:how many|count(?: the)?|what is the number of) (?:cuts|shots|scenes|scene changes|scene cuts)\b",
    ),
    (
        "colour",
        r"^(?:what|which) colours?\b|^what (?:is|was|are|were) the colours? of\b",
    ),
    ("how_often", r"^how (?:often|many times)\b|^what (?:is|was) the number of times\b"),
    (
        "how_long",
        r"^(?:for )?how long\b|^(?:for )?how (?:much time|many (?:second|minute|hour)s)\b|^what is the duration of\b",
    ),
    (
        "how_many",
        r"^how many\b|^(?:what is the )?number of\b|^count(?: the)?\b|^what (?:is|was) the (?=maximum|largest|most|"
        r"highest)",
    ),
    (
        "when",
        r"^(?:since |until )?when\b|^(?:at )?(?:what|which) times?\b|^(?:find|show me|show|search for|look for)\b",
    ),
    ("where", r"^where\b|^(?:in )?(?:what|which) (?:part|place|region|side)\b"),
    (
        "what_happened",
        r"^what (?:is |was )?(?:else )?(?:happened|happens|happening|occurred|changed|going on|went on)\b"
        r"|^what events?\b",
    ),
    (
        "what_happened",
        r"^(?:did|does|has) (?:any|some)thing (?:else )?(?:happen|happened|occur|change|changed)\b",
    ),
    (
        "what_seen",
        r"^(?:give me |write )?(?:an? |the )?(?:summar(?:y|ise|ize)|overview|describe|description)\b|^list\b|"
        r"^what did i miss\b|^what is this about\b",
    ),
    ("what_is", r"^(?:what|who) (?:is|was|are) (?=(?:the )?(?:object|track|id|thing|#) ?#?\d+)"),
    (
        "first_of",
        r"^(?:which|who|what)(?: \w+)? (?:came|appeared|was seen|was there|arrived|left|was visible|shows? up) "
        r"(?:first|last)\b|^what (?:is|was) the (?:first|last) (?:thing|object)\b",
    ),
    ("what_seen", r"^(?:what|who|which)\b"),
    (
        "yes_no",
        r"^(?:did|do|does|is|are|was|were|has|have|had|can|could|will) "
        r"(?:there be |you see |you seen |you find |there )?|"
        r"^any\b",
    ),
)


def parse(question: str, labels: Sequence[str] = ()) -> Query:
    """Read a question.

    Args:
        question: the user's words, at most 500 characters.
        labels: names that the user gave to objects.

    Raises:
        InputError: empty, or too long.
    """
    text = rewritten(normalise(unfronted(question.lower())))
    labels = [label.lower() for label in labels]
    intent, rest = _head(text)
    if intent in ("video_length", "count_shots"):
        _, spans = slots.take_spans(slots.mark_times(text))
        return Query(intent, spans=spans)
    rest, spans = slots.take_spans(slots.mark_times(rest))
    for filler in _FILLER:
        rest = re.sub(filler, " ", rest)
    rest, anchor, unknown = _take_anchor(re.sub(r"\s+", " ", rest).strip(), labels)
    if intent == "yes_no" and (beside := _BESIDE.search(rest)):
        return _with_unknown(_beside(rest, beside, labels, spans, anchor), unknown)
    rest, region = slots.take_region(rest)
    rest, which = _take_which(rest)
    if text.startswith("who ") and intent in ("what_seen", "first_of"):
        rest = f"{rest} person" if intent == "what_seen" else rest
    found = _details(intent, rest, labels, spans, anchor, region, which)
    return found if not unknown else _with_unknown(found, unknown)


def normalise(question: str) -> str:
    """The words of a question in lower case, without punctuation and short forms.

    Raises:
        InputError: empty, or too long.
    """
    if len(question) > MAX_CHARACTERS:
        raise InputError(f"question: expected at most {MAX_CHARACTERS} characters, got {len(question)}; shorten it")
    text = question.lower().replace("’", "'")
    text = re.sub(r"\b(what|where|who|when|how|that|there|it)'s\b", r"\1 is", text)
    text = re.sub(r"n't\b", " not", text)
    text = re.sub(r"\bcolor", "colour", text)
    text = re.sub(r"(?<!\d)[.:]|[.:](?!\d)|[^\w\s.:#'\-]|'s\b|'", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    if not text:
        raise InputError("question: expected some words, got none; ask for instance: when did the dog appear?")
    return text


def _head(text: str) -> tuple[Intent, str]:
    text = re.sub(r"^(?:please |can you tell me |could you tell me |tell me |do you know |and |so )+", "", text)
    for intent, pattern in _HEADS:
        if found := re.search(pattern, text):
            if intent == "first_of":
                return intent, text
            if intent == "how_many" and found.end() < len(text):
                return intent, text[found.end() :].strip()
            return intent, text[found.end() :].strip()
    return "unknown", text


def _take_anchor(text: str, labels: Sequence[str]) -> tuple[str, Anchor | None, tuple[str, ...]]:
    found = re.search(
        r"(?:^|\s)(right |just |immediately )?(before|after|while|when|until|till|since|once|during)\s(.+)$",
        text,
    )
    if not found:
        return text, None, ()
    relation = {"until": "before", "till": "before", "since": "after", "once": "after", "during": "while"}
    words, verb = _take_verb(found[3])
    words = _AUXILIARY.sub(" ", words).strip()
    subject, unknown = slots.parse_subject(words, labels)
    if not words and verb is not None:
        subject = Subject("it", pronoun=True)  # "after leaving"
    if subject is None:
        return text[: found.start()].strip(), None, unknown or (found[3],)
    kind = relation.get(found[2], found[2])
    if verb is None and kind == "while":
        verb = "visible"
    return text[: found.start()].strip(), Anchor(kind, subject, verb), unknown  # type: ignore[arg-type]


def _take_verb(text: str) -> tuple[str, Verb | None]:
    for verb, pattern in _VERBS:
        # the last match: "was the dog there when ..." has its verb behind the noun
        matches = list(re.finditer(rf"\b(?:{pattern})\b", text))
        if matches:
            found = matches[-1]
            return f"{text[: found.start()]} {text[found.end() :]}", verb
    return text, None


def _take_which(text: str) -> tuple[str, str | None]:
    verbs = "|".join(pattern for _, pattern in _VERBS)
    patterns = (
        r"\b(?:for )?the (first|last) time(?: that)?\b",
        rf"\b(first|last)(?= (?:{verbs})\b)",
        r"(?<=\w) (first|last)$",
    )
    for pattern in patterns:
        if found := re.search(pattern, text):
            return f"{text[: found.start()]} {text[found.end() :]}".strip(), found[1]
    return text, None


def _details(
    intent: Intent,
    text: str,
    labels: Sequence[str],
    spans: tuple[Span, ...],
    anchor: Anchor | None,
    region: tuple[str, ...],
    which: str | None,
) -> Query:
    at_once = bool(re.search(_AT_ONCE, text)) and intent in ("how_many", "yes_no")
    if intent in ("how_many", "yes_no"):
        text = re.sub(_AT_ONCE, " ", text)
    kinds = bool(re.search(r"\b(?:kinds?|types?|sorts?|classes) of\b|\b(?:kinds?|types?|classes)\b", text))
    text = re.sub(r"\b(?:kinds?|types?|sorts?|classes)(?: of)?\b", " ", text)
    if intent == "first_of":
        return _first_of(text, labels, spans, which)
    text, verb = _take_verb(text)
    colour_asked = None
    if intent == "yes_no":
        ends = re.search(rf"\b({'|'.join(vocabulary.COLOURS)})$", text.strip())
        before = text.strip()[: -len(ends[1])] if ends else ""
        if ends and slots.parse_subject(_AUXILIARY.sub(" ", before), labels)[0] is not None:
            colour_asked, text = vocabulary.COLOURS[ends[1]], before  # not "was there an orange?"
    if intent == "colour":
        text = re.sub(r"\b(?:of|coloured)\b", " ", text)
    text = re.sub(r"\s+", " ", _AUXILIARY.sub(" ", text)).strip()
    intent = "together" if at_once and intent == "yes_no" and " and " in f" {text} " else intent
    if intent == "together":
        left, _, right = text.partition(" and ")
        subject, unknown = slots.parse_subject(left, labels)
        other, more = slots.parse_subject(right, labels)
        return Query("together", subject, other, "visible", None, spans, anchor, region, unknown=unknown + more)
    subject, unknown = slots.parse_subject(text, labels)
    if intent == "what_seen" and subject is None and unknown:
        intent = "unknown"
    if intent == "unknown":
        unknown = ()  # nothing is claimed about these words
    if anchor is not None and anchor.verb is None:
        anchor = replace(anchor, verb="appear" if verb in (None, "visible") else verb)
    if anchor is not None and anchor.subject.pronoun and subject is not None:
        anchor = replace(anchor, subject=subject)  # "did the dog return after it left?"
    return Query(
        intent,
        subject,
        None,
        verb or "visible",
        which,  # type: ignore[arg-type]
        spans,
        anchor,
        region,
        colour_asked,
        at_once,
        kinds,
        unknown,
    )


def _first_of(text: str, labels: Sequence[str], spans: tuple[Span, ...], taken: str | None) -> Query:
    """Which came first, the dog or the cat? What appeared first? `taken` is a "first" or "last" taken out before."""
    which = taken or ("last" if re.search(r"\blast\b", text) else "first")
    verb: Verb = "leave" if re.search(r"\bleft\b", text) else "appear"
    if which == "last" and re.search(r"\b(?:seen|visible|there)\b", text):
        verb = "visible"  # the last time seen is an end, not a start
    text = re.sub(r"^(?:which|who|what)\b", " ", text)
    text = re.sub(r"\b(?:first|last|came|appeared|arrived|left|visible|shows? up|seen|saw|thing|object)\b", " ", text)
    text = _AUXILIARY.sub(" ", text)
    left, either, right = text.partition(" or ")
    subject, unknown = slots.parse_subject(left, labels)
    other, more = slots.parse_subject(right, labels) if either else (None, ())
    return Query("first_of", subject, other, verb, which, spans, unknown=unknown + more)  # type: ignore[arg-type]


def _beside(
    text: str, found: re.Match[str], labels: Sequence[str], spans: tuple[Span, ...], anchor: Anchor | None
) -> Query:
    """Was the dog to the left of the cat?"""
    left, right = (_AUXILIARY.sub(" ", part) for part in (text[: found.start()], text[found.end() :]))
    subject, unknown = slots.parse_subject(left, labels)
    other, more = slots.parse_subject(_take_verb(right)[0], labels)
    if (subject is None and not unknown) or (other is None and not more):
        return Query("unknown")
    return Query("beside", subject, other, spans=spans, anchor=anchor, region=(found[1],), unknown=unknown + more)


def _with_unknown(query: Query, unknown: tuple[str, ...]) -> Query:
    return replace(query, unknown=query.unknown + unknown)
