"""`streamvos eval`: one module in `eval/commands` for each evaluation, imported only when it is chosen.

Such a module has `add_arguments(parser)` and `run(args) -> int`; its name is the command's, with `-` as `_`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import ModuleType

COMMANDS = {
    "davis": "J&F on DAVIS (2016 and 2017 layout), the first masks given",
    "lvos": "J&F and V on LVOS (v1 and v2), seen and unseen classes apart",
    "longvideos": "J&F on Long Videos, on the frames with an annotation",
    "ablation": "variants of the tracker side by side on DAVIS-like sets, with controls and spread",
    "vots": "VOTS measures beside the VOT toolkit's, run as a separate program, on DAVIS-like folders",
    "imagenet-vid": "boxes in video on ImageNet VID or any CocoVID: AP, by motion and degradation",
    "mot": "tracks on MOTChallenge layouts: MOTA, IDF1 and HOTA by TrackEval",
    "trajectory": "camera poses on RGB-D folders: ATE and RPE",
    "depth": "depth from colour alone, and of the map where the input's depth was withheld, on RGB-D folders",
    "compose": "make a benchmark with exact truth from backgrounds and cut-outs",
    "questions": "answers about composed sequences, judged against exact truth",
    "cdnet": "which pixels move, on videos in the layout of CDnet 2014",
    "consistency": "contradictions between what the parts say, on any video, without a truth",
    "strips": "pictures of results beside the truth, at the worst and a typical frame of each sequence",
    "report": "one table of all saved results, for the README",
}


def add_parser(
    subparsers: argparse._SubParsersAction,
    parents: Sequence[argparse.ArgumentParser] = (),
    arguments: Sequence[str] = (),
) -> None:
    """Add `eval` to the command line; the options of an evaluation only where `arguments` choose it."""
    parser = subparsers.add_parser("eval", help="evaluate on data sets", description="Evaluate on data sets.")
    sets = parser.add_subparsers(dest="evaluation", required=True, metavar="EVALUATION")
    words = [word for word in arguments if not word.startswith("-")]
    chosen = words[1] if words[:1] == ["eval"] and len(words) > 1 else None
    for name, summary in COMMANDS.items():
        command = sets.add_parser(name, parents=list(parents), help=summary, description=summary)
        if name == chosen:
            module = load(name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)


def load(name: str) -> ModuleType:
    """The module of one evaluation; all of them would take seconds to import."""
    match name:
        case "davis":
            from eval.commands import davis as command
        case "lvos":
            from eval.commands import lvos as command
        case "longvideos":
            from eval.commands import longvideos as command
        case "ablation":
            from eval.commands import ablation as command
        case "vots":
            from eval.commands import vots as command
        case "imagenet-vid":
            from eval.commands import imagenet_vid as command
        case "mot":
            from eval.commands import mot as command
        case "trajectory":
            from eval.commands import trajectory as command
        case "depth":
            from eval.commands import depth as command
        case "compose":
            from eval.commands import compose as command
        case "questions":
            from eval.commands import questions as command
        case "cdnet":
            from eval.commands import cdnet as command
        case "consistency":
            from eval.commands import consistency as command
        case "strips":
            from eval.commands import strips as command
        case "report":
            from eval.commands import report as command
        case _:
            raise KeyError(name)
    return command
