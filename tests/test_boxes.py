from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posebank.geometry.boxes import boxes_around, from_boxes, relative_to_boxes


def test_a_box_by_hand() -> None:
    points = np.float32([[10, 20], [110, 60], [50, 30]])
    # 100 wide, 40 high: 10 and 4 more on each side.
    np.testing.assert_array_equal(boxes_around(points), np.float32([0, 16, 120, 64]))
    np.testing.assert_array_equal(boxes_around(points, 0), np.float32([10, 20, 110, 60]))
    assert boxes_around(points).dtype == np.float32


def test_relative_to_a_box_by_hand() -> None:
    box = np.array([0.0, 16, 120, 64])
    relative = relative_to_boxes(np.array([[0.0, 16], [120, 64], [60, 28]]), box)
    np.testing.assert_allclose(relative, [[0, 0], [1, 1], [0.5, 0.25]])


@given(arrays(float, (4, 5, 2), elements=st.floats(-500, 500)))
def test_there_and_back(points: np.ndarray) -> None:
    points[:, 0] = points[:, 1] + 3  # no box without extent
    boxes = boxes_around(points)
    assert boxes.shape == (4, 4)
    inside = (points >= boxes[:, None, :2] - 1e-9) & (points <= boxes[:, None, 2:] + 1e-9)
    assert inside.all()
    np.testing.assert_allclose(
        from_boxes(relative_to_boxes(points, boxes), boxes), points, atol=1e-6
    )
