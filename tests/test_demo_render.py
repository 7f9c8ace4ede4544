"""The renderer: hits by hand and against brute force, depth order, visibility."""

from __future__ import annotations

import numpy as np
import pytest

from posebank.demo import render
from posebank.demo.render import Camera, Part, _hit
from posebank.skeleton import N_JOINTS

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def _part(a, b, ra: float, rb: float, **kwargs) -> Part:
    ahead = np.array([0.0, 0.0, -1.0])
    return Part(np.array(a, float), np.array(b, float), ra, rb, RED, BLUE, ahead, **kwargs)


def _camera(width: int = 40, height: int = 30) -> Camera:
    return Camera(50.0, (width / 2, height / 2), size=(width, height))


def test_a_ball_straight_ahead_is_hit_at_its_near_side() -> None:
    zero = np.zeros((1, 1), np.float32)
    depth, _ = _hit(zero, zero, _part((0, 0, 4), (0, 0, 4), 0.5, 0.5))
    assert depth.item() == pytest.approx(3.5)
    missed, _ = _hit(zero + 0.2, zero, _part((0, 0, 4), (0, 0, 4), 0.5, 0.5))
    assert np.isinf(missed.item())


def test_the_side_of_an_upright_cylinder() -> None:
    zero = np.zeros((1, 1), np.float32)
    depth, along = _hit(zero, zero, _part((0, -1, 4), (0, 3, 4), 0.25, 0.25))
    assert depth.item() == pytest.approx(3.75)
    assert along.item() == pytest.approx(0.25)


@pytest.mark.parametrize("seed", range(6))
def test_hits_agree_with_marching_many_spheres(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal((0, 0, 4), (0.4, 0.4, 0.5)), rng.normal((0, 0, 4), (0.4, 0.4, 0.5))
    ra, rb = rng.uniform(0.05, 0.6, 2)
    u = np.linspace(-0.4, 0.4, 31, dtype=np.float32)[None, :]
    v = np.linspace(-0.3, 0.3, 17, dtype=np.float32)[:, None]
    depth, _ = _hit(u, v, _part(a, b, ra, rb))
    d = np.stack(np.broadcast_arrays(u, v, np.float32(1)), -1).astype(float)
    dd = (d * d).sum(-1)
    expected = np.full(depth.shape, np.inf)
    for s in np.linspace(0, 1, 2001):
        centre, radius = a + s * (b - a), ra + s * (rb - ra)
        half = d @ centre
        root = half * half - dd * (centre @ centre - radius * radius)
        t = np.where(root > 0, (half - np.sqrt(np.maximum(root, 0))) / dd, np.inf)
        expected = np.minimum(expected, t)
    both = np.isfinite(depth) & np.isfinite(expected)
    assert both.sum() > 20
    assert np.abs(depth[both] - expected[both]).max() < 3e-3
    assert (np.isfinite(depth) != np.isfinite(expected)).sum() <= 4  # the very edge


def test_the_nearer_person_hides_the_other_whatever_the_order() -> None:
    camera = _camera()
    near, far = _part((0, 0, 3), (0, 0, 3), 0.3, 0.3), _part((0, 0, 5), (0, 0, 5), 0.6, 0.6)
    light = np.array([0.0, 0.0, -1.0])
    pictures = []
    for order in ((0, 1), (1, 0)):
        canvas = render.empty_canvas(np.zeros((30, 40, 3), np.float32))
        for who in order:
            render.draw_parts(canvas, [(near, far)[who]], who, camera, light, 0.5)
        pictures.append(canvas)
    assert np.array_equal(pictures[0].owner, pictures[1].owner)
    assert np.array_equal(pictures[0].colour, pictures[1].colour)
    assert pictures[0].owner[15, 20] == 0
    assert set(np.unique(pictures[0].owner)) == {-1, 0, 1}


def test_front_and_back_have_their_colours() -> None:
    light = np.array([0.0, 0.0, -1.0])
    for ahead, colour in ((-1.0, RED), (1.0, BLUE)):
        canvas = render.empty_canvas(np.zeros((30, 40, 3), np.float32))
        part = Part(
            np.array([0, 0, 3.0]),
            np.array([0, 0, 3.0]),
            0.3,
            0.3,
            RED,
            BLUE,
            np.array([0, 0, ahead]),
        )
        render.draw_parts(canvas, [part], 0, _camera(), light, 0.5)
        assert canvas.colour[15, 20].argmax() == np.argmax(colour)


def test_visibility_by_hand() -> None:
    camera = _camera()
    canvas = render.empty_canvas(np.zeros((30, 40, 3), np.float32))
    wall = _part((0, 0, 3), (0, 0, 3), 0.3, 0.3)
    render.draw_parts(canvas, [wall], 0, camera, np.array([0, 0, -1.0]), 0.5)
    points = np.zeros((N_JOINTS, 3))
    points[:, 2] = 2.8  # just under the surface at 2.7
    points[1, 2] = 3.4  # well behind it
    points[2] = (1.0, 0, 3.4)  # behind nothing
    points[3] = (3.0, 0, 3.0)  # outside the image
    seen = render.visible_joints(canvas, points, camera.project(points), np.full(N_JOINTS, 0.15))
    assert seen.tolist() == [True, False, True, False] + [True] * (N_JOINTS - 4)


def test_pixel_origin_is_the_corner_of_the_first_pixel() -> None:
    camera = _camera()
    canvas = render.empty_canvas(np.zeros((30, 40, 3), np.float32))
    ball = _part((0.3, -0.2, 4), (0.3, -0.2, 4), 0.1, 0.1)
    render.draw_parts(canvas, [ball], 0, camera, np.array([0, 0, -1.0]), 0.5)
    rows, columns = np.nonzero(canvas.owner == 0)
    centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    assert centre == pytest.approx(camera.project(ball.a), abs=0.3)


def test_an_occluder_hides_what_it_covers() -> None:
    rng = np.random.default_rng(0)
    canvas = render.empty_canvas(np.zeros((30, 40, 3), np.float32))
    render.draw_occluder(canvas, rng, np.array([20.0, 60.0]), 8.0)  # aimed below the image
    assert (canvas.depth == 0).any()
    assert not (canvas.depth == 0).all()
