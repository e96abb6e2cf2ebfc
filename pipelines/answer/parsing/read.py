"""From a user's question to a typed plan: its names first, then its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines.answer.kinds import KINDS
from pipelines.answer.parsing.names import Names, fold
from pipelines.answer.parsing.normalise import check_question, normalise
from pipelines.answer.parsing.parse import parse
from pipelines.answer.query import Query

_ABOUT_ONE = ("where", "colour")  # they make no sense without a thing


def read_question(question: str, labels: Sequence[str] = ()) -> Query:
    """Read a question.

    Args:
        question: in English, as the user wrote it.
        labels: names that the user gave to objects.

    Raises:
        InputError: the question is empty or too long.
    """
    check_question(question)
    folded, names = fold(question), Names(labels)
    marked, found = names.mark(folded)
    query = _read(marked, found)
    if is_understood(query):
        return query
    again, more = names.mark(folded, every=True)
    if again == marked:
        return query
    second = _read(again, more)
    return second if is_understood(second) else query


def is_understood(query: Query) -> bool:
    """Whether every word of a question has its place, and what the question needs is there."""
    if query.kind == "unknown" or query.unknown:
        return False
    if query.subject is None:
        return not KINDS[query.kind].needs_subject and query.kind not in _ABOUT_ONE
    return not query.subject.pronoun


def _read(marked: str, names: dict[str, str]) -> Query:
    query = parse(normalise(marked), names)
    return replace(query, unknown=tuple(names.get(word, word) for word in query.unknown))
