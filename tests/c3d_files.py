"""C3D files with the faults of real ones, and a made-up walker, for the tests."""

import numpy as np

# A standing person's right side: millimetres to the right, ahead, up.
_PLACES = {
    "FWT": (125, 95, 985), "BWT": (55, -85, 995), "KNE": (132, 12, 505), "ANK": (118, -8, 92),
    "HEE": (102, -72, 48), "TOE": (112, 148, 44), "SHO": (178, 2, 1425), "ELB": (295, -12, 1128),
    "WRA": (308, 58, 905), "WRB": (342, 8, 888), "FHD": (72, 78, 1642), "BHD": (68, -72, 1652),
}  # fmt: skip
MARKERS = [side + name for side in "LR" for name in _PLACES]
OTHER_NAMES = {
    "Plug-in Gait": {"FWT": "*ASI", "BWT": "*PSI"},
    "Helen Hayes": {
        "FWT": "*.ASIS",
        "BWT": "*.PSIS",
        "KNE": "*.Knee",
        "ANK": "*.Ankle",
        "HEE": "*.Heel",
        "TOE": "*.Toe",
        "SHO": "*.Shoulder",
        "ELB": "*.Elbow",
        "WRA": "*.Wrist.Lat",
        "WRB": "*.Wrist.Med",
    },
    "Qualisys": {
        "FWT": "Waist*Front",
        "BWT": "Waist*Back",
        "KNE": "*KneeOut",
        "ANK": "*AnkleOut",
        "HEE": "*HeelBack",
        "TOE": "*Forefoot2",
        "SHO": "*ShoulderTop",
        "ELB": "*ElbowOut",
        "WRA": "*WristIn",
        "WRB": "*WristOut",
    },
    "landmarks": {
        "FWT": "*_IAS",
        "BWT": "*_IPS",
        "KNE": "*_FLE",
        "ANK": "*_FAL",
        "HEE": "*_FCC",
        "TOE": "*_FM2",
        "SHO": "*_SAE",
        "ELB": "*_HLE",
        "WRA": "*_RSP",
        "WRB": "*_USP",
    },
}
"""Convention -> what it calls the markers (those not listed as Vicon)."""


def renamed(convention):
    """The 24 labels in another convention."""
    names = OTHER_NAMES[convention]
    return [names.get(m[1:], "*" + m[1:]).replace("*", m[0]) for m in MARKERS]


def walker(n_frames, at=(0.0, 0.0)):
    """Markers (n_frames, 24, 3) of somebody who walks ahead, millimetres, z up."""
    points = np.zeros((n_frames, len(MARKERS), 3))
    time = np.arange(n_frames)
    for column, marker in enumerate(MARKERS):
        right, ahead, up = _PLACES[marker[1:]]
        sign = 1 if marker[0] == "R" else -1
        swing = 70 * np.sin(time / 9.0) * sign
        swing *= {"KNE": 0.5, "ANK": 1, "HEE": 1, "TOE": 1, "WRA": -0.8, "WRB": -0.8}.get(
            marker[1:], 0
        )
        points[:, column, 0] = at[0] + sign * right
        points[:, column, 1] = at[1] + ahead + 6.0 * time + swing
        points[:, column, 2] = up
    return points


