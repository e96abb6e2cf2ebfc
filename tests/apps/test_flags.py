"""Messages of the library speak of arguments; at the command line they name the flags."""

import ast
import re
from pathlib import Path

import pytest

import memory_bank
import pipelines
import streamvos
from apps.cli import make_parser
from apps.flags import FLAGS, name_flags

FILES = [path for one in (streamvos, memory_bank, pipelines) for path in Path(one.__path__[0]).rglob("*.py")]
OUR_OWN_COMMANDS = "training"  # `python -m pipelines.training.…` defines options


def texts(path: Path) -> str:
    """All that the file's strings say, without docstrings; parts that stand side by side are one text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return "\n".join(node.value for node in strings if id(node) not in docstrings)


def test_the_library_names_no_flag() -> None:
    flag = re.compile(r"(?<![\w-])(?<!pip install )--[a-z]")  # pip's are not ours
    own = [path for path in FILES if OUR_OWN_COMMANDS not in path.parts and path.name != "entries.py"]
    assert [str(path) for path in own if flag.search(texts(path))] == []


@pytest.mark.parametrize("argument", FLAGS)
def test_what_is_translated_is_said_somewhere(argument: str) -> None:
    assert any(argument in texts(path) for path in FILES)


@pytest.mark.parametrize("argument", FLAGS)
def test_the_flags_exist(argument: str) -> None:
    (commands,) = [action for action in make_parser()._actions if action.choices and "run" in action.choices]
    help_text = "".join(commands.choices[name].format_help() for name in ("run", "export"))
    flags = re.findall(r"--[a-z-]+", FLAGS[argument])
    assert flags and all(flag in help_text for flag in flags)


def test_a_message_as_the_command_line_shows_it() -> None:
    said = "is not empty; go on with resume=True, or replace it with overwrite=True"
    assert name_flags(said) == "is not empty; go on with --resume, or replace it with --overwrite"
    assert name_flags("setting size: expected at least 64") == "setting size: expected at least 64"
