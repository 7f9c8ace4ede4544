"""The data-set card that lies beside the shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from posebank.anchors import coverage
from posebank.errors import Rejected
from posebank.skeleton import JOINT_NAMES, SKELETON_NAME, JointState
from posebank.types import Anchors, LabelKeys, Labels, Texts

_SHOWN_REJECTED = 20
_QUANTILES = (0.5, 0.9, 0.99)
_SAMPLE_TEXT = "Of {:,} people, evenly spaced among all.\n\n"


@dataclass(frozen=True)
class Terms:
    """Under which terms a source may be used, and what to cite."""

    title: str
    terms: str
    citation: str
    non_commercial: bool = False
    share_alike: bool = False


TERMS: Mapping[str, Terms] = {
    "cmu": Terms(
        "CMU Graphics Lab Motion Capture Database",
        "Free to use, also in products that are sold; the data itself may not be resold.",
        "Data obtained from mocap.cs.cmu.edu; the database was created with funding from NSF "
        "EIA-0196217.",
    ),
    "hdm05": Terms(
        "HDM05",
        "Creative Commons BY-SA 3.0: name the source, and share what is derived under the same "
        "terms.",
        "M. Müller, T. Röder, M. Clausen, B. Eberhardt, B. Krüger, A. Weber. Documentation Mocap "
        "Database HDM05. Technical report CG-2007-2, Universität Bonn, 2007.",
        share_alike=True,
    ),
    "poseprior": Terms(
        "Pose Prior",
        "Non-commercial research.",
        "I. Akhter, M. J. Black. Pose-Conditioned Joint Angle Limits for 3D Human Pose "
        "Reconstruction. CVPR 2015.",
        non_commercial=True,
    ),
    "amass": Terms(
        "AMASS",
        "Non-commercial research, by agreement with its owners; each subset has its own terms too.",
        "N. Mahmood, N. Ghorbani, N. F. Troje, G. Pons-Moll, M. J. Black. AMASS: Archive of Motion "
        "Capture as Surface Shapes. ICCV 2019; and the papers of the subsets that are used.",
        non_commercial=True,
    ),
    "mpii": Terms(
        "MPII Human Pose",
        "Non-commercial research.",
        "M. Andriluka, L. Pishchulin, P. Gehler, B. Schiele. 2D Human Pose Estimation: New "
        "Benchmark and State of the Art Analysis. CVPR 2014.",
        non_commercial=True,
    ),
    "lspe": Terms(
        "Leeds Sports Pose Extended",
        "Cite the paper; the images are Flickr users' own.",
        "S. Johnson, M. Everingham. Learning Effective Human Pose Estimation from Inaccurate "
        "Annotation. CVPR 2011.",
    ),
    "lsp": Terms(
        "Leeds Sports Pose",
        "Cite the paper; the images are Flickr users' own.",
        "S. Johnson, M. Everingham. Clustered Pose and Nonlinear Appearance Models for Human Pose "
        "Estimation. BMVC 2010.",
    ),
    "coco": Terms(
        "COCO",
        "Annotations: Creative Commons BY 4.0. Each image has its own licence.",
        "T.-Y. Lin et al. Microsoft COCO: Common Objects in Context. ECCV 2014.",
    ),
    "h36m": Terms(
        "Human3.6M",
        "Academic use, by agreement with its owners; it may not be passed on.",
        "C. Ionescu, D. Papava, V. Olaru, C. Sminchisescu. Human3.6M: Large Scale Datasets and "
        "Predictive Methods for 3D Human Sensing in Natural Environments. TPAMI 2014.",
        non_commercial=True,
    ),
}

_PAPER = (
    "G. Rogez, P. Weinzaepfel, C. Schmid. LCR-Net: Localization-Classification-Regression for "
    "Human Pose. CVPR 2017."
)


def dataset_card(
    labels: Labels,
    anchors: Anchors | None,
    *,
    everyone: LabelKeys | None = None,
    mocap: Mapping[str, Mapping[str, Any]] | None = None,
    rejected: Sequence[Rejected] = (),
    settings: Mapping[str, Any] | None = None,
    terms: Mapping[str, str] | None = None,
) -> str:
    """Return a Markdown description of the shards made of these labels.

    Parameters
    ----------
    labels : Labels
        The people in the shards, or an even sample of them.
    anchors : Anchors or None
        The anchor-poses their ``anchor_id`` refers to, None where there are none.
    everyone : LabelKeys or None
        Who is in which image, of all people in the shards, where ``labels`` are a sample.
    mocap : mapping or None
        MoCap data sets in the bank, with what is known of each.
    rejected : sequence of Rejected
        Images that were left out.
    settings : mapping or None
        How the shards were written.
    terms : mapping or None
        Annotation data set -> key of ``TERMS``; a data set that is not in it is somebody's
        own.

    Returns
    -------
    Markdown, the same for the same arguments: it holds no date and no path of its own.
    """
    mocap = mocap or {}
    known = {name: name for name in TERMS} if terms is None else dict(terms)
    known |= {name: name for name in mocap}
    counted = labels if everyone is None else everyone
    sample = "" if len(counted) == len(labels) else _SAMPLE_TEXT.format(len(labels))
    sections = [
        "# Labelled people: 2D and 3D poses\n\n"
        f"{len(counted):,} people in {_count_images(counted):,} images, each with 13 joints "
        f"(`{SKELETON_NAME}`: {', '.join(JOINT_NAMES)}) in 2D and 3D. Left and right are the "
        "person's own. Joints that were not annotated were filled in, and **every 3D pose was "
        "inferred**, by matching the 2D annotation to motion capture; only Human3.6M measures 3D. "
        "Use `state`, `trust`, `error_mm` and `ambiguity_mm` to decide what to rely on.",
        "## Counts\n\n" + _table(_counts(counted)),
        "## Where the joints come from\n\n" + sample + _table(_states(labels)),
        "## Matching error and trust\n\n"
        "`error_mm` is the RMS distance in the image between annotated joints and matched pose, "
        "at the person's own size; it says little about the error in depth, which `trust` (the "
        "probability that the mean 3D joint error is below 150 mm) and `ambiguity_mm` estimate."
        "\n\n" + sample + _table(_errors(labels)),
        "## Anchor-poses\n\n" + sample + _anchor_text(labels, anchors),
        _format_text(settings or {}),
        "## Sources, terms, citations\n\n" + _terms_text(counted.dataset, mocap, known),
        "## What follows\n\n" + _consequences(set(counted.dataset) | set(mocap), known),
    ]
    if rejected:
        sections.append(_rejected_text(rejected))
    return "\n\n".join(sections) + "\n"


_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def hub_readme(card: str, labels: Labels | LabelKeys, name: str = "posebank shards") -> str:
    """Return the card as the ``README.md`` of a Hugging Face data set, with its YAML front matter.

    Parameters
    ----------
    card : str
        What ``dataset_card`` wrote.
    labels : Labels
        The people in the shards.
    name : str
        Title of the data set on the hub.
    """
    n = _count_images(labels)
    size = next((text for most, text in _SIZES if n < most), "1M<n<10M")
    splits = [split for split in ("train", "val", "test") if split in set(labels.split)]
    lines = [
        "---",
        f"pretty_name: {name}",
        "license: other",
        "license_name: mixed",
        "license_link: README.md",
        "task_categories:",
        "- keypoint-detection",
        "tags:",
        "- human-pose-estimation",
        "- 3d-human-pose",
        f"size_categories:\n- {size}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(f'  - split: {split}\n    path: "{split}-*.parquet"' for split in splits),
        "---",
    ]
    return "\n".join(lines) + "\n\n" + card


def _count_images(labels: Labels | LabelKeys) -> int:
    return len(set(zip(labels.dataset, labels.image, strict=True)))


def _table(frame: pd.DataFrame) -> str:
    """A Markdown table with the index as its first columns."""
    flat = frame.reset_index()
    rows = [[str(c) for c in flat.columns], ["---"] * flat.shape[1]]
    rows += [[_cell(value) for value in row] for row in flat.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:.3g}" if abs(number) < 100 else f"{number:,.0f}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def _counts(labels: Labels | LabelKeys) -> pd.DataFrame:
    frame = pd.DataFrame({"data set": labels.dataset, "split": labels.split, "image": labels.image})
    groups = frame.groupby(["data set", "split"])
    return pd.DataFrame({"images": groups["image"].nunique(), "people": groups.size()})


def _states(labels: Labels) -> pd.DataFrame:
    rows = {}
    for dataset in sorted(set(labels.dataset)):
        state = labels.state[labels.dataset == dataset]
        rows[dataset] = {s.name.lower(): f"{(state == s).mean():.1%}" for s in JointState}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("data set")


def _errors(labels: Labels) -> pd.DataFrame:
    rows = {}
    for dataset in sorted(set(labels.dataset)):
        chosen = labels.dataset == dataset
        for name in ("error_norm", "error_mm", "trust", "ambiguity_mm"):
            values = getattr(labels, name)[chosen].astype(np.float64)
            quantiles = np.quantile(values, _QUANTILES)
            names = [f"p{q * 100:.0f}" for q in _QUANTILES]
            row = {"mean": values.mean(), **dict(zip(names, quantiles, strict=True))}
            rows[dataset, name] = row
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(rows, names=["data set", "measure"])
    return frame


def _anchor_text(labels: Labels, anchors: Anchors | None) -> str:
    if anchors is None:
        return "None were made: `anchor_id` is null."
    n_full = int((anchors.kind == "full").sum())
    n_upper = int((anchors.kind == "upper").sum())
    lead = (
        f"{n_full} full-body and {n_upper} upper-body anchor-poses, in `anchors.feather`, which "
        "pyarrow and pandas read; `anchor_id` is the row. "
    )
    if len(labels) == 0:
        return lead
    found = coverage(anchors, labels.joints_3d, labels.dataset, labels.person_id).by_dataset
    return (
        lead + "Mean joint distance of the labels to the closest full-body one, in millimetres:"
        "\n\n" + _table(found)
    )


def _format_text(settings: Mapping[str, Any]) -> str:
    chosen = ", ".join(f"`{name} = {value}`" for name, value in sorted(settings.items()))
    return (
        "## Format\n\n"
        "Parquet, zstd, one row per image with the list of its people. Each field's metadata says "
        "its shape, unit and frame: `pyarrow.parquet.read_schema(file)` shows them. Arrays are "
        "flat lists, joint after joint. Images carry their original bytes unless they were "
        "shrunk. `mocap_dataset`, `mocap_clip` and `mocap_frame` are the best match in motion "
        "capture, `camera_*` its camera, `provenance` the matcher and the estimator. "
        "`_manifest.json` holds the sha256 of every file. Mirrored copies are not stored: "
        "`posebank.shards.flip_sample` makes them, and `anchor_id_flipped` is there for them."
        + (f"\n\nSettings: {chosen}." if chosen else "")
    )


def _terms_text(
    datasets: Texts, mocap: Mapping[str, Mapping[str, Any]], terms: Mapping[str, str]
) -> str:
    parts = []
    for heading, names in (
        ("Images and 2D annotations", sorted(set(datasets))),
        ("Motion capture", sorted(mocap)),
    ):
        lines = []
        for name in names:
            known = TERMS.get(terms.get(name, ""))
            stats = ", ".join(
                f"{k} {v}"
                for k, v in sorted(mocap.get(name, {}).items())
                if isinstance(v, int | float)
            )
            counted = f" In the bank: {stats}." if stats else ""
            if known is None:
                lines.append(
                    f"- `{name}`: its terms are not known to posebank; ask whose it is." + counted
                )
            else:
                lines.append(
                    f"- **{known.title}** (`{name}`). {known.terms} Cite: {known.citation}"
                    + counted
                )
        parts.append(f"### {heading}\n\n" + ("\n".join(lines) or "None."))
    parts.append(f"### Method\n\n- Cite: {_PAPER}")
    return "\n\n".join(parts)


def _consequences(names: set[str], terms: Mapping[str, str]) -> str:
    found = {name: TERMS.get(terms.get(name, "")) for name in names}
    known = [one for one in found.values() if one is not None]
    closed = sorted({one.title for one in known if one.non_commercial})
    alike = sorted({one.title for one in known if one.share_alike})
    unknown = sorted(f"`{name}`" for name, one in found.items() if one is None)
    lines = []
    if closed:
        lines.append(
            f"- **Non-commercial research only**, because of {', '.join(closed)}. This holds for "
            "the shards as a whole and, on the usual reading, for what is trained on them."
        )
    if alike:
        lines.append(
            f"- **Share alike**: the 3D poses derive from {', '.join(alike)}; who passes the "
            "shards on does so under CC BY-SA 3.0 or a compatible licence."
        )
    if closed and alike:
        lines.append(
            "- These two demands contradict each other when the shards are passed on: CC BY-SA "
            "allows no added restriction such as non-commercial use. Use them together in-house, "
            "or make shards to be passed on without one of the two groups."
        )
    if unknown:
        lines.append(f"- The terms of {', '.join(unknown)} must be found out before passing on.")
    lines.append("- The people in the images did not agree to be measured: use with care.")
    return "\n".join(lines)


def _rejected_text(rejected: Sequence[Rejected]) -> str:
    lines = [f"- `{r.where}`: {r.reason}" for r in rejected[:_SHOWN_REJECTED]]
    if len(rejected) > _SHOWN_REJECTED:
        lines.append(f"- and {len(rejected) - _SHOWN_REJECTED:,} more, in `_manifest.json`")
    return f"## Images left out\n\n{len(rejected):,} images:\n\n" + "\n".join(lines)
