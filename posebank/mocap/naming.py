"""Find the 13 joints among the names of a BVH skeleton.

A naming scheme is a row of ``SCHEMES``: the names of hip, knee, ankle, shoulder, elbow and wrist
without their side. Names are compared in lower case, without namespace and separators. The side
comes before or after the name, as a word or a letter, and whatever else all names have in common
before and after it (``mixamorig:``, ``Bip01 ``, ``_JNT``) is ignored. So one row finds
``LeftUpLeg``, ``mixamorig:LeftUpLeg``, ``Model_LeftUpLeg``, ``l_upleg_JNT`` and ``UpLeg.L``.

To add a scheme, add a row; ``tests/test_mocap_naming.py`` has a clip of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from posebank.mocap.options import JointMap
from posebank.skeleton import JOINT_NAMES

END_SITE = "end site"
LIMB_JOINTS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")

SCHEMES: tuple[tuple[str, str, str], ...] = (
    (
        "UpLeg-Leg-Foot",
        "upleg leg foot arm forearm hand",
        "MotionBuilder, Mixamo, LAFAN1, Rokoko, Perception Neuron, Pose Prior, cgspeed",
    ),
    (
        "Hip-Knee-Ankle",
        "hip knee ankle shoulder elbow wrist",
        "Xsens MVN's BVH, SMPL, Kinect, cgspeed's 3ds Max release",
    ),
    ("Biped", "thigh calf foot upperarm forearm hand", "3ds Max Biped, Reallusion, Valve"),
    (
        "Thigh-Calf-LowerArm",
        "thigh calf foot upperarm lowerarm hand",
        "MB-Lab, Unreal, MakeHuman's game rig",
    ),
    (
        "UpperLeg-LowerLeg-LowerArm",
        "upperleg lowerleg foot upperarm lowerarm hand",
        "Bandai-Namco, Unity, VRM",
    ),
    (
        "UpperLeg-LowerLeg-ForeArm",
        "upperleg lowerleg foot upperarm forearm hand",
        "Xsens MVN's segments",
    ),
    (
        "MakeHuman",
        "upperleg01 lowerleg01 foot upperarm01 lowerarm01 wrist",
        "MakeHuman's default rig",
    ),
    ("Biovision", "upleg lowleg foot uparm lowarm hand", "the sample file of the format"),
    ("Daz Genesis 3, 8", "thighbend shin foot shldrbend forearmbend hand", "Daz Studio"),
    ("Poser", "thigh shin foot shldr forearm hand", "Poser, Daz Genesis 1, 2"),
    (
        "Thigh-Shin-UpperArm",
        "thigh shin foot upperarm forearm hand",
        "Daz Genesis 9, Blender Rigify",
    ),
    ("Thigh-Shin-Arm", "thigh shin foot arm forearm hand", "Rokoko Studio"),
    ("OptiTrack", "thigh shin foot uarm farm hand", "OptiTrack Motive"),
    ("Human", "thigh calf foot upperarm forearm palm", "skeletons with the prefix Human"),
    ("iPi", "thigh shin foot shoulder forearm hand", "iPi Mocap Studio"),
    (
        "Acclaim",
        "femur tibia foot humerus radius hand",
        "conversions of ASF/AMC that keep the bones' names",
    ),
)
"""Name, the six joints in the order of ``LIMB_JOINTS``, and who uses it. The first that fits is
taken: where a file has both an upper arm and a shoulder, the shoulder is the collar bone."""

_STEMS: dict[str, tuple[str, ...]] = {
    joint: tuple(dict.fromkeys(row.split()[place] for _, row, _ in SCHEMES))
    for place, joint in enumerate(LIMB_JOINTS)
}
_LAST = {
    "hip": ("hip",),
    "knee": ("leg",),
    "ankle": ("foot",),
    "shoulder": ("arm", "shoulder"),
    "wrist": ("hand", "palm"),
}
for _joint, _words in _LAST.items():  # names that mean another joint where a better one is there
    _STEMS[_joint] = tuple(w for w in _STEMS[_joint] if w not in _words) + _words

_HEADS = ("head", "chead", "headc", "head1", "head01", "skull")
_UPPER_ARMS = tuple(w for w in _STEMS["shoulder"] if w != "shoulder")
AT_THE_TOP = ("top", "end", "nub", "tip", "site", "effector")
"""What the names of joints at the end of a limb end in."""


@dataclass(frozen=True)
class Skeleton:
    """Names and hierarchy of a BVH file, as far as the naming needs them.

    names : of the nodes, in the file's order; parents : of each, -1 for the root.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]

    def joints(self) -> list[str]:
        """Return the names that are no End Sites."""
        return [name for name in self.names if not is_end_site(name)]

    def hangs_from(self, node: int, ancestor: int) -> bool:
        """Whether a node is below another."""
        while node >= 0:
            node = self.parents[node]
            if node == ancestor:
                return True
        return False

    def between(self, node: int, ancestor: int) -> list[int]:
        """Return the nodes strictly between a node and its ancestor."""
        nodes = []
        node = self.parents[node]
        while node not in (ancestor, -1):
            nodes.append(node)
            node = self.parents[node]
        return nodes


