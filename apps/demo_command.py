"""`streamvos demo`: a page on which a video plays while it is processed, is pointed at and asked about.

The options alone; what they set in motion takes seconds to import.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from apps.run_options import DEVICES, RUNNERS, STAGES
from streamvos.errors import InputError

LOGIN_VARIABLE = "STREAMVOS_AUTH"
_MADE_UP_USER = "streamvos"


def add_parser(subparsers: argparse._SubParsersAction, parents: list[argparse.ArgumentParser]) -> None:
    """Add `demo` to the command line."""
    parser = subparsers.add_parser(
        "demo",
        parents=parents,
        help="open the live demo in a browser",
        description="A page on which a video plays while it is processed, is pointed at and asked about.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to bind to (default: %(default)s, this machine alone)")
    add("--port", type=int, default=7860, help="0 takes any that is free (default: %(default)s)")
    add(
        "--auth",
        metavar="USER:PASSWORD",
        help=f"ask for a login; ${LOGIN_VARIABLE} does the same unseen by others. "
        "Without it, a page that other machines can reach makes up a password and prints it",
    )
    add("--stages", metavar="A,B", help=f"any of {','.join(STAGES)} (default: all)")
    add("--runner", choices=RUNNERS, default="local", help="where the stages run (default: %(default)s)")
    add("--size", type=int, metavar="PX", help="working short side in pixels (default: 320)")
    add("--detect-every", type=int, metavar="K", help="run the detector on every K-th frame")
    add("--config", type=Path, metavar="FILE", help="TOML with any setting; [demo] has the limits and the streams")
    add("--device", choices=DEVICES, help="where networks run")
    add("--profile", choices=("embedded", "hub"), help="hub refines masks by SAM-HQ, whose weights are fetched before")
    add("--seed", type=int, metavar="N", help="of all random choices")
    add("--threads", type=int, metavar="N", help="CPU threads of each video (default: all cores but one)")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from apps.live.server import is_open_to_others, serve  # loads torch, which help and wrong usage need not wait for
    from apps.settings import graph_options, live_defaults, read_config

    login = parse_login(args.auth or os.environ.get(LOGIN_VARIABLE))
    config, limits = read_config(args.config, graph_options(args), live_defaults())
    told = ""
    if login is None and is_open_to_others(args.host, limits):
        login = _MADE_UP_USER, secrets.token_urlsafe(12)
        told = "\nlog in as {} with the password {}".format(*login)
    serve(
        config,
        limits,
        host=args.host,
        port=args.port,
        login=login,
        runner=args.runner,
        on_ready=lambda url: print_now(f"StreamVOS demo: {url}  (Ctrl-C ends it){told}"),
    )
    return 0


def parse_login(text: str | None) -> tuple[str, str] | None:
    """User and password of "user:password"; None where nothing is given."""
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not user or not colon or not password:
        raise InputError("--auth: expected USER:PASSWORD, both not empty")
    return user, password


def print_now(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
