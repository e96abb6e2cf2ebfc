"""The things that a phrase means: "the second red car", "object 3", "Rex"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipelines.answer import vocabulary
from pipelines.answer.query import Subject
from pipelines.answer.vocabulary import COLOURS, NUMBERS, ORDINALS

_PRONOUNS = frozenset({"it", "he", "she", "they", "them", "him", "her", "that", "this", "one"})
_DETERMINERS = """
the a an any some this that these those all every each my different distinct separate unique individual other total
"""
_SAY_NOTHING = {*_DETERMINERS.split(), *ORDINALS, *COLOURS, "and", "or", "of", "coloured", "one"}


def parse_subject(text: str, names: Mapping[str, str]) -> tuple[Subject | None, tuple[str, ...]]:
    """Read the things that a phrase means.

    Args:
        text: the phrase, such as "the second red car" or "object 3".
        names: words that stand for names that the user gave to objects, and these names.

    Returns:
        The subject, None where no thing is named; and the words that are not understood.
    """
    text = re.sub(r"\s+", " ", text).strip()
    for word in text.split():
        if word in names:
            rest = text.split()
            rest.remove(word)
            return Subject(names[word], label=names[word], definite=True), _leftover(rest)
    found = re.search(r"(?:\b(?:object|track|id|thing|number)s? ?(?:number |no\.? ?|id )?#?|(?<!t)#)(\d+)\b", text)
    if found:
        rest = _leftover(f"{text[: found.start()]} {text[found.end() :]}".split())
        return Subject(found[0].strip(), object_id=int(found[1]), definite=True), rest
    return _by_noun(text.split())


def _by_noun(words: list[str]) -> tuple[Subject | None, tuple[str, ...]]:
    noun, classes, rest = _take_nouns(words)
    if not noun:
        if len(rest) == 1 and rest[0] in _PRONOUNS:
            return Subject(rest[0], pronoun=True), ()
        return None, _leftover(rest)
    colour = next((COLOURS[word] for word in rest if word in COLOURS), None)
    plural = any(vocabulary.is_plural(phrase) for phrase in noun)
    subject = Subject(
        f"{colour} {' or '.join(noun)}" if colour else " or ".join(noun),
        classes,
        colour=colour,
        ordinal=next((ORDINALS[word] for word in rest if word in ORDINALS), None),
        definite="the" in rest and not plural,
        plural=plural,
        number=next((number for word in rest if (number := _number(word)) is not None), None),
        narrower=next((word for word in " ".join(noun).split() if _is_narrower(word)), None),
    )
    return subject, _leftover(rest)


def _take_nouns(words: list[str]) -> tuple[list[str], frozenset[str], list[str]]:
    """The nouns among words, longest first; the classes they mean, none for "thing"; and the other words."""
    nouns: list[str] = []
    classes: frozenset[str] = frozenset()
    used = [False] * len(words)
    for size in (3, 2, 1):
        for at in range(len(words) - size + 1):
            if any(used[at : at + size]):
                continue
            phrase = " ".join(words[at : at + size])
            meant = vocabulary.classes_of(phrase)
            if phrase in COLOURS and (at + 1 < len(words) or nouns):
                meant = None  # "the orange car" is not a fruit
            if size == 1 and vocabulary.singular(phrase) in vocabulary.ANYTHING:
                meant = frozenset()
            if meant is None:
                continue
            classes |= meant
            nouns.append(phrase)
            used[at : at + size] = [True] * size
    return nouns, classes, [word for word, taken in zip(words, used, strict=True) if not taken]


def _is_narrower(word: str) -> bool:
    return vocabulary.singular(word) in vocabulary.NARROWER


def _number(word: str) -> int | None:
    if word.isdecimal():  # not "²", which is a digit and no number
        return int(word)
    value = NUMBERS.get(word)
    return int(value) if isinstance(value, int) and word != "one" else None


def _leftover(words: list[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _SAY_NOTHING and _number(word) is None)
