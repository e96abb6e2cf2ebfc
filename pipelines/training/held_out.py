"""Which pictures of a source are set apart for validation: a fixed tenth, by a hash of the picture's name.

A name says which picture it is: the same one in another folder, at another size or in another order of files falls on
the same side. What the weights shipped so far have learned from stays on its side: of COCO128, the tenth that its
trainings set apart in the order of names is held out, and nothing else.
"""

from __future__ import annotations

import hashlib

_SHARE = 10  # one of so many is held out
_COCO128_LAST_ID = 650  # COCO128 is the first 128 pictures of COCO train2017; all that have such a number follow it
_COCO128_HELD_OUT = frozenset({9, 72, 110, 154, 257, 321, 368, 404, 459, 514, 564, 599, 641})


def is_held_out(name: str) -> bool:
    """Whether no training may learn from a picture; `name` is that of its file without the suffix."""
    if name.isdecimal() and len(name) == 12 and int(name) <= _COCO128_LAST_ID:  # COCO writes its numbers so
        return int(name) in _COCO128_HELD_OUT
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % _SHARE == 0
