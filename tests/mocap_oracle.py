"""Slow, ordinary ASF/AMC and BVH readers: line by line, a matrix product per bone and frame.

The oracle of the tests and the baseline of the benchmark. It shares no code with posebank.
"""

import math

import numpy as np
from scipy.spatial.transform import Rotation


def _turn(axis, angle):
    c, s = math.cos(angle), math.sin(angle)
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def _in_order(axes, angles):
    matrix = np.eye(3)
    for axis, angle in zip(axes, angles, strict=True):
        matrix = _turn(axis, angle) @ matrix
    return matrix


def read_skeleton(path):  # noqa: PLR0912
    bones, parent, units = {}, {}, {}
    section, bone = "", {}
    for raw in path.read_text(encoding="latin-1").splitlines():
        words = raw.split()
        if not words or raw.startswith("#"):
            continue
        if words[0].startswith(":"):
            section = words[0]
        elif section == ":units":
            units[words[0]] = words[1]
        elif section == ":root":
            if words[0] == "order":
                bones["root"] = {"offset": np.zeros(3), "C": np.eye(3), "dof": words[1:]}
        elif section == ":bonedata":
            if words[0] == "begin":
                bone = {"dof": []}
            elif words[0] == "end":
                bone["offset"] = bone["direction"] * bone["length"]
                bones[bone["name"]] = bone
            elif words[0] == "name":
                bone["name"] = words[1]
            elif words[0] == "direction":
                bone["direction"] = np.array([float(w) for w in words[1:4]])
            elif words[0] == "length":
                bone["length"] = float(words[1])
            elif words[0] == "axis":
                angles = dict(zip("xyz", map(float, words[1:4]), strict=True))
                order = words[4].lower()
                unit = math.pi / 180 if units["angle"] == "deg" else 1.0
                bone["C"] = _in_order(order, [angles[a] * unit for a in order])
            elif words[0] == "dof":
                bone["dof"] = words[1:]
        elif section == ":hierarchy" and words[0] not in ("begin", "end"):
            for child in words[1:]:
                parent[child] = words[0]
    return bones, parent, float(units["length"])


def read_frames(path):
    frames = []
    for line in path.read_text(encoding="latin-1").splitlines():
        words = line.split()
        if not words or words[0][0] in "#:":
            continue
        if len(words) == 1 and words[0].isdigit():
            frames.append({})
        else:
            frames[-1][words[0]] = [float(w) for w in words[1:]]
    return frames


def bone_ends(skeleton, frame, unit=math.pi / 180):
    """Bone -> end position, in the lengths of the file."""
    bones, parent, _ = skeleton
    ends, turns = {}, {}

    def place(name):
        if name in ends:
            return
        bone = bones[name]
        values = dict(zip([d.lower() for d in bone["dof"]], frame.get(name, []), strict=True))
        axes = [d[1] for d in values if d[0] == "r"]
        motion = _in_order(axes, [values["r" + a] * unit for a in axes])
        local = bone["C"] @ motion @ bone["C"].T
        if name == "root":
            turns[name] = local
            ends[name] = np.array([values["t" + a] for a in "xyz"])
        else:
            place(parent[name])
            turns[name] = turns[parent[name]] @ local
            ends[name] = ends[parent[name]] + turns[name] @ bone["offset"]

    for name in bones:
        place(name)
    return ends


def bvh_frames(text):
    """Joint -> (places (n, 3), turns (n, 3, 3)) of a BVH, by scipy's rotations, from its text.

    An End Site is ``<joint>/end``. Lines must be as exporters indent them, one word group a line.
    """
    lines = [line.split() for line in text.splitlines() if line.split()]
    start = next(i for i, words in enumerate(lines) if words[0] == "MOTION")
    rows = np.array([[float(w) for w in words] for words in lines[start + 3 :]])
    still = (np.zeros((len(rows), 3)), np.eye(3)[None].repeat(len(rows), 0))
    stack, column, result, name = [still], 0, {}, ""
    opened = []
    for words in lines[1:start]:
        if words[0] in ("ROOT", "JOINT"):
            name = " ".join(words[1:])
        elif words[0] == "End":
            name = f"{opened[-1]}/end"
        elif words[0] == "{":
            stack.append((None, None))
            opened.append(name)
        elif words[0] == "}":
            stack.pop()
            opened.pop()
        elif words[0] == "OFFSET":
            origin, turn = stack[-2]
            offset = np.array([float(w) for w in words[1:]])
            stack[-1] = (origin + np.einsum("nij,j->ni", turn, offset), turn)
            result[opened[-1]] = stack[-1]
        elif words[0] == "CHANNELS":
            origin, turn = stack[-1]
            for kind in words[2:]:
                value = rows[:, column]
                column += 1
                if kind.endswith("position"):
                    axis = np.eye(3)["XYZ".index(kind[0])]
                    origin = origin + np.einsum("nij,j,n->ni", stack[-2][1], axis, value)
                else:
                    turn = turn @ Rotation.from_euler(kind[0], value[:, None], True).as_matrix()
            stack[-1] = (origin, turn)
            result[opened[-1]] = stack[-1]
    return result
