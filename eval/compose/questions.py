"""Questions about a composed sequence with exact answers, generated from its truth.

A question is kept only where its answer is the same under all readings of "visible" (see `visibility`): times within
the tolerance, everything else exactly. Questions are balanced over kinds, yes and no, and are the same for the same
seed. Times are of the sequence, in seconds.

Answers have a type: time {time_s}, duration {seconds}, count {count}, yes_no {value}, side {side}, thing {class,
other}, events {events}, and three for what never happened: not_observed (could have been seen), cannot_detect (no
detector knows it), not_covered (a time that the video does not have).
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.compose.drafts import Draft, Setting
from eval.compose.log import write_log
from eval.compose.question_kinds import KINDS
from eval.compose.question_traps import TRAPS
from eval.compose.solve import Answer
from eval.compose.visibility import READINGS, Facts, Interval, merged
from eval.compose.wording import cast_of
from eval.datasets.composed import SequenceTruth
from streamvos.errors import InputError

MAX_QUESTIONS = 60
NEVER = ("not_observed", "cannot_detect", "not_covered")  # types of answers about what never happened
MAX_OF_KIND = 6
_TRIED = 500  # drafts of a kind that are solved, at most


@dataclass(frozen=True)
class Question:
    """A question with its true answer.

    Args:
        id: unique within the sequence.
        kind: what it tests.
        text: as a person asks it.
        answer: typed, see the module.
        tolerance: seconds by which times and durations may differ; 0 where the answer is exact.
        evidence: the stretches of time in which proof lies, by any reading; empty where there is nothing to prove.
        as_of_s: asked when the stream had come so far; None for its end.
    """

    id: str
    kind: str
    text: str
    answer: Answer
    tolerance: float
    evidence: tuple[Interval, ...] = ()
    as_of_s: float | None = None

    @property
    def never_happened(self) -> bool:
        return self.answer["type"] in NEVER


def write_questions(truth: SequenceTruth, out: Path, seed: int) -> None:
    """Write `OUT/events/<sequence>.jsonl` and `OUT/questions/<sequence>.json`; what is there is replaced.

    Args:
        truth: of the sequence.
        out: root of the composed data.
        seed: chooses phrasings, times and which of the possible questions are asked.
    """
    write_log(truth, out / "events" / f"{truth.sequence}.jsonl")
    questions = make_questions(truth, seed)
    path = out / "questions" / f"{truth.sequence}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"sequence": truth.sequence, "seed": seed, "questions": [asdict(question) for question in questions]}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_questions(path: Path) -> list[Question]:
    """The questions of a file that `write_questions` left.

    Raises:
        InputError: no such file, or not one of ours.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))["questions"]
        return [
            Question(**{**one, "evidence": tuple((float(a), float(b)) for a, b in one["evidence"])}) for one in plain
        ]
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected the questions of a composed sequence") from None
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a file of questions ({error}); compose the sequence again") from None


def make_questions(truth: SequenceTruth, seed: int) -> list[Question]:
    """At most `MAX_QUESTIONS` questions about a sequence, `MAX_OF_KIND` of each kind, in order of kind."""
    if not truth.frames:
        raise InputError(f"sequence {truth.sequence}: expected at least one frame to ask about, got none")
    rng = np.random.default_rng([seed, zlib.crc32(truth.sequence.encode())])
    setting = _setting(truth, rng)
    readings = _Readings(truth)
    by_kind: dict[str, list[Question]] = {}
    for make in (*KINDS, *TRAPS):
        drafts = list(make(setting))
        rng.shuffle(drafts)  # type: ignore[arg-type]
        for kind, found in _solved(drafts[:_TRIED], readings, setting.tolerance_s, rng).items():
            by_kind[kind] = found
    chosen = _in_turn(list(by_kind.values()), MAX_QUESTIONS)
    kinds = list(by_kind)
    chosen.sort(key=lambda question: kinds.index(question.kind))
    return [replace(question, id=f"{place:02d}-{question.kind}") for place, question in enumerate(chosen)]


