"""What all evaluations share: options, sequences scored alone or side by side, results kept, resumed and published.

An evaluation is a task, called with the name of a sequence, which returns its scores. Tasks are frozen dataclasses:
they travel to other processes, and their fields are what a resumed evaluation must have in common with the one before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from eval.reporting.results import Headline, Plot, command_line, markdown_table, peak_rss_mib, write_results
from eval.running.data_digest import data_digests
from eval.running.other_work import OtherWork
from pipelines.graph.build import GraphConfig
from pipelines.graph.moved_settings import MOVED
from pipelines.graph.ray_cluster import Cluster
from streamvos import config as configuration
from streamvos.errors import InputError

logger = logging.getLogger(__name__)

RESULTS = Path("eval/results")
_DATA = "data"  # what tells the data of a sequence, in the file of its scores
_KEPT = ".scores"  # hidden, so that no scorer takes it for a sequence


@dataclass(frozen=True)
class SequenceScores:
    """What a task found out about one sequence.

    Args:
        name: of the sequence.
        num_frames: frames that went through the method.
        seconds: spent by the method alone; reading and scoring are not counted.
        scores: anything JSON can hold; what the rows of the table are made of.
        peak_rss_mib: of the process that ran it.
        jobs: sequences that ran at the same time, each on its share of the processors; set by `score_sequences`.
        other_work_cores: processors that work of others took meanwhile (`OtherWork`); likewise; None: not watched.
    """

    name: str
    num_frames: int
    seconds: float
    scores: Mapping[str, Any]
    peak_rss_mib: float = dataclasses.field(default_factory=peak_rss_mib)
    jobs: int = 1
    other_work_cores: float | None = None


Task = Callable[[str], SequenceScores]


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options that every evaluation on a data set has.

    Args:
        parser: of one evaluation.
        name: of the files that --save writes, where --name does not say another.
    """
    add = parser.add_argument
    add("--sequences", nargs="+", metavar="NAME", help="default: all")
    add_run_options(parser, name)
    add("--out", type=Path, metavar="DIR", help="keep predictions and scores, in the data set's own result layout")
    add("--resume", action="store_true", help="score only what --out does not hold yet")
    add("--overwrite", action="store_true", help="replace what an earlier evaluation left in --out")
    add("--baseline", action="store_true", help="also score a baseline that every method must beat")


def add_run_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options of running and saving alone, as an evaluation without a data set has them; see `add_options`."""
    add = parser.add_argument
    add("--size", type=int, metavar="PX", help=f"working short side in pixels (default: {GraphConfig.size})")
    add("--config", type=Path, metavar="FILE", help="TOML with any setting of the graph; options here win over it")
    add("--seed", type=int, default=0)
    add("--jobs", type=int, metavar="N", help="sequences at the same time, through Ray (default: CPUs / 2)")
    add("--save", nargs="?", type=Path, const=RESULTS, metavar="DIR", help=f"write JSON, table, plot (in {RESULTS})")
    add("--name", default=name, help="name of the files that --save writes (default: %(default)s)")


def graph_config(args: argparse.Namespace, **values: Any) -> GraphConfig:
    """The graph's settings: `values` of the evaluation, then the file of --config, then --size and --seed."""
    config = configuration.merge(GraphConfig(), values)
    if args.config is not None:
        values = configuration.read_settings(args.config)
        graph = {name: value for name, value in values.items() if name not in ("output", "source", "demo")}
        config = configuration.merge(config, graph, moved=MOVED)
    chosen = {"seed": args.seed} | ({} if args.size is None else {"size": args.size})
    return configuration.merge(config, chosen)


