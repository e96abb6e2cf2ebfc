"""The errors a user can cause. Each says what was expected, what came and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_CHARS, _FIRST_CHARS = 1500, 1000  # of a message: what was given, which it quotes, can be of any length


class InputError(ValueError):
    """Something that the user gave cannot be used: a file, an option, a prompt, a config.

    Args:
        message: of one that is too long to be read the beginning and the end stay.
    """

    def __init__(self, message: str) -> None:
        if len(message) > _MOST_CHARS:
            message = f"{message[:_FIRST_CHARS]} […] {message[_FIRST_CHARS - _MOST_CHARS :]}"
        super().__init__(message)


class MissingWeightsError(InputError):
    """Weights that a chosen model needs are not on this machine; the message names the command that gets them."""


class IntegrityError(InputError):
    """A file is not the one expected: its checksum or its structure differs."""


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """Build the error for a name that is not in a registry: lists the valid ones and suggests the nearest."""
    options = sorted(valid)
    near = difflib.get_close_matches(name, options, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {kind} {name!r}{hint} (valid: {', '.join(options)})")


class OutputError(InputError):
    """Results cannot be written: no space, no permission, a broken disk. What was written before is kept."""
