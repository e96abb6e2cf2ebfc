"""The GraphDef reader against messages built by hand, and against damage."""

import struct

import numpy as np
import pytest

from streamvos.errors import InputError, IntegrityError
from streamvos.models.graphdef import parse_graph, read_graph


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def shape(*sides: int) -> bytes:
    return b"".join(block(2, number(1, side)) for side in sides)


def attribute(key: str, value: bytes) -> bytes:
    return block(5, block(1, key) + block(2, value))


def node(name: str, op: str, inputs=(), attributes: bytes = b"") -> bytes:
    body = block(1, name) + block(2, op) + b"".join(block(3, each) for each in inputs) + attributes
    return block(1, body)


def const(name: str, tensor: bytes) -> bytes:
    return node(name, "Const", attributes=attribute("value", block(8, tensor)))


FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)
NODES = (
    const("w", number(1, 1) + block(2, shape(2, 3)) + block(4, FLOATS.tobytes())),
    node("w/read", "Identity", ["w"]),
    node(
        "conv",
        "Conv2D",
        ["x", "w/read"],
        attribute("padding", block(2, "SAME"))
        + attribute("strides", block(1, block(3, b"".join(map(varint, (1, 2, 2, 1))))))
        + attribute("epsilon", varint(4 << 3 | 5) + struct.pack("<f", 0.5))
        + attribute("flag", number(5, 1))
        + attribute("offset", number(3, -7)),
    ),
)
GRAPH = b"".join(NODES)


def test_reads_nodes_attributes_and_constants():
    graph = parse_graph(GRAPH)
    conv = graph["conv"]
    assert (conv.op, conv.inputs) == ("Conv2D", ("x", "w/read"))
    assert conv.attrs == {
        "padding": "SAME",
        "strides": [1, 2, 2, 1],
        "epsilon": 0.5,
        "flag": True,
        "offset": -7,
    }
    np.testing.assert_array_equal(graph.constant("w/read"), FLOATS)
    assert not graph.constant("w").flags.writeable


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        pytest.param(
            number(1, 1) + block(2, shape(3)) + block(5, struct.pack("<3f", 1, 2, 3)),
            np.array([1, 2, 3], np.float32),
            id="packed floats",
        ),
        pytest.param(
            number(1, 1) + block(2, shape(2, 2)) + varint(5 << 3 | 5) + struct.pack("<f", 4),
            np.full((2, 2), 4, np.float32),
            id="one value fills the tensor",
        ),
        pytest.param(
            number(1, 2) + block(2, shape(1)) + block(6, struct.pack("<d", 0.1)), np.array([0.1]), id="double"
        ),
        pytest.param(
            number(1, 3) + block(2, shape(2)) + number(7, -1) + number(7, 5),
            np.array([-1, 5], np.int32),
            id="int32 one by one",
        ),
        pytest.param(number(1, 9) + number(10, 1 << 40), np.array(1 << 40, np.int64), id="int64 scalar"),
        pytest.param(number(1, 10) + number(11, 1), np.array(True), id="bool"),
        pytest.param(number(1, 1) + block(2, shape(0)), np.zeros(0, np.float32), id="empty"),
    ],
)
def test_reads_tensors_given_value_by_value(tensor, expected):
    value = parse_graph(const("c", tensor)).constant("c")
    assert value.dtype == expected.dtype
    np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"this is not a graph", id="text"),
        pytest.param(GRAPH[:-3], id="cut short"),
        pytest.param(b"\xff" * 20, id="endless number"),
        pytest.param(GRAPH + GRAPH, id="names twice"),
        pytest.param(block(1, block(2, "Const")), id="node without name"),
        pytest.param(block(1, block(1, b"\xff\xfe") + block(2, "Const")), id="name is not text"),
        pytest.param(const("c", number(1, 1) + block(2, shape(2)) + block(4, b"1234")), id="content too short"),
        pytest.param(const("c", number(1, 1) + block(2, shape(-2)) + block(4, b"")), id="negative side"),
        pytest.param(const("c", number(1, 1) + block(2, shape(1 << 40)) + block(5, b"1234")), id="impossible size"),
        pytest.param(const("c", number(1, 1) + block(2, shape(1)) + block(5, b"123")), id="odd bytes"),
        pytest.param(const("c", number(1, 3) + number(7, 1 << 40)), id="does not fit its type"),
    ],
)
def test_damage_is_an_integrity_error(data):
    with pytest.raises(IntegrityError):
        parse_graph(data)


def is_read(data: bytes) -> bool:
    """Whether it is read; False: it is refused with an `IntegrityError`. Any other error is a fault of ours."""
    try:
        parse_graph(data)
    except IntegrityError:
        return False
    return True


def test_every_prefix_is_read_only_if_it_ends_between_nodes():
    ends = [length for length in range(len(GRAPH)) if is_read(GRAPH[:length])]
    assert ends == [len(NODES[0]), len(NODES[0] + NODES[1])]


def test_flipped_bytes_are_read_or_refused():
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(2000):
        data = bytearray(GRAPH)
        data[rng.integers(len(data))] = rng.integers(256)
        count += is_read(bytes(data))
    assert 0 < count < 2000


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(node("a", "Identity", ["b"]) + node("b", "Identity", ["a"]), id="circle"),
        pytest.param(node("a", "Identity", ["b"]), id="missing input"),
        pytest.param(node("a", "Conv2D"), id="no constant"),
    ],
)
def test_a_constant_that_is_none_is_an_integrity_error(data):
    with pytest.raises(IntegrityError, match=r"'[ab]'"):
        parse_graph(data).constant("a")


def test_file_errors_name_the_file(tmp_path):
    damaged = tmp_path / "damaged.pb"
    damaged.write_bytes(GRAPH[:-1])
    with pytest.raises(IntegrityError, match="damaged.pb"):
        read_graph(damaged)
    with pytest.raises(InputError, match="absent.pb"):
        read_graph(tmp_path / "absent.pb")
