"""Settings in manifests that lack what a command needs, or hold something else: one clear line."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from posebank import artefacts
from posebank.errors import ArtefactError
from posebank.matching import MatchSettings
from posebank.mocap import DATASETS
from posebank.schemas import ANNOTATIONS, BANK, LABELS, to_table
from posebank.skeleton import N_JOINTS, centred
from posebank.types import Labels, People, PoseBank
from posebank.workspace import annotation_sources, image_roots
from posebank_cli.main import main
from posebank_pipelines.runner import Runner
from posebank_pipelines.stages import index as index_stage
from posebank_pipelines.stages.anchors import COVERAGE, coverage_report
from posebank_pipelines.stages.index import index, read_index
from posebank_pipelines.stages.ingest import known_sources
from posebank_pipelines.stages.match import match_settings, settings_of_matches

N = 5
DATASET = min(DATASETS)


def write(workspace, kind, settings, section=None, table=None):
    """A finished artefact with these settings; empty unless a table is given."""
    with artefacts.staging_folder(workspace / kind) as staging:
        parts = []
        if table is not None:
            parts = [artefacts.write_part(staging, "a.parquet", table, section=section or kind)]
        made = artefacts.Section("a test", settings, {"source": "0"})
        artefacts.commit(staging, workspace / kind, kind, parts, {section or kind: made})


BAD = [{}, {"n_views": 3}, {"limits": 5}, {"limits": {"nothing": 1}}, {"limits": None}]


@pytest.mark.parametrize("settings", BAD)
def test_settings_of_matching(tmp_path, settings):
    write(tmp_path, "index", settings)
    write(tmp_path, "matches", settings)
    for read in (
        lambda: match_settings(tmp_path, "views", 5),
        lambda: settings_of_matches(tmp_path),
    ):
        with pytest.raises(
            ArtefactError, match=r"_manifest.json: expected the settings of '.*; make"
        ):
            read()
    assert match_settings(tmp_path, "viewfree", 5) == MatchSettings(k=5), "it has no index"


@pytest.mark.parametrize("settings", [{}, {"sources": 3}, {"sources": ["a"], "options": [1]}])
def test_sources_of_the_bank(tmp_path, settings):
    write(tmp_path, "bank", settings, DATASET)
    with pytest.raises(ArtefactError, match=rf"bank/_manifest.json: expected .*'{DATASET}'"):
        known_sources(tmp_path, DATASET)


@pytest.mark.parametrize(
    "settings", [{"images": 3}, {"kind": []}, {"datasets": "mpii"}, {"terms": {"mpii": None}}]
)
def test_sources_of_the_annotations(tmp_path, settings):
    write(tmp_path, "annotations", settings, "mpii")
    with pytest.raises(ArtefactError, match=r"annotations/_manifest.json: expected .*'mpii'"):
        image_roots(tmp_path)


def test_annotations_without_settings_have_no_images(tmp_path):
    write(tmp_path, "annotations", {}, "own")
    assert image_roots(tmp_path) == {}
    assert [source.datasets for source in annotation_sources(tmp_path)] == [["own"]]


@pytest.fixture
def exported(tmp_path):
    """A workspace with annotations and labels, to be exported."""
    rng = np.random.default_rng(0)
    people = People.from_joints(
        rng.uniform(0, 90, (N, N_JOINTS, 2)),
        image=[f"{i}.jpg" for i in range(N)],
        image_width=120,
        image_height=96,
    )
    labels = Labels.from_people(people, centred(rng.normal(0, 0.3, (N, N_JOINTS, 3))), trust=0.5)
    settings = {"kind": "own", "source": "/gone", "images": None, "datasets": ["own"]}
    write(tmp_path, "annotations", settings, "own", to_table(people, ANNOTATIONS))
    write(tmp_path, "labels", {}, None, to_table(labels, LABELS))
    return tmp_path


CRAFTED = [None, -1, 1e300, True, "", "x" * 3000, [], {}, [[]], "/etc/passwd", "../x.parquet", "\0"]


def places(node):
    keys = (
        node.keys() if isinstance(node, dict) else range(len(node) if isinstance(node, list) else 0)
    )
    return [(node, key) for key in keys] + [p for key in keys for p in places(node[key])]


@pytest.mark.parametrize(
    ("form", "kind"), [("coco", "annotations"), ("coco", "labels"), ("npz", "labels")]
)
def test_an_export_of_crafted_manifests_is_right_or_one_line(exported, form, kind):
    path = exported / kind / artefacts.MANIFEST
    text = path.read_text()
    output = exported / "out" / f"labels.{'json' if form == 'coco' else form}"
    command = ["export", form, "-w", str(exported), "-o", str(output)]
    assert CliRunner().invoke(main, command).exit_code == 0
    n_places = len(places(json.loads(text)))
    rng = np.random.default_rng(1)
    refused = 0
    for number in rng.permutation(n_places)[:40]:
        raw = json.loads(text)
        node, key = places(raw)[number]
        node[key] = CRAFTED[rng.integers(len(CRAFTED))]
        path.write_text(json.dumps(raw))
        shutil.rmtree(exported / "out")
        result = CliRunner().invoke(main, command)
        assert result.exit_code in (0, 1), (node, key, result.exception)
        if result.exit_code:
            refused += 1
            assert isinstance(result.exception, SystemExit), (key, result.exception)
            assert len(result.stderr.strip().splitlines()) == 1
    assert refused > 10


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_a_damaged_index_is_refused_before_faiss_reads_it(tmp_path):
    rng = np.random.default_rng(2)
    poses = centred(rng.normal(0, 0.3, (41, N_JOINTS, 3))).astype(np.float32)
    write(tmp_path, "bank", {}, None, to_table(PoseBank.from_joints(poses), BANK))
    index(tmp_path, MatchSettings(matcher="views", n_views=4, k=3), Runner())
    assert read_index(tmp_path).n_poses == 41
    (shard,) = (tmp_path / "index").glob("*.faiss")
    flip(shard)
    for cache in (index_stage._index, artefacts._checked):  # as in another process
        cache.cache_clear()
    with pytest.raises(ArtefactError, match=rf"{shard.name}: damaged: expected sha256"):
        read_index(tmp_path)


def test_files_beside_the_tables_are_read_by_their_hash(tmp_path):
    folder = tmp_path / "anchors"
    with artefacts.staging_folder(folder) as staging:
        (staging / COVERAGE).write_text('{"by_dataset": []}')
        part = artefacts.adopt_part(staging, staging / COVERAGE)
        artefacts.commit(staging, folder, "anchors", [part], {"": artefacts.Section("a test")})
    assert coverage_report(tmp_path) == {"by_dataset": []}
    flip(folder / COVERAGE)
    with pytest.raises(ArtefactError, match=r"coverage.json: damaged part: expected sha256"):
        coverage_report(tmp_path)
    with pytest.raises(ArtefactError, match=r"expected nothing.json among its files, found none"):
        artefacts.read_part(folder, "anchors", "nothing.json", lambda path: path)
