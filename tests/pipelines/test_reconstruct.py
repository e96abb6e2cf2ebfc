import dataclasses

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eval.datasets.raycast import RoomConfig, box_centre, distance_to_walls, render, swaying_path
from eval.metrics.trajectory import evaluate, identity_baseline
from memory_bank.budgets import MemoryBudgets
from pipelines.reconstruct import ReconstructConfig, ReconstructStage
from pipelines.scores import ScoreThresholds
from streamvos.config import merge
from streamvos.errors import InputError
from streamvos.export.trajectory import Trajectory
from streamvos.records import Detections, Frame, Removal, StepResult
from streamvos.snapshot import load_snapshot, save_snapshot

MOVABLE = frozenset({"box"})
EMPTY_ROOM = RoomConfig(box_size_m=0.0)


def new_stage(size: int = 192, seed: int = 1) -> ReconstructStage:
    return ReconstructStage(ReconstructConfig(), ScoreThresholds(), MemoryBudgets(), size, MOVABLE, seed)


def run(stage, frames, use_masks=True, cuts=(), removals=None) -> list[StepResult]:
    results = []
    for frame, masks in frames:
        result = dataclasses.replace(
            StepResult.of(frame, removals=(removals or {}).get(frame.index, ())),
            masks=masks if use_masks else None,
            is_cut=frame.index in cuts,
        )
        results.append(stage.step(frame, result))
    return results


def trajectory_of(results, map_id: int = 0) -> Trajectory:
    posed = [one for one in results if one.scene.tracking == "ok" and one.scene.map_id == map_id]
    poses = np.array([one.scene.world_from_camera for one in posed]).reshape(-1, 4, 4)
    return Trajectory(np.array([one.time_s for one in posed]), poses, np.zeros(len(posed), np.int64))


def truth_of(poses, rate=30.0) -> Trajectory:
    return Trajectory(np.arange(len(poses)) / rate, poses, np.zeros(len(poses), np.int64))


def blank(index: int, sigma: float = 0.0) -> tuple[Frame, None]:
    image = np.random.default_rng(index).normal(90, sigma, (192, 256, 3)).clip(0, 255).astype(np.uint8)
    return Frame("room", index, index / 30, image), None


def standing(count: int) -> np.ndarray:
    return np.tile(np.eye(4), (count, 1, 1))


def test_depth_gives_metric_poses_and_walls_in_place():
    poses = swaying_path(40)
    stage = new_stage()
    results = run(stage, render(dataclasses.replace(EMPTY_ROOM, depth_noise=0.003), poses))
    errors = evaluate(trajectory_of(results), truth_of(poses))
    assert errors.coverage == 1 and errors.ate_rmse_m < 0.015  # the path is 0.7 m long
    assert errors.ate_rmse_m < 0.1 * evaluate(identity_baseline(truth_of(poses)), truth_of(poses)).ate_rmse_m
    assert {one.scene.scale for one in results} == {"metric"}
    products = stage.products()
    assert len(products["static_xyz"]) > 3000
    assert np.median(distance_to_walls(EMPTY_ROOM, products["static_xyz"])) < 0.03
    scene = results[-1].scene
    assert scene.depth_m.shape == scene.confidence.shape == scene.dynamic.shape == (192, 256)


def test_pictures_alone_give_the_path_up_to_scale():
    poses = swaying_path(60)
    stage = new_stage()
    results = run(stage, render(EMPTY_ROOM, poses, with_depth=False))
    mapped = [one for one in results if one.scene.depth_m is not None]
    assert len(mapped) > 35 and {one.scene.scale for one in results} == {"relative"}
    errors = evaluate(trajectory_of(mapped), truth_of(poses), with_scale=True)
    assert errors.ate_rmse_m < 0.02
    assert results[-1].scene.num_static > 500
    # The sparse depth is right up to the one scale of the map.
    last = results[-1].scene
    known = last.depth_m > 0
    true_depth = next(render(EMPTY_ROOM, poses[-1:]))[0].depth_m
    ratio = true_depth[known] / last.depth_m[known]
    assert known.sum() > 200 and np.percentile(np.abs(ratio / np.median(ratio) - 1), 80) < 0.1


def test_two_memories_against_one_with_a_moving_box():
    room = dataclasses.replace(RoomConfig(), depth_noise=0.003)
    poses = swaying_path(40)
    ate_m, ghosts = {}, {}
    for split in (True, False):
        stage = new_stage()
        results = run(stage, render(room, poses), use_masks=split)
        ate_m[split] = evaluate(trajectory_of(results), truth_of(poses)).ate_rmse_m
        xyz = stage.products()["static_xyz"]
        ghosts[split] = float((distance_to_walls(room, xyz) > 0.1).mean())
        if split:
            moving = stage.memory.dynamic
            assert stage.products()["dynamic_object_id"].tolist() == [1] * len(moving.at_time(0).xyz)
            true_velocity = np.array(room.box_velocity_m_s)
            assert np.linalg.norm(moving.velocity(1) - true_velocity) < 0.35
            later_s = results[-1].time_s + 0.2
            error_m = {
                carry: abs(float(np.median(moving.at_time(later_s, carry).xyz[:, 0]) - box_centre(room, later_s)[0]))
                for carry in (True, False)
            }
            assert error_m[True] < 0.6 * error_m[False]  # it pays only if it is carried forward
    assert ate_m[True] < 0.02 and ate_m[True] < 0.3 * ate_m[False]
    assert ghosts[True] < 0.03 and ghosts[True] < 0.2 * ghosts[False]


