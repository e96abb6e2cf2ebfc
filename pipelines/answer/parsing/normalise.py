"""The question's words in the one form that the rules of `parse` read: lower case, plain letters, one way to say it.

Each rule keeps the meaning: "at most how many dogs" is "how many dogs at most". Words that change it are left alone, so
that the question is said to be not understood.
"""

from __future__ import annotations

import re

from pipelines.answer import vocabulary
from pipelines.answer.parsing.names import fold
from streamvos.errors import InputError

MAX_CHARACTERS = 500
_QUESTION = r"(?:is|was|are|were|do|does|did|has|have|had|can|could|will|how|what|which|who|where|when|any)\b"
_ASKS = (  # what only asks to be told
    r"please|kindly|hey|hi|hello|ok(?:ay)?|well|and|so|"
    r"(?:(?:can|could|would|will) you )?(?:please |kindly |also |just )*"
    r"(?:tell me|let me know|remind me|say|answer)(?: please)?|"
    r"do you (?:happen to )?know|(?:can|could|may) i (?:please )?(?:ask|know)(?: you)?|"
    r"i(?: would|'d)? (?:like|want|wanted|need|wish) to know|i(?: am|'m| was)? wonder(?:ing)?"
)
_POLITE = re.compile(rf"^(?:(?:{_ASKS})[\s,:]+)+(whether (?:or not )?|if )?")
_THANKS = re.compile(r"[\s,.!]*\b(?:please|thanks|thank you)[\s.!?]*$")
_FRONTED = re.compile(  # "at 0:32, was the dog there?", "after the dog left, what happened?"
    rf"^((?:at|around|about|by|between|from|before|after|since|until|till|while|when|once|in|on|during|over|within|"
    rf"throughout|across|near|up to)\b[^,]*), *({_QUESTION}[^,]*(?:,[^,]*)*?)([?.! ]*)$"
)
_UNSEEN = r"(?:view|sight|the (?:view|sight|picture|frame|image|shot|screen|scene))"
_PLACE = r"(?:(?:on|at|in|to) )?(?:the )?(?:(?:far )?left|right|middle|cent(?:re|er)|top|bottom)(?: side| half| part)?"
_MOMENT = r"(?:moment|time|point)(?: in time)?"
_ARTICLE = r"(?:the|an?)"
_IN_COLOUR = rf"(?:dressed in|clad in|in|wearing) (?:all )?({'|'.join(vocabulary.COLOURS)})"
_COLOURED = re.compile(rf"\b(\w+ )?(\w+) {_IN_COLOUR}\b")  # "the person in black"
_COLOUR_ASKED = re.compile(  # "was the first person in red": the colour is what is asked
    r"^(?:is|was|are|were) (?!there\b)(?:(?!\b(?:before|after|while|when|until|since|and|or|of|than)\b).)+ "
    rf"{_IN_COLOUR}$"
)
_LEAVING = r"leaves?|left|leaving|disappear(?:s|ed|ing)?|vanish(?:es|ed|ing)?|exit(?:s|ed|ing)?"
_RULES: tuple[tuple[str, str], ...] = (
    (r"^at (?:the )?most how many (.+)$", r"how many \1 at most"),
    (r"\bat least (?:one|an?)\b", "a"),
    (r"\bone or more\b", "any"),
    (r"\b(?:up to|until|till) now\b", "so far"),
    (r"^how far into the (?:video|clip|film|recording|footage|stream) (?=does|do|did|is|was|can|could)", "when "),
    (r"^would (?:i|you|we|one) (?:find|see|have found|have seen) ", "was "),
    (r"^where (?:should|must|do|did|can|could|would) (?:i|you|we|one) (?:look for|find|see) ", "where was "),
    (
        r"^how many (.+?) (?:does|did) the (?:fullest|busiest|most crowded) (?:frame|picture|image|moment) "
        r"(?:show|have|hold|contain)\b",
        r"how many \1 at most",
    ),
    (r"\b(?:that )?(?:can|could) be (?:told apart|distinguished)\b", ""),
    (rf"^which (?:one )?(.+? (?:first|last)) between ({_ARTICLE} .+?) and ({_ARTICLE} .+)$", r"which \1 \2 or \3"),
    (r"\b((?:enter|appear|arrive|emerge|come|show up|turn up|leave)s?\b.*?) ahead of\b", r"\1 before"),
    (r"^(?:on|in) how many (?:separate |different |distinct )?(?:occasions|instances)\b", "how many times"),
    (
        r"^what (?:is|was) the (?:total |whole |overall )?(?:time|length of time|number of seconds) "
        r"(?:that |for which |during which |in which )?",
        "for how long ",
    ),
    (
        r"^until when (?:is|was|are|were|can|could) (.+?)(?: be)?(?: seen| visible| there| in view)?$",
        r"when was \1 last seen",
    ),
    (r"^at (?:what|which) (?:point|moment)(?: in time)?\b", "when"),
    (
        rf"^(?:what|which) (?:is|was) the (earliest|latest) {_MOMENT} (?:at which|when|that) (.+?) "
        r"(?:is|was|are|were|can be|could be)(?: visible| seen| there| in view)?$",
        r"when was \2 \1 seen",
    ),
    (r"^(when was .+) earliest seen$", r"\1 first seen"),
    (r"^(when was .+) latest seen$", r"\1 last seen"),
    (
        rf"^(?:is|was) there (?:a|any) {_MOMENT} (?:when|where|at which) (?:both )?(.+? and .+?) "
        r"(?:is|was|are|were|can be|could be)(?: both)? (?:visible|seen|there|in view)$",
        r"were \1 visible at the same time",
    ),
    (r"\bin (?:a single|one single|one|any one|the same) (?:picture|frame|image|shot)\b", "at the same time"),
    (r"^on (?=(?:what|which) side\b)", "in "),
    (r"\blater than\b", "after"),
    (r"\b(?:earlier|sooner) than\b", "before"),
    (rf"\b({_LEAVING}) out of {_UNSEEN}\b", r"\1"),
    (
        rf"^((?:for )?how (?:long|much time|many (?:second|minute|hour)s)\b.*?) (?:out of {_UNSEEN}|off[ -]?screen|"
        r"absent|away|missing|hidden|occluded|invisible|not (?:visible|there|seen|in view|present))\b",
        r"\1 gone",
    ),
    (rf"\bgoing out of {_UNSEEN}\b", "disappearing"),
    (rf"\b(?:went|gone) out of {_UNSEEN}\b", "disappeared"),
    (rf"\b(?:go|goes|get|gets|got) out of {_UNSEEN}\b", "disappear"),
    (
        r"^(?:do|does|did) (.+? and .+?) (?:ever )?share (?:the|a) (?:picture|screen|frame|shot|scene|image|view)\b",
        r"were \1 visible at the same time",
    ),
    (rf"^(?:is|was|are|were) (.+?) {_PLACE}(?: {_PLACE})* or {_PLACE}\b(.*)$", r"where was \1\2"),
)


