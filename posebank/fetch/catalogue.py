"""The data sets that posebank knows: their files, terms, and what must be done by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_HDM05 = "http://resources.mpi-inf.mpg.de/HDM05"
_HDM05_ACTORS = ("bd", "bk", "dg", "mm", "tr")
_HDM05_SCENES = (
    "01-01",
    "01-02",
    "01-03",
    "01-04",
    "02-01",
    "02-02",
    "02-03",
    "03-01",
    "03-02",
    "03-03",
    "03-04",
    "03-05",
    "03-08",
    "03-09",
    "03-10",
    "03-11",
    "04-01",
    "05-01",
    "05-02",
    "05-03",
)


@dataclass(frozen=True)
class Expected:
    """Files that a data set's folder must hold.

    pattern : glob below the folder, as ``pathlib.Path.glob`` understands it.
    what : the files in words, for messages.
    """

    pattern: str
    what: str


@dataclass(frozen=True)
class Download:
    """One data set.

    urls : files that may be downloaded without registration.
    terms : terms of use, in one line.
    by_hand : steps of a registration, in order; empty where none is needed.
    layout : files that the folder holds when everything is in place.
    images : those of ``urls`` that hold images only; ``--annotations-only`` leaves them out.
    then : the command that reads the folder.
    """

    urls: tuple[str, ...]
    terms: str
    by_hand: tuple[str, ...] = ()
    layout: tuple[Expected, ...] = ()
    images: frozenset[str] = frozenset()
    then: str = ""


_MPII = "https://datasets.d2.mpi-inf.mpg.de/andriluka14cvpr"
_COCO = "http://images.cocodataset.org"

DOWNLOADS: Mapping[str, Download] = {
    "cmu": Download(
        ("http://mocap.cs.cmu.edu/allasfamc.zip",),
        "Free to use; not to be resold itself. Acknowledge mocap.cs.cmu.edu, NSF EIA-0196217.",
        layout=(
            Expected("**/*.asf", "skeletons (ASF)"),
            Expected("**/*.amc", "motions (AMC)"),
        ),
        then="posebank ingest cmu",
    ),
    "hdm05": Download(
        (
            *(f"{_HDM05}/asf/HDM_{actor}.asf" for actor in _HDM05_ACTORS),
            *(f"{_HDM05}/{scene}/HDM_{scene}_amc.zip" for scene in _HDM05_SCENES),
        ),
        "CC BY-SA 3.0; cite report CG-2007-2.",
        layout=(
            Expected("**/HDM_*.asf", "skeletons (ASF)"),
            Expected("**/HDM_*.amc", "motions (AMC)"),
        ),
        then="posebank ingest hdm05",
    ),
    "poseprior": Download(
        (),
        "Non-commercial research.",
        by_hand=(
            "Register at https://poseprior.is.tue.mpg.de and accept the licence.",
            "Download the motion-capture data (BVH) and unpack it into the folder.",
        ),
        layout=(Expected("**/*.bvh", "motions (BVH)"),),
        then="posebank ingest poseprior",
    ),
    "amass": Download(
        (),
        "Non-commercial research; each of its data sets has its own licence and citation.",
        by_hand=(
            "Register at https://amass.is.tue.mpg.de and accept the licence.",
            "Download the SMPL+H G (or SMPL-X G) archives of the data sets you want, such as CMU, "
            "HDM05 and PosePrior, and unpack each into the folder.",
            "For each subject's own limb lengths, register at https://mano.is.tue.mpg.de and "
            "download the extended SMPL+H model (.npz); give its folder to --body-model.",
        ),
        layout=(Expected("**/*.npz", "motions (NPZ)"),),
        then="posebank ingest amass",
    ),
    "mpii": Download(
        (f"{_MPII}/mpii_human_pose_v1_u12_2.zip", f"{_MPII}/mpii_human_pose_v1.tar.gz"),
        "Research, non-commercial.",
        layout=(
            Expected("**/mpii_human_pose_v1_u12_*.mat", "the annotations (MAT)"),
            Expected("**/*.jpg", "images (JPEG)"),
        ),
        images=frozenset({f"{_MPII}/mpii_human_pose_v1.tar.gz"}),
        then="posebank annotate mpii",
    ),
    "lspe": Download(
        ("http://sam.johnson.io/research/lspet_dataset.zip",),
        "Cite Johnson & Everingham 2011.",
        layout=(Expected("**/joints.mat", "the annotations (MAT)"),),
        then="posebank annotate lspe",
    ),
    "lsp": Download(
        ("http://sam.johnson.io/research/lsp_dataset.zip",),
        "Cite Johnson & Everingham 2010.",
        layout=(Expected("**/joints.mat", "the annotations (MAT)"),),
        then="posebank annotate lsp",
    ),
    "coco": Download(
        (
            f"{_COCO}/annotations/annotations_trainval2017.zip",
            f"{_COCO}/zips/train2017.zip",
            f"{_COCO}/zips/val2017.zip",
        ),
        "Annotations CC BY 4.0; each image has its own licence.",
        layout=(
            Expected("**/person_keypoints_*.json", "the annotations (JSON)"),
            Expected("**/*.jpg", "images (JPEG)"),
        ),
        images=frozenset({f"{_COCO}/zips/train2017.zip", f"{_COCO}/zips/val2017.zip"}),
        then="posebank annotate coco",
    ),
    "h36m": Download(
        (),
        "Academic use, by registration.",
        by_hand=(
            "Register at http://vision.imar.ro/human3.6m and wait for the account.",
            "For each of S1, S5, S6, S7, S8, S9 and S11 download Poses_D2_Positions and "
            "Poses_D3_Positions_mono (CDF), and the videos if you want images.",
            "Unpack them so that the folder holds S1/Poses_D2_Positions/*.cdf and so on.",
        ),
        layout=(
            Expected("**/*D2_Positions*/*.cdf", "2D poses (CDF)"),
            Expected("**/*D3_Positions*/*.cdf", "3D poses (CDF)"),
        ),
        then="posebank annotate h36m",
    ),
}
