"""`streamvos run SOURCE... --out DIR`: sources through the graph, results into folders.

The options alone, without what they set in motion: torch takes seconds to import, and help and wrong usage need not
wait for it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

# As the layers below define them; a test compares.
STAGES = ("detect", "segment", "reconstruct", "remember")
RUNNERS = ("local", "ray")
DEVICES = ("auto", "cpu", "cuda", "mps")
PROMPT_FRAMES = ("first", "all")


def add_parser(subparsers: argparse._SubParsersAction, parents: list[argparse.ArgumentParser]) -> None:
    """Add `run` to the command line."""
    parser = subparsers.add_parser(
        "run",
        parents=parents,
        help="run sources through the graph",
        description="Sources through the graph, results into folders.",
    )
    parser.set_defaults(run=_run)
    add = parser.add_argument
    add(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="video, folder or pattern of images, URL, camera, sample:bikes; - or a .txt file lists sources",
    )
    add("--out", required=True, metavar="DIR", help="results go into DIR/<video>/")
    add("--stages", metavar="A,B", help=f"any of {','.join(STAGES)} (default: all)")
    add("--runner", choices=RUNNERS, default="ray", help="where the stages run (default: %(default)s)")
    add("--address", help="of a running Ray cluster (default: Ray is started on this machine)")
    add("--placement", choices=("fused", "split"), help="all stages in one process, or one each (default: by CPUs)")
    add("--start", metavar="T", help="begin at this time of the video: seconds or H:MM:SS")
    add("--end", metavar="T", help="end before this time")
    add("--fps", type=float, metavar="N", help="process at most so many frames a second of video")
    add("--prompts", type=Path, metavar="PATH", help="JSON with prompts; or COCO, YOLO, CVAT, DAVIS masks")
    add(
        "--prompt-frames",
        choices=PROMPT_FRAMES,
        default="first",
        help="of such annotations: each object's first frame, or all (default: %(default)s)",
    )
    add("--first-mask", type=Path, metavar="PNG", help="label picture of the first frame")
    add("--box", action="append", default=[], metavar="ID:X1,Y1,X2,Y2", help="box in the first frame; repeatable")
    add(
        "--point",
        action="append",
        default=[],
        metavar="ID:X,Y[,-]",
        help="click in the first frame, with - one that is not on the object; repeatable, also for one id; with 2 or 3 "
        "in the place of - the second or third thing that a single click may mean",
    )
    add("--classes", metavar="A,B", help="names that the detector looks for (default: all that it knows)")
    add("--min-score", type=float, metavar="S", help="how sure the detector must be of a class, 0 to 1")
    add("--discover", action=argparse.BooleanOptionalAction, help="follow what the detector finds beside prompts")
    add("--detect-every", type=int, metavar="K", help="run the detector on every K-th frame")
    add("--max-frames", type=int, metavar="N", help="stop after the first N frames")
    add("--size", type=int, metavar="PX", help="working short side in pixels")
    add("--config", type=Path, metavar="FILE", help="TOML with any setting; options here win over it")
    add("--device", choices=DEVICES, help="where networks run")
    add("--profile", choices=("embedded", "hub"), help="hub refines masks by SAM-HQ, whose weights are fetched before")
    add("--seed", type=int, metavar="N", help="of all random choices")
    add("--threads", type=int, metavar="N", help="CPU threads in all (default: all cores)")
    add("--checkpoint-every", type=int, default=300, metavar="N", help="frames between checkpoints (%(default)s)")
    add("--overwrite", action="store_true", help="replace the results of an earlier run")
    add("--resume", action="store_true", help="go on with an earlier run")
    add("--quiet", action="store_true", help="no progress bar")


def _run(args: argparse.Namespace) -> int:
    from apps.run_command import run

    return run(args)
