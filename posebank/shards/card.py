"""The data-set card beside the shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from posebank.anchors import coverage
from posebank.errors import Rejected
from posebank.skeleton import JOINT_NAMES, JointState
from posebank.types import Anchors, Labels

TERMS: Mapping[str, str] = {
    "cmu": "CMU Graphics Lab MoCap: free to use, also in products that are sold, but not to be "
    "resold itself. Acknowledge: data from mocap.cs.cmu.edu, funded by NSF EIA-0196217.",
    "hdm05": "HDM05: CC BY-SA 3.0. Cite Mueller et al., Documentation Mocap Database HDM05, "
    "CG-2007-2, 2007. Share-alike: what is derived from it is shared under the same licence.",
    "poseprior": "Pose Prior: non-commercial research only. Cite Akhter & Black, CVPR 2015.",
    "mpii": "MPII Human Pose: research, non-commercial. Cite Andriluka et al., CVPR 2014.",
    "lspe": "LSP Extended: cite Johnson & Everingham, CVPR 2011.",
    "lsp": "LSP: cite Johnson & Everingham, BMVC 2010.",
    "coco": "COCO: annotations CC BY 4.0; each image has its own licence. Cite Lin et al., 2014.",
    "h36m": "Human3.6M: academic use, by registration. Cite Ionescu et al., TPAMI 2014.",
}


def dataset_card(
    labels: Labels,
    anchors: Anchors,
    *,
    mocap: Mapping[str, Mapping[str, Any]],
    rejected: Sequence[Rejected],
    settings: Mapping[str, Any],
) -> str:
    """Markdown card: counts, errors, coverage, terms and citations.

    Parameters
    ----------
    mocap : counts of each MoCap data set in the bank.
    rejected : images that were set aside.
    settings : of the shards.
    """
    lines = ["# Data set card", "", "Full-body 2D + 3D pose labels made by posebank.", ""]
    lines += ["## Labels", ""]
    lines += [
        "| data set | split | people | images | error_norm mean | error_mm median | trust mean |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for name in sorted(set(labels.dataset)):
        for split in sorted(set(labels.split)):
            of = (labels.dataset == name) & (labels.split == split)
            if of.any():
                lines.append(
                    f"| {name} | {split} | {of.sum()} | {len(set(labels.image[of]))} "
                    f"| {labels.error_norm[of].mean():.3f} | {np.median(labels.error_mm[of]):.0f} "
                    f"| {labels.trust[of].mean():.2f} |"
                )
    lines += ["", f"Images set aside (missing or not decodable): {len(rejected)}.", ""]
    lines += [
        "## Joints by state",
        "",
        "| joint | visible | occluded | completed |",
        "|---|---|---|---|",
    ]
    for joint, name in enumerate(JOINT_NAMES):
        counts = [
            int((labels.state[:, joint] == state).sum())
            for state in (JointState.VISIBLE, JointState.OCCLUDED, JointState.COMPLETED)
        ]
        lines.append(f"| {name} | {counts[0]} | {counts[1]} | {counts[2]} |")
    lines += ["", "## Anchor-poses", ""]
    full = anchors.take(anchors.kind == "full")
    table = coverage(full.pose_3d, labels.joints_3d, labels.dataset)
    lines += [f"{len(full)} full-body anchor-poses; distance of the labels to the closest one:", ""]
    lines += ["| data set | poses | anchors used | mean mm | median mm | 90% mm | max mm |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in table.itertuples():
        lines.append(
            f"| {row.dataset} | {row.poses} | {row.anchors_used} | {row.mean_mm:.0f} "
            f"| {row.median_mm:.0f} | {row.p90_mm:.0f} | {row.max_mm:.0f} |"
        )
    lines += ["", "## Motion capture", ""]
    for name, counts_of in sorted(mocap.items()):
        counted = ", ".join(f"{key} {value}" for key, value in sorted(counts_of.items()))
        lines.append(f"- {name}: {counted}")
    lines += ["", "## Frames and units", ""]
    lines += [
        "2D in pixels from the top-left corner of the top-left pixel; 3D in metres, camera axes "
        "(x right, y down, z away), relative to the mean of hips and shoulders. State: 0 missing, "
        "1 visible, 2 occluded, 3 completed. `trust` in [0, 1] and `error_mm` tell how far to "
        "believe a label; a 3D pose is an estimate unless the source measured it.",
        "",
        "## Settings",
        "",
        *[f"- {key}: {value}" for key, value in sorted(settings.items())],
        "",
        "## Terms and citations",
        "",
    ]
    sources = sorted(set(labels.dataset) | set(mocap))
    lines += [f"- {TERMS.get(name, name + ': the terms of its owner.')}" for name in sources]
    if "hdm05" in mocap:
        lines += ["", "Labels made with HDM05 poses are to be shared under CC BY-SA 3.0."]
    if {"poseprior", "mpii"} & set(sources):
        lines += ["", "Because of Pose Prior or MPII, the labels are for non-commercial use."]
    return "\n".join(lines) + "\n"
