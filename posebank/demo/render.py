"""Draw people: rounded cones for body parts, ray-cast into a depth buffer, before a background.

Everything is in camera axes (x right, y down, z away, metres); a pixel's ray goes through its
centre, half a pixel from its corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from posebank.demo.body import Floats, Posed, Subject
from posebank.geometry.perspective import PerspectiveCamera

Pixels = NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Camera(PerspectiveCamera):
    """A pinhole camera and the width and height of its images, in pixels."""

    focal: float
    centre: tuple[float, float]
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Clothes:
    """Colours (0 to 1) of a person. A shirt is darker at the back and has a print in front."""

    skin: Colour
    hair: Colour
    shirt: Colour
    print_: Colour
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_trousers: bool


_EXPOSURE = 1.25
"""Light above 1 where a surface faces both the camera and the light."""

_SKINS: tuple[Colour, ...] = (
    (0.95, 0.78, 0.66), (0.86, 0.66, 0.52), (0.72, 0.52, 0.38), (0.52, 0.36, 0.26),
    (0.38, 0.26, 0.19),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = (
    (0.09, 0.07, 0.06), (0.26, 0.16, 0.09), (0.48, 0.33, 0.16), (0.55, 0.52, 0.48),
)  # fmt: skip


def random_clothes(rng: np.random.Generator) -> Clothes:
    """Return the skin, hair and clothes of a person."""

    def colour(low: float, high: float) -> Colour:
        r, g, b = rng.uniform(low, high, 3)
        return float(r), float(g), float(b)

    shirt = colour(0.15, 0.95)
    bright = sum(shirt) > 1.5
    return Clothes(
        skin=_SKINS[rng.integers(len(_SKINS))],
        hair=_HAIR[rng.integers(len(_HAIR))],
        shirt=shirt,
        print_=colour(0.0, 0.25) if bright else colour(0.75, 1.0),
        trousers=colour(0.05, 0.75),
        shoes=colour(0.02, 0.9),
        long_sleeves=bool(rng.random() < 0.4),
        long_trousers=bool(rng.random() < 0.6),
    )


@dataclass(frozen=True)
class Part:
    """A rounded cone from ``a`` (radius ``ra``) to ``b`` (radius ``rb``), (3,) in camera axes.

    Its surface has the colour ``front`` where its normal is within the cone ``normal @ ahead >
    above``, else ``back``.
    """

    a: Floats
    b: Floats
    ra: float
    rb: float
    front: Colour
    back: Colour
    ahead: Floats
    above: float = 0.0


def _darker(colour: Colour, factor: float) -> Colour:
    r, g, b = colour
    return r * factor, g * factor, b * factor


def body_parts(
    posed: Posed, row: int, subject: Subject, look: Clothes, camera: Camera
) -> list[Part]:
    """Return the surface of one person, in camera axes."""
    ends = {bone: camera.to_camera(end[row]) for bone, end in posed.ends.items()}
    turned = {bone: camera.rotation @ frame[row] for bone, frame in posed.frames.items()}
    thick = subject.girth * subject.height / 1.7
    chest, belly, face = turned["thorax"][:, 2], turned["root"][:, 2], turned["head"][:, 2]
    parts: list[Part] = []

    def add(
        a: Floats,
        b: Floats,
        ra: float,
        rb: float,
        front: Colour,
        back: Colour | None = None,
        ahead: Floats = chest,
        above: float = 0.0,
    ) -> None:
        parts.append(Part(a, b, ra * thick, rb * thick, front, back or front, ahead, above))

    shirt, dark_shirt = look.shirt, _darker(look.shirt, 0.55)
    seat = _darker(look.trousers, 0.7)
    shoulders = {s: ends[f"{s}clavicle"] for s in "rl"}
    hips = {s: ends[f"{s}hipjoint"] for s in "rl"}
    top = ends["thorax"]
    add(hips["r"], hips["l"], 0.1, 0.1, look.trousers, seat, belly)
    add(ends["root"], ends["upperback"], 0.115, 0.118, shirt, dark_shirt, belly)
    for s in "rl":
        inner = top + 0.62 * (shoulders[s] - top)
        add(ends["lowerback"], inner, 0.108, 0.084, shirt, dark_shirt)
        add(top + 0.3 * (shoulders[s] - top), shoulders[s], 0.07, 0.064, shirt, dark_shirt)
    middle = 0.5 * (ends["upperback"] + top) + 0.035 * chest
    add(middle, middle, 0.092, 0.092, look.print_, shirt, chest, 0.6)
    add(top, ends["upperneck"], 0.058, 0.052, look.skin)
    up = ends["head"] - ends["upperneck"]
    up = up / np.linalg.norm(up)
    crown = camera.to_camera(posed.head_top()[row])
    size = float(np.linalg.norm(crown - ends["upperneck"])) / 0.2 / thick
    chin, skull = ends["upperneck"] + 0.045 * up + 0.022 * face, crown - 0.092 * size * thick * up
    add(chin, skull, 0.07 * size, 0.092 * size, look.skin, look.hair, face - 0.45 * up, 0.12)
    across = turned["head"][:, 0]
    eyes = skull - 0.02 * up
    for side in (-1.0, 1.0):
        eye = eyes + thick * size * (0.078 * face + side * 0.036 * across)
        add(eye, eye, 0.018 * size, 0.018 * size, (0.05, 0.05, 0.08))
    nose = chin + thick * size * 0.064 * face + 0.045 * up
    add(nose, nose, 0.022 * size, 0.022 * size, _darker(look.skin, 0.85))
    for s in "rl":
        leg = look.trousers if look.long_trousers else look.skin
        arm = shirt if look.long_sleeves else look.skin
        hip, knee, ankle = hips[s], ends[f"{s}femur"], ends[f"{s}tibia"]
        add(hip, knee, 0.086, 0.06, look.trousers, seat, turned[f"{s}femur"][:, 2], -0.2)
        add(knee, ankle, 0.057, 0.042, leg, _darker(leg, 0.8), turned[f"{s}tibia"][:, 2], -0.2)
        toe = ends[f"{s}foot"]
        heel = ankle - 0.04 * (toe - ankle) / max(float(np.linalg.norm(toe - ankle)), 1e-9)
        add(heel, ends[f"{s}toes"], 0.047, 0.03, look.shoes)
        elbow, wrist = ends[f"{s}humerus"], ends[f"{s}wrist"]
        add(shoulders[s], elbow, 0.056, 0.044, shirt if look.long_sleeves else arm)
        if not look.long_sleeves:
            sleeve = shoulders[s] + 0.45 * (elbow - shoulders[s])
            add(shoulders[s], sleeve, 0.064, 0.058, shirt, dark_shirt)
        add(elbow, wrist, 0.043, 0.031, arm)
        add(wrist, ends[f"{s}fingers"], 0.034, 0.026, look.skin)
    return parts


@dataclass
class Canvas:
    """Colour (h, w, 3), depth (h, w) and whose surface it is (h, w; -1 the background)."""

    colour: Pixels
    depth: Pixels
    owner: NDArray[np.int16]


def empty_canvas(background: Pixels) -> Canvas:
    """Return a canvas with nothing before the background (h, w, 3)."""
    h, w, _ = background.shape
    return Canvas(
        background.astype(np.float32),
        np.full((h, w), np.inf, np.float32),
        np.full((h, w), -1, np.int16),
    )


def draw_parts(
    canvas: Canvas, parts: Sequence[Part], owner: int, camera: Camera, light: Floats, ambient: float
) -> None:
    """Draw one person's parts into the canvas; ``light`` (3,) points to the light."""
    for part in parts:
        _draw_part(canvas, part, owner, camera, light, ambient)