def score_sequences(task: Task, names: Sequence[str], args: argparse.Namespace, title: str) -> list[SequenceScores]:
    """Score all sequences with one task; finished ones are kept under --out at once, and not done again on --resume.

    Those whose data changed meanwhile are scored again.

    Args:
        task: a frozen dataclass that can be called with a sequence's name.
        names: of the sequences.
        args: with the options of `add_options`.
        title: of the method, shown beside the progress; names its folder of kept scores.

    Returns:
        One result for each name, in order.

    Raises:
        InputError: --out holds other results, and neither --resume nor --overwrite is given; or --save cannot be.
    """
    _check_save(args)
    kept = None if args.out is None else _Kept(args.out, title, task, names, args)
    done = {} if kept is None else kept.read()
    todo = [name for name in names if name not in done]
    jobs, watch = _num_jobs(args, len(todo)), OtherWork()
    run = _one_by_one if jobs == 1 else _side_by_side
    bar = tqdm(total=len(names), initial=len(names) - len(todo), desc=title, unit="sequence", file=sys.stderr)
    with bar:
        for result in run(task, todo, jobs):
            watch.look()
            result = dataclasses.replace(result, jobs=jobs, other_work_cores=watch.cores)
            done[result.name] = result
            if kept is not None:
                kept.write(result)
            speed = frames_per_second([result])
            bar.set_postfix_str(result.name if speed is None else f"{result.name}, {speed:.1f} frames/s")
            bar.update()
    return [done[name] for name in names]


def frames_per_second(results: Sequence[SequenceScores]) -> float | None:
    """Frames over seconds of the method, of all sequences together; None where nothing was timed."""
    seconds = sum(one.seconds for one in results)
    return round(sum(one.num_frames for one in results) / seconds, 2) if seconds > 0 else None


def publish(
    args: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
    results: Sequence[SequenceScores],
    *,
    data: str,
    path_names: Mapping[Path, str],
    headline: Headline | None,
    plot: Plot,
    notes: Mapping[str, Any] | None = None,
) -> int:
    """Print the table and, on --save, write it as JSON, Markdown and a picture.

    Args:
        args: with the options of `add_options`.
        rows: of the table, all with the same columns.
        results: of the method itself, for speed and memory.
        data: what was evaluated on, in words.
        path_names: names that stand for the user's own paths in the recorded command, such as "DAVIS".
        headline: the one figure that `streamvos eval report` shows; None where nothing could be scored.
        plot: draws the picture.
        notes: more to be recorded.

    Returns:
        The exit code, 0.
    """
    sys.stdout.write(markdown_table(rows))
    if args.save is not None:
        meta = {
            "command": command_line(args.words, path_names),
            "data": data,
            "seed": args.seed,
            "fps": frames_per_second(results),
            **_timing(results),
            "peak_rss_mib": max((one.peak_rss_mib for one in results), default=peak_rss_mib()),
            **(notes or {}),
        }
        for path in write_results(args.name, rows, meta, args.save, headline, plot):
            sys.stdout.write(f"{path}\n")
    return 0


def _timing(results: Sequence[SequenceScores]) -> dict[str, Any]:
    """What the frames per second are of; a sequence that ran beside others had only its share of the processors."""
    jobs = sorted({one.jobs for one in results}) or [1]
    shares = " or ".join(f"{max(1, _num_cpus() // each)} of {_num_cpus()}" for each in jobs)
    others = [one.other_work_cores for one in results if one.other_work_cores is not None]
    return {
        "jobs": jobs[-1],
        "fps_is": f"frames over seconds of the method, of one sequence on {shares} CPUs, "
        f"with {' or '.join(map(str, jobs))} at a time",
        "other_work_cores": round(max(others), 2) if others else None,
    }


def _check_save(args: argparse.Namespace) -> None:
    """What --save cannot write is said before the work, not after it."""
    if args.save is None:
        return
    if args.name in ("", ".", "..") or Path(args.name).name != args.name:
        raise InputError(f"--name: expected the name of files, without folders, got {args.name!r}")
    try:
        args.save.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--save {args.save}: expected a folder, or room for one ({error.strerror})") from None
    if not os.access(args.save, os.W_OK):
        raise InputError(f"--save {args.save}: expected a folder that can be written")