@dataclass(frozen=True)
class JointMatch:
    """Where the 13 joints are.

    scheme : what they were found by, in words.
    nodes : ``lcrnet13`` name -> nodes whose mean is the joint; for ``head`` one node.
    head_is_top : whether the head's node is the head top itself, not the joint below it.
    """

    scheme: str
    nodes: Mapping[str, tuple[int, ...]]
    head_is_top: bool


def is_end_site(name: str) -> bool:
    """Whether a node's name is that of an End Site, which is ``"<parent>/end site"``."""
    return name.endswith("/" + END_SITE)


def plain_name(name: str) -> str:
    """Return a joint's name without namespace, case and separators.

    Examples
    --------
    >>> plain_name("mixamorig:Left_UpLeg"), plain_name("Bip01 L Thigh"), plain_name("upper_arm.L")
    ('leftupleg', 'bip01lthigh', 'upperarml')
    """
    end = "/" + END_SITE if is_end_site(name) else ""
    name = name.removesuffix("/" + END_SITE).rsplit(":", 1)[-1].rsplit("|", 1)[-1].lower()
    return name.translate(_SEPARATORS) + end


_SEPARATORS = str.maketrans("", "", "_-. ")


@dataclass(frozen=True)
class _Form:
    """How the names of a file are written: around the joint's name, and where its side is."""

    prefix: str
    suffix: str
    right: str
    left: str
    side_first: bool

    def name(self, side: str, stem: str) -> str:
        """Return the plain name of a joint; ``side`` is r or l."""
        word = self.right if side == "r" else self.left
        middle = word + stem if self.side_first else stem + word
        return self.prefix + middle + self.suffix


_SIDES = (("right", "left", True), ("right", "left", False), ("r", "l", True), ("r", "l", False))


def _forms(plain: Mapping[str, int]) -> list[_Form]:
    """Return the forms in which a right knee or elbow occurs, those with the least around first."""
    forms = set()
    for right, left, first in _SIDES:
        for stem in (*_STEMS["knee"], *_STEMS["elbow"]):
            core = right + stem if first else stem + right
            for name in plain:
                at = name.find(core)
                if at >= 0:
                    forms.add(_Form(name[:at], name[at + len(core) :], right, left, first))
    # Where both fit, the word is the side: in "upright_leg" the letter would be found as well.
    return sorted(
        forms, key=lambda f: (len(f.prefix + f.suffix), -len(f.right), f.prefix, f.suffix)
    )[:_MOST_FORMS]


_MOST_FORMS = 60


