"""What a question says beside its times and things: verb, first or last, part of the picture, words without meaning.

Each function takes its words out of the text.
"""

from __future__ import annotations

import re

from pipelines.answer.query import Verb, Which
from pipelines.answer.vocabulary import PICTURE

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
_FILLER = (
    r"\b(?:in|on|from|into|(?<!out )of|inside|within|to|over|during|throughout|across) (?:the |this |that |your )?"
    rf"(?:whole |entire )?{PICTURE}\b",
    rf"\b(?:the|this) (?:whole |entire )?{PICTURE}\b",
    r"\b(?:please|ever|yet|already|anywhere|somewhere|so far|overall|in total|altogether|in all|at all|actually|"
    r"exactly|also|then)\b",
)
_AUXILIARY = re.compile(
    r"\b(?:is|was|are|were|be|been|being|does|do|did|has|have|had|can|could|will|would|you|i|we|which|who|what|"
    r"get|happen to|many|much|number|count|how|for|in|on|at|time|times|there|same|to)\b"
)


def without_filler(text: str) -> str:
    """A question without what changes nothing: "in the video", "please", "in total"."""
    for filler in _FILLER:
        text = re.sub(filler, " ", text)
    return re.sub(r"\s+", " ", text).strip()


def without_auxiliaries(text: str) -> str:
    """A phrase without the words that only hold it together: "was", "did", "how many"."""
    return _AUXILIARY.sub(" ", text)


def take_verb(text: str) -> tuple[str, Verb | None]:
    """Take the last verb out: what the things did."""
    for verb, pattern in _VERBS:
        # the last match: "was the dog there when ..." has its verb behind the noun
        matches = list(re.finditer(rf"\b(?:{pattern})\b", text))
        if matches:
            found = matches[-1]
            return f"{text[: found.start()]} {text[found.end() :]}", verb
    return text, None


def take_which(text: str) -> tuple[str, Which | None]:
    """Take "the first time" or "last" out."""
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


def take_region(text: str) -> tuple[str, tuple[str, ...]]:
    """Take a part of the picture out: "on the left", "in the top right corner"."""
    row = r"(?:top|bottom|upper|lower)"
    side = r"(?:left|right|middle|centre|center)"
    pattern = (
        rf"\b(?:on|at|in|to|near|towards) the (?:(?:far )?({row})[ -]?({side})?|({side}))"
        r"(?:[ -]?(?:hand )?(?:side|half|part|corner|edge|area))?\b"
    )
    found = re.search(pattern, text)
    if not found:
        return text, ()
    words = [word for word in found.groups() if word]
    plain = {"upper": "top", "lower": "bottom", "centre": "middle", "center": "middle"}
    rest = re.sub(r"\s+", " ", f"{text[: found.start()]} {text[found.end() :]}").strip()
    return rest, tuple(plain.get(word, word) for word in words)
