"""Names that the user gave to objects, found in a question before its grammar is read.

"kid's bike", "Dr. Who", "C++" and "person in black" hold marks and words that mean something to the rules; so each name
is replaced by one word that no rule knows. Names and questions go through the same form (`fold`).

A name made of such words alone ("left", "first", "red") is only looked for where the question makes no sense without
it: "was the dog on the left?" is about a side.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from pipelines.answer import vocabulary
from pipelines.answer.vocabulary import ANYTHING, COLOURS, GRAMMAR, NUMBERS, ORDINALS, PICTURE
from streamvos.answers import plural

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u02bc\u0060\u00b4\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\ufe0e\ufe0f\u200b\u2060\ufeff\u00ad"),  # seen by nobody
    }
)
_WIDTHS = ("<wide>", "<narrow>")
_ROLES = """
left right top bottom upper lower middle centre center side corner half part edge area hand far
time times second seconds minute minutes hour hours s m h min sec colour color kind type sort class number count
start end beginning length duration summary event cut shots scenes
"""
_ROLE = frozenset(_ROLES.split()) | GRAMMAR | set(COLOURS) | set(NUMBERS) | set(ORDINALS) | ANYTHING
_MIN_LOOSE = 2  # letters of a name that is found without its marks
_DIGITS = "abcdefghij"


def fold(text: str) -> str:
    """A text in the form in which names are compared: no case, one code for each accent, plain marks and widths."""
    narrow = "".join(
        unicodedata.normalize("NFKC", sign) if unicodedata.decomposition(sign).startswith(_WIDTHS) else sign
        for sign in text.translate(_PLAIN)
    )
    folded = unicodedata.normalize("NFD", narrow).casefold()
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", folded)).strip()


def class_words(class_name: str) -> tuple[str, ...]:
    """Words for a class that a detector names: its name, and that of several; none where it has no name."""
    return (class_name, plural(class_name, 2).removeprefix("2 ")) if class_name else ()


class Names:
    """The names that a question may hold.

    Args:
        labels: as the user wrote them. Those that are words for a kind of thing are left out: "dog" means any dog.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        given = {fold(label): label for label in labels}
        self._labels = {
            folded: label for folded, label in given.items() if folded and vocabulary.classes_of(folded) is None
        }
        loose: dict[str, list[str]] = {}
        for folded in self._labels:
            loose.setdefault(" ".join(re.findall(r"\w+", folded)), []).append(folded)
        self._loose = {
            words: found[0]
            for words, found in loose.items()
            if len(found) == 1 and words != found[0] and sum(map(len, words.split())) >= _MIN_LOOSE
        }

    def mark(self, question: str, every: bool = False) -> tuple[str, Mapping[str, str]]:
        """Put a word of its own in the place of each name.

        Args:
            question: folded.
            every: also names whose words all have a meaning of their own, and single words without their marks.

        Returns:
            The question, and the label that each of the words stands for.
        """
        stem = "username"
        while stem in question:
            stem += "x"
        found: dict[str, str] = {}

        def replace(pattern: str, folded: str, text: str) -> str:
            word = stem + "".join(_DIGITS[int(digit)] for digit in str(len(found)))
            text, times = re.subn(rf"(?<!\w){pattern}(?!\w)", word, text)
            if times:
                found[word] = self._labels[folded]
            return text

        for folded in sorted(self._labels, key=len, reverse=True):
            if every or not _is_weak(folded):
                question = replace(re.escape(folded), folded, question)
        for words in sorted(self._loose, key=len, reverse=True):
            if (" " in words or every) and not _is_weak(words) and vocabulary.classes_of(words) is None:
                question = replace(r"[\W_]*".join(map(re.escape, words.split())), self._loose[words], question)
        return question, found


def _is_weak(name: str) -> bool:
    """Whether every word of a name has a meaning of its own in questions; so have numbers and marks that end one."""
    words = re.findall(r"\w+", name)
    if not words:
        return all(sign in ".,;:?!'\"-#()" or sign.isspace() for sign in name)
    if all(word.isdecimal() for word in words):
        return True  # "0:05" is a time, "#3" a number, until the question makes no sense so
    if re.sub(r"[\w\s]", "", name):
        return False  # the marks tell it from the words
    return all(word in _ROLE or word.isdecimal() or re.fullmatch(PICTURE, word) for word in words)
