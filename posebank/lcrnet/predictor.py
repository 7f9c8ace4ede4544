"""A trained network on images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebank.errors import Rejected, SettingsError, SourceError
from posebank.images import read_image
from posebank.lcrnet.checkpoints import network_of, read_checkpoint
from posebank.lcrnet.devices import pick_device
from posebank.lcrnet.images import padded_size, resized
from posebank.lcrnet.integration import Poses, integrate, nms
from posebank.lcrnet.model import LCRNet, Proposals
from posebank.lcrnet.settings import INTEGRATIONS, IntegrationSettings, TrainSettings
from posebank.shards import PoseShards
from posebank.skeleton import MIRROR, N_JOINTS, centred
from posebank.types import Predictions, texts

_BATCH = 8
_MOST_HELD = 64


class Predictor:
    """A network ready to find poses."""

    def __init__(self, model: LCRNet, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self.device = device

    @classmethod
    def from_checkpoint(cls, path: Path, device: str = "auto") -> Predictor:
        """Load a checkpoint of ``train``.

        Raises
        ------
        ArtefactError
            If the file is not such a checkpoint.
        """
        return cls(network_of(read_checkpoint(path), path), pick_device(device))

    def propose(self, images: Sequence[Tensor], settings: IntegrationSettings) -> list[Proposals]:
        """Pose proposals of images (3, H, W) uint8, in pixels of the images."""
        if not images:
            return []
        if settings.mirrored:
            once = replace(settings, mirrored=False)
            seen = self.propose([*images, *(image.flip(-1) for image in images)], once)
            widths = [image.shape[-1] for image in images]
            return [
                _both(proposals, _mirrored(other, width))
                for proposals, other, width in zip(
                    seen[: len(images)], seen[len(images) :], widths, strict=True
                )
            ]
        sized = [resized(image, self.model.settings) for image in images]
        found = self.model.propose([image.to(self.device) for image, _, _ in sized], settings)
        scaled = []
        for proposals, (_, x_factor, y_factor) in zip(found, sized, strict=True):
            scale = torch.tensor([x_factor, y_factor], device=self.device)
            scaled.append(
                Proposals(
                    proposals.boxes / scale.repeat(2),
                    proposals.joints_2d / scale,
                    proposals.joints_3d,
                    proposals.score,
                    proposals.classes,
                    proposals.box,
                )
            )
        return scaled

    def predict(
        self,
        images: Sequence[NDArray[np.uint8]],
        image_ids: Sequence[str],
        *,
        integration: str = "ppi",
        settings: IntegrationSettings | None = None,
    ) -> Predictions:
        """Poses in images (H, W, 3) uint8 RGB, best first within an image.

        Raises
        ------
        SettingsError
            If the integration is not ``ppi`` or ``nms``.
        SourceError
            If an image is not such an array.
        """
        return self.predict_with((integration,), images, image_ids, settings=settings)[integration]

    def predict_with(
        self,
        integrations: Sequence[str],
        images: Sequence[NDArray[np.uint8]],
        image_ids: Sequence[str],
        *,
        settings: IntegrationSettings | None = None,
    ) -> dict[str, Predictions]:
        """As ``predict``, with several integrations of the same proposals."""
        each = self.predict_each(integrations, images, image_ids, settings=settings)
        return {
            name: Predictions.concat([_nothing(), *(poses[name] for poses in each)])
            for name in integrations
        }

    def predict_each(
        self,
        integrations: Sequence[str],
        images: Sequence[NDArray[np.uint8]],
        image_ids: Sequence[str],
        *,
        settings: IntegrationSettings | None = None,
    ) -> list[dict[str, Predictions]]:
        """As ``predict_with``, image by image."""
        unknown = [name for name in integrations if name not in INTEGRATIONS]
        if unknown:
            raise SettingsError(
                f"integration: expected one of {', '.join(INTEGRATIONS)}, got {unknown[0]!r}"
            )
        for image, image_id in zip(images, image_ids, strict=True):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise SourceError(
                    image_id,
                    f"expected an RGB image (H, W, 3) of uint8, found {image.shape} {image.dtype}",
                )
        chosen = settings or IntegrationSettings()
        tensors = [torch.from_numpy(np.ascontiguousarray(i)).permute(2, 0, 1) for i in images]
        each = []
        for proposals, image_id in zip(self.propose(tensors, chosen), image_ids, strict=True):
            poses = integrated(integrations, proposals, chosen)
            each.append({name: _predictions(found, image_id) for name, found in poses.items()})
        return each


def integrated(
    integrations: Sequence[str], proposals: Proposals, settings: IntegrationSettings
) -> dict[str, Poses]:
    """Return the poses of an image by each of some ``INTEGRATIONS``, from its proposals."""
    joints_2d, joints_3d, score = (
        values.cpu().double().numpy()
        for values in (proposals.joints_2d, proposals.joints_3d, proposals.score)
    )
    box = proposals.box.cpu().numpy()
    return {
        name: nms(joints_2d, joints_3d, score, settings)
        if name == "nms"
        else integrate(joints_2d, joints_3d, score, settings, box)
        for name in integrations
    }


def _mirrored(proposals: Proposals, width: int) -> Proposals:
    """Proposals of a mirrored image of this width, in the image itself.

    ``classes`` remain those of the mirrored image; its boxes are numbered from -1 downwards.
    """
    order = torch.from_numpy(MIRROR.copy()).to(proposals.boxes.device)
    boxes, flat = proposals.boxes.clone(), proposals.joints_2d[:, order].clone()
    boxes[:, [0, 2]] = width - proposals.boxes[:, [2, 0]]
    flat[..., 0] = width - flat[..., 0]
    deep = proposals.joints_3d[:, order].clone()
    deep[..., 0] *= -1
    return Proposals(boxes, flat, deep, proposals.score, proposals.classes, -1 - proposals.box)


def _both(some: Proposals, more: Proposals) -> Proposals:
    names = [field.name for field in fields(Proposals)]
    return Proposals(*(torch.cat([getattr(some, n), getattr(more, n)]) for n in names))


def _predictions(poses: Poses, image_id: str) -> Predictions:
    return Predictions(
        image_id=texts([image_id] * len(poses.score)),
        joints_2d=poses.joints_2d.astype(np.float32),
        joints_3d=centred(poses.joints_3d).astype(np.float32),
        score=poses.score.astype(np.float32),
    )


def _nothing() -> Predictions:
    empty = Poses(np.zeros((0, N_JOINTS, 2)), np.zeros((0, N_JOINTS, 3)), np.zeros(0))
    return _predictions(empty, "")


def predict_shards(
    predictor: Predictor,
    shards: Path,
    split: str | None,
    *,
    integrations: Sequence[str] = ("ppi",),
    settings: IntegrationSettings | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Predictions]:
    """Predict every image of a split of the shards, with one pass of the network for all.

    Parameters
    ----------
    predictor : Predictor
        The trained network.
    shards : Path
        Folder of the shards.
    split : str or None
        Split to use; None takes every image.
    integrations : sequence of str
        Ways to integrate the proposals: ``ppi``, ``nms`` or both.
    settings : IntegrationSettings or None
        Settings of the integration; by default the predictor's.
    progress : callable or None
        Called with the number of images done and in all.

    Returns
    -------
    The poses by integration.
    """
    data = PoseShards(shards, split)
    return predict_samples(
        predictor,
        data,
        range(len(data)),
        integrations=integrations,
        settings=settings,
        progress=progress,
    )


def predict_samples(
    predictor: Predictor,
    data: PoseShards,
    rows: Sequence[int],
    *,
    integrations: Sequence[str] = ("ppi",),
    settings: IntegrationSettings | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Predictions]:
    """Predict as ``predict_shards`` does, of the images in the given rows of the data set."""

    def images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for row in rows:
            sample = data[row]
            yield sample["image_id"], sample["image"].permute(1, 2, 0).numpy()

    return _predict_many(predictor, images(), len(rows), integrations, settings, progress)


def predict_images(
    predictor: Predictor,
    paths: Sequence[Path],
    *,
    integration: str = "ppi",
    settings: IntegrationSettings | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Predictions, list[Rejected]]:
    """Predict image files; ``image_id`` is the path. What cannot be read is set aside.

    Grey, palette, CMYK and 16-bit images are turned to 8-bit RGB, and upright as the file says.
    """
    rejected = []

    def images() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        for path in paths:
            try:
                yield str(path), read_image(path)
            except SourceError as error:
                rejected.append(Rejected(error.where, error.reason))

    found = _predict_many(predictor, images(), len(paths), (integration,), settings, progress)
    return found[integration], rejected


def _predict_many(
    predictor: Predictor,
    images: Iterable[tuple[str, NDArray[np.uint8]]],
    n_images: int,
    integrations: Sequence[str],
    settings: IntegrationSettings | None,
    progress: Callable[[int, int], None],
) -> dict[str, Predictions]:
    """Predict named images (H, W, 3) in batches; the poses come in the order of the images."""
    found: dict[int, dict[str, Predictions]] = {}
    progress(0, n_images)
    for batch in _batches(images, predictor.model.settings):
        numbers, names, pixels = zip(*batch, strict=True)
        each = predictor.predict_each(integrations, pixels, names, settings=settings)
        found.update(zip(numbers, each, strict=True))
        progress(len(found), n_images)
    if len(found) < n_images:  # some could not be read
        progress(n_images, n_images)
    ordered = [found[number] for number in sorted(found)]
    return {
        name: Predictions.concat([_nothing(), *(poses[name] for poses in ordered)])
        for name in integrations
    }


_Numbered = tuple[int, str, NDArray[np.uint8]]


def _batches(
    images: Iterable[tuple[str, NDArray[np.uint8]]], settings: TrainSettings
) -> Iterator[list[_Numbered]]:
    """Batches of images that need no padding beyond what each needs alone.

    So what is found in an image does not depend on the others of its batch. At most
    ``_MOST_HELD`` images are in memory.
    """
    waiting: dict[tuple[int, int], list[_Numbered]] = {}
    for number, (image_id, image) in enumerate(images):
        size = padded_size(image.shape[0], image.shape[1], settings)
        waiting.setdefault(size, []).append((number, image_id, image))
        if len(waiting[size]) == _BATCH:
            yield waiting.pop(size)
        elif sum(map(len, waiting.values())) >= _MOST_HELD:
            yield waiting.pop(max(waiting, key=lambda size: len(waiting[size])))
    yield from waiting.values()