def match_joints(skeleton: Skeleton, asked: JointMap | None = None) -> JointMatch | None:
    """Find the 13 joints by the names given, then by a naming scheme; None if some are missing.

    Raises
    ------
    KeyError
        With the name, if one of those given is not in the file.
    """
    given = {
        joint: tuple(find_node(skeleton, name) for name in names)
        for joint, names in (asked or {}).items()
    }
    head_is_top = "head" in given and all(
        plain_name(skeleton.names[node]).endswith(AT_THE_TOP) for node in given["head"]
    )
    if len(given) == len(JOINT_NAMES):
        return JointMatch("given by the user", given, head_is_top or len(given["head"]) > 1)
    for scheme, found in _candidates(skeleton):
        nodes = {**{joint: (node,) for joint, node in found.items()}, **given}
        if len(nodes) == len(JOINT_NAMES) and _is_a_body(skeleton, nodes, set(given)):
            name = f"{scheme}, {len(given)} given by the user" if given else scheme
            return JointMatch(name, nodes, head_is_top or len(nodes["head"]) > 1)
    return None


def best_guess(skeleton: Skeleton, asked: JointMap | None = None) -> dict[str, str]:
    """Return the names of as many of the 13 joints as one scheme or all together find."""
    best: dict[str, int] = {}
    for _, found in _candidates(skeleton):
        if len(found) > len(best):
            best = found
    if "head" not in best and (head := _head(_by_plain_name(skeleton), None)) is not None:
        best = {**best, "head": head}
    named = {joint: skeleton.names[node] for joint, node in best.items()}
    return named | {joint: " + ".join(names) for joint, names in (asked or {}).items()}


def find_node(skeleton: Skeleton, name: str) -> int:
    """Return the node of a name as it is in the file, or else as it is without separators.

    Raises
    ------
    KeyError
        If there is none.
    """
    for wanted in (name, f"{name.rsplit('/', 1)[0]}/{END_SITE}" if "/" in name else name):
        if wanted in skeleton.names:
            return skeleton.names.index(wanted)
    plain = [plain_name(n) for n in skeleton.names]
    if plain_name(name) in plain:
        return plain.index(plain_name(name))
    raise KeyError(name)


def _by_plain_name(skeleton: Skeleton) -> dict[str, int]:
    plain: dict[str, int] = {}
    for node, name in enumerate(skeleton.names):
        if not is_end_site(name):
            plain.setdefault(plain_name(name), node)
    return plain


def _candidates(skeleton: Skeleton) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield a scheme's name and what it finds, for every form; then what all schemes find."""
    plain = _by_plain_name(skeleton)
    forms = _forms(plain)
    for form in forms:
        head = _head(plain, form)
        for scheme, row, _ in SCHEMES:
            stems = {joint: (stem,) for joint, stem in zip(LIMB_JOINTS, row.split(), strict=True)}
            yield scheme, _found(plain, form, stems) | ({} if head is None else {"head": head})
    for form in forms:
        head = _head(plain, form)
        yield (
            "several schemes",
            _found(plain, form, _STEMS) | ({} if head is None else {"head": head}),
        )


def _found(
    plain: Mapping[str, int], form: _Form, stems: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    found = {}
    for side in "rl":
        for joint, words in stems.items():
            for word in words:
                node = plain.get(form.name(side, word))
                if node is not None:
                    found[f"{side}_{joint}"] = node
                    break
    return found


def _head(plain: Mapping[str, int], form: _Form | None) -> int | None:
    around = [("", "")] if form is None else [(form.prefix, form.suffix), ("", "")]
    for prefix, suffix in around:
        for word in _HEADS:
            if prefix + word + suffix in plain:
                return plain[prefix + word + suffix]
    return None


def _is_a_body(skeleton: Skeleton, nodes: Mapping[str, tuple[int, ...]], given: set[str]) -> bool:
    """Whether the joints that a scheme found hang from one another as a body's do."""
    for side in "rl":
        for outer, inner in (
            ("knee", "hip"),
            ("ankle", "knee"),
            ("elbow", "shoulder"),
            ("wrist", "elbow"),
        ):
            pair = f"{side}_{outer}", f"{side}_{inner}"
            if not given.isdisjoint(pair):
                continue
            below, above = nodes[pair[0]][0], nodes[pair[1]][0]
            if not skeleton.hangs_from(below, above):
                return False
            collar = outer == "elbow" and "shoulder" in plain_name(skeleton.names[above])
            between = skeleton.between(below, above) if collar else []
            if any(arm in plain_name(skeleton.names[n]) for n in between for arm in _UPPER_ARMS):
                return False
    return True
