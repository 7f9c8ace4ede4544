from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from shard_files import random_poses
from sklearn.cluster import KMeans

from posebank.anchors import (
    AnchorSettings,
    anchor_poses,
    assign,
    blocks,
    coverage,
    drawn_rows,
    fit_anchors,
)
from posebank.anchors.kmeans import Clusters, TooFewPointsError, kmeans, lloyd
from posebank.anchors.plain_kmeans import sklearn_kmeans
from posebank.errors import ArtefactError, SettingsError
from posebank.geometry.cameras import CameraLimits, elevation_roll
from posebank.report import anchors_picture
from posebank.skeleton import UPPER_BODY, J, body_centre, indices, mirrored_3d
from posebank.types import PoseBank, texts


def bank_of(joints: np.ndarray) -> PoseBank:
    return PoseBank.from_joints(joints, dataset="cmu", clip="c")


def clumps(n_clumps: int, n_each: int, seed: int = 0) -> np.ndarray:
    """Poses around few well separated ones."""
    rng = np.random.default_rng(seed)
    means = random_poses(n_clumps, seed)
    poses = np.repeat(means, n_each, axis=0)
    return (poses + rng.normal(0, 0.003, poses.shape)).astype(np.float32)


@pytest.mark.parametrize("cluster", [kmeans, sklearn_kmeans])
def test_kmeans_of_four_points_by_hand(cluster: Callable[..., Clusters]) -> None:
    points = np.float32([[0, 0, 0], [0, 2, 0], [10, 0, 0], [10, 4, 0]])
    found = cluster(points, 2, seed=3)
    order = np.argsort(found.centers[:, 0])
    np.testing.assert_allclose(found.centers[order], [[0, 1, 0], [10, 2, 0]])
    assert found.inertia == pytest.approx(1 + 1 + 4 + 4)
    assert list(found.count[order]) == [2, 2]


def test_kmeans_is_no_worse_than_scikit_learn() -> None:
    points = random_poses(4000, 5).reshape(4000, -1)
    ours = kmeans(points, 20, seed=0)
    theirs = KMeans(20, n_init=4, random_state=0, tol=0).fit(points)
    assert ours.inertia <= 1.005 * theirs.inertia_
    # The labels, counts and inertia are those of the centers.
    square = ((points[:, None].astype(np.float64) - ours.centers) ** 2).sum(-1)
    np.testing.assert_array_equal(ours.labels, square.argmin(1))
    np.testing.assert_array_equal(ours.count, np.bincount(ours.labels, minlength=20))
    assert ours.inertia == pytest.approx(square.min(1).sum(), rel=1e-5)


def test_stepping_past_the_means_never_raises_the_inertia() -> None:
    points = random_poses(3000, 5).reshape(3000, -1)
    start = points[:20].astype(np.float64)
    inertia = [lloyd(points, start, tolerance).inertia for tolerance in (1, 1e-2, 1e-3, 1e-5, 0)]
    assert inertia == sorted(inertia, reverse=True)
    # At the end each center is the mean of its points.
    found = lloyd(points, start, 0)
    for label in range(20):
        mean = points[found.labels == label].mean(axis=0, dtype=np.float64)
        np.testing.assert_allclose(found.centers[label], mean, atol=1e-6)


def test_every_point_counts() -> None:
    # 600 poses in one clump, one far away: a sample of 256 points per center misses it, often.
    points = np.concatenate([clumps(1, 600), random_poses(1, 9) + np.float32(5)]).reshape(601, -1)
    for seed in range(3):
        assert sorted(kmeans(points, 2, seed=seed).count) == [1, 600]


def test_the_number_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    points = random_poses(40_000, 2).reshape(40_000, -1)
    found = []
    for n_threads in (1, 3):
        monkeypatch.setattr(blocks, "n_threads", lambda n=n_threads: n)
        found.append(kmeans(points, 7, restarts=2, seed=1))
    np.testing.assert_array_equal(found[0].centers, found[1].centers)
    np.testing.assert_array_equal(found[0].labels, found[1].labels)


