"""Class names by id: COCO's keep COCO's ids, other names are numbered behind them as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from streamvos.models import coco


class Vocabulary(Mapping[int, str]):
    """The classes of one detector, which may grow.

    Args:
        names: those known from the beginning.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: dict[int, str] = {}
        self._ids: dict[str, int] = {}
        self._own: list[str] = []
        for name in names:
            self.id_of(name)

    @property
    def own(self) -> list[str]:
        """The names that COCO does not have, in the order of their ids."""
        return list(self._own)

    @property
    def num_ids(self) -> int:
        """One more than the largest id that a name has or could have in COCO."""
        return coco.NUM_IDS + len(self._own)

    def id_of(self, name: str) -> int:
        """The id of a name; a new name enters the vocabulary."""
        if name not in self._ids:
            class_id = coco.ID_OF.get(name)
            if class_id is None:
                class_id = self.num_ids
                self._own.append(name)
            self._names[class_id], self._ids[name] = name, class_id
        return self._ids[name]

    def restore(self, own: Iterable[str]) -> None:
        """Give names that COCO does not have the ids that they had when `own` was asked for."""
        for name in own:
            self.id_of(name)

    def __getitem__(self, class_id: int) -> str:
        return self._names[class_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
