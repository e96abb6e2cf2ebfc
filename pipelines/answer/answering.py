"""From a question to an answer, from the long memory of a stream alone, with the evidence.

After the retrieval of InternLM-XComposer2.5-OmniLive (2412.09596, section 3.3), with facts about tracks in
place of latent tokens: a question becomes a typed plan (parsing/, query.py), the plan meets the things, times
and the coverage that are stored (scope.py), an operation over stretches of time finds the facts (operations/), and
a sentence cites each of them (phrase.py). Nothing is looked up that the question's words do not name: what no rule
understands is said to be not understood.

To add a kind of question, write its operation in operations/ and enter it, with the words that it begins with, in
kinds.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from memory_bank.episodes.facts import Thing
from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer.abstain import ABLE, Abstain
from pipelines.answer.kinds import KINDS
from pipelines.answer.parsing.names import class_words
from pipelines.answer.parsing.normalise import check_question
from pipelines.answer.parsing.read import read_question
from pipelines.answer.query import Query
from pipelines.answer.scope import make_scope
from streamvos.answers import Answer, Evidence, clock
from streamvos.errors import InputError, MissingWeightsError
from streamvos.models.coco import NAMES
from streamvos.models.minilm import SentenceEncoder, load_minilm

_FOREVER_S = 1e12  # longer than any stream, and milliseconds of it fit into an integer of SQLite


def ask(directory: Path, question: str, as_of_s: float | None = None) -> Answer:
    """Answer a question about a stream from its memory, also while the stream is still being written.

    Args:
        directory: the memory's folder, with `memory.sqlite`.
        question: in English, at most 500 characters; it is only ever data.
        as_of_s: answer with what was known at this time of the stream, in seconds; None for all that is
            there.

    Raises:
        InputError: no memory there, or the question is empty or too long.
    """
    if as_of_s is not None and not math.isfinite(as_of_s):
        raise InputError(f"as_of_s: expected a time in seconds, got {as_of_s}")
    as_of_ms = None if as_of_s is None else round(1000 * min(max(as_of_s, -_FOREVER_S), _FOREVER_S))
    question = question.encode(errors="replace").decode()  # bytes that were no text
    check_question(question)  # bad input is refused before the store is opened
    with EpisodeReader(Path(directory), as_of_ms) as reader:
        return _with_missing(_answer_or_abstain(question, reader), reader)


def _answer_or_abstain(question: str, reader: EpisodeReader) -> Answer:
    query = read_question(question, _names(reader.things()))
    if query.kind == "unknown" or _lacks_subject(query):
        return _nearest_moments(reader, question)
    try:
        answer = _answer(query, reader)
    except Abstain as abstained:
        answer = abstained.answer
    return answer if query.times else _with_forgotten(answer, reader)


def _names(things: Sequence[Thing]) -> list[str]:
    """Names that a question may hold: those that the user gave, and classes that are no words of the vocabulary."""
    own = [word for thing in things if thing.class_name not in NAMES for word in class_words(thing.class_name)]
    return list(dict.fromkeys([thing.label for thing in things if thing.label] + own))


def _lacks_subject(query: Query) -> bool:
    return KINDS[query.kind].needs_subject and query.subject is None and not query.unknown


def _answer(query: Query, reader: EpisodeReader) -> Answer:
    scope = make_scope(query, reader, lambda: _encoder(reader))
    answer = KINDS[query.kind].answer(scope)
    text = answer.text[:1].upper() + answer.text[1:]
    if scope.notes:
        text = f"{text} {' '.join(dict.fromkeys(scope.notes))}"
    evidence = answer.evidence + tuple(proof for proof in scope.proofs if proof not in answer.evidence)
    return replace(answer, text=text, confidence=round(answer.confidence, 3), evidence=evidence)


def _with_forgotten(answer: Answer, reader: EpisodeReader) -> Answer:
    """Say with an answer about the whole video that its beginning is no longer known."""
    until = reader.meta("forgotten_until_ms")
    if until is None or answer.outcome not in ("answered", "not_observed"):
        return answer
    note = f"Everything before {clock(int(until))} is forgotten: the memory's budget was reached."
    return replace(answer, text=f"{answer.text} {note}", confidence=round(0.8 * answer.confidence, 3))


def _with_missing(answer: Answer, reader: EpisodeReader) -> Answer:
    """Say that the end is missing, where the memory was not closed and its log was not copied along."""
    if reader.missing_after_ms is None:
        return answer
    note = (
        f"This memory was not closed: what was seen after {clock(reader.missing_after_ms)} is missing (its run broke "
        "off, or memory.sqlite was copied without memory.sqlite-wal)."
    )
    return replace(answer, text=f"{answer.text} {note}", confidence=round(0.5 * answer.confidence, 3))


def _nearest_moments(reader: EpisodeReader, question: str) -> Answer:
    encoder = _encoder(reader)
    vector = None if encoder is None else encoder.encode([question])[0]
    found = reader.search(question, vector)
    how = "" if encoder is not None else " (by words only: the extra `text` is not installed)"
    text = f"I do not understand this question; {ABLE}"
    if found:
        near = "; ".join(f"{summary.text}" for summary in found[:3])
        text += f" The moments nearest to its words{how}: {near}"
    evidence = tuple(
        Evidence(
            summary.from_ms / 1000,
            summary.to_ms / 1000,
            summary.from_frame,
            None,
            "",
            f"{clock(summary.from_ms)} [frame {summary.from_frame}]: {summary.text}",
            reader.picture(summary.from_ms, summary.from_ms, summary.to_ms),
        )
        for summary in found
    )
    return Answer(text, 0.2 if found else 0.0, "not_understood", evidence)


def _encoder(reader: EpisodeReader) -> SentenceEncoder | None:
    """The sentence encoder, where the store has vectors of it and it is installed here."""
    if reader.meta("text_embeddings") != SentenceEncoder.name:
        return None
    try:
        return load_minilm()
    except MissingWeightsError:
        return None  # the answer says that only words were compared
