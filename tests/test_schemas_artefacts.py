"""Round trips through Arrow and disk, and what happens when writing is interrupted."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from posebank import artefacts, schemas
from posebank.errors import ArtefactError, Rejected
from posebank.parquet import read_slice
from posebank.skeleton import J
from posebank.types import (
    Anchors,
    Labels,
    Matches,
    MotionClip,
    People,
    PoseBank,
    Predictions,
    texts,
)

KINDS = {
    PoseBank: schemas.BANK,
    People: schemas.ANNOTATIONS,
    Labels: schemas.LABELS,
    Anchors: schemas.ANCHORS,
    Predictions: schemas.PREDICTIONS,
}


def random_records(cls, n: int, seed: int = 0):
    """Records of a class with every optional value missing somewhere."""
    rng = np.random.default_rng(seed)
    columns = {}
    for field in KINDS[cls]:
        shape = (n, *schemas.field_shape(field))
        kind = field.type.value_type if schemas.field_shape(field) else field.type
        if pa.types.is_string(kind):
            words = [f"{field.name}/{i} é" for i in range(n)]
            columns[field.name] = texts(
                "" if field.nullable and i % 3 == 0 else w for i, w in enumerate(words)
            )
        elif pa.types.is_boolean(kind):
            values = rng.integers(0, 2, shape)
            columns[field.name] = (
                np.where(np.arange(n) % 3 == 1, -1, values).astype(np.int8)
                if field.nullable
                else values.astype(bool)
            )
        elif pa.types.is_floating(kind):
            values = rng.normal(size=shape).astype(kind.to_pandas_dtype())
            if field.nullable:
                values[::3] = np.nan
            columns[field.name] = values
        else:
            columns[field.name] = rng.integers(0, 4, shape).astype(kind.to_pandas_dtype())
    return cls(**columns)


def assert_same(a, b):
    for field in fields(a):
        mine, other = getattr(a, field.name), getattr(b, field.name)
        assert mine.dtype == other.dtype, field.name
        np.testing.assert_array_equal(mine, other, err_msg=field.name)


@pytest.mark.parametrize("cls", KINDS)
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_round_trip_through_a_table(cls, n):
    records = random_records(cls, n)
    table = schemas.to_table(records, KINDS[cls])
    assert table.schema.equals(KINDS[cls], check_metadata=True)
    assert_same(schemas.from_table(cls, table), records)


@pytest.mark.parametrize("cls", KINDS)
def test_round_trip_through_parquet_in_chunks(cls, tmp_path):
    records = random_records(cls, 11, seed=3)
    table = schemas.to_table(records, KINDS[cls])
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=4)
    read = pq.read_table(tmp_path / "x.parquet")
    assert_same(schemas.from_table(cls, read), records)
    chunked = pa.concat_tables([table.slice(0, 3), table.slice(3, 0), table.slice(3, 8)])
    assert_same(schemas.from_table(cls, chunked), records)
    assert_same(schemas.from_table(cls, table.slice(5, 4)), records.take(slice(5, 9)))


@pytest.mark.parametrize("cls", KINDS)
def test_nan_is_null_on_disk_and_never_nan(cls):
    table = schemas.to_table(random_records(cls, 9), KINDS[cls])
    for field in table.schema:
        column = table.column(field.name).combine_chunks()
        assert bool(column.null_count) == field.nullable, field.name
        if schemas.field_shape(field):
            column = column.flatten()
        if pa.types.is_floating(column.type):
            assert np.isfinite(column.drop_null().to_numpy()).all()


def test_a_half_known_box_is_unknown():
    people = random_records(People, 2)
    box = people.head_box.copy()
    box[1] = [1, np.nan, 3, 4]
    people = People(**{f.name: getattr(people, f.name) for f in fields(people)} | {"head_box": box})
    back = schemas.from_table(People, schemas.to_table(people, schemas.ANNOTATIONS))
    assert np.isnan(back.head_box[1]).all()


def test_boxes_that_may_be_unknown_have_no_fixed_size():
    """pyarrow before 26 does not read lists of fixed size that are null."""
    for schema in KINDS.values():
        for field in schema:
            if field.nullable:
                assert not pa.types.is_fixed_size_list(field.type), field.name


def test_lists_of_fixed_size_of_earlier_versions_are_read():
    table = schemas.to_table(random_records(People, 3), schemas.ANNOTATIONS)
    place = table.schema.get_field_index("head_box")
    field = table.schema.field(place).with_type(pa.list_(pa.float32(), 4))
    boxes = [[1.0, 2.0, 3.0, 4.0], None, [5.0, 6.0, 7.0, 8.0]]
    column = pa.array(boxes, type=field.type)
    back = schemas.from_table(People, table.set_column(place, field, column))
    np.testing.assert_array_equal(back.head_box[[0, 2]], [boxes[0], boxes[2]])
    assert np.isnan(back.head_box[1]).all()


def test_missing_column_is_named():
    table = schemas.to_table(random_records(Anchors, 2), schemas.ANCHORS).drop(["count"])
    with pytest.raises(ArtefactError, match="found no count"):
        schemas.from_table(Anchors, table)


@given(n=st.integers(1, 6), k=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_matches_round_trip(n, k, seed):
    rng = np.random.default_rng(seed)
    found = rng.integers(1, k + 1, n)  # people with fewer than k poses
    found[0] = k
    there = np.arange(k) < found[:, None]
    rotation = Rotation.random(n * k, random_state=seed).as_matrix()
    matches = Matches(
        person_id=texts(f"p{i}" for i in range(n)),
        pose_row=np.where(there, rng.integers(0, 50, (n, k)), -1),
        rotation=np.where(there[..., None, None], rotation.reshape(n, k, 3, 3), 0),
        scale=np.where(there, rng.random((n, k)), 0),
        translation=np.where(there[..., None], rng.normal(size=(n, k, 2)), 0),
        error_norm=np.where(there, rng.random((n, k)), np.inf),
        error_mm=np.where(there, rng.random((n, k)), np.inf),
        n_annotated=rng.integers(4, 14, n).astype(np.int32),
        gap=np.where(rng.random(n) < 0.5, np.inf, 0.0),
    )
    pose_id = texts(f"pose{i}" for i in range(50))
    table = schemas.matches_to_table(matches, pose_id)
    assert table.num_rows == n
    again = schemas.matches_from_table(table)
    for name in ("person_id", "pose_row", "n_annotated", "gap"):
        np.testing.assert_array_equal(getattr(again, name), getattr(matches, name))
    np.testing.assert_allclose(again.rotation, matches.rotation, atol=1e-6)
    np.testing.assert_allclose(again.error_norm, matches.error_norm, rtol=1e-6)
    for name in ("scale", "translation", "error_mm"):  # kept of the best alone
        read, made = getattr(again, name), getattr(matches, name)
        np.testing.assert_array_equal(read[:, 0], made[:, 0])
        assert np.isnan(read[there & (np.arange(k) > 0)]).all()
    first = table.slice(0, 1).to_pylist()[0]
    assert first["pose_id"] == f"pose{first['pose_row'][0]}"
    assert len(schemas.matches_from_table(table.slice(0, 0))) == 0


def test_records_check_themselves():
    people = random_records(People, 3)
    columns = {f.name: getattr(people, f.name) for f in fields(people)}
    with pytest.raises(ValueError, match="columns of one length"):
        People(**columns | {"scale": people.scale[:2]})
    with pytest.raises(ValueError, match=r"People.state: expected shape \(3, 13\)"):
        People(**columns | {"state": people.state[:, :12]})
    with pytest.raises(ValueError, match="expected a positive rate"):
        MotionClip("cmu", "1", "x", np.zeros((2, 13, 3)), np.arange(2), 0.0)
    both = People.concat([people.take([2]), people.take(np.array([True, True, False]))])
    assert both.person_id.tolist() == [people.person_id[i] for i in (2, 0, 1)]


# --- artefact folders


def write(artefact: Path, sections: dict[str, int], **section) -> artefacts.Manifest:
    """Commit the sections (name -> rows), one after the other."""
    manifest = None
    for name, rows in sections.items():
        with artefacts.staging_folder(artefact) as staging:
            table = schemas.to_table(random_records(Anchors, rows, rows), schemas.ANCHORS)
            part = artefacts.write_part(staging, f"{name}-0.parquet", table, section=name)
            made = artefacts.Section(f"print of {name} {rows}", **section)
            manifest = artefacts.commit_section(staging, artefact, "anchors", [part], name, made)
    assert manifest is not None
    return manifest


def test_sections_accumulate_and_are_replaced(tmp_path):
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 3, "b": 5})
    assert artefacts.read_table(artefact, "anchors").num_rows == 8
    before = (artefact / "b-0.parquet").read_bytes()
    manifest = write(artefact, {"a": 7})
    assert manifest.rows == 12
    assert set(manifest.sections) == {"a", "b"}
    assert (artefact / "b-0.parquet").read_bytes() == before
    artefacts.keep_sections(artefact, "anchors", {"b"})
    assert artefacts.read_table(artefact, "anchors").num_rows == 5
    assert [p.name for p in tmp_path.iterdir()] == ["anchors"], "nothing is left beside it"


def test_manifest_round_trip(tmp_path):
    bad = [Rejected("x.amc:3", "expected 2, found 1")]
    made = write(tmp_path / "anchors", {"a": 3}, settings={"k": 5}, rejected=bad, stats={"n": 3})
    read = artefacts.read_manifest(tmp_path / "anchors", "anchors")
    assert read.sections["a"].rejected == bad
    assert read.content == made.content
    assert read.sections["a"].settings == {"k": 5}


def test_equal_input_gives_equal_bytes(tmp_path):
    one, two = write(tmp_path / "x", {"a": 6, "b": 2}), write(tmp_path / "y", {"b": 2, "a": 6})
    assert one.content == two.content


def test_only_the_asked_columns(tmp_path):
    write(tmp_path / "anchors", {"a": 3})
    table = artefacts.read_table(tmp_path / "anchors", "anchors", ["count", "kind"])
    assert table.column_names == ["count", "kind"]


def test_damaged_parts_are_named(tmp_path):
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 3, "b": 5, "c": 2})
    assert artefacts.verify(artefact, "anchors") == []
    path = artefact / "b-0.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (artefact / "c-0.parquet").unlink()
    damaged = artefacts.verify(artefact, "anchors")
    assert [Path(d.where).name for d in damaged] == ["b-0.parquet", "c-0.parquet"]
    assert "expected sha256" in damaged[0].reason
    assert "missing" in damaged[1].reason
    for start, stop, name in ((0, 4, "b"), (8, 10, "c")):
        with pytest.raises(ArtefactError, match=rf"{name}-0.parquet: damaged part"):
            artefacts.read_rows(artefact, "anchors", start, stop, ["count"])


_EXCHANGE = """
import os, sys
from pathlib import Path
from posebank import artefacts

