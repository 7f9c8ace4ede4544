"""A trained network on images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebank.errors import Rejected, SettingsError, SourceError
from posebank.images import read_image
from posebank.lcrnet.checkpoints import network_of, read_checkpoint
from posebank.lcrnet.devices import pick_device
from posebank.lcrnet.images import resized
from posebank.lcrnet.integration import Poses, integrate, nms
from posebank.lcrnet.model import LCRNet, Proposals
from posebank.lcrnet.settings import IntegrationSettings
from posebank.shards import PoseShards
from posebank.skeleton import N_JOINTS, centred
from posebank.types import Predictions, texts

INTEGRATIONS = {"ppi": integrate, "nms": nms}


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
        parts = {name: [_nothing()] for name in integrations}
        for proposals, image_id in zip(self.propose(tensors, chosen), image_ids, strict=True):
            joints_2d, joints_3d, score = (
                values.cpu().double().numpy()
                for values in (proposals.joints_2d, proposals.joints_3d, proposals.score)
            )
            for name in integrations:
                poses = INTEGRATIONS[name](joints_2d, joints_3d, score, chosen)
                parts[name].append(_predictions(poses, image_id))
        return {name: Predictions.concat(some) for name, some in parts.items()}


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
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Predictions]:
    """Predict every image of a split of the shards, with one pass of the network for all.

    Parameters
    ----------
    progress : gets the images done, and of how many.

    Returns
    -------
    The poses by integration.
    """
    data = PoseShards(shards, split)
    return predict_samples(
        predictor, data, range(len(data)),
        integrations=integrations, settings=settings, progress=progress,
    )  # fmt: skip


def predict_samples(
    predictor: Predictor,
    data: PoseShards,
    rows: Sequence[int],
    *,
    integrations: Sequence[str] = ("ppi",),
    settings: IntegrationSettings | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Predictions]:
    """As ``predict_shards``, of the images in the given rows of the data set."""
    parts = {name: [_nothing()] for name in integrations}
    for done, row in enumerate(rows, 1):
        sample = data[row]
        image = sample["image"].permute(1, 2, 0).numpy()
        found = predictor.predict_with(
            integrations, [image], [sample["image_id"]], settings=settings
        )
        for name, poses in found.items():
            parts[name].append(poses)
        progress(done, len(rows))
    return {name: Predictions.concat(some) for name, some in parts.items()}


def predict_images(
    predictor: Predictor,
    paths: Sequence[Path],
    *,
    integration: str = "ppi",
    settings: IntegrationSettings | None = None,
) -> tuple[Predictions, list[Rejected]]:
    """Predict image files; ``image_id`` is the path. What cannot be read is set aside.

    Grey, palette, CMYK and 16-bit images are turned to 8-bit RGB, and upright as the file says.
    """
    parts, rejected = [_nothing()], []
    for path in paths:
        try:
            image = read_image(path)
        except SourceError as error:
            rejected.append(Rejected(error.where, error.reason))
            continue
        parts.append(
            predictor.predict([image], [str(path)], integration=integration, settings=settings)
        )
    return Predictions.concat(parts), rejected