def _num_jobs(args: argparse.Namespace, num_sequences: int) -> int:
    if args.jobs is not None and args.jobs < 1:
        raise InputError(f"--jobs: expected 1 or more, got {args.jobs}")
    return max(1, min(args.jobs or _num_cpus() // 2, num_sequences))


def _num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_by_one(task: Task, names: Sequence[str], num_jobs: int) -> Iterator[SequenceScores]:
    yield from map(task, names)


def _side_by_side(task: Task, names: Sequence[str], num_jobs: int) -> Iterator[SequenceScores]:
    """As many at a time as there are jobs, each with its share of the CPUs; results as they come."""
    import ray

    cluster = Cluster()
    cluster.start()
    share = max(1, _num_cpus() // num_jobs)
    remote = ray.remote(num_cpus=share, max_retries=0, runtime_env={"env_vars": {"OMP_NUM_THREADS": str(share)}})(_call)
    try:
        waiting = [remote.remote(task, name) for name in names]
        while waiting:
            ready, waiting = ray.wait(waiting)
            yield ray.get(ready[0])
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None
    finally:
        cluster.close()


def _call(task: Task, name: str) -> SequenceScores:
    return task(name)


class _Kept:
    """Scores on disk beside the predictions, one file for each sequence, with what tells its data, and the settings."""

    def __init__(self, out: Path, title: str, task: Task, names: Sequence[str], args: argparse.Namespace) -> None:
        self._folder = out / _KEPT / "".join(letter if letter.isalnum() else "-" for letter in title)
        settings = json.loads(json.dumps({"task": type(task).__name__, **_fields(task)}, default=str))
        self._check(out, settings, args)
        self._folder.mkdir(parents=True, exist_ok=True)
        _write_json(self._folder / "settings.json", settings)
        self._data = data_digests(task, names, out)

    def read(self) -> dict[str, SequenceScores]:
        """What an earlier evaluation finished, by sequence."""
        done, changed = {}, []
        for path in self._folder.glob("*.scores.json"):
            try:
                stored = dict(json.loads(path.read_text(encoding="utf-8")))
                data, result = stored.pop(_DATA, None), SequenceScores(**stored)
            except (ValueError, TypeError):
                logger.warning("%s is damaged and is made again", path)
                continue
            if data == self._data.get(result.name, data):
                done[result.name] = result
            else:
                changed.append(result.name)
        if changed:
            sys.stderr.write(f"streamvos: the data of {', '.join(sorted(changed))} changed: scored again\n")
        return done

    def write(self, result: SequenceScores) -> None:
        name = result.name.replace(os.sep, "-")
        stored = {**dataclasses.asdict(result), _DATA: self._data.get(result.name)}
        _write_json(self._folder / f"{name}.scores.json", stored)

    def _check(self, out: Path, settings: Mapping[str, Any], args: argparse.Namespace) -> None:
        """Each method that one command scores comes by here; what an earlier command left is judged by the first."""
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out}: expected a folder, or a path that does not exist")
        if out in _begun(args) or not out.exists() or not any(out.iterdir()):
            pass
        elif not (out / _KEPT).is_dir():
            raise InputError(f"{out} is not empty and holds no evaluation of ours: choose another --out")
        elif args.overwrite:
            shutil.rmtree(out)
        elif not args.resume:
            raise InputError(f"{out} holds an earlier evaluation: --resume goes on with it, --overwrite replaces it")
        _begun(args).add(out)
        before = self._folder / "settings.json"
        if not before.is_file():
            return
        try:
            old = dict(json.loads(before.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InputError(f"{before} is damaged ({error}): begin anew with --overwrite") from None
        if old != settings:
            changed = sorted(key for key in {*old, *settings} if old.get(key) != settings.get(key))
            raise InputError(f"{out} was begun with other settings ({', '.join(changed)}): use those, or --overwrite")


def _begun(args: argparse.Namespace) -> set[Path]:
    if not hasattr(args, "begun"):
        args.begun = set()
    return args.begun


def _fields(task: Task) -> dict[str, Any]:
    if not dataclasses.is_dataclass(task) or isinstance(task, type):
        raise TypeError(f"a task is a frozen dataclass, got {type(task).__name__}")
    return dataclasses.asdict(task)


def _write_json(path: Path, value: Any) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1), encoding="utf-8")
    part.replace(path)
