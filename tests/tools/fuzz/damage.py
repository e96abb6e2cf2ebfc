"""Damage to a file, of the kinds that its format has."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.tools.fuzz import damage_bytes, damage_containers, damage_json, damage_text, damage_xml

Damage = Callable[[bytes, random.Random], bytes]

_BY_SUFFIX: dict[str, Damage] = {
    "json": damage_json.damaged,
    "jsonl": damage_json.damaged_lines,
    "toml": damage_json.damaged_toml,
    "xml": damage_xml.damaged,
    "XML": damage_xml.damaged,
    "png": damage_containers.damaged_png,
    "npz": damage_containers.damaged_npz,
    "part": damage_json.damaged_lines,  # what a run has not finished: tracks.jsonl.part, events.jsonl.part
    "txt": damage_text.damaged,
    "ini": damage_text.damaged,
    "yaml": damage_text.damaged,
}
_OF_FORMAT = 0.75  # of the inputs have damage that their format knows; the others that of bytes


def damaged(name: str, data: bytes, alike: Sequence[bytes], draw: random.Random) -> bytes:
    """A damaged copy of a file's bytes.

    Args:
        name: of the file; its suffix tells the format.
        data: valid bytes.
        alike: those of other valid inputs with a file of this name, for splices.
        draw: decides all.
    """
    of_format = _BY_SUFFIX.get(name.rpartition(".")[2])
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        if of_format is not None and draw.random() < _OF_FORMAT:
            data = of_format(data, draw)
        else:
            data = damage_bytes.damaged(data, alike, draw)
    return data
