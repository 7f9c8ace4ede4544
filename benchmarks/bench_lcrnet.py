"""LCR-Net against torchvision's Faster R-CNN: training and inference, and PPI alone.

Both have the same backbone, image size, region proposals and number of boxes, and run in turn on
the same machine; a ratio above 1 means that LCR-Net is the faster.

    python benchmarks/bench_lcrnet.py --backbone small
"""

import argparse
from statistics import median
from time import perf_counter

import numpy as np
import torch
from _common import report
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from posebank.lcrnet import IntegrationSettings, Predictor, integrate, preset
from posebank.lcrnet.backbones import build_backbone
from posebank.lcrnet.devices import pick_device
from posebank.lcrnet.images import network_size
from posebank.lcrnet.model import LCRNet, _dense
from posebank.lcrnet.optimisation import make_optimizer
from posebank.lcrnet.targets import AnchorTensors, ImageTargets

N_ANCHOR_POSES = 100
HEIGHT, WIDTH = 480, 640


class OneMap(torch.nn.Module):
    """A backbone as torchvision wants it."""

    def __init__(self, backbone):
        super().__init__()
        self.features, self.out_channels = backbone.features, backbone.channels

    def forward(self, images):
        return self.features(images)


def faster_rcnn(settings, n_classes):
    backbone = build_backbone(settings, load_weights=False)
    height, width = network_size(HEIGHT, WIDTH, settings)
    return FasterRCNN(
        OneMap(backbone),
        min_size=min(height, width),
        max_size=max(height, width),
        rpn_anchor_generator=AnchorGenerator(
            (tuple(settings.anchor_sizes),), (tuple(settings.anchor_ratios),)
        ),
        rpn_pre_nms_top_n_train=settings.train_proposals[0],
        rpn_post_nms_top_n_train=settings.train_proposals[1],
        rpn_pre_nms_top_n_test=settings.test_proposals[0],
        rpn_post_nms_top_n_test=settings.test_proposals[1],
        box_roi_pool=MultiScaleRoIAlign(["0"], settings.pooled, 2),
        box_head=torch.nn.Sequential(  # the same layers, batch normalisation included
            torch.nn.Flatten(),
            *_dense(backbone.channels * settings.pooled**2, settings),
            *_dense(settings.fc_channels, settings),
        ),
        box_predictor=OutputLayers(settings.fc_channels, n_classes),
        box_batch_size_per_image=settings.boxes_per_image,
    )


class OutputLayers(torch.nn.Module):
    """Faster R-CNN's two output layers."""

    def __init__(self, width, n_classes):
        super().__init__()
        self.classes = torch.nn.Linear(width, n_classes)
        self.boxes = torch.nn.Linear(width, n_classes * 4)

    def forward(self, features):
        return self.classes(features), self.boxes(features)


@torch.no_grad()
def like_a_trained_one(network, classifier, images, infer):
    """Make a network's scores sure, and four boxes of five background.

    How long the rest takes depends on how many boxes are of somebody, and in an untrained network
    either all are or none.
    """
    seen = []
    hook = classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.eval()
    infer(images)
    hook.remove()
    classifier.weight.normal_()
    logits = classifier(seen[0])
    classifier.weight *= 3 / logits.std(dim=0).mean()
    logits = classifier(seen[0])
    logits -= logits.mean(dim=0)
    classifier.bias -= classifier(seen[0]).mean(dim=0)
    classifier.bias[0] += torch.quantile(logits[:, 1:].max(dim=1).values - logits[:, 0], 0.8)


def in_turn(works, repeats, device):
    """Median seconds of each work, measured in turn so that a busy machine hits all alike."""
    times = {name: [] for name in works}
    for _ in range(repeats + 1):  # the first round warms up
        for name, work in works.items():
            start = perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(perf_counter() - start)
    return {name: median(t[1:]) for name, t in times.items()}


