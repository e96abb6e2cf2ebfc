"""Read a frozen TensorFlow graph (`GraphDef`) without TensorFlow.

A `GraphDef` is a protobuf message; only the wire format and the few fields that a frozen inference graph
needs are read here: each node's name, op, inputs and attributes, and the tensors of `Const` nodes. Field
numbers follow tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape}.proto. Every length
is checked against what is left, so that a damaged file ends in an `IntegrityError` and never in a wrong
tensor.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamvos.errors import InputError, IntegrityError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# DataType of types.proto: its NumPy kind, and the field of TensorProto that lists values one by one
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?"}
_VALUE_FIELDS = {1: 5, 2: 6, 3: 7, 4: 7, 5: 7, 6: 7, 9: 10, 10: 11}
_MAX_ELEMENTS = 1 << 31


@dataclass(frozen=True)
class Node:
    """One operation of the graph.

    Args:
        name: unique in the graph.
        op: kind of operation, such as "Conv2D".
        inputs: names of the nodes it takes, as written (":1" and "^" marks kept).
        attrs: str, int, float, bool, shape tuples, lists of these, and arrays; unreadable kinds are left out.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: dict[str, Any]

    @property
    def value(self) -> np.ndarray:
        """The tensor of a `Const` node, read-only."""
        tensor = self.attrs.get("value")
        if self.op != "Const" or not isinstance(tensor, np.ndarray):
            raise IntegrityError(f"graph node {self.name!r} ({self.op}): expected a constant tensor")
        return tensor


@dataclass(frozen=True)
class Graph:
    """The nodes of a graph by name, in the order of the file."""

    nodes: dict[str, Node]

    def __getitem__(self, name: str) -> Node:
        if name not in self.nodes:
            raise IntegrityError(f"the graph has no node {name!r}; it is not the network that was expected")
        return self.nodes[name]

    def constant(self, name: str) -> np.ndarray:
        """The tensor that a node gives, looking through `Identity` nodes."""
        node = self[name]
        for _ in range(len(self.nodes)):
            if node.op != "Identity" or not node.inputs:
                return node.value
            node = self[node.inputs[0]]
        raise IntegrityError(f"graph node {name!r}: its identities form a circle")


