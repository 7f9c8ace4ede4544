"""An average adult in the rest pose of the SMPL family, for clips without a body model.

Every length is anthropometric, as a part of the stature of 1.70 m (the adult of
``posebank.mocap.limbs``), the mean of women and men; none is taken from a body model or fitted to a
clip.

- Limbs and trunk between joint centres: P. de Leva. Adjustments to Zatsiorsky-Seluyanov's segment
  inertia parameters. Journal of Biomechanics 29 (1996), table 4: women of 1.735 m with thigh 368.5,
  shank 438.6, trunk (middle of the shoulders to middle of the hips) 497.9, upper arm 275.1 and
  forearm 264.3 mm; men of 1.741 m with 422.2, 440.3, 515.5, 281.7 and 268.9 mm.
- Ankle 0.039 of the stature above the floor: D. A. Winter. Biomechanics and Motor Control of Human
  Movement (2009), figure 4.1, after Drillis and Contini. The head top is at the stature.
- Hip centres 0.100 of the stature apart, as in ``posebank.mocap.limbs``.
- Shoulder centres: 3 cm inside the acromia, whose distance is 365 mm in women of 1.629 m and 416 mm
  in men of 1.756 m: C. C. Gordon et al. 2012 Anthropometric Survey of U.S. Army Personnel (2014).

What belongs to the family's conventions is rounded: the rest pose has the thighs spread by 5
degrees, the shanks leaning 6 degrees back, the arms level and 6 degrees back, the shoulders raised
by 0.012 of the stature; the pelvis is the joint at the level of the fifth lumbar vertebra, the
spine has three joints, and the origin of the model is in the chest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from posebank.mocap.limbs import ADULT_HEIGHT_M
from posebank.mocap.smpl_kinematics import BODY_JOINTS, RestBody

_WOMEN, _MEN = 1735.0, 1741.0


def _mean_part(women_mm: float, men_mm: float) -> float:
    return (women_mm / _WOMEN + men_mm / _MEN) / 2


_THIGH, _SHANK = _mean_part(368.5, 422.2), _mean_part(438.6, 440.3)
_TRUNK = _mean_part(497.9, 515.5)
_UPPER_ARM, _FOREARM = _mean_part(275.1, 281.7), _mean_part(264.3, 268.9)
_ANKLE_HEIGHT, _HALF_HIPS = 0.039, 0.050
_HALF_SHOULDERS = ((365 / 2 - 30) / 1629 + (416 / 2 - 30) / 1756) / 2
_RAISED = 0.012
_HIPS_BELOW_PELVIS = 0.053
_SPREAD, _BACK = np.tan(np.deg2rad(5.0)), np.tan(np.deg2rad(6.0))
_PELVIS_M = np.array([0.0, -0.22, 0.03])  # from the model's origin, whose translation clips hold


def average_adult() -> RestBody:
    """Return the average adult of both sexes at rest."""
    shoulders = _TRUNK + _RAISED - _HIPS_BELOW_PELVIS  # above the pelvis
    at = {
        "pelvis": np.zeros(3),
        "spine1": np.array([0.0, 0.060, -0.015]),
        "spine2": np.array([0.0, 0.140, -0.015]),
        "spine3": np.array([0.0, 0.170, 0.0]),
        "neck": np.array([0.0, shoulders + 0.035, -0.025]),
        "head": np.array([0.0, shoulders + 0.073, 0.005]),
    }
    for side, sign in (("l", 1.0), ("r", -1.0)):
        hip = np.array([sign * _HALF_HIPS, -_HIPS_BELOW_PELVIS, 0.0])
        knee = hip + _THIGH * _unit(sign * _SPREAD, -1.0, 0.0)
        ankle = knee + _SHANK * _unit(0.0, -1.0, -_BACK)
        shoulder = np.array([sign * _HALF_SHOULDERS, shoulders, -0.025])
        elbow = shoulder + _UPPER_ARM * _unit(sign, 0.0, -_BACK)
        at |= {
            f"{side}_hip": hip,
            f"{side}_knee": knee,
            f"{side}_ankle": ankle,
            f"{side}_foot": ankle + np.array([0.0, -0.030, 0.070]),
            f"{side}_collar": np.array([sign * 0.045, shoulders - 0.018, -0.018]),
            f"{side}_shoulder": shoulder,
            f"{side}_elbow": elbow,
            f"{side}_wrist": elbow + _FOREARM * np.array([sign, 0.0, 0.0]),
        }
    pelvis_height = _ANKLE_HEIGHT + _SHANK + _THIGH + _HIPS_BELOW_PELVIS
    joints = np.stack([at[name] for name in BODY_JOINTS])
    top = np.array([0.0, 1.0 - pelvis_height, 0.0])
    return RestBody(ADULT_HEIGHT_M * joints + _PELVIS_M, ADULT_HEIGHT_M * top + _PELVIS_M)


def _unit(x: float, y: float, z: float) -> NDArray[np.float64]:
    vector = np.array([x, y, z])
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit
