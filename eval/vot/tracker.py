"""The program that the VOT toolkit starts: `python -m eval.vot.tracker --settings FILE`.

It runs our tracker behind the toolkit's folder protocol (in the folder where it is started) or as a TraX server (on its
standard input and output). What goes wrong is written to the log, because the toolkit shows neither output nor errors
of trackers.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.running.trackers import CopyFirstMask, SessionTracker
from eval.vot.folder_protocol import read_request, write_answer
from eval.vot.follow import follow
from eval.vot.trax_protocol import serve
from pipelines.graph.build import GraphConfig
from streamvos import config as configuration
from streamvos.errors import unknown_name

logger = logging.getLogger(__name__)

PROTOCOLS = ("folder", "trax")
METHODS = ("session", "copy")
MakeTracker = SessionTracker | CopyFirstMask


def settings_of(make_tracker: MakeTracker) -> dict[str, Any]:
    """What `--settings` holds for a tracker; the opposite of `tracker_from`."""
    if isinstance(make_tracker, CopyFirstMask):
        return {"method": "copy"}
    return {"method": "session", "config": configuration.to_dict(make_tracker.config)}


def tracker_from(settings: dict[str, Any]) -> MakeTracker:
    """The maker of trackers that settings describe.

    Raises:
        InputError: an unknown method or setting.
    """
    if settings["method"] not in METHODS:
        raise unknown_name("method", str(settings["method"]), METHODS)
    if settings["method"] == "copy":
        return CopyFirstMask()
    return SessionTracker(configuration.merge(GraphConfig(), settings["config"]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow what the toolkit asks for; 0 where all went well, 1 with the reason in the log."""
    parser = argparse.ArgumentParser(prog="python -m eval.vot.tracker", description="StreamVOS for the VOT toolkit.")
    parser.add_argument("--settings", type=Path, required=True, help="JSON as in a workspace's folder `settings`")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="folder")
    parser.add_argument("--log", type=Path, help="file that messages and errors are added to")
    args = parser.parse_args(arguments)
    logging.basicConfig(filename=args.log, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        make_tracker = tracker_from(json.loads(args.settings.read_text(encoding="utf-8")))
        if args.protocol == "trax":
            _serve(make_tracker)
        else:
            frames, queries = read_request(Path.cwd())
            logger.info("%d objects in %d frames", len(queries), len(frames))
            write_answer(Path.cwd(), follow(frames, queries, make_tracker))
    except Exception:
        logger.exception("the tracker stopped")
        return 1
    return 0


def _serve(make_tracker: MakeTracker) -> None:
    """TraX on the standard streams; anything else that is printed would break its lines, so it goes nowhere."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as sink:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
                os.dup2(nowhere.fileno(), stream.fileno())
        serve(sys.stdin, sink, make_tracker)


if __name__ == "__main__":
    sys.exit(main())
