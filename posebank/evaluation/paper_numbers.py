"""Numbers printed in the paper (Tables 1 to 4 and section 4.2), for comparison with ours."""

from __future__ import annotations

TABLE1_K = (1, 50, 100, 200, 500)
TABLE1: dict[str, tuple[float, ...]] = {
    "LCR-Net + NMS": (74.2, 71.7, 70.7, 77.0, 85.6),
    "LCR-Net + NMS + Align.": (64.5, 59.3, 58.0, 63.6, 66.1),
}
"""Mean 3D error (mm) over K, Human3.6M P1, 100k iterations."""

TABLE2_COLUMNS = ("Abs. P1", "Align. P1", "Abs. P2", "Align. P2", "Align. P3")
TABLE2: dict[str, tuple[float | None, ...]] = {
    "Kostrikov & Gall": (None, 115.7, None, None, None),
    "Iqbal et al.": (None, 108.3, None, None, None),
    "Rogez & Schmid": (126.0, 88.1, 121.2, 87.3, None),
    "Bogo et al.": (None, None, None, None, 82.3),
    "LCR-Net + NMS": (65.9, 55.6, 89.8, 72.3, 73.1),
    "LCR-Net + PPI": (63.2, 53.4, 87.7, 71.6, 72.7),
}
"""Mean 3D error (mm) on Human3.6M before and after rigid alignment."""

TABLE3: dict[str, tuple[float | None, ...]] = {
    "LCR-Net + NMS": (79.8, 84.5, 76.4, 86.6, 94.2, 81.6, 74.2, 106.3, 129.4, 90.5, 106.5, 86.5,
                      64.8, 92.5, 84.2, 89.8, 85.2),
    "LCR-Net + PPI": (76.2, 80.2, 75.8, 83.3, 92.2, 79.0, 71.7, 105.9, 127.1, 88.0, 105.7, 83.7,
                      64.9, 86.6, 84.0, 87.7, 83.0),
}  # fmt: skip
"""Mean 3D error (mm) per action (in the order of ``h36m_names.ACTIONS``), all, and the six; P2."""

TABLE4: dict[str, tuple[float, float]] = {
    "Wei et al.": (10.04, 88.5),
    "LCR-Net + PPI": (8.50, 74.2),
}
"""2D error on Human3.6M (pixels) and PCKh@0.5 on the MPII test set (percent)."""

MPII_VALIDATION: dict[str, float | None] = {
    "PCKh@0.5": 75.0,
    "PCKh@1": 90.0,
    "mAP@0.5": 49.0,
    "mAP@1": 60.0,
}
"""Section 4.2, LCR-Net + PPI, "around"; 78.5 PCKh@0.5 with COCO added."""
