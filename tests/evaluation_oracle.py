"""Slow, literal transcriptions of the published definitions of the metrics, joint by joint.

Nothing here is shared with ``posebank.evaluation``: plain Python numbers and lists, one joint, one
person, one prediction at a time, in the words of the definitions.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def head_size(box):
    return 0.6 * math.sqrt(
        (float(box[2]) - float(box[0])) ** 2 + (float(box[3]) - float(box[1])) ** 2
    )


def pckh(pred, true, size, annotated, threshold, strict=False):
    """Per joint [right, annotated], for PCKh: of people with a known head size only."""
    counts = [[0, 0] for _ in range(len(true[0]))]
    for person in range(len(true)):
        if not size[person] > 0:
            continue
        for joint in range(len(true[person])):
            if not annotated[person][joint]:
                continue
            counts[joint][1] += 1
            away = distance(pred[person][joint], true[person][joint]) / float(size[person])
            if away < threshold or (away == threshold and not strict):
                counts[joint][0] += 1
    return counts


def area_under_curve(pred, true, size, annotated, upper, steps=20000):
    """Mean of PCKh over many thresholds (midpoints), in percent."""
    total = 0.0
    ratios = [
        distance(pred[p][j], true[p][j]) / float(size[p])
        for p in range(len(true))
        for j in range(len(true[p]))
        if annotated[p][j]
    ]
    ratios = np.array(ratios)
    for step in range(steps):
        total += float((ratios <= upper * (step + 0.5) / steps).mean())
    return 100 * total / steps


def mpii_ap(groups, threshold, strict=False, ignore=False):  # noqa: PLR0912
    """AP of each joint as in MPII's multi-person toolkit, the groups one after the other.

    groups : dicts of pred [[joint...]...], score, true, annotated, size.
    """
    n_joints = 13
    scores = [[] for _ in range(n_joints)]
    labels = [[] for _ in range(n_joints)]
    total = [0] * n_joints
    for group in groups:
        n_pred, n_true = len(group["pred"]), len(group["true"])
        for person in range(n_true):
            for joint in range(n_joints):
                total[joint] += int(group["annotated"][person][joint])
        if n_pred == 0:
            continue
        match = {}
        pck = [[0.0] * n_true for _ in range(n_pred)]
        for pose in range(n_pred):
            for person in range(n_true):
                hits = 0
                for joint in range(n_joints):
                    near = False
                    if group["annotated"][person][joint]:
                        away = distance(group["pred"][pose][joint], group["true"][person][joint])
                        away /= float(group["size"][person])
                        near = away < threshold if strict else away <= threshold
                    match[pose, person, joint] = near
                    hits += near
                known = sum(map(int, group["annotated"][person]))
                pck[pose][person] = hits / known if known else 0.0
        # each prediction keeps only the person it is best for
        for pose in range(n_pred):
            best = max(range(n_true), key=lambda person, row=pck[pose]: (row[person], -person))
            for person in range(n_true):
                if person != best:
                    pck[pose][person] = 0.0
        # each person takes its best prediction
        taken = {}
        for person in range(n_true):
            best = max(range(n_pred), key=lambda pose, p=person: (pck[pose][p], -pose))
            if pck[best][person] > 0:
                taken[best] = person
        for pose in range(n_pred):
            for joint in range(n_joints):
                if pose in taken:
                    person = taken[pose]
                    if ignore and not group["annotated"][person][joint]:
                        continue
                    labels[joint].append(bool(match[pose, person, joint]))
                else:
                    labels[joint].append(False)
                scores[joint].append(float(group["score"][pose]))
    return [
        100 * voc_ap(scores[j], labels[j], total[j]) if total[j] else math.nan
        for j in range(n_joints)
    ]


def voc_ap(scores, labels, total):
    """Area under the envelope, the way VOC's development kit does it."""
    ranked = sorted(range(len(scores)), key=lambda i: -scores[i])  # stable
    recall, precision, found = [0.0], [0.0], 0
    for place, i in enumerate(ranked):
        found += labels[i]
        recall.append(found / total)
        precision.append(found / (place + 1))
    recall.append(1.0)
    precision.append(0.0)
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))


def mean_joint_distance_mm(pred, true):
    return 1000 * sum(distance(p, t) for p, t in zip(pred, true, strict=True)) / len(true)


def rooted(joints, indices):
    root = [sum(float(joints[i][d]) for i in indices) / len(indices) for d in range(3)]
    return [[float(joint[d]) - root[d] for d in range(3)] for joint in joints]


def aligned(pred, true, scale):
    """Best alignment by numerical search over rotations (of least squares, not of distances)."""
    x = np.asarray(pred, float) - np.mean(np.asarray(pred, float), axis=0)
    y = np.asarray(true, float) - np.mean(np.asarray(true, float), axis=0)

    def moved(vector):
        turned = Rotation.from_rotvec(vector[:3]).apply(x)
        return turned * math.exp(vector[3]) if scale else turned

    def cost(vector):
        return float(((moved(vector) - y) ** 2).sum())

    best = None
    # Half turns about the axes: the search has other minima than the best one.
    for start in Rotation.create_group("D2"):
        begin = np.concatenate([start.as_rotvec(), [0.0]])
        found = minimize(cost, begin, method="BFGS", options={"gtol": 1e-10})
        if best is None or found.fun < best.fun:
            best = found
    return moved(best.x) + np.mean(np.asarray(true, float), axis=0)


def box(joints):
    xs, ys = [float(j[0]) for j in joints], [float(j[1]) for j in joints]
    return min(xs), min(ys), max(xs), max(ys)


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return width * height / (area - width * height)


def select_by_iou(pred_image, pred, score, true_image, true, known):
    """Row of the prediction of largest IoU above 0; of equal ones the better scored, then first."""
    chosen = []
    for person in range(len(true)):
        around = box([true[person][j] for j in range(len(true[person])) if known[person][j]])
        best, best_key = -1, None
        for pose in range(len(pred)):
            if pred_image[pose] != true_image[person]:
                continue
            overlap = iou(box(pred[pose]), around)
            if overlap > 0 and (best_key is None or (overlap, score[pose]) > best_key):
                best, best_key = pose, (overlap, score[pose])
        chosen.append(best)
    return chosen
