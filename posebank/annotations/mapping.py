"""Joint names of each source, and how they map to ``lcrnet13``.

The decisions that are not a matter of course:

- ``head`` is the head top. MPII (id 9), LSP and LSPE annotate it; COCO does not, so its ``head`` is
  missing unless a proxy is asked for. In Human3.6M it is the end of the ``Head`` bone (``Site`` of
  the head, joint 15).
- Hips are what each source calls hip. Annotators of MPII, LSP and COCO clicked the outside of the
  body about where the thigh begins, MoCap has the centre of the joint: see ``posebank.annotations.
  hips`` for the measured difference.
- MPII's pelvis, thorax and upper neck, LSP's neck and COCO's face points have no counterpart.
"""

from __future__ import annotations

from posebank.skeleton import JOINT_NAMES

MPII_NAMES: tuple[str, ...] = (
    "r_ankle",
    "r_knee",
    "r_hip",
    "l_hip",
    "l_knee",
    "l_ankle",
    "pelvis",
    "thorax",
    "upper_neck",
    "head_top",
    "r_wrist",
    "r_elbow",
    "r_shoulder",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
)

LSP_NAMES: tuple[str, ...] = (
    "r_ankle",
    "r_knee",
    "r_hip",
    "l_hip",
    "l_knee",
    "l_ankle",
    "r_wrist",
    "r_elbow",
    "r_shoulder",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
    "neck",
    "head_top",
)

COCO_NAMES: tuple[str, ...] = (
    "nose",
    "l_eye",
    "r_eye",
    "l_ear",
    "r_ear",
    "l_shoulder",
    "r_shoulder",
    "l_elbow",
    "r_elbow",
    "l_wrist",
    "r_wrist",
    "l_hip",
    "r_hip",
    "l_knee",
    "r_knee",
    "l_ankle",
    "r_ankle",
)

H36M_NAMES: tuple[str, ...] = (
    "pelvis",
    "r_hip",
    "r_knee",
    "r_ankle",
    "r_toe_base",
    "r_toe_end",
    "l_hip",
    "l_knee",
    "l_ankle",
    "l_toe_base",
    "l_toe_end",
    "spine_root",
    "spine",
    "neck",
    "nose",
    "head_top",
    "l_shoulder_root",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
    "l_wrist_copy",
    "l_thumb_end",
    "l_finger",
    "l_finger_end",
    "r_shoulder_root",
    "r_shoulder",
    "r_elbow",
    "r_wrist",
    "r_wrist_copy",
    "r_thumb_end",
    "r_finger",
    "r_finger_end",
)

TO_13: dict[str, str] = {name: name for name in JOINT_NAMES} | {"head": "head_top"}
"""``lcrnet13`` name -> source name; the same for all sources that annotate the head top."""


def positions(names: tuple[str, ...]) -> list[int]:
    """Return the position in the source's joints of each of the 13 joints."""
    return [names.index(TO_13[joint]) for joint in JOINT_NAMES]
