"""The content of a COCO-form annotation file, checked once for its readers, writer and scores."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebank.annotations.keypoints import (
    UNNAMED,
    Layout,
    layout_of,
    unlike_people,
    unnamed_layout,
)
from posebank.errors import SettingsError, SourceError
from posebank.files import read_json

_PEOPLE = re.compile(r"\b(persons?|people|humans?|man|men|woman|women|child|children|pedestrians?)")
_ANIMALS = re.compile(
    r"\b(animals?|birds?|cats?|dogs?|horses?|sheep|cows?|elephants?|bears?|zebras?|giraffes?|"
    r"monkeys?|macaques?|apes?|tigers?|lions?|mouse|mice|rats?|fish|fly|flies|insects?)\b"
)
_OFFICIAL = re.compile(r"(person_keypoints|instances)_((train|val|test|minival)20\d\d)")


@dataclass(frozen=True)
class Category:
    """One kind of object: its keypoints' layout, or why it is not read as people."""

    name: str
    layout: Layout | None
    reason: str = ""


@dataclass(frozen=True)
class CocoFile:
    """A COCO-form file: ``images``, ``annotations`` and ``categories``.

    images : image id -> the image's object, which has a ``file_name``.
    categories : category id -> what is known of it; empty where the file has none.
    entries : the annotations as in the file.
    chosen : the keypoints that the user chose for joints.
    """

    path: Path
    raw: dict[str, Any]
    images: Mapping[Hashable, dict[str, Any]]
    categories: Mapping[Hashable, Category]
    entries: list[Any]
    chosen: Mapping[str, str | int] | None = None
    _by_count: dict[int, Layout | None] = field(default_factory=dict)

    def layout_of(self, entry: Mapping[str, Any], count: int) -> Layout:
        """Layout of an annotation that has ``count`` keypoints.

        Raises
        ------
        ValueError
            If its category is not of people, or has other keypoints.
        """
        number = entry.get("category_id")
        if not self.categories:
            return self._unnamed(count)
        if number is None and len(self.categories) == 1:
            number = next(iter(self.categories))
        if not isinstance(number, int | str) or number not in self.categories:
            raise ValueError(f"expected a listed category, found {number!r:.40}")
        category = self.categories[number]
        if category.layout is None:
            raise ValueError(f"category {category.name!r}: {category.reason}")
        expected = len(category.layout.names)
        if count in (expected, 0):
            return category.layout
        # COCO-WholeBody and Halpe name COCO's 17 keypoints where they have 133 or 136.
        if expected == 0 or (count > expected and count in UNNAMED):
            return self._unnamed(count)
        raise ValueError(
            f"expected the {expected} keypoints of category {category.name!r}, found {count}"
        )

    def _unnamed(self, count: int) -> Layout:
        """Layout of ``count`` keypoints without names."""
        if count not in self._by_count:
            self._by_count[count] = unnamed_layout(count, self.chosen) if count else Layout((), {})
        layout = self._by_count[count]
        if layout is None:
            raise ValueError(
                f"expected names of the {count} keypoints in categories[].keypoints, found none; "
                "--joints MAP.toml can say their places"
            )
        return layout


def keypoints_of(entry: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Return the keypoints (n, 3) of an annotation, x, y, v; None if they are no such numbers.

    A null v is 0: not labelled.
    """
    try:
        values = np.array(entry.get("keypoints") or (), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if values.ndim > 2 or values.size % 3 or (values.ndim == 2 and values.shape[1] != 3):
        return None
    points = values.reshape(-1, 3)
    points[np.isnan(points[:, 2]), 2] = 0
    return points


def _listed(raw: Any, path: Path, name: str) -> list[Any]:
    value = raw.get(name) if isinstance(raw, dict) else None
    if not isinstance(value, list):
        raise SourceError(path, f"expected a list {name!r}, found {type(value).__name__}")
    return value


def read_coco_file(path: Path, joints: Mapping[str, str | int] | None = None) -> CocoFile:
    """Read a COCO-form file and find the joints among the keypoints of its categories.

    Parameters
    ----------
    path : Path
        The file.
    joints : mapping or None
        ``lcrnet13`` joint -> keypoint, for names that are not known.

    Raises
    ------
    SourceError
        If the file is damaged, is not COCO annotations, or has no category of people with
        keypoints.
    SettingsError
        If ``joints`` names a keypoint that is not there.
    """
    raw = read_json(path)
    entries = _listed(raw, path, "annotations")
    images = {
        image["id"]: image
        for image in _listed(raw, path, "images")
        if isinstance(image, dict)
        and isinstance(image.get("id"), int | str)
        and isinstance(image.get("file_name"), str)
    }
    categories = dict(_categories(raw.get("categories"), joints))
    if categories and all(category.reason for category in categories.values()):
        reasons = "; ".join(f"category {c.name!r}: {c.reason}" for c in categories.values())
        raise SourceError(
            path, f"expected a category of people with keypoints, found {reasons:.600}"
        )
    return CocoFile(path, raw, images, categories, entries, joints)


def _categories(
    raw: Any, chosen: Mapping[str, str | int] | None
) -> Iterator[tuple[Hashable, Category]]:
    listed = [
        c
        for c in (raw if isinstance(raw, list) else ())
        if isinstance(c, dict) and isinstance(c.get("id"), int | str)
    ]
    people = [c for c in listed if _PEOPLE.search(_called(c)) and not _ANIMALS.search(_called(c))]
    named = any(_names(c) for c in listed)
    for category in listed:
        name, names = str(category.get("name", "")), _names(category)
        reason = unlike_people(names)
        layout = Layout((), {})
        if _ANIMALS.search(_called(category)):
            reason = reason or "not people"
        elif people and category not in people:
            reason = reason or "not people, whom the file has in another category"
        elif names and not reason:
            try:
                layout = layout_of(names, chosen)
            except SettingsError as error:
                reason = str(error)
            if not layout.position and not reason:
                reason = (
                    f"none of its {len(names)} keypoints is known as a joint: {', '.join(names)}; "
                    "--joints MAP.toml can say which they are"
                )
        elif named and not reason:
            reason = "no keypoints"
        yield category["id"], Category(name, None if reason else layout, reason)


def _called(category: Mapping[str, Any]) -> str:
    words = f"{category.get('name', '')} {category.get('supercategory', '')}"
    return re.sub(r"[_\W]+", " ", words).lower()


def _names(category: Mapping[str, Any]) -> list[str]:
    names = category.get("keypoints")
    return [str(name) for name in names] if isinstance(names, list) else []


def official_name(path: Path) -> str:
    """Return ``val2017`` of COCO's own file ``person_keypoints_val2017.json``, "" for any other."""
    match = _OFFICIAL.fullmatch(path.stem)
    return match[2] if match else ""