@pytest.mark.parametrize("with_depth", [True, False], ids=["depth", "pictures"])
def test_a_camera_at_rest_stays_where_it_is(with_depth):
    results = run(new_stage(), render(RoomConfig(), standing(25), with_depth=with_depth))
    assert all(one.scene.tracking == "ok" and one.scene.map_id == 0 for one in results)
    for one in results:
        np.testing.assert_allclose(one.scene.world_from_camera, np.eye(4), atol=5e-3 if with_depth else 1e-12)


def test_a_turning_camera_has_no_translation():
    poses = standing(25)
    poses[:, :3, :3] = Rotation.from_euler("y", np.linspace(0, 12, 25)[:, None], degrees=True).as_matrix()
    results = run(new_stage(), render(EMPTY_ROOM, poses, with_depth=False))
    assert all(one.scene.tracking == "ok" for one in results)
    last = results[-1].scene.world_from_camera
    np.testing.assert_allclose(last[:3, :3], poses[-1, :3, :3], atol=5e-3)
    np.testing.assert_allclose(last[:3, 3], 0, atol=1e-9)


@pytest.mark.parametrize("sigma", [0.0, 2.0], ids=["clean", "noisy"])
def test_without_texture_there_is_no_pose(sigma):
    results = run(new_stage(), (blank(index, sigma) for index in range(30)))
    assert all(one.scene.tracking == "lost" and one.scene.world_from_camera is None for one in results)


def test_a_blank_stretch_is_lost_and_the_old_map_relocalised():
    poses = swaying_path(30)
    frames = list(render(EMPTY_ROOM, poses))
    dark = [blank(30 + step) for step in range(8)]
    again = [
        (dataclasses.replace(frame, index=38 + step, time_s=(38 + step) / 30), masks)
        for step, (frame, masks) in enumerate(reversed(frames))
    ]
    results = run(new_stage(), [*frames, *dark, *again])
    assert all(one.scene.tracking == "lost" for one in results[30:38])
    back = results[40:]
    assert all(one.scene.tracking == "ok" and one.scene.map_id == 0 for one in back)
    error = [
        np.linalg.norm(one.scene.world_from_camera[:3, 3] - pose[:3, 3])
        for one, pose in zip(back, poses[::-1][2:], strict=True)
    ]
    assert np.median(error) < 0.03


def test_lost_for_long_starts_a_new_map():
    other_room = list(render(EMPTY_ROOM, standing(30), seed=9))
    moved = [
        (dataclasses.replace(frame, index=10 + frame.index, time_s=(10 + frame.index) / 30), masks)
        for frame, masks in other_room
    ]
    results = run(new_stage(), [*render(EMPTY_ROOM, swaying_path(10)), *moved])
    states = [(one.scene.tracking, one.scene.map_id) for one in results]
    assert states[9] == ("ok", 0) and states[12][0] == "lost" and states[-1] == ("ok", 1)
    reasons = [event.reason for one in results for event in one.events if event.action == "reset"]
    assert len(reasons) == 1 and "lost for" in reasons[0]


def test_a_cut_starts_a_new_map_and_clears_what_moved():
    room = RoomConfig()
    frames = list(render(room, swaying_path(24)))
    stage = new_stage()
    run(stage, frames[:12])
    assert len(stage.memory.dynamic)
    frame = dataclasses.replace(frames[12][0])
    result = dataclasses.replace(StepResult.of(frame), is_cut=True)  # and no masks
    after = stage.step(frame, result)
    assert after.scene.map_id == 1 and after.scene.num_dynamic == 0
    np.testing.assert_allclose(after.scene.world_from_camera, np.eye(4), atol=1e-6)
    assert any(event.action == "reset" and "scene cut" in event.reason for event in after.events)
    assert set(stage.products()["static_map_id"].tolist()) == {0, 1}


def test_same_input_same_output_bit_for_bit():
    def once() -> list[StepResult]:
        return run(new_stage(), render(RoomConfig(), swaying_path(25), with_depth=False))

    for one, two in zip(once(), once(), strict=True):
        np.testing.assert_array_equal(one.scene.world_from_camera, two.scene.world_from_camera)
        assert one.events == two.events and one.scene.num_static == two.scene.num_static


