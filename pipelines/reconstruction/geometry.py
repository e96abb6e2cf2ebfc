"""Camera geometry: projection, pose from points, relative pose of two views, rotation alone, triangulation.

Poses are `camera_from_world` (4, 4) float64, camera x right, y down, z forward. Pixels are float64 (N, 2), world
points float64 (N, 3). Everything is a pure function; OpenCV's random choices are seeded by the caller's `seed`.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

_BASELINE = 0.08  # of a virtual second camera, by which a depth error counts in pixels (ORB-SLAM2, section III-A)
MIN_DEPTH = 1e-3  # a point nearer to the plane of the camera, or behind it, is not seen
_SAFE_DEPTH = 1e-6  # keeps divisions finite

_MIN_CORRESPONDENCES = 6  # of a pose from points: three fix it up to four solutions, the others choose
_MIN_MATCHES = 8  # of an essential matrix: five fix it up to ten solutions, the others choose
_MAX_TRIALS = 500  # of RANSAC: at 80% outliers three right ones are drawn 98 times in 100
_MAX_ESSENTIAL_TRIALS, _ESSENTIAL_SURE = 2000, 0.999
_VOTES = 96  # of a rotation, three matches each: at two thirds outliers three right ones are drawn 97 times in 100
_STANDS_BONUS = 1e-3  # pixels a match that the identity has ahead of every other rotation
_ROTATION_ITERATIONS, _POSE_ITERATIONS = 4, 15  # of re-weighting, at most
_TUKEY_WIDTH = 3  # thresholds beyond which a residual counts nothing in the end
_FIRST_TUKEY_WIDTH = 4  # median residuals that the width covers at first


def transform(pose: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Points (N, 3) moved by a (4, 4) pose."""
    return xyz @ pose[:3, :3].T + pose[:3, 3]


def invert(pose: np.ndarray) -> np.ndarray:
    """Inverse of a rigid (4, 4) pose."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


def project(pose: np.ndarray, xyz: np.ndarray, intrinsics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) and depths (N,) of world points; pixels are far outside where the depth is not positive."""
    camera = transform(pose, xyz)
    depth = camera[:, 2]
    safe = np.where(depth > _SAFE_DEPTH, depth, _SAFE_DEPTH)
    pixels = camera[:, :2] / safe[:, None] * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2]
    return np.where(depth[:, None] > _SAFE_DEPTH, pixels, -1e6), depth


