"""Damage to XML that is still XML: elements and attributes that are lost, doubled, nested or say something else."""

from __future__ import annotations

import copy
import random
from xml.etree import ElementTree

from tests.tools.fuzz import damage_text

_BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">{}]>{}"""
_LEVELS = 12  # each ten times the one before


def damaged(data: bytes, draw: random.Random) -> bytes:
    """A copy with another tree, with damage of text, or with entities that grow."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError, RecursionError):  # LookupError: of its encoding
        return damage_text.damaged(data, draw)
    kind = draw.choice(["text", "text", "attribute", "attribute", "drop", "twice", "nest", "rename", "move", "bomb"])
    if kind == "bomb":
        return _bomb(data)
    parents = [one for one in root.iter() if len(one)] or [root]
    element, parent = draw.choice(list(root.iter())), draw.choice(parents)
    word = _allowed(draw.choice(damage_text.WORDS + damage_text.NUMBERS))
    if kind == "text":
        element.text = word
    elif kind == "attribute" and element.attrib:
        name = draw.choice(list(element.attrib))
        if draw.random() < 0.3:
            del element.attrib[name]
        elif draw.random() < 0.5:
            element.attrib[name] = _allowed(damage_text.damaged_text(element.attrib[name], draw))
        else:
            element.attrib[name] = word
    elif kind == "drop" and len(parent):
        parent.remove(draw.choice(list(parent)))
    elif kind == "twice" and len(parent):
        one = draw.choice(list(parent))
        parent.extend(copy.deepcopy(one) for _ in range(draw.choice([1, 3, 300])))
    elif kind == "nest":
        for _ in range(draw.choice([1, 50, 5000])):
            element = ElementTree.SubElement(element, element.tag)
    elif kind == "rename":
        element.tag = draw.choice(["a", "object", "box", element.tag.upper()])
    else:
        parent.append(copy.deepcopy(element))
    try:
        return ElementTree.tostring(root)
    except RecursionError:
        return b"<a>" * 100_000


def _allowed(word: str) -> str:
    """A word without the characters that no XML can hold."""
    return "".join(one for one in word if one >= " " or one in "\t\n")


def _bomb(data: bytes) -> bytes:
    names = "abcdefghijklmnop"
    grows = "".join(f'<!ENTITY {names[level]} "{f"&{names[level - 1]};" * 10}">' for level in range(1, _LEVELS))
    body = (
        data.decode(errors="replace").partition("?>")[2] if data.startswith(b"<?xml") else data.decode(errors="replace")
    )
    head, mark, tail = body.partition(">")
    return _BOMB.format(grows, f"{head}{mark}&{names[_LEVELS - 1]};{tail}").encode()
