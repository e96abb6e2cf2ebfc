"""What `run` and `ask` take on the command line: objects, times, rates, sources, and lists of sources."""

from __future__ import annotations

import contextlib
from pathlib import Path

from apps.cli import make_parser
from apps.run_command import read_span, read_user_prompts
from apps.settings import graph_options, read_config
from apps.source_lists import expand_sources
from pipelines.prompts import check_prompts
from streamvos.video.names import printable, safe_name, spelled_out
from streamvos.video.rates import parse_rate
from streamvos.video.sources import open_source
from streamvos.video.urls import mask_secrets, name_of, scheme_of
from tests.tools.fuzz.target import Target
from tests.tools.fuzz.targets.masks import with_palette

_OPTIONS = (
    ["--box=1:2,3,20,30", "--box=2:5.5,3,20,30", "--point=1:3,4", "--point=3:3,4", "--point=3:9,9,-"],
    ["--start=0:00:01.5", "--end=90", "--fps=12.5", "--max-frames=7", "--size=96"],
    ["--start=1:30", "--classes=dog,cat", "--min-score=0.5", "--detect-every=2", "--stages=detect,segment"],
    ["--prompts=mask.png", "--seed=7", "--threads=2", "--checkpoint-every=30"],
    ["--first-mask=mask.png", "--prompt-frames=all", "--profile=hub", "--device=cpu"],
)
_LIST = "# of a shop\n\nframe_0001.png\n*.png\nframe_%04d.png\n./frame_0002.png\nhttps://user:secret@shop/cam?key=1\n"


def _make(folder: Path) -> None:
    for number, options in enumerate(_OPTIONS):
        place = folder / str(number)
        place.mkdir()
        (place / "options.txt").write_text("\n".join(options))
        (place / "sources.txt").write_text(_LIST)
        (place / "rate.txt").write_text(("24", "29.97", "30000/1001", "29,97", "29.97002997002997")[number])
        for name in ("mask.png", "frame_0001.png", "frame_0002.png"):
            with_palette().save(place / name)


def _read(folder: Path) -> object:
    with contextlib.chdir(folder):
        return _all()


def _all() -> object:
    sources = expand_sources(["sources.txt"])
    spelled_out(sources)
    for source in sources:
        name_of(source), mask_secrets(source), safe_name(source), printable(source), scheme_of(source)
    args = make_parser(["run"]).parse_args(["run", "x", "--out=y", *_text("options.txt").split("\n")])
    args.sources = sources
    read_span(args)
    read_config(None, graph_options(args))
    check_prompts(read_user_prompts(args, read_config(None, {})[0]).prompts, (24, 32), None)
    parse_rate(_text("rate.txt"))
    for source in sources:
        is_here = not source.startswith(("/", "~", "sample:")) and ".." not in source and not source.isdigit()
        if is_here and scheme_of(source) is None:
            with open_source(source) as opened:
                list(opened)
    return args


def _text(name: str) -> str:
    path = Path(name)
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""


TARGET = Target("options", _make, _read)