def test_two_seeds_may_differ_but_one_does_not() -> None:
    points = random_poses(500, 2).reshape(500, -1)
    one, again = kmeans(points, 30, seed=1), kmeans(points, 30, seed=1)
    np.testing.assert_array_equal(one.centers, again.centers)


@pytest.mark.parametrize("cluster", [kmeans, sklearn_kmeans])
def test_too_few_distinct_points(cluster: Callable[..., Clusters]) -> None:
    points = np.repeat(random_poses(3).reshape(3, -1), 5, axis=0)
    assert len(np.unique(cluster(points, 3).labels)) == 3
    with pytest.raises(TooFewPointsError, match="at least 4 distinct points, found 3"):
        cluster(points, 4)


def test_anchor_poses_by_scikit_learn_are_those_of_clear_clumps() -> None:
    poses = clumps(5, 40)
    ours, theirs = (
        fit_anchors(poses, AnchorSettings(k=5, algorithm=name)) for name in ("posebank", "sklearn")
    )
    ids, distance = assign(theirs.pose_3d[:5], ours.pose_3d[:5])
    assert sorted(ids) == [0, 1, 2, 3, 4]
    assert distance.max() < 1e-6
    assert theirs.count.tolist() == [40] * 10
    with pytest.raises(SettingsError, match="expected algorithm posebank beside it, found sklearn"):
        AnchorSettings(k=4, algorithm="sklearn", mirror_closed=True)
    with pytest.raises(SettingsError, match="posebank or sklearn, found 'faiss'"):
        AnchorSettings(algorithm="faiss")


def test_no_cluster_is_empty_when_points_are_many_times_the_same() -> None:
    poses = np.concatenate([np.repeat(random_poses(1), 3000, axis=0), random_poses(11, 4)])
    found = kmeans(poses.reshape(len(poses), -1), 8, restarts=1)
    assert (found.count > 0).all()


