"""The configuration file: what `--config FILE.toml` may set, for every command that takes it."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.graph.build import GraphConfig
from pipelines.graph.chain import available_threads
from pipelines.graph.moved_settings import MOVED
from streamvos.config import Settings, merge, read_settings, setting, to_dict
from streamvos.errors import InputError
from streamvos.export.result_files import OutputConfig
from streamvos.video.info import SourceConfig

_MIN_SCORES = ("detect", "start", "episodes")  # what is found, followed and remembered; the others come after these
_COMMIT_S = 0.2  # of video until the memory can be asked about it
_LIVE = Path(__file__).parent / "live" / "live.toml"


@dataclass(frozen=True)
class RunConfig:
    """What decides the results of a run: the graph's settings stand at a file's top, the others in tables."""

    graph: GraphConfig = field(default_factory=GraphConfig)
    output: OutputConfig = field(default_factory=OutputConfig)  # [output]
    source: SourceConfig = field(default_factory=SourceConfig)  # [source]

    def to_dict(self) -> dict[str, Any]:
        """As a configuration file holds it."""
        return to_dict(self.graph) | {"output": to_dict(self.output), "source": to_dict(self.source)}


def _stream_urls(streams: Mapping[str, Any]) -> None:
    """Raise `InputError` where streams are not URLs by name."""
    for name, url in streams.items():
        if not isinstance(url, str) or not name.strip():
            raise InputError(f'expected name = "rtsp://…", got {name!r} = {url!r}')


@dataclass(frozen=True)
class DemoConfig(Settings, at="demo"):
    """Limits of the live demo, and the streams that it may open."""

    streams: dict[str, str] = setting({}, "name = URL; no other URL is ever opened for a page", form=_stream_urls)
    max_sessions: int = setting(
        4, "videos at a time, over all pages; each takes about 1 GB and shares the cores", low=1
    )
    max_pages: int = setting(64, "open pages, most of them without a video", low=1)
    idle_s: float = setting(120.0, "a page that has been gone for so long loses its video and results", above=0)
    max_run_s: float = setting(
        3600.0, "a run is closed after so long; what it found stays until the page goes", above=0
    )
    max_video_s: float = setting(900.0, "longer files are refused", above=0)
    max_upload_mib: int = setting(500, "larger files are refused", low=1)
    max_uploads_mib: int = setting(2000, "of uploaded files over all pages; beyond it more are refused", low=1)
    behind_proxy: bool = setting(
        False,
        "believe X-Forwarded-For, -Host and -Proto of who visits and by which name; only behind a proxy that sets all "
        "three itself. A login is then asked for",
    )
    history_mib: int = setting(
        48, "of pictures that a page can look back at; when full, every other one is dropped", low=1
    )
    view_px: int = setting(
        1280, "longer side of the picture that is sent to the page; smaller needs less network", low=64
    )

    def too_long(self, duration_s: float) -> str:
        """What a person is told of a video beyond `max_video_s`."""
        return (
            f"the video is {duration_s / 60:.1f} minutes long or more; at most {self.max_video_s / 60:.0f} minutes are "
            "taken here: cut it, or use `streamvos run`, which has no limit"
        )

    def time_is_up(self) -> str:
        """What a person is told after `max_run_s`."""
        return f"a run ends after {self.max_run_s / 60:.0f} minutes here: export it, or open another video"


def live_defaults() -> RunConfig:
    """What the demo uses where nothing else is set: `live/live.toml`, a quick encoder, and a core for the page."""
    graph = merge(GraphConfig(threads=max(1, available_threads() - 1)), read_settings(_LIVE))
    return RunConfig(graph, OutputConfig(overlay_preset="ultrafast"))


def for_a_person(graph: GraphConfig) -> GraphConfig:
    """The graph with objects that may come at any time, and a memory that can be asked about what just happened."""
    episodes = graph.remember.episodes
    episodes = dataclasses.replace(episodes, commit_s=min(episodes.commit_s, _COMMIT_S))
    return dataclasses.replace(
        graph,
        segment=dataclasses.replace(graph.segment, interactive=True),
        remember=dataclasses.replace(graph.remember, episodes=episodes),
    )


def read_config(
    path: Path | None, options: Mapping[str, Any], defaults: RunConfig | None = None
) -> tuple[RunConfig, DemoConfig]:
    """The configuration file, or the `run.json` of a run, with options of the graph laid over it.

    Raises:
        InputError: an unknown setting, or one out of range; says which.
    """
    values = read_settings(path) if path else {}
    graph = values.pop("graph", {})  # as a table of its own, which some write
    tables = {name: values.pop(name, {}) for name in ("output", "source", "demo")}
    for name, table in [("graph", graph), *tables.items()]:
        if not isinstance(table, Mapping):
            raise InputError(f"setting {name}: expected a table, got {table!r}")
    defaults = defaults or RunConfig()
    run = RunConfig(
        merge(merge(merge(defaults.graph, graph, moved=MOVED), values, moved=MOVED), options),
        merge(defaults.output, tables["output"], "output."),
        merge(defaults.source, tables["source"], "source."),
    )
    return run, merge(DemoConfig(), tables["demo"], "demo.")


def graph_options(args: argparse.Namespace) -> dict[str, Any]:
    """Fields of the graph that options set."""
    options: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("size", "device", "profile", "seed", "threads")
        if getattr(args, name) is not None
    }
    if args.stages is not None:
        options["stages"] = tuple(name.strip() for name in args.stages.split(",") if name.strip())
    detect: dict[str, Any] = {}
    if args.detect_every is not None:
        detect["every"] = args.detect_every
    if getattr(args, "classes", None) is not None:  # options of `run` alone
        detect["classes"] = tuple(name.strip() for name in args.classes.split(",") if name.strip())
        if not detect["classes"]:
            raise InputError(f"--classes: expected names such as dog,cat; got {args.classes!r}")
    if detect:
        options["detect"] = detect
    if getattr(args, "min_score", None) is not None:
        if not 0 <= args.min_score <= 1:
            raise InputError(f"--min-score: expected 0 to 1, got {args.min_score}")
        options["scores"] = dict.fromkeys(_MIN_SCORES, args.min_score)
    return options