@pytest.mark.parametrize("with_depth", [True, False], ids=["depth", "pictures"])
def test_reset_is_a_fresh_start(with_depth):
    frames = list(render(RoomConfig(), swaying_path(30), with_depth=with_depth))
    stage = new_stage()
    first = run(stage, frames, cuts={3})
    stage.reset()
    assert stage.stats()["scene"].entries == 0
    for one, two in zip(first, run(stage, frames, cuts={3}), strict=True):
        np.testing.assert_array_equal(one.scene.world_from_camera, two.scene.world_from_camera)
        assert one.events == two.events and one.scene.map_id == two.scene.map_id


@pytest.mark.parametrize("with_depth", [True, False], ids=["depth", "pictures"])
@pytest.mark.parametrize("at", [5, 33], ids=["early", "mapped"])
def test_a_restored_stage_goes_on_as_if_nothing_had_happened(tmp_path, with_depth, at):
    frames = list(render(RoomConfig(), swaying_path(45), with_depth=with_depth))
    straight = new_stage()
    run(straight, frames[:at])
    save_snapshot(tmp_path / "stage.npz", straight.state_dict())
    restored = new_stage()
    restored.load_state_dict(load_snapshot(tmp_path / "stage.npz"))
    for one, two in zip(run(straight, frames[at:]), run(restored, frames[at:]), strict=True):
        np.testing.assert_array_equal(one.scene.world_from_camera, two.scene.world_from_camera)
        assert one.events == two.events
        if one.scene.depth_m is not None:
            np.testing.assert_array_equal(one.scene.depth_m, two.scene.depth_m)
    for name, values in straight.products().items():
        np.testing.assert_array_equal(values, restored.products()[name])


def test_a_removed_object_leaves_the_memory():
    frames = list(render(RoomConfig(), swaying_path(12)))
    stage = new_stage()
    run(stage, frames[:10])
    assert stage.memory.dynamic.object_ids == (1,)
    frame = frames[10][0]
    after = stage.step(frame, StepResult.of(frame, removals=(Removal(10, 1),)))
    assert stage.memory.dynamic.object_ids == () and after.scene.num_dynamic == 0
    assert any(event.action == "remove" and event.frame_index == 10 for event in after.events)


def test_boxes_stand_in_for_masks_and_hold_for_some_frames():
    detections = Detections(
        np.array([[20, 40, 60, 80]], np.float32),
        np.array([0.9], np.float32),
        np.array([1], np.int64),
        ("box",),
        np.array([-1], np.int64),
    )
    frames = list(render(EMPTY_ROOM, standing(14)))
    stage = new_stage()
    frame = frames[0][0]
    first = stage.step(frame, dataclasses.replace(StepResult.of(frame), detections=detections))
    assert first.scene.dynamic[41:79, 21:59].all() and first.scene.dynamic.sum() < 2000
    results = run(stage, frames[1:])
    assert results[5].scene.dynamic[60, 40] and not results[-1].scene.dynamic.any()


@pytest.mark.parametrize("size", [(48, 64), (33, 57), (1, 1), (400, 30)], ids=["small", "odd", "pixel", "narrow"])
def test_any_size_of_picture_is_taken(size):
    rng = np.random.default_rng(0)
    stage = new_stage(size=384)
    for index in range(3):
        frame = Frame("s", index, index / 30, rng.integers(0, 256, (*size, 3)).astype(np.uint8))
        assert stage.step(frame, StepResult.of(frame)).scene is not None


def test_config_nests_and_refuses_nonsense():
    config = merge(ReconstructConfig(), {"voxel_m": 0.05, "odometry": {"max_tracks": 200}})
    assert config.voxel_m == 0.05 and config.odometry.max_tracks == 200
    with pytest.raises(InputError, match="reconstruct.voxel_m: expected a number above 0"):
        ReconstructConfig(voxel_m=0)
    with pytest.raises(InputError, match="reconstruct.memory.transient_share and places_share"):
        merge(ReconstructConfig(), {"memory": {"transient_share": 0.8, "places_share": 0.3}})


@pytest.mark.parametrize(("with_depth", "bound_m"), [(True, 0.02), (False, 0.025)], ids=["depth", "pictures"])
def test_real_room(data_dir, with_depth, bound_m):
    folder = data_dir / "7scenes"
    matrix = np.loadtxt(folder / "camera-intrinsics.txt")
    stage = new_stage(size=384, seed=0)
    poses, results = [], []
    for index in range(120):
        stem = str(folder / f"frame-{index:06d}")
        image = cv2.imread(stem + ".color.jpg")[:, :, ::-1].copy()
        depth = cv2.imread(stem + ".depth.png", cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000
        depth[depth > 60] = 0
        poses.append(np.loadtxt(stem + ".pose.txt"))
        frame = Frame("room", index, index / 30, image, depth if with_depth else None, matrix)
        results.append(stage.step(frame, StepResult.of(frame)))
    errors = evaluate(trajectory_of(results), truth_of(np.array(poses)), with_scale=not with_depth)
    assert errors.coverage > 0.9 and errors.ate_rmse_m < bound_m