@given(st.integers(1, 9), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_clumps_are_found(n_clumps: int, seed: int) -> None:
    poses = clumps(n_clumps, 11, seed)
    anchors = fit_anchors(poses, AnchorSettings(k=n_clumps, upper_body=False, restarts=8))
    assert list(anchors.count) == [11] * n_clumps
    _, distance = assign(anchors.pose_3d, poses)
    assert distance.max() < 0.02


def test_fields_of_the_anchor_poses() -> None:
    poses = random_poses(300, 1)
    anchors = fit_anchors(poses, AnchorSettings(k=6))
    assert list(anchors.kind) == ["full"] * 6 + ["upper"] * 6
    assert list(anchors.anchor_id) == list(range(12))
    assert anchors.count[:6].sum() == 300
    assert (np.diff(anchors.count[:6]) <= 0).all()
    np.testing.assert_allclose(body_centre(anchors.pose_3d), 0, atol=1e-6)
    np.testing.assert_array_equal(anchors.pose_3d[:6], anchors.pose_3d[6:])
    full, upper = anchors.pose_2d[:6], anchors.pose_2d[6:]
    # A margin of 10% of the joints' extent on each side: the joints span 1 / 1.2 of the box.
    np.testing.assert_allclose(full.min(1), 0.1 / 1.2, atol=1e-5)
    np.testing.assert_allclose(full.max(1), 1.1 / 1.2, atol=1e-5)
    covered = upper[:, indices(UPPER_BODY)]
    np.testing.assert_allclose(covered.min(1), 0.1 / 1.2, atol=1e-5)
    np.testing.assert_allclose(covered.max(1), 1.1 / 1.2, atol=1e-5)
    assert (upper[:, J["r_ankle"], 1] > 1).all()


def test_medoids_are_poses_of_the_data() -> None:
    poses = random_poses(200, 1)
    anchors = fit_anchors(poses, AnchorSettings(k=6, medoids=True, upper_body=False))
    rows, distance = assign(poses, anchors.pose_3d)
    assert distance.max() < 1e-6
    # The medoid of a cluster: no other member has a smaller sum of squared distances.
    labels = kmeans(poses.reshape(200, -1), 6, restarts=4).labels
    flat = poses.reshape(200, -1).astype(np.float64)
    for row in rows:
        members = np.flatnonzero(labels == labels[row])
        total = ((flat[members][:, None] - flat[members]) ** 2).sum((1, 2))
        assert members[total.argmin()] == row


def test_means_shrink_limbs_and_medoids_do_not() -> None:
    angle = np.linspace(0, 3, 40)
    poses = np.repeat(random_poses(1), 40, axis=0)
    swing = np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
    poses[:, J["r_wrist"]] = poses[:, J["r_elbow"]] + 0.3 * swing
    for medoids in (False, True):
        pose = fit_anchors(poses, AnchorSettings(k=2, medoids=medoids)).pose_3d[0]
        length = np.linalg.norm(pose[J["r_wrist"]] - pose[J["r_elbow"]])
        assert (length > 0.2999) == medoids


@pytest.mark.parametrize("medoids", [False, True])
@pytest.mark.parametrize("k", [2, 6, 7])
def test_mirror_closed_sets(k: int, medoids: bool) -> None:
    if medoids and k % 2:
        with pytest.raises(SettingsError, match="even"):
            AnchorSettings(k=k, medoids=True, mirror_closed=True)
        return
    made = AnchorSettings(k=k, mirror_closed=True, medoids=medoids, upper_body=False)
    anchors = fit_anchors(random_poses(150, 3), made)
    assert len(anchors) == k
    partner, distance = assign(anchors.pose_3d, mirrored_3d(anchors.pose_3d))
    assert distance.max() < 1e-6
    assert (partner == np.arange(k)).sum() == k % 2  # an odd one is its own mirror image
    np.testing.assert_array_equal(partner[partner], np.arange(k))


def test_settings_and_input_are_checked() -> None:
    with pytest.raises(SettingsError, match="source: expected labels or bank, found 'x'"):
        AnchorSettings(source="x")
    with pytest.raises(SettingsError, match="k: expected at least 1"):
        AnchorSettings(k=0)
    with pytest.raises(ArtefactError, match="at most the 8 poses to cluster, found 9"):
        fit_anchors(random_poses(8), AnchorSettings(k=9))
    bad = random_poses(20)
    bad[3, 4, 1] = np.nan
    with pytest.raises(ArtefactError, match="finite"):
        fit_anchors(bad, AnchorSettings(k=2))


def test_assign_is_the_mean_joint_distance() -> None:
    anchors, poses = random_poses(5, 1), random_poses(37, 2)
    ids, distance = assign(anchors, poses)
    slow = np.linalg.norm(poses[:, None].astype(float) - anchors, axis=-1).mean(-1)
    np.testing.assert_array_equal(ids, slow.argmin(1))
    np.testing.assert_allclose(distance, slow.min(1), rtol=1e-5)
    assert (ids.dtype, distance.dtype) == (np.int32, np.float32)
    # Equally close: the first.
    assert assign(np.concatenate([anchors, anchors]), poses)[0].max() < 5


def test_bank_poses_in_random_views() -> None:
    bank = bank_of(random_poses(7))
    limits = CameraLimits(0.1, 0.2, 0.0)
    wanted = AnchorSettings(n_poses=31, limits=limits, seed=5, source="bank")
    poses = anchor_poses(bank, wanted)
    assert poses.shape == (31, 13, 3)
    np.testing.assert_array_equal(poses, anchor_poses(bank, wanted))
    np.testing.assert_allclose(body_centre(poses), 0, atol=1e-6)
    rows = drawn_rows(7, wanted)
    assert rows.shape == (31,)
    # Each is a bank pose, rotated by a camera within the limits; each is used 4 or 5 times.
    used = np.zeros(7, int)
    for row, pose in zip(rows, poses.astype(float), strict=True):
        fits = []
        for joints in bank.joints_3d.astype(float):
            u, _, vt = np.linalg.svd(joints.T @ pose)
            rotation = (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T
            fits.append((np.abs(joints @ rotation.T - pose).max(), rotation))
        best = int(np.argmin([f[0] for f in fits]))
        assert fits[best][0] < 1e-5
        elevation, roll = elevation_roll(fits[best][1])
        assert 0.1 - 1e-4 < elevation < 0.2 + 1e-4
        assert abs(roll) < 1e-4
        assert best == row
        used[best] += 1
    assert set(used) == {4, 5}
    with pytest.raises(ArtefactError, match="at least one pose"):
        anchor_poses(bank_of(random_poses(0)), wanted)


def test_coverage_counts_and_quantiles() -> None:
    poses = clumps(3, 10)
    anchors = fit_anchors(poses, AnchorSettings(k=3))
    shifted = poses.copy()
    shifted[0, J["head"], 1] -= 1.3  # one joint of 13 by 1.3 m: 0.1 m more on average
    dataset = texts("a" if i < 10 else "b" for i in range(30))
    names = texts(f"p{i}" for i in [0, *range(1, 27), 0, 0, 0])  # the last three are p0 as well
    found = coverage(anchors, shifted, dataset, names, n_rarest=2)
    each = found.by_dataset
    assert list(each.index) == ["a", "b", "all"]
    assert list(each["n"]) == [10, 20, 30]
    assert each.loc["all", "max_mm"] == pytest.approx(100, abs=10)
    assert each.loc["b", "max_mm"] < 20
    assert list(each["anchors_used"]) == [1, 2, 3]
    ids, distance = assign(anchors.pose_3d[:3], shifted)
    mm = 1000 * distance.astype(float)
    assert each.loc["a", "p95_mm"] == pytest.approx(np.quantile(mm[:10], 0.95))
    assert list(found.by_anchor["n"]) == [10, 10, 10]
    assert found.by_anchor.loc[1, "mean_mm"] == pytest.approx(mm[ids == 1].mean())
    assert list(found.rarest["row"]) == [0, 1 + mm[1:27].argmax()]
    assert found.rarest["id"][0] == "p0"
    assert found.rarest["distance_mm"][0] == pytest.approx(mm[0])
    assert found.rarest["dataset"][0] == "a"
    assert found.rarest["anchor_id"][0] == ids[0]


def test_an_anchor_pose_that_is_nobodys_closest_counts_none() -> None:
    poses = random_poses(20)
    anchors = fit_anchors(poses, AnchorSettings(k=2, upper_body=False))
    far = replace(anchors, pose_3d=anchors.pose_3d + np.float32([[[0]], [[50]]]))
    found = coverage(far, poses, texts(["a"] * 20), texts(map(str, range(20))))
    assert list(found.by_anchor["n"]) == [20, 0]
    assert np.isnan(found.by_anchor.loc[1, "mean_mm"])
    assert found.by_dataset.loc["all", "anchors_used"] == 1


@pytest.mark.parametrize("k", [1, 14])
def test_the_picture_shows_every_anchor_pose(k: int, tmp_path: Path) -> None:
    anchors = fit_anchors(random_poses(90), AnchorSettings(k=k))
    anchors_picture(anchors, tmp_path / "anchors.png")
    with Image.open(tmp_path / "anchors.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    # Boxes are the only thing in this grey: each pose has one, and each has red limbs in it.
    grey = (np.ptp(pixels, axis=-1) == 0) & (abs(pixels[..., 0] - 0xAA) < 40)
    red = (pixels[..., 0] > 150) & (pixels[..., 1:] < 80).all(-1)
    assert grey.any()
    figures, _ = ndimage.label(ndimage.binary_dilation(red, iterations=9))
    assert figures.max() >= k