def networks(backbone, n_images, repeats, device):
    settings = preset(backbone)
    rng = np.random.default_rng(0)
    poses = torch.from_numpy(rng.normal(0, 0.4, (N_ANCHOR_POSES, 13, 3)).astype(np.float32))
    anchors = AnchorTensors(torch.rand(N_ANCHOR_POSES, 13, 2), poses, N_ANCHOR_POSES)
    size = (3, *network_size(HEIGHT, WIDTH, settings))
    ours = LCRNet(anchors, settings, load_weights=False).to(device)
    theirs = faster_rcnn(settings, N_ANCHOR_POSES + 1)
    theirs = theirs.to(device)
    images = [torch.rand(size, device=device) * 255 for _ in range(n_images)]
    like_a_trained_one(
        ours, ours.classifier, images, lambda x: ours.propose(x, IntegrationSettings())
    )
    peer = theirs.roi_heads.box_predictor.classes
    like_a_trained_one(theirs, peer, [image / 255 for image in images], theirs)
    boxes, labels = [], []
    for _ in images:
        corner = torch.rand(3, 2) * torch.tensor([size[2], size[1]]) * 0.5
        side = torch.tensor([size[2], size[1]]) * 0.4
        boxes.append(torch.cat([corner, corner + side], dim=1).to(device))
        labels.append(torch.randint(1, N_ANCHOR_POSES + 1, (3,), device=device))
    targets = [
        ImageTargets(
            box,
            label,
            torch.arange(3, device=device),
            box[:, None, :2] + torch.rand(3, 13, 2, device=device) * 50,
            poses[:3].to(device),
            torch.ones(3, 13, device=device),
            torch.ones(3, device=device),
            torch.zeros(0, 4, device=device),
        )
        for box, label in zip(boxes, labels, strict=True)
    ]
    unit = [image / 255 for image in images]
    their_targets = [
        {"boxes": box, "labels": label} for box, label in zip(boxes, labels, strict=True)
    ]
    # Both with our trainer's optimiser; the peer also with the one of torchvision's own script.
    steps = {
        "ours": make_optimizer(ours, settings),
        "theirs": torch.optim.AdamW(
            theirs.parameters(), weight_decay=settings.weight_decay, fused=True
        )
        if settings.optimizer == "adamw"
        else torch.optim.SGD(
            theirs.parameters(),
            settings.learning_rate,
            settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        ),
        "theirs_plain": torch.optim.SGD(
            theirs.parameters(),
            settings.learning_rate,
            settings.momentum,
            weight_decay=settings.weight_decay,
        ),
    }
    for step in steps.values():
        for group in step.param_groups:
            group["lr"] = 1e-6

    def train_ours():
        ours.train()
        steps["ours"].zero_grad()
        sum(ours(images, targets).values()).backward()
        steps["ours"].step()

    def train_theirs(step="theirs"):
        theirs.train()
        steps[step].zero_grad()
        sum(theirs(unit, their_targets).values()).backward()
        steps[step].step()

    predictor = Predictor(ours, device)
    pictures = [image.byte().permute(1, 2, 0).cpu().numpy() for image in images]

    def infer_ours():
        ours.eval()
        for first in range(0, len(pictures), 8):  # the resizing and PPI are included
            some = pictures[first : first + 8]
            predictor.predict(some, [""] * len(some))

    def infer_theirs():
        theirs.eval()
        with torch.no_grad():
            for first in range(0, len(unit), 8):
                theirs(unit[first : first + 8])

    found = {}
    for name, works in (
        (
            "training",
            {
                "lcrnet": train_ours,
                "faster_rcnn": train_theirs,
                "faster_rcnn_plain_optimizer": lambda: train_theirs("theirs_plain"),
            },
        ),
        ("inference", {"lcrnet": infer_ours, "faster_rcnn": infer_theirs}),
    ):
        times = in_turn(works, repeats, device)
        found[name] = {f"{k}_images_per_s": n_images / v for k, v in times.items()}
        found[name]["ratio"] = times["faster_rcnn"] / times["lcrnet"]
    return {"image": size, "images_per_batch": n_images, **found}


def ppi_ms(n_boxes=300, n_classes=10, n_people=3, n_modes=4):
    """Milliseconds of PPI on one image: boxes on a few people, each with a few 3D poses."""
    rng = np.random.default_rng(0)
    n = n_boxes * n_classes
    base = rng.normal(0, 0.4, (n_people, n_modes, 13, 3))
    person, mode = rng.integers(0, n_people, n), rng.integers(0, n_modes, n)
    deep = base[person, mode] + rng.normal(0, 0.03, (n, 13, 3))
    flat = deep[..., :2] * 100 + np.array([[200, 300]]) + person[:, None, None] * [400, 0]
    score = rng.uniform(0.01, 1, n)
    box = np.repeat(np.arange(n_boxes), n_classes)
    settings = IntegrationSettings()
    times = []
    for _ in range(51):
        start = perf_counter()
        poses = integrate(flat, deep, score, settings, box)
        times.append(1000 * (perf_counter() - start))
    return {"proposals": n, "poses": len(poses.score), "median_ms": median(times[1:])}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="small", choices=["small", "vgg16", "lite0"])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.manual_seed(0)
    device = pick_device(options.device)
    results = {"device": str(device), "threads": torch.get_num_threads(), "ppi": ppi_ms()}
    results[options.backbone] = networks(options.backbone, options.images, options.repeats, device)
    report("lcrnet", results)


if __name__ == "__main__":
    main()
