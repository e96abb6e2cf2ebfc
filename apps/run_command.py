"""`streamvos run`: sources through the graph, results into folders. Its options stand in `apps.run_options`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.clock_times import parse_clock
from apps.flags import name_flags
from apps.interrupt import Interrupt, InterruptibleSource
from apps.point_options import pointed_at
from apps.progress import Progress
from apps.prompt_files import digest, expect_distinct, parse_box, read_first_mask
from apps.prompt_formats import read_any_prompts
from apps.settings import RunConfig, graph_options, read_config
from apps.source_lists import expand_sources
from pipelines.prompts import check_prompts
from pipelines.run_recorder import record, unused_prompts
from pipelines.session import Session, check_followable
from streamvos.errors import InputError, OutputError
from streamvos.export.run_dir import RunDirectory
from streamvos.export.run_report import read_report
from streamvos.records import Prompt, Removal
from streamvos.video.info import Source, SourceInfo
from streamvos.video.names import spelled_out
from streamvos.video.sources import open_source
from streamvos.video.span import Span, SpanSource

_SHOWN_WARNINGS = 3


@dataclass(frozen=True)
class UserPrompts:
    """What the user said about objects before the run."""

    prompts: tuple[Prompt, ...] = ()
    removals: tuple[Removal, ...] = ()


def run(args: argparse.Namespace) -> int:
    """Run all sources, one after another; one that fails does not take the others along."""
    if args.checkpoint_every < 1:
        raise InputError(f"--checkpoint-every: expected at least 1, got {args.checkpoint_every}")
    if not args.out.strip():
        raise InputError("--out: expected a folder, got an empty text")
    args.sources = expand_sources(args.sources)
    if (folder := spelled_out(args.sources)) is not None:
        sys.stderr.write(
            f"streamvos: warning: {len(args.sources)} pictures are run one by one; for one video of them give the "
            f"folder {folder!r}, or a pattern in quotes, which the shell leaves alone\n"
        )
    span, (config, _) = read_span(args), read_config(args.config, graph_options(args))
    given = read_user_prompts(args, config)
    cluster = None
    if args.runner == "ray":
        from pipelines.graph.ray_cluster import Cluster  # Ray takes a second to import

        cluster = Cluster(args.address)
        cluster.check()
    job = _Job(args, config, given, span, cluster)
    num_failed = 0
    try:
        with Interrupt() as interrupt:
            for number, spec in enumerate(args.sources, 1):
                is_complete = False  # a signal that came while the last results were closed has interrupted nothing
                try:
                    is_complete = job.run_source(spec, interrupt)
                except Exception as error:
                    if len(args.sources) == 1 or args.debug:
                        raise
                    num_failed += 1
                    message = " ".join(name_flags(str(error)).split()) or type(error).__name__
                    sys.stderr.write(f"streamvos: error: {message}\n")
                if interrupt.is_set and (number < len(args.sources) or not is_complete):
                    return 130
    finally:
        if cluster is not None:
            cluster.close()
    return 1 if num_failed else 0


def read_span(args: argparse.Namespace) -> Span:
    """The part of each video that is wanted."""
    start_s, end_s = (
        None if text is None else parse_clock(text, flag)
        for text, flag in ((args.start, "--start"), (args.end, "--end"))
    )
    return Span(start_s, end_s, args.fps)


def read_user_prompts(args: argparse.Namespace, config: RunConfig) -> UserPrompts:
    """Prompts and removals of all options together."""

    def size() -> tuple[int, int]:
        if len(args.sources) > 1:
            raise InputError("--prompts: YOLO labels do not say the size of the video; give one SOURCE with them")
        with open_source(args.sources[0], config=config.source) as source:
            return source.info.height, source.info.width

    prompts, removals = read_any_prompts(args.prompts, args.prompt_frames, size) if args.prompts else ([], [])
    if args.first_mask:
        prompts = prompts + read_first_mask(args.first_mask)
    prompts = prompts + pointed_at([parse_box(text) for text in args.box], args.point)
    expect_distinct(prompts)
    return UserPrompts(tuple(prompts), tuple(removals))


class _Job:
    """Runs one source after another with the same settings."""

    def __init__(
        self, args: argparse.Namespace, config: RunConfig, given: UserPrompts, span: Span, cluster: Any
    ) -> None:
        self._args, self._config, self._given, self._span, self._cluster = args, config, given, span, cluster
        self._names: set[str] = set()
        with self._session(None) as session:  # wrong settings show before anything is opened or written
            self._graph = session.config
            check_followable(session.config, bool(given.prompts))

    def run_source(self, spec: str, interrupt: Interrupt) -> bool:
        """Run one source into its folder and say what came of it; whether it was run to its end."""
        args = self._args
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self._open(spec))
            info = source.info
            check_prompts(self._given.prompts, (info.height, info.width), self._exact_length(info))
            folder = Path(args.out) / self._unique(info.name)
            run_dir = RunDirectory(
                folder,
                info,
                dataclasses.replace(self._config, graph=self._graph).to_dict(),
                self._decided_by(info),
                overwrite=args.overwrite,
                resume=args.resume,
                config=self._config.output,
            )
            opened = None
            if info.is_live and not run_dir.is_complete and run_dir.next_index == 0:
                stack.pop_all()  # a camera is connected to once: some allow one link alone
                opened = source
        if run_dir.is_complete:
            sys.stdout.write(f"{info.name}: complete already, {run_dir.next_index} frames in {folder}\n")
            return True
        memory = folder / "memory"
        if run_dir.load_state() is None and memory.is_dir():
            shutil.rmtree(memory)  # of a run that was ended before its first checkpoint
        status = self._record(spec, run_dir, memory, interrupt, opened)
        _say(folder)
        return status == "complete"

    def _exact_length(self, info: SourceInfo) -> int | None:
        """How many frames there will be at most; None where the container only estimates it."""
        is_exact = info.kind in ("images", "rgbd") and self._span.is_everything
        counts = [self._args.max_frames, info.num_frames if is_exact else None]
        return min((count for count in counts if count is not None), default=None)

    def _decided_by(self, info: SourceInfo) -> dict[str, Any]:
        """What decides what comes out beside the settings, for run.json."""
        is_folder = info.kind in ("images", "rgbd")  # named as the user typed it
        return {
            "location": os.path.abspath(info.location) if is_folder else info.location,
            "max_frames": self._args.max_frames,
            "prompts": digest(self._given.prompts, self._given.removals),
            "runner": self._args.runner,
            **dataclasses.asdict(self._span),
        }

    def _record(
        self, spec: str, run_dir: RunDirectory, memory: Path, interrupt: Interrupt, opened: Source | None
    ) -> str:
        start = run_dir.next_index
        try:
            opened = opened or self._open(spec, start, run_dir.last_time_s)
            session = self._session(memory)
        except BaseException as error:
            if opened is not None:
                opened.close()
            run_dir.close("failed", error=error)
            raise
        with session, InterruptibleSource(opened, interrupt) as source:
            progress = Progress(source, start, self._args.max_frames, self._args.quiet)
            try:
                status = record(
                    session,
                    source,
                    run_dir,
                    checkpoint_every=self._args.checkpoint_every,
                    was_stopped=lambda: interrupt.is_set,
                    on_step=lambda step: progress.update(step.result),
                )
            finally:
                progress.close()
        unused = unused_prompts(session) if status == "complete" else None
        if unused:
            sys.stderr.write(f"streamvos: warning: {unused}\n")
        if source.warnings:
            shown, more = source.warnings[:_SHOWN_WARNINGS], len(source.warnings) - _SHOWN_WARNINGS
            rest = f"; and {more} more in run.json" if more > 0 else ""
            sys.stderr.write(f"streamvos: warning: {'; '.join(shown)}{rest}\n")
        return status

    def _open(self, spec: str, start_index: int = 0, last_time_s: float = 0.0) -> Source:
        part = {"start_index": start_index, "max_frames": self._args.max_frames}
        start_time_s = last_time_s + 0.001 if start_index else 0.0  # times of a live source go on after it
        if self._span.is_everything:
            return open_source(spec, start_time_s=start_time_s, config=self._config.source, **part)
        whole = open_source(spec, start_time_s=start_time_s, config=self._config.source)
        return SpanSource(whole, self._span, **part)

    def _session(self, memory: Path | None) -> Session:
        args, given = self._args, self._given
        session = Session(
            self._config.graph,
            runner=args.runner,
            memory_dir=memory,
            prompts=given.prompts,
            discover=args.discover,
            placement=args.placement,
            cluster=self._cluster,
        )
        for removal in given.removals:
            session.remove(removal.object_id, removal.frame_index)
        return session

    def _unique(self, name: str) -> str:
        """`name`, with a number where an earlier source of this command has it already."""
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name}-{number}", number + 1
        self._names.add(unique)
        return unique


def _say(folder: Path) -> None:
    """What a run left, on stdout."""
    report = read_report(folder)
    if report is None:
        raise OutputError(f"{str(folder / 'run.json')!r} was not written")
    counts = report["counts"]
    facts = [f"{counts['frames']} frames"]
    if report["steady_frames_per_s"]:
        facts.append(f"{report['steady_frames_per_s']:.2f} frames/s after start")
    facts += [f"{counts[name]} {name}" for name in ("objects", "detections", "cuts") if name in counts]
    if report["dropped_frames"]:
        facts.append(f"{report['dropped_frames']} dropped")
    sys.stdout.write(f"{folder.name}: {report['status']}, {', '.join(facts)}\n")
    sys.stdout.write(f"  results in {folder}: {' '.join(report['files'])}\n")
    if report["status"] == "interrupted":
        sys.stdout.write("  go on with the same command and --resume\n")
    elif (folder / "memory").is_dir():
        sys.stdout.write(f'  ask: streamvos ask {folder} "what was seen?"\n')
