"""The scene as one binary little-endian PLY: the static map, and the moving objects apart by their id.

Vertex properties: x y z (float), red green blue (uchar), confidence (float), map_id (int), object_id (int; 0 is
static). MeshLab, CloudCompare and Open3D open it; the extra properties become scalar fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from streamvos.errors import InputError, IntegrityError

_VERTEX = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("red", "u1"),
        ("green", "u1"),
        ("blue", "u1"),
        ("confidence", "<f4"),
        ("map_id", "<i4"),
        ("object_id", "<i4"),
    ]
)
_PLY_NAMES = {"<f4": "float", "|u1": "uchar", "<i4": "int"}


def write_scene(path: Path, products: Mapping[str, np.ndarray]) -> int:
    """Write the products of the reconstruct stage as one PLY; returns the number of vertices.

    Args:
        path: the file; written under a temporary name first, so that it is whole or absent.
        products: `static_xyz` (N, 3) float32, `static_rgb` (N, 3) uint8, `static_confidence` (N,) float32,
            `static_map_id` (N,) int32, `dynamic_xyz` (M, 3), `dynamic_rgb` (M, 3), `dynamic_object_id` (M,),
            and, where given, `dynamic_map_id` (M,); without it moving points belong to the latest map.
    """
    num_static, num_dynamic = len(products["static_xyz"]), len(products["dynamic_xyz"])
    vertices = np.zeros(num_static + num_dynamic, _VERTEX)
    parts = (("static", slice(0, num_static)), ("dynamic", slice(num_static, None)))
    for part, rows in parts:
        for column, name in enumerate(("x", "y", "z")):
            vertices[name][rows] = products[f"{part}_xyz"][:, column]
        for column, name in enumerate(("red", "green", "blue")):
            vertices[name][rows] = products[f"{part}_rgb"][:, column]
    vertices["confidence"][:num_static] = products["static_confidence"]
    vertices["confidence"][num_static:] = 1.0
    vertices["map_id"][:num_static] = products["static_map_id"]
    latest = int(products["static_map_id"].max()) if num_static else 0
    vertices["map_id"][num_static:] = products.get("dynamic_map_id", latest)
    vertices["object_id"][num_static:] = products["dynamic_object_id"]
    part_path = path.with_name(path.name + ".part")
    with part_path.open("wb") as file:
        file.write(_header(len(vertices)))
        file.write(vertices.tobytes())
    part_path.replace(path)
    return len(vertices)


def read_scene(path: Path) -> np.ndarray:
    """Read what `write_scene` wrote, as a structured (N,) array with the properties as fields.

    Raises:
        InputError: the file is absent.
        IntegrityError: it is not such a file, or it is cut short.
    """
    if not path.is_file():
        raise InputError(f"point cloud {path} does not exist")
    data = path.read_bytes()
    end = data.find(b"end_header\n")
    lines = data[: max(end, 0)].decode("ascii", "replace").splitlines()
    counts = [line.split()[2] for line in lines if line.startswith("element vertex ")]
    if end < 0 or len(counts) != 1 or not counts[0].isdigit() or data[: end + 11] != _header(int(counts[0])):
        raise IntegrityError(f"point cloud {path}: expected a PLY written by write_scene")
    body = data[end + 11 :]
    if len(body) != int(counts[0]) * _VERTEX.itemsize:
        raise IntegrityError(
            f"point cloud {path}: expected {int(counts[0]) * _VERTEX.itemsize} bytes of vertices, got {len(body)}"
        )
    return np.frombuffer(body, _VERTEX)


def _header(count: int) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0", "comment streamvos; object_id 0 is static"]
    lines.append(f"element vertex {count}")
    for name in _VERTEX.names or ():
        lines.append(f"property {_PLY_NAMES[_VERTEX[name].str]} {name}")
    lines.append("end_header\n")
    return "\n".join(lines).encode("ascii")