def c3d_with(  # noqa: PLR0915
    points,
    labels,
    *,
    processor=84,
    as_float=True,
    units="mm",
    y_screen="+Z",
    x_screen="+X",
    rate=120.0,
    first=1,
    pad=" ",
    labels_per_parameter=255,
    analog=(0, 1),
    header_analog=None,
    used=None,
    header_points=None,
    header_last=None,
    frames=None,
    trial=None,
    long_frames=None,
    residual=None,
    prefixes=None,
    junk=b"",
    extra=(),
    wrong_pointer=False,
    n_blocks=None,
    step=0.1,
    header_scale=None,
    tail=b"",
):
    """A C3D file of points (n_frames, n_points, 3) in its unit; NaN is not seen.

    analog is (channels, samples per frame); every other argument replaces what the file would
    truly state: None leaves the truth, or leaves the parameter out where it is not a number.
    """
    order = ">" if processor == 86 else "<"
    n_frames, n_points, _ = points.shape

    def word(*values):
        return np.array([v & 0xFFFF for v in values]).astype(order + "u2").tobytes()

    def real(values):
        values = np.asarray(values, "<f4")
        if processor != 85:
            return values.astype(order + "f4").tobytes()
        halves = (values * 4).astype("<f4").view("<u2").reshape(-1, 2)
        return halves[:, ::-1].astype("<u2").tobytes()

    def record(group, name, content):
        pointer = 2 + len(content) + (77 if wrong_pointer and name == "RATE" else 0)
        return bytes([len(name), group & 0xFF]) + name.encode() + word(pointer) + content

    def number(group, name, *values):
        return record(
            group,
            name,
            bytes([2, len(values) > 1, *([len(values)] * (len(values) > 1))])
            + word(*values)
            + b"\0",
        )

    def float_(group, name, value):
        return record(group, name, bytes([4, 0]) + real([value]) + b"\0")

    def texts(group, name, values):
        width = max(4, *map(len, values))
        raw = "".join(v.ljust(width, pad) for v in values).encode("latin-1")
        return record(group, name, bytes([0xFF, 2, width, len(values)]) + raw + b"\0")

    records = record(-1, "POINT", b"\0") + record(-2, "TRIAL", b"\0") + record(-3, "ANALOG", b"\0")
    records += record(-4, "SUBJECTS", b"\0")
    records += b"".join(record(1, name, content) for name, content in extra)
    for number_, start in enumerate(range(0, len(labels), labels_per_parameter)):
        name = "LABELS" + (str(number_ + 1) if number_ else "")
        records += texts(1, name, labels[start : start + labels_per_parameter])
    if units is not None:
        records += texts(1, "UNITS", [units])
    if y_screen is not None:
        records += texts(1, "Y_SCREEN", [y_screen])
    if x_screen is not None:
        records += texts(1, "X_SCREEN", [x_screen])
    records += float_(1, "RATE", rate)
    records += number(1, "USED", n_points if used is None else used)
    records += number(1, "FRAMES", min(n_frames, 65535) if frames is None else frames)
    if long_frames is not None:
        records += float_(1, "LONG_FRAMES", long_frames)
    if trial is not None:
        for name, value in zip(("START", "END"), trial, strict=True):
            records += number(2, f"ACTUAL_{name}_FIELD", value & 0xFFFF, value >> 16)
    if prefixes is not None:
        records += texts(4, "LABEL_PREFIXES", prefixes)
    channels, samples = analog
    if channels:
        records += number(3, "USED", channels) + float_(3, "RATE", rate * samples)
    records += b"\0\0" + junk
    blocks = -(-(len(records) + 4) // 512)
    parameters = bytes([1, 80, blocks if n_blocks is None else n_blocks, processor]) + records
    scale = -step if as_float else step
    last = first + n_frames - 1
    header = bytes([2, 0x50]) + word(
        n_points if header_points is None else header_points,
        channels * samples if header_analog is None else header_analog,
        first,
        last if header_last is None else header_last,
        10,
    )
    header += real([scale if header_scale is None else header_scale])
    header += word(2 + blocks, samples) + real([rate])
    hidden = np.isnan(points).any(axis=-1, keepdims=True)
    fourth = np.where(hidden, -1.0, 0.0 if residual is None else residual)
    quads = np.concatenate([np.nan_to_num(points), fourth], axis=-1)
    if not as_float:
        quads[..., :3] = np.round(quads[..., :3] / scale)
    each = [quads.reshape(n_frames, -1), np.full((n_frames, channels * samples), 321.0)]
    values = np.concatenate(each, axis=1).reshape(-1)
    body = real(values) if as_float else word(*values.astype(int))
    return header.ljust(512, b"\0") + parameters.ljust(512 * blocks, b"\0") + body + tail
