"""Small MoCap files in the original forms, for the tests."""

import numpy as np

SIDES = ("l", "r")


def acclaim_bones():
    """Name -> (parent, direction, length, axis, order, dof): CMU's skeleton in outline."""
    bones = {}
    for side, x in (("l", 1.0), ("r", -1.0)):
        bones[f"{side}hipjoint"] = ("root", (0.6 * x, -0.8, 0), 2.0, (0, 0, 0), "XYZ", "")
        bones[f"{side}femur"] = (
            f"{side}hipjoint",
            (0, -1, 0),
            7.5,
            (0, 0, 20 * x),
            "XYZ",
            "rx ry rz",
        )
        bones[f"{side}tibia"] = (f"{side}femur", (0, -1, 0), 7.2, (10, 0, 20 * x), "ZXY", "rx")
    for name, parent in (
        ("lowerback", "root"),
        ("upperback", "lowerback"),
        ("thorax", "upperback"),
        ("lowerneck", "thorax"),
        ("upperneck", "lowerneck"),
        ("head", "upperneck"),
    ):
        bones[name] = (parent, (0, 1, 0), 1.8, (0, 0, 0), "XYZ", "rx ry rz")
    for side, x in (("l", 1.0), ("r", -1.0)):
        bones[f"{side}clavicle"] = ("thorax", (x, 0, 0), 3.4, (0, 0, 0), "XYZ", "ry rz")
        bones[f"{side}humerus"] = (
            f"{side}clavicle",
            (x, 0, 0),
            4.9,
            (180, 30 * x, 90),
            "YXZ",
            "rz rx ry",
        )
        bones[f"{side}radius"] = (f"{side}humerus", (x, 0, 0), 3.3, (180, 30 * x, 90), "XYZ", "rx")
        bones[f"{side}wrist"] = (f"{side}radius", (x, 0, 0), 1.7, (0, 90, 90), "XYZ", "ry")
        bones[f"{side}thumb"] = (f"{side}wrist", (0, 0, 1), 0.8, (-90, 45, 0), "XYZ", "rx rz")
    return bones


def asf_text(bones, length=0.45, angle="deg", end="\n"):
    scale = 1.0 if angle == "deg" else np.pi / 180
    lines = [
        "# made for a test",
        ":version 1.10",
        ":name VICON",
        ":units",
        "  mass 1.0",
        f"  length {length}",
        f"  angle {angle}",
        ":documentation",
        "   none",
        ":root",
        "   order TX TY TZ RX RY RZ",
        "   axis XYZ",
        "   position 0 0 0",
        "   orientation 0 0 0",
        ":bonedata",
    ]
    for number, (name, (_, direction, size, axis, order, dof)) in enumerate(bones.items(), 1):
        turned = " ".join(repr(float(a * scale)) for a in axis)
        lines += [
            "  begin",
            f"     id {number}",
            f"     name {name}",
            f"     direction {' '.join(map(str, direction))}",
            f"     length {size}",
            f"     axis {turned}  {order}",
        ]
        if dof:
            lines += [f"    dof {dof}", "    limits (-10.0 170.0)", "           (-1.0 1.0)"]
        lines.append("  end" if number % 2 else " end")
    lines += [":hierarchy", "  begin"]
    for parent in ["root", *bones]:
        children = [n for n, b in bones.items() if b[0] == parent]
        if children:
            lines.append(f"    {parent} {' '.join(children)}")
    return end.join([*lines, "  end", ""])


def random_motion(bones, n_frames, seed=0):
    """One mapping of bone -> degrees a frame, moving smoothly."""
    rng = np.random.default_rng(seed)
    phases = {name: rng.uniform(0, 6, len(b[5].split())) for name, b in bones.items() if b[5]}
    frames = []
    for f in range(n_frames):
        frame = {"root": [0.1 * f, 17.0, 0.05 * f, 3 * np.sin(f / 30), 10.0, -5.0]}
        for name, phase in phases.items():
            frame[name] = list(25 * np.sin(f / 25 + phase))
        frames.append(frame)
    return frames


def amc_text(frames, first=1, header="#!OML:ASF made\n:FULLY-SPECIFIED\n:DEGREES\n", end="\n"):
    lines = []
    for number, frame in enumerate(frames, first):
        lines.append(str(number))
        lines += [f"{name} {' '.join(f'{v:.6g}' for v in row)}" for name, row in frame.items()]
    return header.replace("\n", end) + end.join([*lines, ""])


def pose_prior_bvh(n_frames=30, rom=False, seed=0):
    """A BVH as Pose Prior has them: inches, y up, 0.008333 s, one of its two channel layouts."""
    zyx = "Zrotation Yrotation Xrotation"
    fore = zyx if rom else "Yrotation Zrotation Xrotation"
    thumb = "Xrotation Yrotation Zrotation" if rom else "Xrotation Zrotation Yrotation"
    lines = ["HIERARCHY", "ROOT Hips", "{", "\tOFFSET 0.0 0.0 0.0"]
    lines.append(f"\tCHANNELS 6 Xposition Yposition Zposition {zyx}")

    def joint(name, offset, channels, children, depth=1):
        tab = "\t" * depth
        lines.extend([f"{tab}JOINT {name}", tab + "{"])
        lines.append(f"{tab}\tOFFSET {' '.join(map(str, offset))}")
        lines.append(f"{tab}\tCHANNELS 3 {channels}")
        for child in children:
            joint(*child, depth + 1)
        if not children:
            end = (0.0, 4.0, 0.0) if name == "Head" else (0.0, -1.0, 1.0)
            lines.extend([f"{tab}\tEnd Site", tab + "\t{"])
            lines.extend([f"{tab}\t\tOFFSET {' '.join(map(str, end))}", tab + "\t}"])
        lines.append(tab + "}")

    arms = []
    for side, x in (("Left", 1.0), ("Right", -1.0)):
        hand = (
            f"{side}Hand",
            (10.0 * x, 0, 0),
            zyx,
            [(f"{side}HandThumb1", (1.0 * x, 0, 1.0), thumb, [])],
        )
        lower = (f"{side}ForeArm", (11.0 * x, 0, 0), fore, [hand])
        upper = (f"{side}Arm", (5.0 * x, 0, 0), zyx, [lower])
        arms.append((f"{side}Shoulder", (1.5 * x, 14.0, 0), zyx, [upper]))
    joint("Spine", (0, 5.0, 0), zyx, [("Head", (0, 18.0, 0), zyx, []), *arms])
    for side, x in (("Left", 1.0), ("Right", -1.0)):
        foot = (f"{side}Foot", (0, -16.0, 0), zyx, [(f"{side}ToeBase", (0, -2.0, 5.0), zyx, [])])
        joint(f"{side}UpLeg", (3.5 * x, 0, 0), zyx, [(f"{side}Leg", (0, -17.0, 0), zyx, [foot])])
    n_channels = sum(int(line.split()[1]) for line in lines if "CHANNELS" in line)
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, n_channels)
    lines += ["}", "MOTION", f"Frames: {n_frames}", "Frame Time: 0.008333"]
    for f in range(n_frames):
        row = 20 * np.sin(f / 20 + phase)
        row[:3] = (0.1 * f, 36.0, 0.2 * f)
        lines.append(" ".join(f"{v:.6f}" for v in row))
    return "\n".join([*lines, ""])
