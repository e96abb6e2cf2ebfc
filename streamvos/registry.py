"""What can be chosen by name (trackers, refiners, policies, detectors, runners): one small registry for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from streamvos.errors import InputError, unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries of one kind, in the order in which they were registered.

    An entry is registered in the file that defines it, by the decorator `@KIND.register("name")`; the module that hands
    the registry on imports these files. So a new entry is one file and one line.

    Args:
        kind: what messages call it ("base tracker").
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[Any], Any]:
        """Decorate an entry, which stays what it is; a name that is taken raises `InputError`."""

        def keep(entry: T) -> T:
            if name in self._entries:
                raise InputError(f"{self._kind} {name!r} is registered already; choose another name")
            self._entries[name] = entry
            return entry

        return keep

    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def get(self, name: str) -> T:
        """The entry of that name; an unknown one raises `InputError`, which lists the valid ones."""
        if name not in self._entries:
            raise unknown_name(self._kind, name, self._entries)
        return self._entries[name]
