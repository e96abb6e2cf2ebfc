"""`streamvos eval questions`: answers about composed sequences, judged against exact truth.

The whole graph watches each sequence, then the long memory is asked. With `--oracle` the memory is told the true masks,
identities and classes instead: what is wrong then is the fault of the memory and of the answering part alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.compose.answer_scores import JudgedAnswer, judge, say, summary
from eval.compose.questions import Question, read_questions
from eval.datasets.composed import SequenceTruth
from eval.reporting.results import Headline, bars
from eval.running.harness import SequenceScores, add_options, graph_config, publish, score_sequences
from eval.running.watching import Watcher, watch_truth, watch_with_graph
from pipelines.answer import ask
from pipelines.graph.build import STAGES, GraphConfig
from streamvos.answers import Answer
from streamvos.errors import InputError, unknown_name

_FITTED = "always most frequent is fitted on these very questions, so it is high"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval questions`."""
    parser.add_argument("root", type=Path, help="folder that `streamvos eval compose` wrote")
    parser.add_argument("--stages", help=f"of the graph, with commas (default: {','.join(STAGES)})")
    parser.add_argument(
        "--oracle", action="store_true", help="tell the memory the truth in place of what was perceived"
    )
    add_options(parser, "questions")


def run(args: argparse.Namespace) -> int:
    """Watch, ask, judge, print and save."""
    names = find_asked(args.root, args.sequences)
    stages = list(STAGES) if args.stages is None else args.stages.split(",")
    if "remember" not in stages:
        raise InputError(f"--stages: expected remember among them, which answers questions; got {args.stages}")
    config = graph_config(args, stages=stages)
    title = "true perception" if args.oracle else "whole graph"
    results = score_sequences(AskTask(args.root, config, args.oracle, args.out), names, args, title)
    baselines = {}
    if args.baseline:
        for title, replies in (("not observed", {}), ("most frequent", most_frequent(_all(args.root, names)))):
            task = ConstantAnswersTask(args.root, tuple(sorted(replies.items())))
            baselines[title] = score_sequences(task, names, args, f"always {title}")
    rows = _rows(results, baselines)
    total = rows[-1]
    best = max(baselines, key=lambda name: total[f"always {name}, %"], default=None)
    return publish(
        args,
        rows,
        results,
        data=f"composed sequences: {', '.join(names)}",
        path_names={args.root: "COMPOSED"},
        headline=Headline(
            "questions answered rightly, %",
            total["accuracy, %"],
            None if best is None else total[f"always {best}, %"],
            None if best is None else f"always {best}",
        ),
        plot=bars(rows, "kind", ("accuracy, %",), "percent"),
        notes={
            "perception": "the truth" if args.oracle else f"stages {', '.join(config.stages)}",
            **({"baseline": _FITTED} if baselines else {}),
        },
    )


def find_asked(root: Path, names: Sequence[str] | None = None) -> list[str]:
    """The sequences under a composed root that have questions, all of them or those named, in order.

    Raises:
        InputError: no composed data, or an unknown name.
    """
    there = sorted(path.stem for path in (root / "questions").glob("*.json"))
    if not there:
        raise InputError(f"{root} holds no questions: expected {root / 'questions'}/<sequence>.json, as composed")
    for name in names or ():
        if name not in there:
            raise unknown_name("composed sequence", name, there)
    return [name for name in there if not names or name in names]


def most_frequent(questions: Sequence[Question]) -> dict[str, str]:
    """The answer that is right most often for questions that begin alike (times to the second), as JSON.

    As a baseline for these same questions it is fitted on what it is tested on, so it is higher than one that learned
    from others.
    """
    times: dict[str, Counter[str]] = {}
    for question in questions:
        answer = json.dumps(_rounded(question.answer), sort_keys=True)
        times.setdefault(_opening(question), Counter())[answer] += 1
    return {start: min(found, key=lambda text: (-found[text], text)) for start, found in times.items()}


