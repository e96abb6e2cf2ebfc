"""`streamvos export RUN --format NAME --out DIR`: a run in the format of another tool."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from apps.ask_command import find_run

# As `streamvos.export.formats` registers them; a test compares. That loads OpenCV, which help need not wait for.
FORMATS = ("coco", "cvat", "davis", "label-studio", "mot", "csv", "yolo", "yolo-seg")


def add_parser(subparsers: argparse._SubParsersAction, parents: list[argparse.ArgumentParser]) -> None:
    """Add `export` to the command line."""
    parser = subparsers.add_parser(
        "export",
        parents=parents,
        help="a run in the format of another tool",
        description="Masks, boxes and ids of a run, finished or not, in the format of another tool.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("run_dir", type=Path, metavar="RUN_DIR", help="folder of one video's results")
    add("--format", required=True, choices=FORMATS, help=", ".join(FORMATS), metavar="NAME")
    add("--out", type=Path, required=True, metavar="DIR", help="a folder that does not exist yet, or is empty")
    add("--images", action="store_true", help="the video's pictures too: coco, davis, mot, yolo, yolo-seg")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Export, and say what is where."""
    from tqdm import tqdm

    from streamvos.export.formats import RecordedRun, export_run

    recorded = RecordedRun(find_run(args.run_dir))
    bar = tqdm(
        total=recorded.num_frames,
        desc=recorded.name,
        unit="frame",
        file=sys.stderr,
        delay=1.0,  # most are done before
        dynamic_ncols=True,
        disable=args.quiet,
    )
    with bar:
        files = export_run(recorded, args.format, args.out, images=args.images, on_frame=lambda frame: bar.update())
    what = f"{len(recorded.object_ids)} objects" if recorded.has_masks else "detections"
    sys.stdout.write(f"{recorded.name}: {recorded.num_frames} frames, {what}, as {args.format}\n")
    sys.stdout.write(f"  results in {args.out}: {' '.join(files)}\n")
    if recorded.report["status"] != "complete":
        sys.stdout.write(f"  the run is {recorded.report['status']}: what it had found is there\n")
    return 0