def _setting(truth: SequenceTruth, rng: np.random.Generator) -> Setting:
    by_class, by_colour = cast_of(truth)
    length_s = truth.frames[-1].time_s
    tolerance_s = round(float(np.clip(0.05 * length_s, 0.3, 1.0)), 2)
    step_s = 0.5 if length_s < 10 else 1.0
    instants = np.arange(step_s, length_s, step_s)
    if len(instants) > 60:  # a person asks about a few times, not about each second
        instants = np.sort(rng.choice(instants, 60, replace=False))
    return Setting(by_class, by_colour, length_s, tolerance_s, rng, tuple(instants.tolist()))


class _Readings:
    """The facts under each reading, as of each time that is asked for."""

    def __init__(self, truth: SequenceTruth) -> None:
        self._truth = truth
        self._facts: dict[float | None, tuple[Facts, ...]] = {}

    def __call__(self, as_of_s: float | None) -> tuple[Facts, ...]:
        """The plain one first."""
        if as_of_s not in self._facts:
            self._facts[as_of_s] = tuple(Facts(self._truth, reading, as_of_s) for reading in READINGS)
        return self._facts[as_of_s]


def _solved(
    drafts: Sequence[Draft], readings: _Readings, tolerance_s: float, rng: np.random.Generator
) -> dict[str, list[Question]]:
    """Questions with one answer, by kind; of each kind, those asked and answered differently take turns."""
    groups: dict[str, dict[Any, list[Question]]] = defaultdict(lambda: defaultdict(list))
    texts: set[str] = set()
    for draft in drafts:
        solutions = [solution for facts in readings(draft.as_of_s) if (solution := draft.solve(facts)) is not None]
        if len(solutions) < len(READINGS):
            continue
        answer = solutions[0][0]
        tolerance = _tolerance(answer, tolerance_s)
        if not all(agree(answer, other, tolerance) for other, _ in solutions):
            continue
        evidence = merged(stretch for _, proof in solutions for stretch in proof)
        text = draft.phrasings[int(rng.integers(len(draft.phrasings)))].format(**draft.words)
        text = text[0].upper() + text[1:]
        if text not in texts:
            texts.add(text)
            proof = tuple((round(a, 3), round(b, 3)) for a, b in evidence)
            told = next((answer[name] for name in ("value", "side", "count", "events") if name in answer), None)
            question = Question("", draft.kind, text, answer, tolerance, proof, draft.as_of_s)
            groups[draft.kind][draft.phrasings, json.dumps(told)].append(question)
    return {kind: _in_turn(list(found.values()), MAX_OF_KIND) for kind, found in groups.items()}


def agree(answer: Answer, other: Answer, tolerance: float) -> bool:
    """Whether two answers are the same: times and durations within the tolerance, everything else exactly."""
    if answer["type"] != other["type"]:
        return False
    if answer["type"] in ("time", "duration"):
        key = "time_s" if answer["type"] == "time" else "seconds"
        return abs(answer[key] - other[key]) <= tolerance
    if answer["type"] == "events":
        mine, theirs = answer["events"], other["events"]
        return len(mine) == len(theirs) and all(
            (a["event"], a["class"]) == (b["event"], b["class"]) and abs(a["time_s"] - b["time_s"]) <= tolerance
            for a, b in zip(mine, theirs, strict=True)
        )
    return answer == other


def _tolerance(answer: Answer, tolerance_s: float) -> float:
    if answer["type"] == "duration":
        return round(max(tolerance_s, 0.1 * answer["seconds"]), 2)
    return tolerance_s if answer["type"] in ("time", "events") else 0.0


def _in_turn(groups: Sequence[Sequence[Question]], limit: int) -> list[Question]:
    most = max(map(len, groups), default=0)
    return [group[place] for place in range(most) for group in groups if place < len(group)][:limit]