def check_question(question: str) -> None:
    """Raise `InputError` where a question is empty or too long."""
    if len(question) > MAX_CHARACTERS:
        raise InputError(f"question: expected at most {MAX_CHARACTERS} characters, got {len(question)}; shorten it")
    if not question.strip(" \t\r\n?.!"):
        raise InputError("question: expected some words, got none; ask for instance: when did the dog appear?")


def normalise(question: str) -> str:
    """The words of a question as `parse` reads them: lower case, no punctuation, times behind, plain wording; "" where
    nothing of it is a word.
    """
    text = _POLITE.sub(lambda found: "did " if found[1] else "", _THANKS.sub("", fold(question)))
    text = _FRONTED.sub(r"\2 \1\3", text)
    text = re.sub(r"\b(what|where|who|when|how|that|there|it)'s\b", r"\1 is", text)
    text = re.sub(r"n't\b", " not", text)
    text = re.sub(r"\bcolor", "colour", text)
    text = re.sub(r"(?<!\d)[.:]|[.:](?!\d)|[^\w\s.:#'\-]|'s\b|'", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    for pattern, plain in _RULES:
        text = re.sub(pattern, plain, text)
    return text if _COLOUR_ASKED.match(text) else _COLOURED.sub(_colour_first, text)


def _colour_first(found: re.Match[str]) -> str:
    """ "person in black" as "black person"; of words that are no thing, nothing is changed."""
    before, noun, colour = found[1] or "", found[2], found[3]
    if vocabulary.classes_of(before + noun) is not None:
        return f"{colour} {before}{noun}"
    known = vocabulary.classes_of(noun) is not None or vocabulary.singular(noun) in vocabulary.ANYTHING
    return f"{before}{colour} {noun}" if known else found[0]
