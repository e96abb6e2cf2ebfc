"""Files that someone else wrote: whatever is wrong with one is told in one clear error."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamvos.errors import InputError


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8; a byte order mark at its beginning is passed over.

    Args:
        path: of the file.
        what: it is, as the message begins ("labels 'a.txt'").

    Raises:
        InputError: it is not there, cannot be read, or is of another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is not UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a path with a zero byte is a ValueError
        raise InputError(f"{what} cannot be read ({getattr(error, 'strerror', None) or error})") from None


def read_json(path: Path, what: str) -> Any:
    """What a JSON file in UTF-8 holds, see `read_text`.

    Raises:
        InputError: also for what is no JSON, or nested beyond all use.
    """
    text = read_text(path, what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not JSON ({error})") from None


def is_file(path: Path) -> bool:
    """Whether there is such a file; False also for a name that no system can hold."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or a zero byte
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False also for a name that no system can hold."""
    return exists(path) and path.is_dir()


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; False also for a name that no system can hold."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def picture_errors(what: str) -> Iterator[None]:
    """Around opening and decoding a picture: what Pillow stumbles over in a damaged one becomes an `InputError`.

    Its parsers answer damage with many kinds of errors, of which `OSError` and `SyntaxError` are only the usual ones.

    Args:
        what: the picture is, as the message begins.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{what} does not exist") from None
    except Exception as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{what} cannot be read as a picture ({told})") from None
