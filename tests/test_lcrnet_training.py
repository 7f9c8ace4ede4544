"""Training: resume, accumulation, precision, abort, several processes, overfitting real images."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from lcrnet_samples import make_anchors, make_labels, poses, stick_figures, tiny, write_shards

from posebank.annotations import read_annotations
from posebank.errors import ArtefactError, PosebankError, PosebankWarning, SettingsError
from posebank.evaluation import EvaluationSettings, evaluate, ground_truth_from_shards
from posebank.lcrnet import Predictor, predict_shards, preset, train
from posebank.lcrnet import trainer as trainer_module
from posebank.lcrnet.checkpoints import read_checkpoint
from posebank.lcrnet.data import Batch, Batches, prepare
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.optimisation import learning_rate
from posebank.lcrnet.trainer import anchor_tensors
from posebank.shards import PoseShards
from posebank.skeleton import J, JointState

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return stick_figures(tmp_path_factory.mktemp("figures"), 7)


@pytest.fixture(scope="module")
def whole_run(figures, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole")
    train(*figures, run, tiny())
    return run


def losses(run):
    return pd.read_parquet(run / "metrics.parquet")


def still(flip: bool = False) -> np.random.Generator:
    """Random numbers whose first one mirrors an image, or does not."""
    seeds = (np.random.default_rng(seed) for seed in range(20))
    seed = next(i for i, rng in enumerate(seeds) if (rng.random() < 0.5) == flip)
    return np.random.default_rng(seed)


class Killed(Exception):
    pass


def test_killed_and_resumed_run_has_the_same_losses_and_weights(figures, whole_run, tmp_path):
    def kill(done, _total):
        if done == 5:  # after the checkpoint at 3, with two more iterations done
            raise Killed

    with pytest.raises(Killed):
        train(*figures, tmp_path, tiny(), progress=kill)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["iteration"] == 3
    seen = []
    train(*figures, tmp_path, tiny(), resume=True, progress=lambda d, _: seen.append(d))
    assert seen == [3, 4, 5, 6]
    pd.testing.assert_frame_equal(losses(tmp_path), losses(whole_run), check_exact=True)
    expected = read_checkpoint(whole_run / "checkpoint.pt")["model"]
    found = read_checkpoint(tmp_path / "checkpoint.pt")["model"]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_run_folder(whole_run):
    names = {p.name for p in whole_run.iterdir()}
    assert {"checkpoint.pt", "checkpoint_initial.pt", "metrics.parquet", "tensorboard"} <= names
    assert not [n for n in names if n.endswith(".tmp")]
    table = losses(whole_run)
    assert table.iteration.tolist() == list(range(6))
    parts = ["rpn_objectness", "rpn_boxes", "classification", "regression"]
    np.testing.assert_allclose(table[parts].sum(axis=1), table.total, rtol=1e-6)


def test_tensorboard_has_scalars_and_pictures(whole_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole_run / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("total")] == list(range(6))
    assert [e.step for e in events.Images("training/0")] == [3, 6]


def test_checkpoint_of_another_number_of_anchors(figures, whole_run):
    shards, _ = figures
    with pytest.raises(ArtefactError, match=r"anchor_2d \(8, 13, 2\) \(8 anchor-poses\)"):
        train(shards, make_anchors(poses(4)), whole_run, tiny(), resume=True)


def test_not_finite_stops_at_once_and_keeps_the_batch(figures, tmp_path, monkeypatch):
    rate = lambda iteration, _settings: 1e30 if iteration == 0 else 0.0  # noqa: E731
    monkeypatch.setattr(trainer_module, "learning_rate", rate)
    with pytest.raises(PosebankError, match=r"iteration 1, .*finite loss, found.*own/00"):
        train(*figures, tmp_path, tiny(optimizer="sgd"))
    saved = torch.load(tmp_path / "bad_batch.pt", weights_only=True)
    assert saved["iteration"] == 1
    assert len(saved["batch"]) == 4
    assert saved["batch"][0]["targets"]["boxes"].shape[1] == 4


def loss_on_fixed_examples(figures, checkpoint):
    """Loss of a checkpoint's network in float32 on four images that are not augmented."""
    shards, anchors = figures
    host, data = anchor_tensors(anchors, True), PoseShards(shards, "train")
    examples = [prepare(data[i], host, tiny(), still()) for i in range(4)]
    model = LCRNet(host, tiny())
    model.load_state_dict(read_checkpoint(checkpoint)["model"])
    torch.manual_seed(1)  # boxes are sampled alike
    with torch.no_grad():
        losses = model([e.image for e in examples], [e.targets for e in examples])
    return float(sum(losses.values()))


