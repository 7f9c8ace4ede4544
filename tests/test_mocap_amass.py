import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from amass_files import REST, TOP, body_model, clip_arrays, posed
from click.testing import CliRunner

from posebank.errors import PosebankError, SourceError
from posebank.mocap import ReadOptions, discover, read_clip
from posebank.mocap.amass import AVERAGE_NOTE, read_amass_clip
from posebank.mocap.limbs import ADULT_HEIGHT_M
from posebank.mocap.npz_arrays import NpzArrays
from posebank.mocap.smpl_average import average_adult
from posebank.mocap.smpl_kinematics import BODY_JOINTS, RestBody, posed_joints
from posebank.mocap.smpl_models import find_models
from posebank.skeleton import JOINT_NAMES, J
from posebank_cli.main import main as posebank

WHERE = Path("walk_poses.npz")
NAMED = [BODY_JOINTS.index(name) for name in JOINT_NAMES[:-1]]


def npz(arrays, compressed=False):
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def put(path, arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(arrays if isinstance(arrays, bytes) else npz(arrays))
    return path


def expected(arrays, rest, top):
    """The 13 joints of every frame by the slow way, z up turned to y up."""
    slow = [posed(p, t, rest, top) for p, t in zip(arrays["poses"], arrays["trans"], strict=True)]
    joints = np.array([np.vstack([body[NAMED], head]) for body, head in slow])
    return joints[..., [1, 2, 0]]


@pytest.fixture
def models(tmp_path):
    """A folder of body models as they are distributed."""
    folder = tmp_path / "models"
    for n, gender in enumerate(("female", "male", "neutral")):
        put(folder / "smplh" / gender / "model.npz", body_model(seed=n))
        put(
            folder / "smplx" / f"SMPLX_{gender.upper()}.npz",
            body_model("SMPL-X", n_shapes=400, seed=n + 3),
        )
    return folder


def shaped(model, betas):
    """Rest joints and head top of a person, from the model's definition."""
    n = min(len(betas), model["shapedirs"].shape[-1])
    vertices = model["v_template"] + model["shapedirs"][..., :n] @ betas[:n]
    return (model["J_regressor"] @ vertices)[:22], vertices[41]


@pytest.mark.parametrize(("family", "n_shapes", "seed"), [("SMPL+H", 16, 0), ("SMPL-X", 400, 3)])
@pytest.mark.parametrize("compressed", [False, True])
def test_joints_of_a_body_model(models, family, n_shapes, seed, compressed):
    """Forward kinematics against a slow oracle: rest joints by the model's definition."""
    arrays = clip_arrays(family)
    clip = read_amass_clip(npz(arrays, compressed), WHERE, ReadOptions(body_model=models))
    rest, top = shaped(body_model(family, n_shapes, seed=seed), arrays["betas"])
    np.testing.assert_allclose(clip.joints, expected(arrays, rest, top), atol=1e-9)
    assert clip.fps == (120.0 if family == "SMPL+H" else 100.0)
    assert clip.facts["body"].startswith(f"{family} female")
    assert clip.notes == ()


@pytest.mark.parametrize("length", [0.0, 1e-12, 1e-5, 1e-4, 1.0, np.pi, 9.0])
def test_turns_of_any_size(length):
    """At no turn and near it, where sin(x) / x is 0 / 0, and beyond half a circle."""
    rng = np.random.default_rng(1)
    turns = rng.normal(size=(3, 22, 3))
    turns *= length / np.linalg.norm(turns, axis=-1, keepdims=True)
    arrays = {"poses": turns.reshape(3, 66), "trans": rng.normal(size=(3, 3))}
    got = posed_joints(arrays["poses"], arrays["trans"], RestBody(REST, TOP))
    np.testing.assert_allclose(got[..., [1, 2, 0]], expected(arrays, REST, TOP), atol=1e-9)


def test_more_frames_than_a_block():
    arrays = clip_arrays(n_frames=5000)
    got = posed_joints(arrays["poses"][:, :66], arrays["trans"], RestBody(REST, TOP))
    for frame in (0, 2047, 2048, 4999):
        part = {k: arrays[k][frame : frame + 1] for k in ("poses", "trans")}
        np.testing.assert_allclose(
            got[frame : frame + 1][..., [1, 2, 0]], expected(part, REST, TOP), atol=1e-9
        )


def test_root_orient_and_pose_body_without_poses(models):
    arrays = clip_arrays("SMPL-X")
    whole = read_amass_clip(npz(arrays), WHERE, ReadOptions(body_model=models))
    del arrays["poses"]
    parts = read_amass_clip(npz(arrays), WHERE, ReadOptions(body_model=models))
    np.testing.assert_array_equal(parts.joints, whole.joints)
    assert parts.facts["format"] == "AMASS, SMPL-X"


def test_a_neutral_model_serves_both(tmp_path):
    put(tmp_path / "SMPLH_NEUTRAL.npz", body_model(seed=7))
    arrays = clip_arrays()
    clip = read_amass_clip(npz(arrays), WHERE, ReadOptions(body_model=tmp_path))
    rest, top = shaped(body_model(seed=7), arrays["betas"])
    np.testing.assert_allclose(clip.joints, expected(arrays, rest, top), atol=1e-9)
    with pytest.raises(SourceError, match=r"body model SMPL-X female or neutral.*SMPL\+H neutral"):
        read_amass_clip(npz(clip_arrays("SMPL-X")), WHERE, ReadOptions(body_model=tmp_path))


def test_expressions_are_no_shapes(tmp_path):
    """The first SMPL-X has 10 shapes and 10 expressions of the face."""
    put(tmp_path / "SMPLX_FEMALE.npz", body_model("SMPL-X", n_shapes=20))
    arrays = clip_arrays("SMPL-X")
    clip = read_amass_clip(npz(arrays), WHERE, ReadOptions(body_model=tmp_path))
    rest, top = shaped(body_model("SMPL-X", n_shapes=20), arrays["betas"][:10])
    np.testing.assert_allclose(clip.joints, expected(arrays, rest, top), atol=1e-9)
    assert clip.notes == ("only 10 shape coefficients are in the body model",)


def test_models_by_family_and_gender(models):
    found = find_models(models)
    assert set(found) == {
        (f, g) for f in ("SMPL+H", "SMPL-X") for g in ("female", "male", "neutral")
    }
    assert found["SMPL+H", "female"] == models / "smplh" / "female" / "model.npz"
    assert found["SMPL-X", "male"] == models / "smplx" / "SMPLX_MALE.npz"


def test_pickles_are_refused(tmp_path):
    (tmp_path / "SMPLH_male.pkl").write_bytes(pickle.dumps({"v_template": [1]}))
    with pytest.raises(SourceError, match=r"SMPLH_male\.pkl: .*pickle.*runs any code.*convert"):
        find_models(tmp_path)
    with pytest.raises(SourceError, match="found none"):
        find_models(put(tmp_path / "other" / "x.npz", {"a": np.zeros(3)}).parent)
    with pytest.raises(SourceError, match="found nothing"):
        find_models(tmp_path / "nowhere")
    model = body_model()
    model["J_regressor"] = model["J_regressor"].astype(object)
    put(tmp_path / "objects" / "model.npz", model)
    with pytest.raises(SourceError, match=r"J_regressor: .*need pickle"):
        read_amass_clip(npz(clip_arrays()), WHERE, ReadOptions(body_model=tmp_path / "objects"))


def test_a_model_of_other_joints_is_refused(tmp_path):
    model = body_model()
    model["kintree_table"] = model["kintree_table"].copy()
    model["kintree_table"][0, 4] = 2
    put(tmp_path / "model.npz", model)
    with pytest.raises(SourceError, match="kintree_table"):
        read_amass_clip(npz(clip_arrays()), WHERE, ReadOptions(body_model=tmp_path))


# --- without a body model


def test_the_average_adult():
    body = average_adult()
    height = body.head_top[1] - body.joints[:, 1].min()
    assert ADULT_HEIGHT_M * 0.95 < height < ADULT_HEIGHT_M
    at = dict(zip(BODY_JOINTS, body.joints, strict=True))
    for part, low, high in (
        ("hip-knee", 0.37, 0.42),
        ("knee-ankle", 0.41, 0.44),
        ("shoulder-elbow", 0.26, 0.29),
        ("elbow-wrist", 0.25, 0.28),
    ):
        a, b = part.split("-")
        left, right = (np.linalg.norm(at[f"{s}_{a}"] - at[f"{s}_{b}"]) for s in "lr")
        assert left == pytest.approx(right)
        assert low < left < high
    for name in BODY_JOINTS:
        if name.startswith("l_"):
            np.testing.assert_allclose(at[name] * [-1, 1, 1], at["r" + name[1:]], atol=1e-12)
            assert at[name][0] > 0


def test_the_sample_lies_within_its_markers(shared_data):
    """The optical markers of the same frames: joints of an average adult are near them."""
    path = shared_data / "amass" / "amass_sample.npz"
    clip = read_amass_clip(path.read_bytes(), path)
    assert clip.notes == (AVERAGE_NOTE,)
    assert (clip.fps, clip.joints.shape) == (120.0, (500, 13, 3))
    with np.load(path, allow_pickle=False) as arrays:
        markers = arrays["markers"][..., [1, 2, 0]]
        labels = [str(label) for label in arrays["labels"]]
    centre = markers.mean(axis=1)
    assert np.linalg.norm(clip.joints.mean(axis=1) - centre, axis=-1).max() < 0.12
    low, high = markers.min(axis=1) - 0.1, markers.max(axis=1) + 0.1
    body = clip.joints[:, :-1]  # the head top is above the band
    assert np.all((body > low[:, None]) & (body < high[:, None]))
    for joint, marker in (("wrist", "IWR"), ("knee", "KNE"), ("ankle", "ANK"), ("shoulder", "SHO")):
        for side in "rl":
            own, other = (clip.joints[:, J[f"{s}_{joint}"]] for s in (side, "rl".replace(side, "")))
            place = markers[:, labels.index(side.upper() + marker)]
            near = np.linalg.norm(own - place, axis=-1)
            assert near.mean() < 0.12
            assert near.max() < 0.15
            assert near.mean() < np.linalg.norm(other - place, axis=-1).mean()  # its own side
    band = markers[:, [labels.index(m) for m in ("LFHD", "RFHD", "LBHD", "RBHD")]].mean(axis=1)
    assert 0.05 < np.linalg.norm(clip.joints[:, J["head"]] - band, axis=-1).mean() < 0.13


# --- the archive


def test_the_archive_and_its_parts(tmp_path):
    root = tmp_path / "amass"
    put(root / "CMU/01/01_01_poses.npz", clip_arrays(seed=1))
    put(root / "CMU/01/shape.npz", {"betas": np.zeros(16)})
    put(root / "MPI_HDM05/bd/HDM_bd_jump_120_poses.npz", clip_arrays(seed=2))
    put(root / "MPI_Limits/03099/op2_poses.npz", clip_arrays(seed=3))
    put(root / "BMLrub/rub001/0005_walk_poses.npz", clip_arrays(seed=4))
    put(root / "BMLrub/rub002/0005_walk_poses.npz", clip_arrays(seed=5))
    put(root / "SFU/0005/walk_stageii.npz", clip_arrays("SMPL-X"))
    put(root / "SFU/0005/neutral_stagei.npz", {"betas": np.zeros(16)})
    clips, rejected = discover("amass", [root])
    assert [(c.name, c.subject) for c in clips] == [
        ("BMLrub/rub001/0005_walk", "BMLrub/rub001"),
        ("BMLrub/rub002/0005_walk", "BMLrub/rub002"),
        ("CMU/01/01_01", "CMU/01"),
        ("MPI_HDM05/bd/HDM_bd_jump_120", "MPI_HDM05/bd"),
        ("MPI_Limits/03099/op2", "MPI_Limits/03099"),
        ("SFU/0005/walk", "SFU/0005"),
    ]
    assert rejected == []
    assert [c.name for c in discover("amass", [root / "CMU"])[0]] == ["CMU/01/01_01"]
    for dataset, name, subject in (
        ("cmu", "01_01", "01"),
        ("hdm05", "HDM_bd_jump_120", "bd"),
        ("poseprior", "op2", "03099"),
    ):
        (clip,), rejected = discover(dataset, [root])
        assert (clip.name, clip.subject, rejected) == (name, subject, [])
        assert read_clip(clip).joints.shape == (7, 13, 3)


@pytest.mark.parametrize("with_model", [False, True])
def test_ingest_and_inspect(tmp_path, models, with_model):
    root = tmp_path / "amass"
    for n in range(2):
        put(root / f"CMU/01/01_0{n}_poses.npz", clip_arrays(seed=n))
    put(root / "CMU/01/broken_poses.npz", npz(clip_arrays())[:3000])
    option = ["--body-model", str(models)] if with_model else []
    workspace = str(tmp_path / "ws")
    arguments = ["ingest", "amass", str(root), "-w", workspace, "--workers", "1", *option]
    result = CliRunner().invoke(posebank, arguments)
    assert result.exit_code == 0, result.output
    assert (AVERAGE_NOTE in result.output) is not with_model
    assert "broken_poses.npz" in result.output
    again = CliRunner().invoke(posebank, arguments)
    assert "up to date" in again.output
    (path,) = root.glob("CMU/01/01_00*")
    shown = CliRunner().invoke(posebank, ["inspect", str(path), *option])
    assert shown.exit_code == 0, shown.output
    assert ("SMPL+H female" if with_model else "average adult") in shown.output
    wrong = CliRunner().invoke(posebank, [*arguments[:5], "--body-model", str(root)])
    assert wrong.exit_code == 1
    assert "v_template" in wrong.output


# --- hostile files


def changed(**arrays):
    return {k: v for k, v in (clip_arrays() | arrays).items() if v is not None}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (changed(poses=None), "poses or pose_body"),
        (changed(poses=np.zeros((7, 10))), r"poses: expected \(n, 156\)"),
        (changed(poses=np.zeros(7)), r"poses: expected \(n, 156\)"),
        (changed(poses=np.full((7, 156), np.nan)), "finite"),
        (changed(trans=None), "'trans'"),
        (changed(trans=np.zeros((6, 3))), r"trans: expected \(7, 3\)"),
        (changed(mocap_framerate=np.array(0.0)), "mocap_framerate"),
        (changed(mocap_framerate=None), "--fps"),
        (changed(mocap_framerate=np.zeros(4)), "one number"),
        (changed(poses=np.full((7, 156), None)), "need pickle"),
        (changed(poses=np.array([["a"]])), "expected"),
        (changed(gender=np.array(3.0)), "one text"),
        (changed(poses=np.zeros((0, 156)), trans=np.zeros((0, 3))), "found none"),
    ],
)
def test_what_is_no_clip(arrays, message):
    with pytest.raises(SourceError, match=message):
        read_amass_clip(npz(arrays), WHERE)


