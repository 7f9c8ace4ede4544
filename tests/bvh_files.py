"""Made-up BVH files of a walking body, in the forms that different programs write."""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

# key: parent, place relative to it in metres (y up, the person's left is +x)
BODY = {
    "hips": (None, (0.0, 0.0, 0.0)),
    "spine": ("hips", (0.0, 0.11, 0.01)),
    "chest": ("spine", (0.0, 0.17, -0.02)),
    "neck": ("chest", (0.0, 0.23, 0.0)),
    "head": ("neck", (0.0, 0.10, 0.02)),
    "l_collar": ("chest", (0.03, 0.18, 0.0)), "r_collar": ("chest", (-0.03, 0.18, 0.0)),
    "l_shoulder": ("l_collar", (0.14, 0.01, 0.0)), "r_shoulder": ("r_collar", (-0.14, 0.01, 0.0)),
    "l_elbow": ("l_shoulder", (0.29, 0.0, 0.0)), "r_elbow": ("r_shoulder", (-0.28, 0.0, 0.01)),
    "l_wrist": ("l_elbow", (0.25, 0.0, 0.0)), "r_wrist": ("r_elbow", (-0.26, 0.0, 0.0)),
    "l_hip": ("hips", (0.09, -0.04, 0.0)), "r_hip": ("hips", (-0.09, -0.04, 0.0)),
    "l_knee": ("l_hip", (0.0, -0.43, 0.01)), "r_knee": ("r_hip", (0.0, -0.42, 0.01)),
    "l_ankle": ("l_knee", (0.0, -0.41, -0.02)), "r_ankle": ("r_knee", (0.0, -0.40, -0.02)),
    "l_toe": ("l_ankle", (0.0, -0.06, 0.13)), "r_toe": ("r_ankle", (0.0, -0.06, 0.13)),
}  # fmt: skip
LIMBS = [k for k in BODY if k[:2] in ("l_", "r_") and "collar" not in k and "toe" not in k]
HEAD_TOP = (0.0, 0.20, 0.01)
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # of a vector whose second axis is up
X_UP = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])


def names_of(form, hips="Hips", head="Head", **stems):
    """Key -> name, from a form such as ``{Side}{stem}`` and the stems of a scheme."""
    sides = {"l": ("Left", "left", "L", "l"), "r": ("Right", "right", "R", "r")}
    names = {"hips": hips, "spine": "Spine", "chest": "Chest", "neck": "Neck", "head": head}
    for key in BODY:
        if key in names:
            continue
        long, lower, letter, small = sides[key[0]]
        stem = stems.get(key[2:], key[2:].capitalize())
        names[key] = form.format(Side=long, side=lower, S=letter, s=small, stem=stem)
    return names


@dataclass(frozen=True)
class Form:
    """How a program writes the body.

    names : key -> name. prefix : before every name. unit : metres. turn : (3, 3) to its axes.
    head_end : of the head's End Site in metres, None for no End Site at all.
    below_head : name -> (place in metres, place of its End Site), joints under the head.
    along_x : every bone lies along x at rest. all_positions : six channels on every joint.
    root_turn : (3, 3), of the whole body in the world. extra : lines for a joint without channels.
    """

    names: dict
    prefix: str = ""
    unit: float = 0.01
    turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    head_end: tuple | None = HEAD_TOP
    below_head: dict = field(default_factory=dict)
    along_x: bool = False
    all_positions: bool = False
    no_channels: tuple = ()
    root_turn: np.ndarray = field(default_factory=lambda: np.eye(3))
    place: tuple = (0.4, 0.93, -0.3)
    frame_time: str = "0.0333333"
    n_frames: int = 9
    walks: float = 0.02

    def but(self, **changes):
        return replace(self, **changes)


_ORDERS = ("ZXY", "YXZ", "XYZ", "ZYX")


def _angles(n_frames, seed):
    rng = np.random.default_rng(seed)
    phases = {key: rng.uniform(0, 6, 3) for key in BODY}
    time = np.arange(n_frames)[:, None] / 7
    return {key: 15 * np.sin(time + phase) for key, phase in phases.items()}