@pytest.mark.parametrize("changes", [{"accumulate": 2}, {"precision": "bfloat16"}])
def test_other_ways_to_train(figures, whole_run, tmp_path, changes):
    """Accumulation and bfloat16 start from the loss of plain training, and learn."""
    result = train(*figures, tmp_path, tiny(iterations=14, checkpoint_every=14, **changes))
    assert result.iterations == 14
    assert losses(tmp_path).total[0] == pytest.approx(losses(whole_run).total[0], rel=0.01)
    assert losses(tmp_path).total[0] != losses(whole_run).total[0]
    first, last = (tmp_path / f"checkpoint{name}.pt" for name in ("_initial", ""))
    assert loss_on_fixed_examples(figures, last) < 0.9 * loss_on_fixed_examples(figures, first)
    before, after = (read_checkpoint(path)["model"] for path in (first, last))
    unchanged = {name for name in before if torch.equal(before[name], after[name])}
    assert unchanged == {"anchor_2d", "anchor_3d", "mean", "std"}  # the constants, no parameter


def test_windows_joined_to_one_image(figures, tmp_path):
    shards, anchors = figures
    settings = tiny(size="native", window=64, tiles=2, iterations=2, images_per_batch=8)
    host, data = anchor_tensors(anchors, True), PoseShards(shards, "train")
    examples = [prepare(data[i], host, settings, np.random.default_rng(i)) for i in range(3)]
    (joined,) = Batch.of(examples, tiles=2).examples(torch.device("cpu"))
    assert joined.image.shape == (3, 128, 128)
    assert (joined.image[:, 64:, 64:] == 0).all()
    box = person = 0
    for example, (x, y) in zip(examples, [(0, 0), (64, 0), (0, 64)], strict=True):
        assert torch.equal(joined.image[:, y : y + 64, x : x + 64], example.image)
        rows = slice(box, box + len(example.targets.boxes))
        corner = torch.tensor([x, y, x, y])
        assert torch.equal(joined.targets.boxes[rows], example.targets.boxes + corner)
        assert torch.equal(joined.targets.classes[rows], example.targets.classes)
        owners = joined.targets.joints_2d[joined.targets.person[rows]]
        expected = example.targets.joints_2d[example.targets.person] + corner[:2]
        assert torch.equal(owners, expected)
        box, person = rows.stop, person + len(example.targets.joints_2d)
    assert len(joined.targets.boxes) == box
    assert len(joined.targets.joint_weight) == person
    assert train(shards, anchors, tmp_path, settings).iterations == 2
    assert np.isfinite(losses(tmp_path).total).all()


def test_accumulated_gradient_is_the_mean_of_the_parts(figures):
    # No images are sampled differently if every box is taken: then the loss is a plain mean.
    shards, anchors = figures
    settings = tiny(images_per_batch=2)
    host = anchor_tensors(anchors, True)
    model = LCRNet(host, settings).eval()  # batch normalisation would see the parts apart
    data = PoseShards(shards, "train")
    examples = [prepare(data[i], host, settings, still()) for i in (0, 3)]  # of equal size

    def gradient(groups):
        model.zero_grad()
        for group in groups:
            torch.manual_seed(0)
            maps = model.features([e.image for e in group])[1]["0"]
            (maps.square().mean() / len(groups)).backward()
        return torch.cat([p.grad.flatten() for p in model.backbone.parameters()])

    torch.testing.assert_close(gradient([examples]), gradient([[e] for e in examples]))


