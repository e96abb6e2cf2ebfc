import numpy as np
import pytest

from streamvos.errors import InputError, IntegrityError
from streamvos.export.ply import read_scene, write_scene


def products(num_static: int, num_dynamic: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "static_xyz": rng.normal(size=(num_static, 3)).astype(np.float32),
        "static_rgb": rng.integers(0, 256, (num_static, 3)).astype(np.uint8),
        "static_confidence": rng.random(num_static).astype(np.float32),
        "static_map_id": np.arange(num_static, dtype=np.int32) % 3,
        "dynamic_xyz": rng.normal(size=(num_dynamic, 3)).astype(np.float32),
        "dynamic_rgb": rng.integers(0, 256, (num_dynamic, 3)).astype(np.uint8),
        "dynamic_object_id": np.full(num_dynamic, 7, np.int32),
    }


@pytest.mark.parametrize("counts", [(5, 3), (4, 0), (0, 2), (0, 0)], ids=["both", "static", "moving", "empty"])
def test_round_trip(tmp_path, counts):
    given = products(*counts)
    assert write_scene(tmp_path / "scene.ply", given) == sum(counts)
    vertices = read_scene(tmp_path / "scene.ply")
    xyz = np.stack([vertices[name] for name in "xyz"], axis=1)
    np.testing.assert_array_equal(xyz, np.concatenate([given["static_xyz"], given["dynamic_xyz"]]))
    rgb = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=1)
    np.testing.assert_array_equal(rgb, np.concatenate([given["static_rgb"], given["dynamic_rgb"]]))
    np.testing.assert_array_equal(vertices["confidence"][: counts[0]], given["static_confidence"])
    np.testing.assert_array_equal(vertices["map_id"][: counts[0]], given["static_map_id"])
    assert vertices["object_id"].tolist() == [0] * counts[0] + [7] * counts[1]


def test_header_is_what_other_programs_read(tmp_path):
    write_scene(tmp_path / "scene.ply", products(2, 1))
    data = (tmp_path / "scene.ply").read_bytes()
    header, body = data.split(b"end_header\n", 1)
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "element vertex 3" in lines and "property float x" in lines and "property int object_id" in lines
    assert len(body) == 3 * (3 * 4 + 3 + 4 + 4 + 4)
    assert not list(tmp_path.glob("*.part"))


def test_damage_is_noticed(tmp_path):
    path = tmp_path / "scene.ply"
    write_scene(path, products(4, 0))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="bytes of vertices"):
        read_scene(path)
    path.write_text("no ply")
    with pytest.raises(IntegrityError, match="write_scene"):
        read_scene(path)
    with pytest.raises(InputError, match="does not exist"):
        read_scene(tmp_path / "none.ply")