def bvh_text(form, seed=0):  # noqa: PLR0915 (one file from top to bottom)
    """The text of a BVH file; angles and lengths have enough digits for 1e-9 m."""
    local = {
        k: Rotation.from_euler("XYZ", a, True) for k, a in _angles(form.n_frames, seed).items()
    }
    children = {k: [c for c in BODY if BODY[c][0] == k] for k in BODY}
    own = {}  # the axes of each joint at rest, in the world of the file
    for key in BODY:
        own[key] = np.eye(3)
        if form.along_x and children[key]:
            ahead = np.array(BODY[children[key][0]][1])
            own[key] = form.turn @ Rotation.align_vectors([ahead], [[1.0, 0, 0]])[0].as_matrix()
    order = {key: _ORDERS[i % 4] for i, key in enumerate(BODY)}
    lines, columns = ["HIERARCHY"], []
    time = np.arange(form.n_frames)[:, None]

    def offset_line(vector, depth):
        numbers = " ".join(f"{v:.12f}" for v in np.array(vector) / form.unit)
        lines.append("\t" * depth + f"OFFSET {numbers}")

    def end_site(vector, depth):
        lines.extend(["\t" * depth + "End Site", "\t" * depth + "{"])
        offset_line(vector, depth + 1)
        lines.append("\t" * depth + "}")

    def joint(key, depth):  # noqa: PLR0912
        tab = "\t" * depth
        parent, place = BODY[key]
        above = np.eye(3) if parent is None else own[parent]
        matrices = local[key].as_matrix()
        if key in form.no_channels:
            matrices = np.broadcast_to(np.eye(3), matrices.shape)
        if parent is None:
            matrices = form.root_turn @ matrices
        turned = above.T @ form.turn @ matrices @ form.turn.T @ own[key]
        angles = Rotation.from_matrix(turned).as_euler(order[key], True)
        offset = above.T @ form.turn @ np.array(place)
        word = "ROOT" if parent is None else "JOINT"
        lines.extend([f"{tab}{word} {form.prefix}{form.names[key]}", tab + "{"])
        offset_line(offset, depth + 1)
        kinds = [f"{a}rotation" for a in order[key]]
        values = [angles]
        if parent is None or form.all_positions:
            kinds = ["Xposition", "Yposition", "Zposition", *kinds]
            if parent is None:
                ahead = np.hstack([0 * time, 0 * time, form.walks * time])
                shift = (np.array(form.place) + ahead) @ form.root_turn.T @ form.turn.T
            else:
                shift = np.broadcast_to(offset, (form.n_frames, 3))
            values.insert(0, shift / form.unit)
        if key in form.no_channels:
            lines.append(f"{tab}\tCHANNELS 0")
        else:
            lines.append(f"{tab}\tCHANNELS {len(kinds)} {' '.join(kinds)}")
            columns.append(np.hstack(values))
        for child in children[key]:
            joint(child, depth + 1)
        if key == "head":
            for name, (at, end) in form.below_head.items():
                lines.extend([f"{tab}\tJOINT {form.prefix}{name}", tab + "\t{"])
                offset_line(own[key].T @ form.turn @ np.array(at), depth + 2)
                lines.append(f"{tab}\t\tCHANNELS 0")
                if end is not None:
                    end_site(own[key].T @ form.turn @ np.array(end), depth + 2)
                lines.append(tab + "\t}")
            if form.head_end is not None:
                end_site(own[key].T @ form.turn @ np.array(form.head_end), depth + 1)
        elif not children[key]:
            end_site(own[key].T @ form.turn @ np.array((0.0, 0.0, 0.05)), depth + 1)
        lines.append(tab + "}")

    joint("hips", 0)
    rows = np.hstack(columns)
    lines += ["MOTION", f"Frames: {form.n_frames}", f"Frame Time: {form.frame_time}"]
    lines += [" ".join(f"{v:.12f}" for v in row) for row in rows]
    return "\n".join([*lines, ""])


UPLEG = names_of(
    "{Side}{stem}",
    hip="UpLeg",
    knee="Leg",
    ankle="Foot",
    toe="ToeBase",
    collar="Shoulder",
    shoulder="Arm",
    elbow="ForeArm",
    wrist="Hand",
)
_EYES = {"LeftEye": ((0.03, 0.1, 0.09), (0.0, 0.0, 0.1)), "RightEye": ((-0.03, 0.1, 0.09), None)}