def rays(xy: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Directions (N, 3) of pixels in the camera, with z = 1."""
    plane = (xy - intrinsics[:2, 2]) / intrinsics[[0, 1], [0, 1]]
    return np.concatenate([plane, np.ones((len(xy), 1))], axis=1)


def reprojection_error(pose: np.ndarray, xyz: np.ndarray, xy: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Distance (N,) in pixels between points as seen and as the pose predicts them."""
    return np.linalg.norm(project(pose, xyz, intrinsics)[0] - xy, axis=1)


def point_jacobian(camera: np.ndarray, intrinsics: np.ndarray, with_depth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Prediction (N, 2 or 3) of camera points (N, 3), pixels and disparity, and its derivative (N, 2 or 3, 3)."""
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    inverse = 1.0 / np.maximum(camera[:, 2], _SAFE_DEPTH)
    rows = 3 if with_depth else 2
    value, jacobian = np.empty((len(camera), rows)), np.zeros((len(camera), rows, 3))
    value[:, 0] = fx * camera[:, 0] * inverse + intrinsics[0, 2]
    value[:, 1] = fy * camera[:, 1] * inverse + intrinsics[1, 2]
    jacobian[:, 0, 0], jacobian[:, 1, 1] = fx * inverse, fy * inverse
    jacobian[:, :2, 2] = -(value[:, :2] - intrinsics[:2, 2]) * inverse[:, None]
    if with_depth:
        value[:, 2] = fx * _BASELINE * inverse
        jacobian[:, 2, 2] = -value[:, 2] * inverse
    return value, jacobian


def measurement(xy: np.ndarray, depth: np.ndarray | None, intrinsics: np.ndarray) -> np.ndarray:
    """What a camera measured, (N, 2) pixels or (N, 3) with the disparity of the depth, NaN where unknown."""
    if depth is None:
        return np.asarray(xy, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        disparity = np.where(depth > 0, intrinsics[0, 0] * _BASELINE / depth, np.nan)
    return np.concatenate([xy, disparity[:, None]], axis=1).astype(np.float64)


def moved(pose: np.ndarray, step: np.ndarray) -> np.ndarray:
    """A pose after a small step (6,) on its left: rotation vector, then translation.

    The rotation is made orthonormal again: products of poses over many frames double a rounding error each time.
    """
    change = np.eye(4)
    change[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
    change[:3, 3] = step[3:]
    result = change @ pose
    result[:3, :3] = Rotation.from_matrix(result[:3, :3]).as_matrix()
    return result


def pose_jacobian(camera: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """Derivative (N, R, 6) by the pose step, from that by the camera point, (N, R, 3)."""
    cross = np.zeros((len(camera), 3, 3))  # d(point)/d(rotation vector) = -[point]x
    x, y, z = camera.T
    cross[:, 0, 1], cross[:, 0, 2] = z, -y
    cross[:, 1, 0], cross[:, 1, 2] = -z, x
    cross[:, 2, 0], cross[:, 2, 1] = y, -x
    return np.concatenate([jacobian @ cross, jacobian], axis=2)


def huber_weights(residual: np.ndarray, threshold: float) -> np.ndarray:
    """Weights (N,) of residual vectors (N, R) under Huber's loss."""
    norm = np.linalg.norm(residual, axis=1)
    return np.where(norm > threshold, threshold / np.maximum(norm, 1e-12), 1.0)


def refine_pose(
    pose: np.ndarray,
    xyz: np.ndarray,
    measured: np.ndarray,
    intrinsics: np.ndarray,
    threshold_px: float,
) -> np.ndarray:
    """Robust Gauss-Newton on one pose.

    The loss is Tukey's, its width annealed from what covers most residuals of the first pose down to three times
    the threshold: a narrow loss from the start would hold on to whatever happens to fit the prediction.
    """
    known = ~np.isnan(measured)
    width = np.inf
    for _ in range(_POSE_ITERATIONS):
        camera = transform(pose, xyz)
        value, jacobian = point_jacobian(camera, intrinsics, measured.shape[1] == 3)
        residual = np.where(known, measured - value, 0.0)
        norm = np.linalg.norm(residual, axis=1)
        least = _TUKEY_WIDTH * threshold_px
        width = max(min(width / 2, _FIRST_TUKEY_WIDTH * float(np.median(norm))), least)
        weights = np.maximum(1.0 - (norm / width) ** 2, 0.0) ** 2 * (camera[:, 2] > MIN_DEPTH)
        full = pose_jacobian(camera, jacobian * known[:, :, None])
        weighted = full * weights[:, None, None]
        normal = np.einsum("nri,nrj->ij", weighted, full) + 1e-9 * np.eye(6)
        step = np.linalg.solve(normal, np.einsum("nri,nr->i", weighted, residual))
        pose = moved(pose, step)
        if np.abs(step).max() < 1e-6 and width == least:
            break
    return pose


def pose_from_points(
    xyz: np.ndarray, xy: np.ndarray, intrinsics: np.ndarray, threshold_px: float, seed: int
) -> np.ndarray | None:
    """Pose from at least six correspondences of which some are wrong (USAC, then SQPNP on its inliers), or None."""
    if len(xyz) < _MIN_CORRESPONDENCES:
        return None
    cv2.setRNGSeed(seed)
    params = cv2.UsacParams()
    params.threshold = threshold_px
    params.maxIterations = _MAX_TRIALS
    params.randomGeneratorState = seed
    params.loMethod = cv2.LOCAL_OPTIM_NULL  # refined below by ourselves
    found, _, _, _, inliers = cv2.solvePnPRansac(xyz, xy, intrinsics.copy(), None, params=params)
    if not found or inliers is None or len(inliers) < _MIN_CORRESPONDENCES:
        return None
    rows = inliers.ravel()
    found, rotation_vector, translation = cv2.solvePnP(xyz[rows], xy[rows], intrinsics, None, flags=cv2.SOLVEPNP_SQPNP)
    if not found:
        return None
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(rotation_vector.ravel()).as_matrix()
    pose[:3, 3] = translation.ravel()
    return pose


def fit_rotation(
    xy_a: np.ndarray, xy_b: np.ndarray, intrinsics: np.ndarray, threshold_px: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) of a camera that only rotated between two views, and its residuals (N,) in pixels.

    Triples of matches vote (RANSAC, all hypotheses at once), the winners are averaged. The identity is always among
    the hypotheses, so a camera that stands still is not blurred by noise.
    """
    from_a, from_b = rays(xy_a, intrinsics), rays(xy_b, intrinsics)
    unit_a = from_a / np.linalg.norm(from_a, axis=1, keepdims=True)
    unit_b = from_b / np.linalg.norm(from_b, axis=1, keepdims=True)
    triples = np.random.default_rng(seed).integers(0, len(xy_a), (_VOTES, 3))
    covariance = np.einsum("hki,hkj->hij", unit_b[triples], unit_a[triples])
    candidates = np.concatenate([np.eye(3)[None], _nearest_rotations(covariance)])
    errors = _rotation_errors(candidates, from_a, xy_b, intrinsics)
    cost = np.minimum(errors, threshold_px).sum(axis=1)
    cost[1:] += _STANDS_BONUS * len(xy_a)
    rotation = candidates[np.argmin(cost)]
    for _ in range(_ROTATION_ITERATIONS):
        residual = _rotation_errors(rotation[None], from_a, xy_b, intrinsics)[0]
        weights = np.maximum(1.0 - (residual / (2 * threshold_px)) ** 2, 0.0) ** 2
        if (weights > 0).sum() < 3:
            break
        rotation = _nearest_rotations(np.einsum("n,ni,nj->ij", weights, unit_b, unit_a)[None])[0]
    return rotation, _rotation_errors(rotation[None], from_a, xy_b, intrinsics)[0]


def _nearest_rotations(covariance: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(covariance)
    u[:, :, 2] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[:, None]
    return u @ vt


def _rotation_errors(rotations: np.ndarray, from_a: np.ndarray, xy_b: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    rotated = np.einsum("hij,nj->hni", rotations, from_a)
    depth = np.where(rotated[..., 2] > _SAFE_DEPTH, rotated[..., 2], _SAFE_DEPTH)
    pixels = rotated[..., :2] / depth[..., None] * intrinsics[[0, 1], [0, 1]] + intrinsics[:2, 2]
    return np.linalg.norm(pixels - xy_b, axis=2)


def two_view_pose(
    xy_a: np.ndarray, xy_b: np.ndarray, intrinsics: np.ndarray, threshold_px: float, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pose of view b seen from view a, translation of length 1, and the inliers (N,) bool; or None.

    Essential matrix by MAGSAC++, then the one of its four poses that has the points in front of both cameras.
    """
    if len(xy_a) < _MIN_MATCHES:
        return None
    cv2.setRNGSeed(seed)
    essential, used = cv2.findEssentialMat(
        xy_a, xy_b, intrinsics, cv2.USAC_MAGSAC, _ESSENTIAL_SURE, threshold_px, maxIters=_MAX_ESSENTIAL_TRIALS
    )
    if essential is None or essential.shape != (3, 3):
        return None
    inliers = used.ravel() > 0
    if inliers.sum() < _MIN_MATCHES:
        return None
    _, rotation, translation, _ = cv2.recoverPose(essential, xy_a[inliers], xy_b[inliers], intrinsics)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation.ravel()
    return pose, inliers


def triangulate(
    pose_a: np.ndarray, pose_b: np.ndarray, xy_a: np.ndarray, xy_b: np.ndarray, intrinsics: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World points (N, 3) where two rays pass each other, the angle between the rays and the larger error.

    `pose_a` is one pose (4, 4) or one for each point (N, 4, 4); angles (N,) in degrees, errors (N,) in pixels,
    infinite where the point is behind a camera.
    """
    pose_a = np.broadcast_to(pose_a, (len(xy_a), 4, 4))
    direction_a = np.einsum("nji,nj->ni", pose_a[:, :3, :3], rays(xy_a, intrinsics))
    direction_b = rays(xy_b, intrinsics) @ pose_b[:3, :3]
    direction_a /= np.linalg.norm(direction_a, axis=1, keepdims=True)
    direction_b /= np.linalg.norm(direction_b, axis=1, keepdims=True)
    centre_a = -np.einsum("nji,nj->ni", pose_a[:, :3, :3], pose_a[:, :3, 3])
    baseline = invert(pose_b)[:3, 3] - centre_a
    cosine = (direction_a * direction_b).sum(axis=1)
    sine_squared = np.maximum(1.0 - cosine**2, 1e-12)
    along_a, along_b = (baseline * direction_a).sum(axis=1), (baseline * direction_b).sum(axis=1)
    length_a = (along_a - cosine * along_b) / sine_squared
    length_b = (cosine * along_a - along_b) / sine_squared
    xyz = centre_a + (length_a[:, None] * direction_a + baseline + length_b[:, None] * direction_b) / 2
    camera_a = np.einsum("nij,nj->ni", pose_a[:, :3, :3], xyz) + pose_a[:, :3, 3]
    error_a = np.linalg.norm(point_jacobian(camera_a, intrinsics, False)[0] - xy_a, axis=1)
    error_b = reprojection_error(pose_b, xyz, xy_b, intrinsics)
    front = (camera_a[:, 2] > MIN_DEPTH) & (transform(pose_b, xyz)[:, 2] > MIN_DEPTH)
    error = np.where(front, np.maximum(error_a, error_b), np.inf)
    return xyz, np.degrees(np.arctan2(np.sqrt(sine_squared), cosine)), error