def read_graph(path: Path) -> Graph:
    """Read a frozen graph file.

    Raises:
        InputError: the file cannot be opened.
        IntegrityError: the file is cut short, damaged, or no GraphDef.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"graph {path} cannot be read: {error.strerror or error}") from None
    try:
        return parse_graph(data)
    except IntegrityError as error:
        raise IntegrityError(f"graph {path} is damaged: {error}") from None


def parse_graph(data: bytes) -> Graph:
    """Parse the bytes of a GraphDef; raises `IntegrityError` where they are damaged."""
    nodes: dict[str, Node] = {}
    try:
        for number, wire, value in _fields(memoryview(data)):
            if number == 1 and wire == _BYTES:
                node = _node(value)
                if node.name in nodes:
                    raise IntegrityError(f"two nodes are called {node.name!r}")
                nodes[node.name] = node
    except (UnicodeDecodeError, struct.error, OverflowError) as error:
        raise IntegrityError(str(error)) from None
    if not nodes:
        raise IntegrityError("it has no nodes")
    return Graph(nodes)


def _node(data: memoryview) -> Node:
    name = op = ""
    inputs: list[str] = []
    attrs: dict[str, Any] = {}
    for number, wire, value in _fields(data):
        if number in (1, 2, 3, 5) and wire != _BYTES:
            raise IntegrityError(f"field {number} of a node has wire type {wire}")
        if number == 1:
            name = _text(value)
        elif number == 2:
            op = _text(value)
        elif number == 3:
            inputs.append(_text(value))
        elif number == 5:
            entry = {part: item for part, kind, item in _fields(value) if kind == _BYTES}
            if 1 not in entry or 2 not in entry:
                raise IntegrityError(f"node {name!r} has an attribute without name or value")
            attribute = _attribute(entry[2])
            if attribute is not None:
                attrs[_text(entry[1])] = attribute
    if not name or not op:
        raise IntegrityError("a node has no name or no op")
    return Node(name, op, tuple(inputs), attrs)


def _attribute(data: memoryview) -> Any:
    for number, wire, value in _fields(data):
        if number == 1 and wire == _BYTES:
            items: list[Any] = []
            for part, kind, item in _fields(value):
                items.extend(_scalars(part, kind, item))
            return items
        single = list(_scalars(number, wire, value))
        if single:
            return single[0]
    return None


def _scalars(number: int, wire: int, value: Any) -> Iterator[Any]:
    """The values of one field of AttrValue; of its ListValue as well, where numbers may come packed."""
    if number == 2 and wire == _BYTES:
        yield bytes(value).decode("utf-8", errors="replace")
    elif number in (3, 6) and wire in (_VARINT, _BYTES):
        yield from _varints(value) if wire == _BYTES else [_signed(value)]
    elif number == 4 and wire in (_FIXED32, _BYTES):
        yield from np.frombuffer(_whole(value, 4), "<f4").tolist()
    elif number == 5 and wire in (_VARINT, _BYTES):
        yield from map(bool, _varints(value) if wire == _BYTES else [value])
    elif number == 7 and wire == _BYTES:
        yield _shape(value)
    elif number == 8 and wire == _BYTES:
        tensor = _tensor(value)
        if tensor is not None:
            yield tensor


def _tensor(data: memoryview) -> np.ndarray | None:
    kind, shape, content = 0, (), None
    values: list[tuple[int, int, Any]] = []
    for number, wire, value in _fields(data):
        if number == 1 and wire == _VARINT:
            kind = value
        elif number == 2 and wire == _BYTES:
            shape = _shape(value)
        elif number == 4 and wire == _BYTES:
            content = value
        elif number >= 5:
            values.append((number, wire, value))
    if kind not in _DTYPES:
        return None  # strings and quantised kinds: no weights of ours
    dtype, count = np.dtype(_DTYPES[kind]), int(np.prod(shape, dtype=np.float64))
    if any(side < 0 for side in shape) or count > _MAX_ELEMENTS:
        raise IntegrityError(f"a tensor has the impossible shape {shape}")
    if content is not None:
        if len(content) != count * dtype.itemsize:
            raise IntegrityError(f"a tensor of shape {shape} {dtype} has {len(content)} bytes of content")
        return np.frombuffer(content, dtype).reshape(shape)
    return _listed(values, kind, dtype, count).reshape(shape)


def _listed(values: list[tuple[int, int, Any]], kind: int, dtype: np.dtype, count: int) -> np.ndarray:
    """A tensor given value by value; fewer values than elements mean that the last one is repeated."""
    numbers: list[Any] = []
    for number, wire, value in values:
        if number != _VALUE_FIELDS[kind]:
            continue
        if kind in (1, 2) and wire in (_FIXED32, _FIXED64, _BYTES):
            numbers.extend(np.frombuffer(_whole(value, dtype.itemsize), dtype))
        elif kind not in (1, 2) and wire in (_VARINT, _BYTES):
            numbers.extend(_varints(value) if wire == _BYTES else [_signed(value)])
    if len(numbers) > count or (count and not numbers):
        raise IntegrityError(f"a tensor of {count} elements lists {len(numbers)} values")
    array = np.empty(count, dtype)
    array[: len(numbers)] = numbers
    array[len(numbers) :] = numbers[-1] if numbers else 0
    array.flags.writeable = False
    return array


def _shape(data: memoryview) -> tuple[int, ...]:
    sides = []
    for number, wire, value in _fields(data):
        if number == 2 and wire == _BYTES:
            size = [item for part, kind, item in _fields(value) if part == 1 and kind == _VARINT]
            sides.append(_signed(size[0]) if size else 0)
    return tuple(sides)


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Walk a message: (field number, wire type, int for varints, memoryview for everything else)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise IntegrityError(f"field number 0 at byte {at}")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise IntegrityError(f"unknown wire type {wire} at byte {at}")
        if size > len(data) - at:
            raise IntegrityError(f"a field of {size} bytes where {len(data) - at} are left")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if at + index >= len(data):
            raise IntegrityError("it ends inside a number")
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise IntegrityError(f"a number of more than ten bytes at byte {at}")


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield _signed(value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _whole(data: memoryview, width: int) -> memoryview:
    if len(data) % width:
        raise IntegrityError(f"{len(data)} bytes do not hold numbers of {width} bytes")
    return data


def _text(data: memoryview) -> str:
    return bytes(data).decode("utf-8")
