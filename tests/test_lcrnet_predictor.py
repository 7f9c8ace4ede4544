"""The predictor, images of every kind, and the network's parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lcrnet_samples import make_anchors, poses, stick_figures, tiny
from PIL import Image
from torchvision.models.vgg import cfgs, make_layers

from posebank.errors import ArtefactError, SettingsError, SourceError
from posebank.images import read_image
from posebank.lcrnet import (
    IntegrationSettings,
    Predictor,
    TrainSettings,
    predict_images,
    predict_shards,
    preset,
    train,
)
from posebank.lcrnet.backbones import build_backbone
from posebank.lcrnet.images import resized
from posebank.lcrnet.model import LCRNet
from posebank.lcrnet.trainer import anchor_tensors
from posebank.skeleton import J, body_centre


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    shards, anchors = stick_figures(folder, 5)
    train(shards, anchors, folder / "run", tiny(iterations=3))
    return shards, folder / "run" / "checkpoint.pt"


@pytest.fixture(scope="module")
def predictor(trained):
    return Predictor.from_checkpoint(trained[1], "cpu")


ALL = IntegrationSettings(min_score=0.0)


def test_predictions_are_in_the_image_sorted_and_centred(predictor):
    image = np.random.default_rng(0).integers(0, 255, (80, 130, 3), dtype=np.uint8)
    for integration in ("ppi", "nms"):
        found = predictor.predict([image], ["a"], integration=integration, settings=ALL)
        assert len(found) > 0
        assert set(found.image_id) == {"a"}
        assert (np.diff(found.score) <= 0).all()
        np.testing.assert_allclose(body_centre(found.joints_3d), 0, atol=1e-6)
        assert np.isfinite(found.joints_2d).all()
        # Poses reach beyond their box, but not far: pixels of the image, not of the network.
        assert found.joints_2d[..., 0].min() > -130
        assert found.joints_2d[..., 0].max() < 260


def test_a_batch_gives_what_single_images_give(predictor):
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 255, (64, 96, 3), dtype=np.uint8) for _ in range(3)]
    names = ["a", "b", "c"]
    together = predictor.predict(images, names, settings=ALL)
    apart = [predictor.predict([i], [n], settings=ALL) for i, n in zip(images, names, strict=True)]
    assert together.image_id.tolist() == [i for p in apart for i in p.image_id]
    np.testing.assert_allclose(together.score, np.concatenate([p.score for p in apart]), rtol=1e-3)


def test_many_images_are_found_in_batches_as_one_by_one(predictor, tmp_path):
    rng = np.random.default_rng(2)
    sizes = [(64, 96), (50, 40), (64, 96), (96, 64), (63, 95)] * 4  # two of one padded size
    paths = []
    for number, (height, width) in enumerate(sizes):
        pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{number:02d}.png")
        Image.fromarray(pixels).save(paths[-1])
    told = []
    found, rejected = predict_images(
        predictor, paths, settings=ALL, progress=lambda done, total: told.append((done, total))
    )
    assert not rejected
    assert told[-1] == (20, 20)
    assert len(told) < 10  # batches
    apart = [predict_images(predictor, [path], settings=ALL)[0] for path in paths]
    assert found.image_id.tolist() == [name for one in apart for name in one.image_id]
    joints = np.concatenate([one.joints_2d for one in apart])
    np.testing.assert_allclose(found.joints_2d, joints, atol=0.02)


def test_proposals_of_the_mirrored_image_are_mirrored_back(predictor):
    pixels = np.random.default_rng(3).integers(0, 255, (3, 64, 96), dtype=np.uint8)
    image = torch.from_numpy(pixels)
    plain = predictor.propose([image], ALL)[0]
    flipped = predictor.propose([image.flip(-1)], ALL)[0]
    both = predictor.propose([image], replace(ALL, mirrored=True))[0]
    n = len(plain.score)
    assert len(both.score) == n + len(flipped.score)
    torch.testing.assert_close(both.joints_3d[:n], plain.joints_3d)
    wrist, other = J["l_wrist"], J["r_wrist"]
    torch.testing.assert_close(both.joints_2d[n:, wrist, 0], 96 - flipped.joints_2d[:, other, 0])
    torch.testing.assert_close(both.joints_2d[n:, wrist, 1], flipped.joints_2d[:, other, 1])
    torch.testing.assert_close(both.joints_3d[n:, wrist, 0], -flipped.joints_3d[:, other, 0])
    torch.testing.assert_close(both.boxes[n:, 0], 96 - flipped.boxes[:, 2])
    # Boxes keep their numbers apart, and the proposals of one box have one number.
    assert not set(both.box[:n].tolist()) & set(both.box[n:].tolist())
    for part in (both.box[:n], both.box[n:]):
        numbers, counts = part.unique(return_counts=True)
        assert 1 < len(numbers) < n
        assert counts.max() <= ALL.max_per_box
    for number in both.box.unique():
        assert len(both.boxes[both.box == number].unique(dim=0)) == 1


def test_a_persons_score_is_what_its_surest_box_says(predictor):
    image = np.random.default_rng(4).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    proposals = predictor.propose([tensor], ALL)[0]
    found = predictor.predict([image], ["a"], settings=ALL)
    boxes = torch.zeros(int(proposals.box.max()) + 1).index_add_(0, proposals.box, proposals.score)
    assert boxes.max() < 1  # what is left is background
    # No person has more than the surest box, and the box's proposals are of one person here.
    assert found.score[0] == pytest.approx(float(boxes.max()), abs=1e-5)


def test_no_proposal_is_no_pose(predictor):
    image = np.zeros((50, 60, 3), np.uint8)
    found = predictor.predict([image], ["a"], settings=IntegrationSettings(min_score=1.1))
    assert len(found) == 0
    assert found.joints_2d.shape == (0, 13, 2)
    assert len(predictor.predict([], [])) == 0


def test_shards(predictor, trained):
    found = predict_shards(
        predictor, trained[0], "train", integrations=("nms", "ppi"), settings=ALL
    )
    for name, some in found.items():
        assert set(some.image_id) == {f"own/{i:03d}.png" for i in range(5)}
        alone = predict_shards(predictor, trained[0], "train", integrations=[name], settings=ALL)
        np.testing.assert_array_equal(alone[name].joints_2d, some.joints_2d)
    assert len(found["nms"]) != len(found["ppi"])


def test_images_of_every_kind_and_bad_ones(predictor, tmp_path):
    rng = np.random.default_rng(2)
    grey = rng.integers(0, 255, (40, 70), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 256).save(tmp_path / "deep.png")
    Image.fromarray(grey).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(np.dstack([grey] * 4)).save(tmp_path / "clear.png")
    turned = Image.fromarray(grey)
    exif = turned.getexif()
    exif[0x0112] = 6  # a quarter turn
    turned.save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "cut.png").write_bytes((tmp_path / "grey.png").read_bytes()[:300])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    paths = [*sorted(tmp_path.iterdir()), tmp_path / "absent.png"]
    found, rejected = predict_images(predictor, paths, settings=ALL)
    bad = {str(tmp_path / n) for n in ("cut.png", "text.jpg", "empty.png", "absent.png")}
    assert {r.where for r in rejected} == bad
    assert set(found.image_id) == {str(p) for p in paths} - bad
    for name in ("grey", "deep", "palette", "clear"):
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.png")[..., 1], grey)
    assert read_image(tmp_path / "turned.jpg").shape == (70, 40, 3)
    assert np.abs(read_image(tmp_path / "cmyk.jpg")[..., 0].astype(int) - grey).mean() < 30


def test_wrong_arguments(predictor, tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(SettingsError, match="integration: expected one of ppi, nms"):
        predictor.predict([image], ["a"], integration="mean")
    with pytest.raises(SourceError, match=r"a: expected an RGB image .* found \(20, 30\)"):
        predictor.predict([image[..., 0]], ["a"])
    with pytest.raises(ArtefactError, match="found nothing"):
        Predictor.from_checkpoint(tmp_path / "absent.pt")
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint")
    (tmp_path / "text.pt").write_text("hello")  # read as a pickle, this asks for what is not there
    for name in ("bad", "text"):
        with pytest.raises(ArtefactError, match=f"{name}.pt: expected a posebank checkpoint"):
            Predictor.from_checkpoint(tmp_path / f"{name}.pt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(ArtefactError, match="format"):
        Predictor.from_checkpoint(tmp_path / "other.pt")


def test_checkpoint_cut_short(trained, tmp_path):
    cut = tmp_path / "cut.pt"
    cut.write_bytes(trained[1].read_bytes()[:5000])
    with pytest.raises(ArtefactError, match=r"cut\.pt: expected a posebank checkpoint"):
        Predictor.from_checkpoint(cut)


def test_resizing_follows_the_shorter_and_the_longer_side():
    settings = preset("vgg16")
    image, x, y = resized(torch.zeros(3, 300, 400, dtype=torch.uint8), settings)
    assert image.shape == (3, 600, 800)
    assert (x, y) == (2, 2)
    image, x, y = resized(torch.zeros(3, 300, 900, dtype=torch.uint8), settings)
    assert image.shape == (3, 333, 1000)
    assert x == pytest.approx(1000 / 900)
    assert y == pytest.approx(333 / 300)


def test_native_size_keeps_the_size_of_people():
    settings = replace(preset("small"), size="native", native_scale=0.8, long_side=320)
    image, x, y = resized(torch.zeros(3, 100, 250, dtype=torch.uint8), settings)
    assert image.shape == (3, 80, 200)
    assert (x, y) == (0.8, 0.8)
    assert resized(torch.zeros(3, 400, 640, dtype=torch.uint8), settings)[0].shape == (3, 200, 320)


@pytest.mark.parametrize("backbone", ["small", "resnet50_fpn", "vgg16"])
def test_an_image_seen_before_changes_nothing(backbone):
    """Sizes of maps are rounded: what is pooled must not be scaled by the first image seen."""
    settings = replace(
        preset(backbone),
        fc_channels=16,
        short_side=64,
        long_side=100,
        fc_norm=False,
        test_proposals=(60, 20),
    )
    anchors = anchor_tensors(make_anchors(poses(3)), upper_body=settings.upper_body)
    torch.manual_seed(0)
    model = LCRNet(anchors, settings)
    weights = model.state_dict()
    panorama, photo = (
        torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((21, 100), (64, 76))
    )
    found = []
    for before in ([panorama], []):
        model = LCRNet(anchors, settings)
        model.load_state_dict(weights)
        predictor = Predictor(model, torch.device("cpu"))
        for image in before:
            predictor.propose([image], ALL)
        found.append(predictor.propose([photo], ALL)[0])
    assert len(found[0].score) > 0
    torch.testing.assert_close(found[0].joints_2d, found[1].joints_2d, atol=0, rtol=0)
    torch.testing.assert_close(found[0].score, found[1].score, atol=0, rtol=0)


def test_outputs_have_the_papers_sizes():
    anchors = anchor_tensors(make_anchors(poses(6)), upper_body=True)
    model = LCRNet(anchors, tiny())
    assert model.classifier.out_features == 2 * 6 + 1
    assert model.regressor.out_features == (2 * 6 + 1) * 5 * 13
    images = [torch.zeros(3, 64, 90), torch.zeros(3, 70, 64)]
    batch, maps = model.features(images)
    assert batch.tensors.shape == (2, 3, 96, 96)  # padded to a multiple of 32
    boxes = [torch.tensor([[0, 0, 60, 60], [5, 5, 40, 60]]).float(), torch.zeros(0, 4)]
    model.eval()
    shared = model.box_features(maps, boxes, batch.image_sizes)
    assert shared.shape == (2, 64)
    # What is computed for some boxes and classes is what the whole layer gives.
    rows, classes = torch.tensor([1, 0, 1, 1]), torch.tensor([4, 12, 12, 0])
    torch.nn.init.normal_(model.regressor.bias)
    whole = model.regressor(shared).view(2, 13, 13, 5) * tiny().regression_unit
    torch.testing.assert_close(model.regress(shared, rows, classes), whole[rows, classes])
    assert model.regress(shared, rows[:0], classes[:0]).shape == (0, 13, 5)


def test_vgg_takes_weights_from_files(tmp_path):
    torch.manual_seed(0)
    network = make_layers(cfgs["D"])  # torchvision's, the last pooling included
    fc6, fc7 = torch.nn.Linear(5, 3), torch.nn.Linear(3, 3)
    state = {f"features.{name}": value for name, value in network.state_dict().items()}
    for number, layer in ((0, fc6), (3, fc7)):
        state[f"classifier.{number}.weight"] = layer.weight
        state[f"classifier.{number}.bias"] = layer.bias
    torch.save(state, tmp_path / "vgg.pt")
    backbone = build_backbone(TrainSettings("vgg16", str(tmp_path / "vgg.pt")))
    image = torch.randn(1, 3, 64, 64)
    expected = network[:-1](image)
    torch.testing.assert_close(backbone.features(image)["0"], expected)
    assert expected.shape == (1, 512, 4, 4)  # stride 16
    assert backbone.dense is not None
    torch.testing.assert_close(backbone.dense[1][0], fc7.weight)
    arrays = []
    for layer in network:
        if isinstance(layer, torch.nn.Conv2d):  # kernels as Keras keeps them
            arrays += [layer.weight.detach().permute(2, 3, 1, 0).numpy(), layer.bias.detach()]
    np.savez(tmp_path / "vgg.npz", *arrays)
    other = build_backbone(TrainSettings("vgg16", str(tmp_path / "vgg.npz")))
    torch.testing.assert_close(other.features(image)["0"], expected)
    with pytest.raises(SourceError, match="expected weights of this backbone"):
        build_backbone(TrainSettings("small", str(tmp_path / "vgg.pt")))
    np.savez(tmp_path / "short.npz", *arrays[:4])
    with pytest.raises(SourceError, match="expected 26 arrays, found 4"):
        build_backbone(TrainSettings("vgg16", str(tmp_path / "short.npz")))
    with pytest.raises(SettingsError, match="imagenet"):
        build_backbone(TrainSettings("small", "imagenet"))


def test_resnet_trains_and_predicts():
    from posebank.lcrnet.targets import ImageTargets

    anchors = anchor_tensors(make_anchors(poses(3)), upper_body=True)
    settings = replace(preset("resnet50_fpn"), fc_channels=32, short_side=64, long_side=96)
    model = LCRNet(anchors, settings)
    targets = ImageTargets(
        torch.tensor([[4.0, 4, 60, 60]]), torch.tensor([2]), torch.tensor([0]),
        torch.rand(1, 13, 2) * 60, torch.randn(1, 13, 3), torch.ones(1, 13), torch.ones(1),
        torch.zeros(0, 4),
    )  # fmt: skip
    losses = model([torch.rand(3, 64, 64) * 255], [targets])
    assert all(torch.isfinite(v) for v in losses.values())
    found = model.eval().propose([torch.rand(3, 64, 64) * 255], ALL)
    assert found[0].joints_2d.shape[1:] == (13, 2)
