"""A 2D-to-3D lifting network, which the estimator ``mixture`` combines with the posterior.

The residual MLP of Martinez et al. (ICCV 2017), trained on the bank's poses seen through random
perspective cameras, with noise and random hidden joints. Half of the cameras are those of the
prior ``photographs`` and half are uniformly distributed, so that one network serves every data set
and every camera prior. It needs torch, which is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from posebank.errors import ArtefactError, SourceError
from posebank.geometry.cameras import CameraLimits, sample_rotations
from posebank.geometry.centring import centre_on
from posebank.labelling.camera_prior import preset_prior, sample_cameras
from posebank.mocap.npz_arrays import NpzArrays
from posebank.skeleton import N_JOINTS, centred
from posebank.types import PoseBank

if TYPE_CHECKING:
    import torch


_MAX_WIDTH = 1 << 14


@dataclass(frozen=True)
class LifterSettings:
    """Training of the network.

    Attributes
    ----------
    width : int
        Units of each layer.
    steps, batch, learning_rate
        Of the optimiser.
    noise : float
        Standard deviation of the annotation noise, metres at the body.
    max_hidden : int
        Largest number of hidden joints.
    distance_m : tuple of float
        Smallest and largest distance of the camera.
    seed, threads : int
    """

    width: int = 512
    steps: int = 3000
    batch: int = 512
    learning_rate: float = 1e-3
    noise: float = 0.034
    max_hidden: int = 9
    distance_m: tuple[float, float] = (3.0, 8.0)
    seed: int = 0
    threads: int = 2


def network(width: int) -> torch.nn.Module:
    """Return a network of 39 inputs (joints and mask), two residual blocks and 39 outputs."""
    import torch  # noqa: PLC0415

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[torch.nn.Module] = []
            for _ in range(2):
                layers += [
                    torch.nn.Linear(width, width),
                    torch.nn.BatchNorm1d(width),
                    torch.nn.ReLU(),
                ]
            self.layers = torch.nn.Sequential(*layers)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Add the two layers' output to the input."""
            out: torch.Tensor = x + self.layers(x)
            return out

    return torch.nn.Sequential(
        torch.nn.Linear(N_JOINTS * 3, width),
        torch.nn.BatchNorm1d(width),
        torch.nn.ReLU(),
        Block(),
        Block(),
        torch.nn.Linear(width, N_JOINTS * 3),
    )


def lifter_input(
    joints_2d: NDArray[np.floating], annotated: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the network input (n, 39): joints centred and scaled over the annotated, the mask."""
    image, _ = centre_on(joints_2d, annotated)
    count = np.maximum(annotated.sum(axis=1), 1)[:, None, None]
    size = np.sqrt((image**2).sum(axis=(1, 2), keepdims=True) / count)
    unit = (image / np.maximum(size, 1e-9)).reshape(len(image), -1)
    return np.concatenate([unit, annotated], axis=1).astype(np.float32)


@contextmanager
def _own_torch(settings: LifterSettings) -> Iterator[None]:
    """Set torch's threads and seed, and restore them afterwards."""
    import torch  # noqa: PLC0415

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        torch.set_num_threads(settings.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def train_lifter(
    bank: PoseBank, settings: LifterSettings, progress: Callable[[int, int], None] | None = None
) -> torch.nn.Module:
    """Train the network on a bank; the same for a seed on one machine.

    Parameters
    ----------
    bank : PoseBank
        The poses that people are matched with.
    settings : LifterSettings
        The settings.
    progress : callable, optional
        Called with the number of steps done and of all steps.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, float64.
    """
    with _own_torch(settings):
        return _train(bank, settings, progress)


def _train(
    bank: PoseBank, settings: LifterSettings, progress: Callable[[int, int], None] | None
) -> torch.nn.Module:
    import torch  # noqa: PLC0415

    rng = np.random.default_rng(settings.seed)
    net = network(settings.width)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.steps
    )
    poses = bank.joints_3d.astype(np.float64)
    net.train()
    if progress:
        progress(0, settings.steps)
    for step in range(settings.steps):
        rows = rng.integers(0, len(bank), settings.batch)
        rotation = _random_cameras(settings.batch, rng)
        camera_joints = np.einsum("njd,ncd->njc", poses[rows], rotation)
        distance = rng.uniform(*settings.distance_m, (settings.batch, 1))
        factor = distance / np.maximum(camera_joints[..., 2] + distance, 0.3)
        image = camera_joints[..., :2] * factor[..., None]
        image = image + rng.normal(0, settings.noise, image.shape)
        hidden = rng.integers(0, settings.max_hidden + 1, (settings.batch, 1))
        rank = np.argsort(np.argsort(rng.random((settings.batch, N_JOINTS)), axis=1), axis=1)
        x = torch.from_numpy(lifter_input(image, rank >= hidden))
        y = torch.from_numpy(camera_joints.reshape(settings.batch, -1).astype(np.float32))
        loss = (net(x) - y).reshape(settings.batch, N_JOINTS, 3).norm(dim=-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if progress:
            progress(step + 1, settings.steps)
    return _ready(net)


def _random_cameras(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return n cameras (n, 3, 3), the first half uniformly distributed."""
    photographs = preset_prior("photographs")
    assert photographs is not None
    uniform = sample_rotations(n // 2, CameraLimits.free(), rng)
    return np.concatenate([uniform, sample_cameras(photographs, n - n // 2, rng)])


def _ready(net: torch.nn.Module) -> torch.nn.Module:
    """Return the network in evaluation mode and float64.

    The order of float32 sums depends on the number of people, so that in float32 a label would
    depend on the other people of its partition.
    """
    return net.eval().double()


def save_lifter(net: torch.nn.Module, path: Path) -> None:
    """Write the weights."""
    np.savez(path, **{name: value.numpy() for name, value in net.state_dict().items()})


def load_lifter(path: Path) -> torch.nn.Module:
    """Read what ``save_lifter`` wrote.

    Raises
    ------
    ArtefactError
        If the file is missing or damaged, or holds other arrays than a network of some width.
    """
    import torch  # noqa: PLC0415

    try:
        with NpzArrays(path, path) as stored:
            width = stored.shape("0.weight")[0]
            if not 0 < width <= _MAX_WIDTH:
                raise ArtefactError(f"{path}: expected at most {_MAX_WIDTH} units, found {width}")
            net = _ready(network(width))
            expected = net.state_dict()
            state = {name: torch.from_numpy(stored.numbers(name)) for name in expected}
    except SourceError as error:
        raise ArtefactError(f"{path}: expected a lifting network: {error.reason}") from error
    for name, value in state.items():
        if value.shape != expected[name].shape or not torch.isfinite(value).all():
            raise ArtefactError(
                f"{path}: {name}: expected {tuple(expected[name].shape)} finite numbers, "
                f"found {tuple(value.shape)}"
            )
    net.load_state_dict(state)
    return net


def lift(
    net: torch.nn.Module, joints_2d: NDArray[np.floating], annotated: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Estimate 3D poses from 2D poses.

    Parameters
    ----------
    net : torch.nn.Module
        Of ``train_lifter``.
    joints_2d : (n, 13, 2)
        Pixels, read where annotated.
    annotated : array (n, 13)
        Joints that are annotated.

    Returns
    -------
    (n, 13, 3)
        Metres, camera axes, body-centred.
    """
    import torch  # noqa: PLC0415

    with torch.no_grad():
        out = net(torch.from_numpy(lifter_input(joints_2d, annotated)).double()).numpy()
    result: NDArray[np.float64] = centred(out.reshape(-1, N_JOINTS, 3))
    return result
