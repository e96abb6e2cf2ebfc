"""The command line: `streamvos run | ask | export | demo | models | bench | eval`.

Results go to stdout, progress and errors to stderr. Exit codes: 0 fine, 1 failed, 2 bad usage or input, 130
interrupted, with partial results closed properly.

Nothing heavy is imported here, and what a command needs only when it is chosen: help and wrong usage are answered at
once, and Ctrl-C is caught also while the rest is loading.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import streamvos
from apps.console import forgiving_console
from apps.flags import name_flags
from streamvos.errors import InputError, OutputError


class UsageError(InputError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """Bad usage is answered by one line, as any bad input is."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    with forgiving_console():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    arguments = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in arguments
    _quieten(debug)
    try:
        args = make_parser(arguments).parse_args(arguments)
        _expand_home(args)
        args.words = tuple(arguments)  # results record the command that made them
        return args.run(args)
    except SystemExit as done:  # --help and --version
        return int(done.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 130, debug)
    except OutputError as error:
        return _fail(name_flags(str(error)), 1, debug)
    except InputError as error:
        return _fail(name_flags(str(error)), 2, debug)
    except Exception as error:
        return _fail(_explained(error), 1, debug)


def make_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line; the options of a heavy command only where `arguments` choose it."""
    from apps import ask_command, bench_command, demo_command, export_command, models_command, run_options
    from eval import cli as evaluations

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="log more, show tracebacks")
    parser = Parser(prog="streamvos", description="Streaming video perception with bounded memory.", parents=[common])
    parser.set_defaults(debug=False)
    parser.add_argument("--version", action="version", version=f"streamvos {streamvos.__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for command in (run_options, ask_command, export_command, demo_command, models_command, bench_command):
        command.add_parser(subparsers, [common])
    evaluations.add_parser(subparsers, [common], arguments)
    return parser


def _expand_home(args: argparse.Namespace) -> None:
    """Let "~" stand for the home folder also in `--out=~/x`, where a shell leaves it alone."""
    for name, value in vars(args).items():
        if isinstance(value, Path) or (name == "out" and isinstance(value, str)):
            setattr(args, name, type(value)(os.path.expanduser(value)))


def _explained(error: Exception) -> str:
    pipeline = sys.modules.get("pipelines.graph.chain")  # where it is not loaded, nothing of it was raised
    if pipeline is not None and isinstance(error, pipeline.ActorLostError):
        return name_flags(str(error))
    return f"{type(error).__name__}: {error} (--debug shows where)"


def _quieten(debug: bool) -> None:
    """One clear line instead of what libraries say on the way, unless someone is debugging."""
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    if not debug:
        warnings.simplefilter("ignore")


def _fail(message: str, code: int, debug: bool) -> int:
    if debug and sys.exc_info()[0] is not None:
        logging.getLogger(__name__).exception("traceback")
    sys.stderr.write(f"streamvos: error: {' '.join(message.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