FORMS = {
    "Mixamo": Form(
        UPLEG,
        "mixamorig:",
        below_head={"HeadTop_End": (HEAD_TOP, (0.0, 0.19, 0.0)), **_EYES},
        head_end=None,
    ),
    "Mixamo through Blender": Form(
        UPLEG,
        "mixamorig_",
        unit=1.0,
        turn=Z_UP,
        head_end=None,
        below_head={**_EYES, "HeadTop_End": (HEAD_TOP, (0.0, 0.0, 0.0))},
    ),
    "LAFAN1": Form(UPLEG, along_x=True, head_end=(0.0, 0.0, 0.0)),
    "Bandai-Namco": Form(
        names_of(
            "{stem}_{S}",
            hip="UpperLeg",
            knee="LowerLeg",
            ankle="Foot",
            toe="Toes",
            collar="Shoulder",
            shoulder="UpperArm",
            elbow="LowerArm",
            wrist="Hand",
        ),
        head_end=(0.0, 0.0, 0.0),
    ),
    "MotionBuilder": Form(UPLEG, "Character1_"),
    "Rokoko": Form(
        names_of(
            "{Side}{stem}",
            hip="Thigh",
            knee="Shin",
            ankle="Foot",
            toe="Toe",
            collar="Shoulder",
            shoulder="Arm",
            elbow="ForeArm",
            wrist="Hand",
        ),
        unit=1.0,
    ),
    "Xsens": Form(
        names_of(
            "{Side}{stem}",
            hip="Hip",
            knee="Knee",
            ankle="Ankle",
            toe="Toe",
            collar="Collar",
            shoulder="Shoulder",
            elbow="Elbow",
            wrist="Wrist",
        )
    ),
    "Xsens segments": Form(
        names_of(
            "{Side}{stem}",
            hips="Pelvis",
            hip="UpperLeg",
            knee="LowerLeg",
            ankle="Foot",
            toe="Toe",
            collar="Shoulder",
            shoulder="UpperArm",
            elbow="ForeArm",
            wrist="Hand",
        ),
        unit=0.001,
    ),
    "Perception Neuron": Form(UPLEG, "Robot_", all_positions=True, frame_time="0.008"),
    "3ds Max Biped": Form(
        names_of(
            "{S} {stem}",
            hips="Pelvis",
            hip="Thigh",
            knee="Calf",
            ankle="Foot",
            toe="Toe0",
            collar="Clavicle",
            shoulder="UpperArm",
            elbow="Forearm",
            wrist="Hand",
        ),
        "Bip01 ",
        unit=0.0254,
        head_end=None,
        below_head={"HeadNub": (HEAD_TOP, (0, 0, 0))},
    ),
    "Valve Biped": Form(
        names_of(
            "{S}_{stem}",
            hips="Pelvis",
            head="Head1",
            hip="Thigh",
            knee="Calf",
            ankle="Foot",
            toe="Toe0",
            collar="Clavicle",
            shoulder="UpperArm",
            elbow="Forearm",
            wrist="Hand",
        ),
        "ValveBiped.Bip01_",
        unit=0.0254,
    ),
    "Daz Genesis 8": Form(
        names_of(
            "{s}{stem}",
            hips="hip",
            head="head",
            hip="ThighBend",
            knee="Shin",
            ankle="Foot",
            toe="Toe",
            collar="Collar",
            shoulder="ShldrBend",
            elbow="ForearmBend",
            wrist="Hand",
        ),
        head_end=None,
        below_head={"lEye": _EYES["LeftEye"], "lowerJaw": ((0, 0.01, 0.05), (0, 0.0, 0.1))},
    ),
    "Poser": Form(
        names_of(
            "{s}{stem}",
            hips="hip",
            head="head",
            hip="Thigh",
            knee="Shin",
            ankle="Foot",
            toe="Toe",
            collar="Collar",
            shoulder="Shldr",
            elbow="ForeArm",
            wrist="Hand",
        )
    ),
    "MakeHuman": Form(
        names_of(
            "{stem}.{S}",
            hips="root",
            head="head",
            hip="upperleg01",
            knee="lowerleg01",
            ankle="foot",
            toe="toe1-1",
            collar="clavicle",
            shoulder="upperarm01",
            elbow="lowerarm01",
            wrist="wrist",
        ),
        unit=0.1 * 0.1,
        no_channels=("spine",),
    ),
    "MB-Lab": Form(
        names_of(
            "{stem}_{S}",
            hips="pelvis",
            head="head",
            hip="thigh",
            knee="calf",
            ankle="foot",
            toe="toes",
            collar="clavicle",
            shoulder="upperarm",
            elbow="lowerarm",
            wrist="hand",
        ),
        unit=1.0,
        turn=Z_UP,
    ),
    "Rigify": Form(
        names_of(
            "{stem}.{S}",
            hips="spine.006",
            head="head",
            hip="thigh",
            knee="shin",
            ankle="foot",
            toe="toe",
            collar="shoulder",
            shoulder="upper_arm",
            elbow="forearm",
            wrist="hand",
        ),
        "DEF-",
        unit=1.0,
        turn=Z_UP,
    ),
    "SMPL": Form(
        names_of(
            "{S}_{stem}",
            hips="Pelvis",
            hip="Hip",
            knee="Knee",
            ankle="Ankle",
            toe="Foot",
            collar="Collar",
            shoulder="Shoulder",
            elbow="Elbow",
            wrist="Wrist",
        ),
        unit=1.0,
        head_end=(0.0, 0.0, 0.0),
    ),
    "SMPL in words": Form(
        names_of(
            "{Side}_{stem}",
            hips="Pelvis",
            hip="hip",
            knee="knee",
            ankle="ankle",
            toe="foot",
            collar="collar",
            shoulder="shoulder",
            elbow="elbow",
            wrist="wrist",
        ),
        unit=1.0,
        head_end=None,
    ),
    "Biovision": Form(
        names_of(
            "{Side}{stem}",
            hip="UpLeg",
            knee="LowLeg",
            ankle="Foot",
            toe="Toe",
            collar="Collar",
            shoulder="UpArm",
            elbow="LowArm",
            wrist="Hand",
        ),
        unit=0.0254,
    ),
    "OptiTrack": Form(
        names_of(
            "{S}{stem}",
            hips="Hip",
            hip="Thigh",
            knee="Shin",
            ankle="Foot",
            toe="Toe",
            collar="Shoulder",
            shoulder="UArm",
            elbow="FArm",
            wrist="Hand",
        ),
        "Skeleton_",
    ),
    "iPi": Form(
        names_of(
            "{S}{stem}",
            hips="Hip",
            hip="Thigh",
            knee="Shin",
            ankle="Foot",
            toe="Toe",
            collar="Clavicle",
            shoulder="Shoulder",
            elbow="Forearm",
            wrist="Hand",
        )
    ),
    "Human": Form(
        names_of(
            "{S}{stem}",
            hips="Pelvis",
            hip="Thigh",
            knee="Calf",
            ankle="Foot",
            toe="Toe",
            collar="Collarbone",
            shoulder="Upperarm",
            elbow="Forearm",
            wrist="Palm",
        ),
        "Human",
    ),
    "Kinect": Form(
        names_of(
            "{stem}{Side}",
            hip="Hip",
            knee="Knee",
            ankle="Ankle",
            toe="Foot",
            collar="Collar",
            shoulder="Shoulder",
            elbow="Elbow",
            wrist="Wrist",
        ),
        unit=1.0,
    ),
    "suffix": Form(
        {
            k: f"{v}_JNT"
            for k, v in names_of(
                "{s}_{stem}",
                hip="upleg",
                knee="leg",
                ankle="foot",
                collar="shoulder",
                shoulder="arm",
                elbow="forearm",
                wrist="hand",
            ).items()
        }
    ),
    "VRM": Form(
        names_of("L_{stem}", head="C_Head", hip="UpperLeg")
        | {
            k: v
            for k, v in names_of(
                "{S}_{stem}",
                hip="UpperLeg",
                knee="LowerLeg",
                ankle="Foot",
                toe="ToeBase",
                collar="Shoulder",
                shoulder="UpperArm",
                elbow="LowerArm",
                wrist="Hand",
            ).items()
            if k[1] == "_"
        },
        "J_Bip_",
        unit=1.0,
    ),
    "x up": Form(UPLEG, unit=0.01, turn=X_UP),
}
"""A clip of each naming scheme, with what else the program's files are like."""
