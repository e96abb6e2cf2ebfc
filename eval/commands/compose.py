"""`streamvos eval compose`: make sequences with exact truth from real backgrounds and cut-outs."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from eval.compose.learned import PICTURES
from eval.compose.settings import PRESETS
from streamvos.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamvos eval compose`."""
    parser.add_argument(
        "--backgrounds", type=Path, required=True, metavar="DIR",
        help="RGB-D folder (7-Scenes or TUM layout), video, folder of pictures, or a folder of such",
    )  # fmt: skip
    parser.add_argument(
        "--cutouts", action="append", required=True, metavar="DIR[:CLASS]",
        help="pictures with masks: COCO json, label maps, YOLO polygons, or pictures beside masks; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", choices=PICTURES, default="all",
        help="of the cut-outs: all (default), those that no training of ours has seen, or those that trainings learn "
        "from (folders must be whole, as they were when the training ran)",
    )  # fmt: skip
    parser.add_argument("--preset", default="short", metavar="|".join(PRESETS), help="default: short")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, metavar="N", help="of each sequence; default: the preset's")
    parser.add_argument("--sequences", type=int, default=1, metavar="K", help="default: 1")
    parser.add_argument("--size", metavar="WxH", help="default: the backgrounds' own, plain video 480 pixels high")
    parser.add_argument(
        "--horizon", type=float, default=0.4, metavar="SHARE",
        help="row of the horizon of plain video, from 0 (top) to 1; things stand below it (default: 0.4)",
    )  # fmt: skip
    parser.add_argument("--exclude", nargs="+", default=[], metavar="CLASS", help="classes that the backgrounds show")
    parser.add_argument(
        "--any-object", action="store_true", help="draw also what the packaged detector cannot name when it is clean"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier benchmark in --out")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also write a contact sheet (.jpg or .png)")
    parser.add_argument(
        "--sheet-also", type=Path, nargs="+", default=[], metavar="DIR", help="earlier benchmarks to show on the sheet"
    )


def run(args: argparse.Namespace) -> int:
    """Compose, and print what was made; 0 where all went well."""
    from tqdm import tqdm

    from eval.compose.build import Order, compose, moving_share, prepare_folder
    from eval.compose.settings import preset_of
    from eval.compose.sheet import write_sheet
    from eval.reporting.results import markdown_table

    preset = preset_of(args.preset)
    num_frames = preset.num_frames if args.frames is None else args.frames
    for name, value in (("--frames", num_frames), ("--sequences", args.sequences)):
        if value < 1:
            raise InputError(f"{name}: expected at least 1, got {value}")
    if not -1 <= args.horizon <= 0.9:
        raise InputError(f"--horizon: expected a share of the height, at most 0.9, got {args.horizon}")
    if args.seed < 0:
        raise InputError(f"--seed: expected 0 or more, got {args.seed}")
    cutouts = tuple(_folder_and_class(text) for text in args.cutouts)
    order = Order(
        args.backgrounds,
        cutouts,
        preset,
        num_frames,
        args.sequences,
        args.seed,
        _size(args.size),
        tuple(args.exclude),
        args.any_object,
        args.horizon,
        args.pictures,
    )
    prepare_folder(args.out, args.overwrite)
    start = time.perf_counter()
    total = num_frames * args.sequences
    with tqdm(total=total, unit="frame", desc=preset.name, file=sys.stderr, mininterval=0.5) as bar:

        def advance(name: str) -> None:
            bar.set_description(name, refresh=False)
            bar.update()

        truths = compose(order, args.out, advance)
    seconds = time.perf_counter() - start
    rows = [
        {
            "sequence": truth.sequence,
            "frames": truth.num_frames,
            "objects": ", ".join(thing.class_name for thing in truth.objects),
            "moving pixels": f"{moving_share(truth):.1%}",
            "degraded": f"{sum(frame.degradation is not None for frame in truth.frames) / truth.num_frames:.0%}",
        }
        for truth in truths
    ]
    sys.stdout.write(markdown_table(rows))
    sys.stdout.write(f"{args.out}: {total} frames, {total / seconds:.1f} frames/s with reading and planning\n")
    if args.sheet is not None:
        write_sheet([*args.sheet_also, args.out], args.sheet)
        sys.stdout.write(f"{args.sheet}\n")
    return 0


def _folder_and_class(text: str) -> tuple[Path, str | None]:
    """A folder, or FOLDER:CLASS."""
    path = Path(text)
    if path.exists() or ":" not in text:
        return path, None
    folder, _, name = text.rpartition(":")
    return Path(folder), name


def _size(text: str | None) -> tuple[int, int] | None:
    """(H, W) of "640x480"."""
    if text is None:
        return None
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError(f"--size: expected WIDTHxHEIGHT such as 640x480, got {text!r}") from None
    if min(width, height) < 96 or max(width, height) > 4096:
        raise InputError(f"--size: expected sides from 96 to 4096 pixels, got {text}")
    return height, width