def test_frames_that_are_not_finite_are_set_aside():
    arrays = clip_arrays()
    arrays["poses"][2, 5] = np.inf
    arrays["trans"][4, 1] = np.nan
    clip = read_amass_clip(npz(arrays), WHERE)
    assert clip.frames.tolist() == [0, 1, 3, 5, 6]
    assert clip.lost == ("2 of 7 frames set aside: not finite",)
    assert read_amass_clip(npz(changed(mocap_framerate=None)), WHERE, ReadOptions(fps=60)).fps == 60


def test_bytes_gender_and_one_shape_a_frame(models):
    plain = read_amass_clip(npz(clip_arrays()), WHERE, ReadOptions(body_model=models))
    betas = np.repeat(clip_arrays()["betas"][None], 7, axis=0)
    other = changed(gender=np.array(b"female"), betas=betas)
    got = read_amass_clip(npz(other), WHERE, ReadOptions(body_model=models))
    np.testing.assert_array_equal(got.joints, plain.joints)


def stated(shape, dtype="<f8"):
    """An npz whose array states a shape that it does not have."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117)
    member = b"\x93NUMPY\x01\x00\x76\x00" + header.encode() + b"\n" + bytes(8)
    stream = io.BytesIO(npz(changed(poses=None)))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("poses.npy", member)
    return stream.getvalue()


@pytest.mark.parametrize(
    "shape", [(1 << 40, 156), (1 << 20, 156), (3, 1 << 30), (1 << 62, 1 << 62), (-5, 156)]
)
def test_sizes_are_not_taken_on_trust(shape):
    with pytest.raises(SourceError):
        read_amass_clip(stated(shape), WHERE)


def test_columns_of_an_array_in_either_order():
    values = np.arange(12.0).reshape(4, 3)
    data = npz({"c": values, "f": np.asfortranarray(values), "i": np.arange(3), "s": np.array(2)})
    with NpzArrays(data, WHERE) as arrays:
        for name in "cf":
            np.testing.assert_array_equal(arrays.numbers(name, 2), values[:, :2])
            np.testing.assert_array_equal(arrays.numbers(name), values)
        assert arrays.numbers("i").tolist() == [0, 1, 2]
        assert arrays.number("s") == 2.0
        assert arrays.shape("c") == (4, 3)
        with pytest.raises(SourceError, match="expected an array 'x', found c, f, i, s"):
            arrays.numbers("x")


def test_damaged_files_only_raise_posebank_errors():
    sound = npz(clip_arrays(n_frames=3))
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(int(rng.integers(1, 6))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        if rng.random() < 0.3:
            del data[int(rng.integers(len(data))) :]
        try:
            clip = read_amass_clip(bytes(data), WHERE)
            outcomes.add(bool(np.isfinite(clip.joints).all()))
        except PosebankError:
            outcomes.add(None)
    assert outcomes == {True, None}