def test_batches_cover_an_epoch_and_are_split_between_processes():
    settings = tiny(images_per_batch=4, iterations=7)
    batches = list(Batches(14, settings, 0, 0, 1))
    rows = [row for batch in batches for row, _ in batch]
    assert sorted(rows[:14]) == sorted(rows[14:]) == list(range(14))
    assert rows[:14] != rows[14:]
    assert list(Batches(14, settings, 5, 0, 1)) == batches[5:]
    first, second = (list(Batches(14, settings, 0, rank, 2)) for rank in (0, 1))
    for whole, a, b in zip(batches, first, second, strict=True):
        assert sorted(whole) == sorted(a + b)
        assert len(a) == len(b) == 2
    numbers = [number for batch in batches for _, number in batch]
    assert numbers == list(range(28))


def test_learning_rate_by_hand():
    settings = tiny(iterations=70, warm_up=4, learning_rate=0.08)
    rates = [learning_rate(i, settings) for i in (0, 1, 3, 4, 49, 50, 69)]
    np.testing.assert_allclose(rates, [0.02, 0.04, 0.08, 0.08, 0.08, 0.008, 0.008])


def test_mirrored_example_mirrors_boxes_and_swaps_sides(figures):
    shards, anchors = figures
    host = anchor_tensors(anchors, True)
    sample = PoseShards(shards, "train")[0]
    plain, flipped = (prepare(sample, host, tiny(), still(f)) for f in (False, True))
    width = plain.image.shape[-1]
    torch.testing.assert_close(flipped.image, plain.image.flip(-1), atol=1e-3, rtol=0)
    assert flipped.targets.joints_2d[0, J["l_knee"], 0].item() == pytest.approx(
        width - plain.targets.joints_2d[0, J["r_knee"], 0].item(), abs=1e-3
    )
    assert flipped.targets.boxes[0, 0].item() == pytest.approx(
        width - plain.targets.boxes[0, 2].item(), abs=1e-3
    )


def test_weights_of_joints_and_people(figures):
    shards, anchors = figures
    sample = PoseShards(shards, "train")[0]
    sample["state"][0, :4] = torch.tensor([s.value for s in JointState])
    sample["trust"][0] = 0.4

    def weights(**changes):
        host = anchor_tensors(anchors, True)
        targets = prepare(sample, host, tiny(**changes), still()).targets
        return targets.joint_weight[0, :5].tolist(), targets.person_weight.tolist()

    assert weights() == ([0, 1, 1, 1, 1], [1])
    assert weights(completed_joints=False)[0] == [0, 1, 1, 0, 1]
    assert weights(occluded_joints=False)[0] == [0, 1, 0, 1, 1]
    joints, people = weights(trust_weighting=True)
    assert joints == pytest.approx([0, 0.4, 0.4, 0.4, 0.4])
    assert people == pytest.approx([0.4])


def test_bad_settings_and_inputs(figures, tmp_path):
    shards, anchors = figures
    with pytest.raises(SettingsError, match="accumulate: expected a divisor"):
        tiny(accumulate=3)
    with pytest.raises(SettingsError, match="tiles: expected 1 without a window"):
        tiny(tiles=2)
    with pytest.raises(SettingsError, match=r"multiple of tiles x tiles = 9, got 4"):
        tiny(window=64, tiles=3)
    with pytest.raises(SettingsError, match="precision"):
        tiny(precision="float8")
    with pytest.raises(SettingsError, match="backbone"):
        preset("alexnet")
    with pytest.raises(ArtefactError, match="upper-body"):
        train(shards, make_anchors(poses(3), upper=False), tmp_path, tiny())
    with pytest.raises(ArtefactError, match=r"trust >= 1\.5, found none"):
        train(shards, anchors, tmp_path, tiny(min_trust=1.5))
    with pytest.raises(PosebankError, match=r"weights\.pt.*found nothing"):
        train(shards, anchors, tmp_path, tiny(weights=str(tmp_path / "weights.pt")))
    with pytest.raises(SettingsError, match="device"):
        train(shards, anchors, tmp_path, tiny(device="abacus"))