@dataclass(frozen=True)
class AskTask:
    """Watches one sequence, asks its questions and judges the answers.

    Args:
        root: of the composed data.
        config: of the graph; under the oracle its remember stage alone is used.
        oracle: whether the memory is told the truth.
        out: where to write `<sequence>/answers.jsonl`, or None.
    """

    root: Path
    config: GraphConfig
    oracle: bool
    out: Path | None

    def __call__(self, name: str) -> SequenceScores:
        questions, truth = _asked(self.root, name)
        watch: Watcher = watch_truth if self.oracle else watch_with_graph
        with tempfile.TemporaryDirectory(prefix="streamvos-memory-") as memory:
            seconds = watch(self.root, truth, self.config, Path(memory))
            replies = [_timed(Path(memory), question) for question in questions]
        times_s = [frame.time_s for frame in truth.frames]
        judged = [judge(question, *reply, times_s) for question, reply in zip(questions, replies, strict=True)]
        if self.out is not None:
            _keep(self.out / name / "answers.jsonl", questions, [answer for answer, _ in replies], judged)
        return SequenceScores(name, truth.num_frames, seconds, {"judged": [one.to_dict() for one in judged]})


@dataclass(frozen=True)
class ConstantAnswersTask:
    """Gives all questions that begin alike the same answer, "not observed" where none is named.

    Args:
        root: of the composed data.
        replies: pairs of how a question begins and a typed answer as JSON.
    """

    root: Path
    replies: tuple[tuple[str, str], ...]

    def __call__(self, name: str) -> SequenceScores:
        questions, _ = _asked(self.root, name)
        replies = {start: json.loads(text) for start, text in self.replies}
        answers = [say(replies.get(_opening(question), {"type": "not_observed"})) for question in questions]
        judged = [judge(question, answer, 0.0) for question, answer in zip(questions, answers, strict=True)]
        return SequenceScores(name, 0, 0.0, {"judged": [one.to_dict() for one in judged]})


def _asked(root: Path, name: str) -> tuple[list[Question], SequenceTruth]:
    return read_questions(root / "questions" / f"{name}.json"), SequenceTruth.load(root / "truth" / f"{name}.json")


def _all(root: Path, names: Sequence[str]) -> list[Question]:
    return [question for name in names for question in _asked(root, name)[0]]


def _timed(memory: Path, question: Question) -> tuple[Answer, float]:
    start = time.perf_counter()
    answer = ask(memory, question.text, question.as_of_s)
    return answer, round(1000 * (time.perf_counter() - start), 2)


def _keep(path: Path, questions: Sequence[Question], answers: Sequence[Answer], judged: Sequence[JudgedAnswer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        for question, answer, one in zip(questions, answers, judged, strict=True):
            said = answer.to_dict()
            for proof in said["evidence"]:
                del proof["thumbnail"]  # it lay in the memory, which is gone
            asked = {"id": question.id, "question": question.text, "as_of_s": question.as_of_s}
            lines.write(json.dumps({**asked, "truth": question.answer, "answer": said, **one.to_dict()}) + "\n")


def _opening(question: Question) -> str:
    """How a question begins: "when", "was", "how many"."""
    words = question.text.lower().split()
    return " ".join(words[: 2 if words[0] in ("how", "for") else 1])


def _rounded(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: float(round(value)) if key in ("time_s", "seconds") else value for key, value in answer.items()}


def _rows(results: Sequence[SequenceScores], baselines: Mapping[str, Sequence[SequenceScores]]) -> list[dict[str, Any]]:
    """A row for each kind of question, and one for all."""
    ours = _judged(results)
    theirs = {name: _judged(found) for name, found in baselines.items()}
    kinds = list(dict.fromkeys(one.kind for one in ours))
    rows = []
    for label, wanted in (*((kind, {kind}) for kind in kinds), ("all", set(kinds))):
        row = {"kind": label, **summary([one for one in ours if one.kind in wanted])}
        for name, found in theirs.items():
            row[f"always {name}, %"] = summary([one for one in found if one.kind in wanted])["accuracy, %"]
        rows.append(row)
    return rows


def _judged(results: Sequence[SequenceScores]) -> list[JudgedAnswer]:
    return [JudgedAnswer(**plain) for one in results for plain in one.scores["judged"]]
