"""The errors a user can cause. Each says what was expected, what came and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user gave cannot be used: a file, an option, a prompt, a config."""


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