def test_two_processes_share_the_work_and_stay_equal(figures, tmp_path):
    shards, _ = figures
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, numpy as np, torch\n"
        "from pathlib import Path\n"
        "torch.set_num_threads(1)\n"
        "from lcrnet_samples import make_anchors, poses, tiny\n"
        "from posebank.lcrnet import train\n"
        "from posebank.lcrnet import trainer\n"
        "kept = []\n"
        "start = trainer._started\n"
        "trainer._started = lambda *a: kept.append(start(*a)) or kept[0]\n"
        "import os\n"
        "train(Path(sys.argv[1]), make_anchors(poses(5, seed=1)), Path(sys.argv[2]),"
        " tiny(iterations=2))\n"
        "total = sum(float(p.double().sum()) for p in kept[0].model.parameters())\n"
        "Path(sys.argv[2], 'sum' + os.environ['RANK']).write_text(repr(total))\n"
    )
    run = tmp_path / "run"
    here = os.path.dirname(__file__)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            script,
            shards,
            run,
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": here, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert (run / "sum0").read_text() == (run / "sum1").read_text()
    assert len(losses(run)) == 2


def test_overfits_eight_real_images(shared_data, tmp_path):
    """Eight LSPE images, learnt by heart: every joint right at half a head."""
    found = read_annotations("lspe", shared_data / "lspet").people
    area = found.image_width * found.image_height
    # Small images, so that a joint is not lost in the scaling to a size a test can pay.
    fit = np.flatnonzero((found.state > 0).all(axis=1) & (area > 0) & (area <= 200 * 260))
    people = found.take(fit[:: len(fit) // 8][:8])
    # The depth is made up; what is tested is that the network can learn what it is shown.
    span = np.ptp(people.joints_2d[..., 1], axis=1)
    flat = (people.joints_2d - people.joints_2d.mean(axis=1, keepdims=True)) / span[:, None, None]
    deep = np.random.default_rng(0).normal(0, 0.1, (8, 13, 1))
    from posebank.skeleton import centred

    pose_3d = centred(np.concatenate([1.7 * flat, deep], axis=2)).astype(np.float32)
    anchors = make_anchors(pose_3d, upper=False)
    labels = make_labels(people.image.tolist(), people.joints_2d, pose_3d)
    shards = write_shards(tmp_path / "shards", labels, anchors, shared_data / "lspet" / "images")
    settings = tiny(
        iterations=300, images_per_batch=8, short_side=128, long_side=192, upper_body=False,
        mirror=False, anchor_sizes=(32, 64, 128), checkpoint_every=300, fc_channels=256,
        boxes_per_image=32, learning_rate=1e-3, regression_weight=1.0,
    )  # fmt: skip
    train(shards, anchors, tmp_path / "run", settings)
    predictor = Predictor.from_checkpoint(tmp_path / "run" / "checkpoint.pt", "cpu")
    predictions = predict_shards(predictor, shards, "train")["ppi"]
    truth = ground_truth_from_shards(shards, "train")
    result = evaluate(predictions, truth, EvaluationSettings()).headline()
    assert result["pckh_percent"] == 100
    assert result["mpjpe_mm"] < 60


def test_too_few_people_for_the_anchor_poses_are_told(figures, tmp_path):
    shards, anchors = figures
    with pytest.warns(
        PosebankWarning, match=r"^7 people to train 5 anchor-poses on: .* at least 50"
    ):
        train(shards, anchors, tmp_path, tiny(iterations=1))


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
@pytest.mark.parametrize("kept", [False, True])
def test_memory_of_freed_tensors_is_kept_on_request(kept):
    """A fresh process: what it frees stays resident only where ``keep_freed_memory`` was called."""
    program = f"""
import resource
import torch
from posebank.lcrnet.devices import keep_freed_memory

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

if {kept}:
    keep_freed_memory()
before = resident_mb()
tensor = torch.ones(64 * 2**20 // 4)
del tensor
print(resident_mb() - before)
"""
    out = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert (float(out) > 60) is kept