artefact, part, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if sys.argv[4] == "two":
    artefacts._exchange = lambda one, other: False
with artefacts.staging_folder(artefact) as staging:
    (staging / part.name).write_bytes(part.read_bytes())
    parts = [artefacts.adopt_part(staging, staging / part.name, rows=5)]

    def die(event, arguments):
        global left
        # os.rename also reports os.replace; os.remove also reports Path.unlink
        if event in ("os.rename", "os.remove", "os.rmdir"):
            if left == 0:
                os._exit(9)
            left -= 1

    sys.addaudithook(die)
    artefacts.commit(staging, artefact, "anchors", parts, {"new": artefacts.Section("new")})
    left = 10**6
"""


@pytest.mark.parametrize("renames", ["one", "two"])
def test_killed_at_any_step_of_the_exchange(tmp_path, renames):
    """The old artefact or the new one, whole, and nothing beside it after the next writer."""
    write(tmp_path / "new", {"n": 5})
    part = tmp_path / "new" / "n-0.parquet"
    found, moved_aside = [], []
    for step in range(20):
        folder = tmp_path / str(step)
        artefact = folder / "anchors"
        write(artefact, {"a": 3})
        command = [sys.executable, "-c", _EXCHANGE, str(artefact), str(part), str(step), renames]
        status = subprocess.run(command, check=False).returncode
        moved_aside.append(not artefact.exists())
        found.append(artefacts.read_table(artefact, "anchors").num_rows)
        assert artefacts.verify(artefact, "anchors") == []
        write(artefact, {"a": 2})
        assert artefacts.read_table(artefact, "anchors", ["count"]).num_rows in (2, 2 + 5)
        assert [p for p in folder.iterdir() if p.name.endswith(".old")] == []
        if status == 0:
            break
        assert status == 9
    assert found == sorted(found)
    assert set(found) == {3, 5}
    if renames == "two":
        assert any(moved_aside), "it was also killed between the two renames"
    elif sys.platform.startswith("linux"):
        assert not any(moved_aside), "there is an artefact at any moment"


def test_a_reader_may_put_the_old_artefact_back_between_the_renames(tmp_path, monkeypatch):
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 3})
    rename, read = os.replace, []

    def slow(source, target):
        rename(source, target)
        if str(target).endswith(".old") and not read:
            read.append(artefacts.read_manifest(artefact, "anchors").rows)

    monkeypatch.setattr(artefacts, "_exchange", lambda _one, _other: False)
    monkeypatch.setattr(os, "replace", slow)
    write(artefact, {"a": 7})
    assert read == [3]
    assert artefacts.read_table(artefact, "anchors").num_rows == 7
    assert [p.name for p in tmp_path.iterdir()] == ["anchors"]


def test_a_linked_artefact_is_replaced_not_emptied(tmp_path):
    write(tmp_path / "theirs" / "anchors", {"a": 3})
    (tmp_path / "anchors").symlink_to(tmp_path / "theirs" / "anchors")
    write(tmp_path / "anchors", {"a": 7})
    assert artefacts.read_table(tmp_path / "anchors", "anchors").num_rows == 7
    assert artefacts.read_table(tmp_path / "theirs" / "anchors", "anchors").num_rows == 3
    artefacts.remove(tmp_path / "anchors")
    assert artefacts.find_manifest(tmp_path / "anchors") is None


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_cut_part_is_named(tmp_path, where):
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 3, "b": 5})
    path = artefact / "a-0.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * where)])
    with pytest.raises(ArtefactError, match=r"a-0.parquet: damaged part"):
        artefacts.read_table(artefact, "anchors")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kind": "anchors"}', '"x"', "\ud800"])
def test_damaged_manifest(tmp_path, text):
    write(tmp_path / "anchors", {"a": 3})
    raw = text.encode(errors="surrogatepass")
    (tmp_path / "anchors" / artefacts.MANIFEST).write_bytes(raw)
    with pytest.raises(ArtefactError, match="expected a posebank manifest"):
        artefacts.read_manifest(tmp_path / "anchors", "anchors")


def test_unfinished_missing_and_other_kinds(tmp_path):
    artefact = tmp_path / "anchors"
    with pytest.raises(ArtefactError, match="found it missing"):
        artefacts.read_table(artefact, "anchors")
    artefact.mkdir()
    with pytest.raises(ArtefactError, match="unfinished"):
        artefacts.read_table(artefact, "anchors")
    write(artefact, {"a": 3})
    with pytest.raises(ArtefactError, match="expected bank version 1, found anchors version 1"):
        artefacts.read_table(artefact, "bank")
    path = artefact / artefacts.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(ArtefactError, match="found anchors version 99; make it again"):
        artefacts.read_table(artefact, "anchors")
    assert set(write(artefact, {"b": 2}).sections) == {"b"}, "other versions are dropped"


def test_failed_writer_leaves_the_old_artefact(tmp_path):
    artefact = tmp_path / "anchors"
    old = write(artefact, {"a": 3})

    def half_a_part():
        with artefacts.staging_folder(artefact) as staging:
            (staging / "a-0.parquet").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_a_part()
    assert artefacts.read_manifest(artefact, "anchors").content == old.content
    assert list(tmp_path.iterdir()) == [artefact]

    def half_a_file():
        with artefacts.atomic_path(tmp_path / "x.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_a_file()
    assert list(tmp_path.iterdir()) == [artefact]


_WRITER = """
import sys, time
from pathlib import Path
import pyarrow as pa
from posebank import artefacts, schemas
with artefacts.staging_folder(Path(sys.argv[1])) as staging:
    part = artefacts.write_part(staging, "a-0.parquet", schemas.ANCHORS.empty_table(), section="a")
    print("half", flush=True)
    time.sleep(60)
    artefacts.commit(staging, Path(sys.argv[1]), "anchors", [part], {})
