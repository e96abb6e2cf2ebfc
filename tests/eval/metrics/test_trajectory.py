import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eval.metrics.trajectory import (
    constant_velocity_baseline,
    evaluate,
    identity_baseline,
    largest_map,
    relative_errors,
    umeyama,
)
from streamvos.errors import InputError
from streamvos.export.trajectory import Trajectory, associate, read_trajectory

FIXTURES = Path(__file__).parent.parent / "fixtures" / "trajectory"


def trajectory(positions, rotations=None, times=None) -> Trajectory:
    positions = np.asarray(positions, float)
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, 3] = positions
    if rotations is not None:
        poses[:, :3, :3] = rotations
    times = np.arange(len(positions), dtype=float) if times is None else np.asarray(times, float)
    return Trajectory(times, poses, np.zeros(len(positions), np.int64))


def test_hand_computed_errors():
    truth = trajectory([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    # A point symmetric disturbance: the alignment is the identity, each position is off by 0.1.
    estimate = trajectory([[0, 0, 0.1], [1, 0, -0.1], [1, 1, 0.1], [0, 1, -0.1]])
    errors = evaluate(estimate, truth)
    assert errors.ate_rmse_m == pytest.approx(0.1)
    assert errors.rpe_translation_rmse_m == pytest.approx(0.2)
    assert errors.rpe_rotation_rmse_deg == pytest.approx(0.0, abs=1e-9)
    assert errors.num_poses == 4 and errors.coverage == 1.0


def test_moved_and_scaled_copies_are_perfect():
    rng = np.random.default_rng(1)
    truth = trajectory(rng.normal(size=(30, 3)), Rotation.random(30, random_state=1).as_matrix())
    turn = Rotation.from_euler("xyz", [20, -70, 110], degrees=True).as_matrix()
    moved = truth.world_from_camera.copy()
    moved[:, :3, 3] = 0.25 * truth.world_from_camera[:, :3, 3] @ turn.T + [1, 2, 3]
    moved[:, :3, :3] = turn @ truth.world_from_camera[:, :3, :3]
    scaled = Trajectory(truth.times_s, moved, truth.map_ids)
    errors = evaluate(scaled, truth, with_scale=True)
    assert errors.ate_rmse_m == pytest.approx(0, abs=1e-12) and errors.scale == pytest.approx(4)
    assert errors.rpe_translation_rmse_m == pytest.approx(0, abs=1e-12)
    assert evaluate(scaled, truth, with_scale=False).ate_rmse_m > 0.5


def test_alignment_never_mirrors():
    source = np.random.default_rng(2).normal(size=(20, 3))
    _, rotation, _ = umeyama(source, source * [1, 1, -1], with_scale=False)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_relative_rotation_in_degrees():
    truth = np.tile(np.eye(4), (3, 1, 1))
    estimate = truth.copy()
    estimate[1, :3, :3] = Rotation.from_euler("y", 3, degrees=True).as_matrix()
    estimate[2, :3, :3] = Rotation.from_euler("y", 1e-4, degrees=True).as_matrix()
    assert relative_errors(estimate, truth)[1] == pytest.approx([3, 2.9999], rel=1e-6)
    assert relative_errors(estimate, truth, delta=2)[1] == pytest.approx([1e-4], rel=1e-4)


def test_association_takes_the_nearest_pair_once():
    pairs = associate(np.array([0.0, 0.009, 0.5]), np.array([0.01, 0.2]), 0.02)
    assert pairs.tolist() == [[1, 0]]


def test_too_few_common_poses():
    with pytest.raises(InputError, match="at least 3 poses"):
        evaluate(trajectory(np.eye(3)), trajectory(np.eye(3), times=[10, 11, 12]))


def test_baselines():
    straight = trajectory([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    assert evaluate(constant_velocity_baseline(straight), straight).ate_rmse_m == pytest.approx(0)
    assert evaluate(identity_baseline(straight), straight).ate_rmse_m == pytest.approx(np.sqrt(1.25))


def evo_cases() -> list:
    """What the evo package said; made by fixtures/trajectory/record.py."""
    cases = json.loads((FIXTURES / "evo.json").read_text())
    names = [f"{one['estimate']}-{'sim3' if one['with_scale'] else 'se3'}-{one['delta']}" for one in cases]
    return [pytest.param(one, id=Path(name).name) for one, name in zip(cases, names, strict=True)]


@pytest.mark.parametrize("case", evo_cases())
def test_agrees_with_evo(case, request):
    """On trajectories made up for it everywhere, on the test data of evo where STREAMVOS_DATA holds it."""
    folder = request.getfixturevalue("data_dir") if "/" in case["estimate"] else FIXTURES
    estimate, truth = (read_trajectory(folder / case[name]) for name in ("estimate", "truth"))
    errors = evaluate(estimate, truth, case["with_scale"], case["delta"])
    assert errors.num_poses == case["num_poses"]
    for name in ("ate_rmse_m", "rpe_translation_rmse_m", "rpe_rotation_rmse_deg"):
        assert getattr(errors, name) == pytest.approx(case[name], rel=1e-9, abs=1e-9)


def test_largest_map():
    poses = np.tile(np.eye(4), (5, 1, 1))
    found = largest_map(Trajectory(np.arange(5.0), poses, np.array([0, 1, 1, 1, 2])))
    assert found.times_s.tolist() == [1, 2, 3]
    assert len(largest_map(Trajectory(np.zeros(0), poses[:0], np.zeros(0, np.int64)))) == 0


def test_pairs_further_apart_than_the_path_give_no_relative_error():
    straight = trajectory([[0, 0, 0], [1, 0, 0], [2, 1, 0]])
    errors = evaluate(straight, straight, delta=3)
    assert errors.ate_rmse_m == pytest.approx(0, abs=1e-12) and np.isnan(errors.rpe_translation_rmse_m)