def _draw_part(
    canvas: Canvas, part: Part, owner: int, camera: Camera, light: Floats, ambient: float
) -> None:
    h, w = canvas.depth.shape
    nearest = min(part.a[2] - part.ra, part.b[2] - part.rb)
    if nearest < 0.2:
        return
    points = camera.project(np.stack([part.a, part.b]))
    radius = 1.1 * camera.focal * max(part.ra, part.rb) / nearest + 1
    x0, y0 = np.floor(np.maximum(points.min(0) - radius, 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(points.max(0) + radius, (w, h))).astype(int)
    if x0 >= x1 or y0 >= y1:
        return
    u = ((np.arange(x0, x1) + 0.5 - camera.centre[0]) / camera.focal).astype(np.float32)[None, :]
    v = ((np.arange(y0, y1) + 0.5 - camera.centre[1]) / camera.focal).astype(np.float32)[:, None]
    depth, along = _hit(u, v, part)
    window = np.s_[y0:y1, x0:x1]
    rows, columns = np.nonzero(depth < canvas.depth[window])
    if not len(rows):
        return
    t, s = depth[rows, columns], along[rows, columns][:, None]
    point = np.stack([u[0, columns] * t, v[rows, 0] * t, t], axis=-1)
    normal = point - (part.a + s * (part.b - part.a))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    facing = normal @ part.ahead > part.above * np.linalg.norm(part.ahead)
    colour = np.where(facing[:, None], np.array(part.front), np.array(part.back))
    shade = ambient + (1 - ambient) * np.maximum(normal @ light, 0.0)
    # Edges darken a little, so that limbs stand out from what is behind them.
    rim = 0.7 + 0.3 * np.clip(-normal[:, 2], 0, 1)
    canvas.colour[window][rows, columns] = colour * (_EXPOSURE * shade * rim)[:, None]
    canvas.depth[window][rows, columns] = t
    canvas.owner[window][rows, columns] = owner


def _hit(u: Pixels, v: Pixels, part: Part) -> tuple[Pixels, Pixels]:
    """Depth of the first hit of the rays (u, v, 1) t, inf where none, and where along the part.

    A rounded cone is all spheres with centre ``a + s b`` and radius ``ra - s k``, s in [0, 1]. The
    envelope has ``dF/ds = 0`` for ``F = |t d - a - s b|^2 - (ra - s k)^2``, which makes s linear in
    t and F = 0 a quadratic equation in t; where s leaves [0, 1] one of the end spheres is hit.
    """
    shape = (v.shape[0], u.shape[1])
    a, b, k = part.a, part.b - part.a, part.ra - part.rb
    dd = u * u + v * v + 1
    best = np.full(shape, np.inf, np.float32)
    along = np.zeros(shape, np.float32)

    def offer(quadratic: Pixels, half: Pixels, constant: float, s_at: tuple[Any, float]) -> None:
        """Take the nearer root of ``quadratic t^2 - 2 half t + constant``, s = slope t + base."""
        root = half * half - quadratic * constant
        t = (half - np.sqrt(np.maximum(root, 0))) / quadratic
        s = s_at[0] * t + s_at[1]
        better = (root > 0) & (s >= 0) & (s <= 1) & (t > 0) & (t < best)
        best[better] = t[better]
        along[better] = s[better]

    for s_end, centre, radius in ((0.0, part.a, part.ra), (1.0, part.b, part.rb)):
        towards = u * centre[0] + v * centre[1] + centre[2]
        offer(dd, towards, float(centre @ centre - radius * radius), (0.0, s_end))
    m = float(b @ b - k * k)
    if m > 1e-12:  # else one end sphere holds the other
        p = u * b[0] + v * b[1] + b[2]
        q = float(a @ b + k * part.ra)
        half = u * a[0] + v * a[1] + a[2] - p * (q / m)
        # Along the axis the quadratic term vanishes, and an end sphere is what is seen.
        quadratic = np.maximum(dd - p * p / m, 1e-9)
        offer(quadratic, half, float(a @ a - part.ra**2 - q * q / m), (p / m, -q / m))
    return best, along


def visible_joints(
    canvas: Canvas, points: Floats, pixels: Floats, tolerance: Floats
) -> NDArray[np.bool_]:
    """Return which joints (13, 3; camera axes) at ``pixels`` (13, 2) are not behind something.

    tolerance : (13,) metres that a surface may lie before the joint: the body's own flesh.
    """
    h, w = canvas.depth.shape
    column, row = np.floor(pixels).astype(int).T
    inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
    before = canvas.depth[np.clip(row, 0, h - 1), np.clip(column, 0, w - 1)]
    result: NDArray[np.bool_] = inside & (before > points[:, 2] - tolerance)
    return result


def background(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Return a background (h, w, 3): gradient or ground and wall, texture, blobs and boxes."""
    w, h = size
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    first, second = rng.uniform(0.1, 0.95, (2, 3)).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (x / w - 0.5) * np.cos(angle) + (y / h - 0.5) * np.sin(angle) + 0.5
    if rng.random() < 0.5:  # a wall and a floor
        horizon = rng.uniform(0.35, 0.8) + rng.normal(0, 0.1) * (x / w - 0.5)
        ramp = np.where(y / h > horizon, 0.75 + 0.3 * y / h, 0.25 * ramp)
    picture = first + np.clip(ramp, 0, 1)[..., None] * (second - first)
    picture += _noise(size, rng)[..., None] * rng.uniform(0.1, 0.7)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(0, 9)):
        corner = rng.uniform((-0.2, -0.2), (1.0, 1.0)) * (w, h)
        extent = rng.uniform(0.04, 0.5, 2) * (w, h)
        box = (*corner, *(corner + extent))
        colour = tuple(int(c) for c in rng.integers(20, 240, 3))
        if rng.random() < 0.5:
            draw.rectangle(box, fill=colour)
        else:
            draw.ellipse(box, fill=colour)
    blurred = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 2.5))))
    return np.asarray(blurred, np.float32) / np.float32(255)


def _noise(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Smooth noise (h, w) of several grain sizes, about -0.5 to 0.5."""
    w, h = size
    total = np.zeros((h, w), np.float32)
    for cells, weight in ((4, 0.5), (12, 0.3), (40, 0.2)):
        grid = rng.uniform(0, 1, (max(2, cells * h // w), cells)).astype(np.float32)
        total += weight * np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC))
    return np.asarray(total - 0.5, np.float32)


def draw_occluder(canvas: Canvas, rng: np.random.Generator, target: Floats, reach: float) -> None:
    """Put something flat before a person: a post, a table, a bush at ``target`` (2,) pixels."""
    h, w = canvas.depth.shape
    colour = tuple(int(c) for c in rng.integers(20, 230, 3))
    mask = Image.new("L", (w, h), 0)
    draw = ImageDraw.Draw(mask)
    x, y = np.clip(target, 0, (w, h))
    kind = rng.integers(3)
    if kind == 0:
        half = rng.uniform(0.12, 0.3) * reach
        draw.rectangle((x - half, 0, x + half, h), fill=255)
    elif kind == 1:
        draw.rectangle(
            (x - rng.uniform(0.6, 2) * reach, y, x + rng.uniform(0.6, 2) * reach, h), fill=255
        )
    else:
        rx, ry = rng.uniform(0.4, 0.9, 2) * reach
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=255)
    covered = np.asarray(mask) > 0
    texture = 0.8 + 0.5 * _noise((w, h), rng)
    canvas.colour[covered] = (texture[..., None] * np.array(colour, np.float32) / 255)[covered]
    canvas.depth[covered] = 0.0
    canvas.owner[covered] = -1


def finish(canvas: Canvas, rng: np.random.Generator) -> Image.Image:
    """Return the photograph of a canvas: slightly blurred, with sensor noise."""
    noise = rng.normal(0, 0.015, canvas.colour.shape)
    image = Image.fromarray((np.clip(canvas.colour + noise, 0, 1) * 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(0.5))