"""


def test_a_killed_writer_leaves_the_old_artefact(tmp_path):
    artefact = tmp_path / "anchors"
    old = write(artefact, {"a": 3})
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(artefact)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
    finally:
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
    assert artefacts.read_manifest(artefact, "anchors").content == old.content
    assert artefacts.verify(artefact, "anchors") == []
    (left,) = (p for p in tmp_path.iterdir() if p.is_dir() and p != artefact)
    with pytest.raises(ArtefactError, match="unfinished"):
        artefacts.read_table(left, "anchors")
    assert set(write(artefact, {"b": 2}).sections) == {"a", "b"}, "the next writer goes on"
    assert list(tmp_path.iterdir()) == [artefact]


def test_finished_partitions_stay_for_the_same_section_and_fingerprint(tmp_path):
    artefact = tmp_path / "anchors"
    with pytest.raises(RuntimeError), artefacts.staging_folder(artefact, "a", "1") as staging:  # noqa: PT012
        (staging / artefacts.JOURNAL).mkdir()
        (staging / artefacts.JOURNAL / "0.json").touch()
        raise RuntimeError
    assert staging.exists()
    write(artefact, {"b": 3})
    assert staging.exists(), "another section is made"
    with artefacts.staging_folder(artefact, "a", "1") as again:
        assert again == staging
        assert (again / artefacts.JOURNAL / "0.json").exists()
        artefacts.commit(again, artefact, "anchors", [], {})
    assert not (artefact / artefacts.JOURNAL).exists()
    with pytest.raises(RuntimeError), artefacts.staging_folder(artefact, "a", "1") as staging:  # noqa: PT012
        (staging / artefacts.JOURNAL).mkdir()
        (staging / artefacts.JOURNAL / "0.json").touch()
        raise RuntimeError
    with artefacts.staging_folder(artefact, "a", "2"):
        assert not staging.exists(), "the section is made in another way"
    assert list(tmp_path.iterdir()) == [artefact]


def test_a_second_writer_is_told_who_writes(tmp_path):
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 3})
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(artefact)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        holder = rf"anchors: being written by \S+ on \S+, process {writer.pid}, for \d+ s \(-c "
        with pytest.raises(ArtefactError, match=holder):
            write(artefact, {"b": 2})
        with pytest.raises(ArtefactError, match=holder):
            artefacts.remove(artefact)
        assert artefacts.read_table(artefact, "anchors").num_rows == 3, "readers do not wait"
        artefacts.remove_leftovers(artefact)
        assert len(list(tmp_path.glob(".anchors.*.tmp"))) == 1, "a living writer's folder stays"
    finally:
        writer.kill()
        writer.wait()
    write(artefact, {"b": 2})


def test_a_forked_child_holds_no_lock(tmp_path):
    artefact = tmp_path / "anchors"
    with artefacts.staging_folder(artefact):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
    try:
        write(artefact, {"a": 3})
    finally:
        child.kill()
        child.join()


def test_rows_are_of_one_version(tmp_path, monkeypatch):
    """A reader between whose parts the artefact is made again reads it again."""
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 3, "b": 5})
    expected = artefacts.read_rows(artefact, "anchors", 2, 6)
    assert expected == artefacts.read_table(artefact, "anchors").slice(2, 4)
    read, seen = artefacts._read_part, []

    def slow(folder, part, schema, start, stop):
        seen.append(part.name)
        if len(seen) == 2:
            write(artefact, {"b": 7, "a": 2})
        return read(folder, part, schema, start, stop)

    monkeypatch.setattr(artefacts, "_read_part", slow)
    table = artefacts.read_table(artefact, "anchors")
    assert seen == ["a-0.parquet", "b-0.parquet"] * 2
    assert table == artefacts.read_table(artefact, "anchors")
    assert table.num_rows == 9


def test_an_opened_artefact_that_was_made_again_is_named(tmp_path):
    artefact = tmp_path / "anchors"
    content = write(artefact, {"a": 3}).content
    artefacts.check_present(artefact, content)
    write(artefact, {"a": 4})
    with pytest.raises(ArtefactError, match="the anchors were made again while they were read"):
        artefacts.check_present(artefact, content)
    artefacts.remove(artefact)
    with pytest.raises(ArtefactError, match="removed while it was read"):
        artefacts.check_present(artefact, content)


@pytest.mark.parametrize("name", ["../x.parquet", "/etc/passwd", "a/../../x", "", "..\\x", "a\0b"])
def test_parts_stay_inside_their_folder(tmp_path, name):
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 3})
    path = artefact / artefacts.MANIFEST
    raw = json.loads(path.read_text())
    raw["parts"][0]["name"] = name
    path.write_text(json.dumps(raw))
    with pytest.raises(ArtefactError, match="a part outside the folder"):
        artefacts.read_table(artefact, "anchors")


def test_no_flipped_bit_is_read_silently(tmp_path):
    """Pages have checksums: other values are never read (the hash finds every flip)."""
    artefact = tmp_path / "anchors"
    write(artefact, {"a": 40})
    path = artefact / "a-0.parquet"
    data, expected = path.read_bytes(), artefacts.read_table(artefact, "anchors")
    rng = np.random.default_rng(5)
    named = 0
    for bit in rng.integers(0, 8 * len(data), 200):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(changed)
        assert len(artefacts.verify(artefact, "anchors")) == 1
        try:
            assert artefacts.read_table(artefact, "anchors") == expected
        except ArtefactError:
            named += 1
    assert named > 100


def test_fingerprints_and_stamps_tell_changes(tmp_path):
    base = artefacts.fingerprint("bank", {"fps": 10.0, "b": 1}, {"x": "1"}, 0)
    assert base == artefacts.fingerprint("bank", {"b": 1, "fps": 10.0}, {"x": "1"}, 0)
    others = [
        artefacts.fingerprint("labels", {"fps": 10.0, "b": 1}, {"x": "1"}, 0),
        artefacts.fingerprint("bank", {"fps": 10.5, "b": 1}, {"x": "1"}, 0),
        artefacts.fingerprint("bank", {"fps": 10.0, "b": 1}, {"x": "2"}, 0),
        artefacts.fingerprint("bank", {"fps": 10.0, "b": 1}, {"x": "1"}, 1),
    ]
    assert len({base, *others}) == 5

    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.txt").write_text("two")
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    stamp = artefacts.source_stamp(paths)
    assert stamp == artefacts.source_stamp(reversed(paths))
    time.sleep(0.01)
    (tmp_path / "b.txt").write_text("owt")
    assert stamp != artefacts.source_stamp(paths)
    assert artefacts.file_sha256(tmp_path / "a.txt").startswith("7692c3ad3540bb80")


def test_people_from_joints_alone():
    joints = np.arange(3 * 13 * 2, dtype=float).reshape(3, 13, 2)
    joints[1, J["head"]] = np.nan
    people = People.from_joints(joints, image=["a", "b", "c"], head_box=[1, 2, 3, 4], scale=2)
    assert people.person_id.tolist() == ["own/a/0", "own/b/1", "own/c/2"]
    expected = np.ones((3, 13))
    expected[1, J["head"]] = 0
    np.testing.assert_array_equal(people.state, expected)
    np.testing.assert_array_equal(people.joints_2d[1, J["head"]], 0)
    np.testing.assert_array_equal(people.joints_2d[2], joints[2])
    np.testing.assert_array_equal(people.head_box, [[1, 2, 3, 4]] * 3)
    assert people.scale.tolist() == [2, 2, 2]
    assert np.isnan(people.joints_3d).all()
    # What is written and read again is the same: every column has its type.
    assert_same(schemas.from_table(People, schemas.to_table(people, schemas.ANNOTATIONS)), people)
    with pytest.raises(ValueError, match=r"People.state: expected shape \(3, 13\), got \(3, 12\)"):
        People.from_joints(joints, np.ones((3, 12)))
    with pytest.raises(ValueError, match="expected columns of one length"):
        People.from_joints(joints, dataset=["a", "b"])


def test_a_bank_from_joints_alone():
    joints = np.random.default_rng(0).normal(size=(2, 13, 3))
    bank = PoseBank.from_joints(joints, dataset="d", clip=["x", "y"], frame=[7, 9], mirrored=[0, 1])
    assert bank.pose_id.tolist() == ["d/x:7", "d/y:9m"]
    assert_same(schemas.from_table(PoseBank, schemas.to_table(bank, schemas.BANK)), bank)
    assert len(PoseBank.from_joints(np.zeros((0, 13, 3)))) == 0


def test_labels_from_people_and_their_3d_pose():
    people = People.from_joints(np.ones((2, 13, 2)), image="i.png")
    pose = np.random.default_rng(0).normal(size=(2, 13, 3))
    labels = Labels.from_people(people, pose, trust=[0.1, 0.2], camera_translation=[3, 4])
    assert_same(schemas.from_table(Labels, schemas.to_table(labels, schemas.LABELS)), labels)
    np.testing.assert_array_equal(labels.joints_3d, pose.astype(np.float32))
    np.testing.assert_array_equal(labels.camera_translation, [[3, 4]] * 2)
    np.testing.assert_array_equal(labels.camera_rotation, [np.eye(3)] * 2)


@pytest.mark.parametrize(("start", "stop"), [(0, 11), (0, 4), (3, 4), (3, 9), (4, 8), (10, 11)])
def test_only_the_row_groups_of_the_wanted_rows_are_read(tmp_path, start, stop):
    table = pa.table({"a": list(range(11)), "b": [str(i) * 3 for i in range(11)]})
    path = tmp_path / artefacts.write_part(tmp_path, "a.parquet", table, row_group_rows=4).name
    assert read_slice(path, start, stop, ["b"], 11) == table.select(["b"]).slice(
        start, stop - start
    )
    data = bytearray(path.read_bytes())
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i) for i in range(3)]
        assert [group.num_rows for group in groups] == [4, 4, 3]
        last = groups[2].column(0)
    at = last.dictionary_page_offset or last.data_page_offset
    data[at + last.total_compressed_size - 2] ^= 1  # damage in rows 8 to 10 alone
    path.write_bytes(data)
    if stop <= 8:
        assert read_slice(path, start, stop, ["a"], 11).num_rows == stop - start
    else:
        with pytest.raises(ArtefactError, match=r"a\.parquet: damaged part"):
            read_slice(path, start, stop, ["a"], 11)


def test_a_part_with_another_number_of_rows_is_damaged(tmp_path):
    table = pa.table({"a": [1, 2, 3]})
    path = tmp_path / artefacts.write_part(tmp_path, "a.parquet", table).name
    with pytest.raises(ArtefactError, match="expected 4 rows, found 3"):
        read_slice(path, 0, 2, ["a"], 4)
