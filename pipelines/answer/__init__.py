"""Answers to questions about a stream, from its long memory alone, with the evidence.

After the retrieval of InternLM-XComposer2.5-OmniLive (2412.09596, section 3.3), with facts about tracks in
place of latent tokens: a question becomes a typed plan (parse.py, query.py), the plan meets the things, times
and the coverage that are stored (plan.py), an operation over stretches of time finds the facts (times.py,
counts.py, places.py, views.py, checks.py), and a sentence cites each of them (phrase.py). Nothing is looked
up that the question's words do not name: what no rule understands is said to be not understood.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from memory_bank.episodes.reader import EpisodeReader
from pipelines.answer import checks, counts, parse, places, times, views
from pipelines.answer.plan import ABLE, Abstain, Scope, make_scope
from pipelines.answer.query import Intent, Query
from streamvos.answers import Answer, Evidence, clock
from streamvos.errors import InputError, MissingWeightsError
from streamvos.models.minilm import SentenceEncoder, load_minilm

__all__ = ["Answer", "Evidence", "ask"]

_OPERATIONS: dict[Intent, Callable[[Scope], Answer]] = {
    "when": times.answer_when,
    "how_long": times.answer_how_long,
    "how_often": times.answer_how_often,
    "first_of": times.answer_first_of,
    "video_length": times.answer_video_length,
    "how_many": counts.answer_how_many,
    "count_shots": counts.answer_count_shots,
    "where": places.answer_where,
    "colour": places.answer_colour,
    "what_seen": views.answer_what_seen,
    "what_happened": views.answer_what_happened,
    "what_is": views.answer_what_is,
    "yes_no": checks.answer_yes_no,
    "together": checks.answer_together,
    "beside": places.answer_beside,
}
_NEEDS_SUBJECT: dict[Intent, str] = {
    "when": "when did the dog appear?",
    "how_long": "how long was the dog visible?",
    "how_often": "how often did the dog appear?",
    "yes_no": "was there a dog?",
    "together": "were the dog and the cat visible at the same time?",
}


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
    as_of_ms = None if as_of_s is None else round(1000 * as_of_s)
    parse.normalise(question)  # bad input is refused before the store is opened
    with EpisodeReader(Path(directory), as_of_ms) as reader:
        labels = [thing.label for thing in reader.things() if thing.label]
        query = parse.parse(question, labels)
        if query.intent in _NEEDS_SUBJECT and query.subject is None and not query.unknown:
            query = replace(query, intent="unknown")
        if query.intent == "unknown":
            return _nearest_moments(reader, question)
        try:
            answer = _answer(query, reader)
        except Abstain as abstained:
            answer = abstained.answer
        return answer if query.spans else _with_forgotten(answer, reader)


def _answer(query: Query, reader: EpisodeReader) -> Answer:
    scope = make_scope(query, reader, lambda: _encoder(reader))
    answer = _OPERATIONS[query.intent](scope)
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
