"""What the name of a Human3.6M image says."""

from __future__ import annotations

import re
from typing import NamedTuple

from posebank.annotations.h36m_files import CAMERAS
from posebank.errors import SettingsError

ACTIONS: tuple[str, ...] = (
    "Directions",
    "Discussion",
    "Eat",
    "Greet",
    "Phone",
    "Pose",
    "Purchase",
    "Sit",
    "SitDown",
    "Smoke",
    "Photo",
    "Wait",
    "Walk",
    "WalkDog",
    "WalkTogether",
)
"""The 15 actions, as Table 3 names and orders them."""

SIX_ACTIONS: tuple[str, ...] = ("Discussion", "Eat", "Greet", "Photo", "Walk", "WalkDog")
"""The actions of "Avg. (6)"."""

# Clip names differ between the data set's own files and its conversions ("Photo", "TakingPhoto").
_ACTION_OF_CLIP = {
    "directions": "Directions",
    "discussion": "Discussion",
    "eating": "Eat",
    "greeting": "Greet",
    "phoning": "Phone",
    "posing": "Pose",
    "purchases": "Purchase",
    "sitting": "Sit",
    "sittingdown": "SitDown",
    "smoking": "Smoke",
    "photo": "Photo",
    "takingphoto": "Photo",
    "waiting": "Wait",
    "walking": "Walk",
    "walkdog": "WalkDog",
    "walkingdog": "WalkDog",
    "walktogether": "WalkTogether",
    "walkingtogether": "WalkTogether",
}

_IMAGE = re.compile(
    r"(?:.*/)?(?P<subject>S\d+)_(?P<action>[A-Za-z]+)(?:[ _](?P<number>\d+))?"
    r"\.(?P<camera>\d+)_(?P<frame>\d+)(?:\.\w+)?"
)


class H36mFrame(NamedTuple):
    """One frame of one camera: number of the clip, camera from 1 to 4, frame from 0."""

    subject: str
    action: str
    number: int
    camera: int
    frame: int


def parse_image(image: str) -> H36mFrame:
    """Return the facts in an image's name, such as ``S9_Walking 1.54138969_000001.jpg``.

    Raises
    ------
    SettingsError
        If the name is not of this form.
    """
    match = _IMAGE.fullmatch(image)
    action = _ACTION_OF_CLIP.get(match["action"].lower()) if match else None
    if match is None or action is None or match["camera"] not in CAMERAS:
        raise SettingsError(
            f"{image}: expected a Human3.6M image such as 'S9_Walking 1.54138969_000001.jpg'"
        )
    return H36mFrame(
        match["subject"],
        action,
        int(match["number"] or 0),
        CAMERAS.index(match["camera"]) + 1,
        int(match["frame"]) - 1,
    )


def action_of(dataset: str, image: str) -> str:
    """Return the action of an image of Human3.6M, "" for any other or if the name does not say."""
    if dataset != "h36m":
        return ""
    try:
        return parse_image(image).action
    except SettingsError:
        return ""
