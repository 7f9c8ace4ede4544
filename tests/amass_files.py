"""AMASS clips and body models in the forms of the real ones, for the tests: made-up numbers."""

import numpy as np

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
N_JOINTS = {"SMPL+H": 52, "SMPL-X": 55}
# An upright person in the rest pose: left, up, ahead, metres.
REST = np.array([
    (0, -0.2, 0.03), (0.08, -0.3, 0.02), (-0.07, -0.31, 0.03), (0, -0.1, 0.01), (0.11, -0.7, 0.02),
    (-0.1, -0.69, 0.01), (0, 0.03, 0), (0.09, -1.1, -0.02), (-0.1, -1.12, -0.03), (0, 0.08, 0.02),
    (0.1, -1.15, 0.1), (-0.12, -1.16, 0.09), (0, 0.29, -0.02), (0.08, 0.2, 0), (-0.07, 0.21, 0),
    (0.01, 0.36, 0.04), (0.18, 0.23, -0.01), (-0.17, 0.24, -0.02), (0.44, 0.22, -0.04),
    (-0.43, 0.21, -0.03), (0.69, 0.23, -0.05), (-0.68, 0.22, -0.04),
])  # fmt: skip
TOP = np.array([0.02, 0.56, 0.01])


def body_model(family="SMPL+H", n_shapes=16, n_vertices=90, seed=0):
    """The arrays of a model with the mean rest joints ``REST`` and the highest vertex ``TOP``."""
    rng = np.random.default_rng(seed)
    n_joints = N_JOINTS[family]
    vertices = rng.uniform([-0.7, -1.2, -0.2], [0.7, 0.5, 0.2], (n_vertices, 3))
    vertices[41] = TOP
    regressor = rng.dirichlet(np.ones(n_vertices), n_joints)
    # Weights that need not be positive, so that the joints lie exactly where they should.
    solved = np.linalg.lstsq(vertices.T, (REST - regressor[:22] @ vertices).T, rcond=None)[0]
    regressor[:22] += solved.T
    parents = [*PARENTS, *range(20, 20 + n_joints - 22)]
    tree = np.array([parents, range(n_joints)], dtype=np.int64) % (1 << 32)
    return {
        "v_template": vertices,
        "shapedirs": rng.normal(0, 0.01, (n_vertices, 3, n_shapes)),
        "J_regressor": regressor,
        "kintree_table": tree.astype(np.uint32),
        "posedirs": rng.normal(0, 0.01, (n_vertices, 3, 9)),
        "weights": rng.dirichlet(np.ones(n_joints), n_vertices),
        "f": rng.integers(0, n_vertices, (5, 3)).astype(np.uint32),
    }


def clip_arrays(family="SMPL+H", n_frames=7, seed=0, pose_scale=0.4):
    """The arrays of a clip as either release has them."""
    rng = np.random.default_rng(seed)
    n_joints = N_JOINTS[family]
    poses = rng.normal(0, pose_scale, (n_frames, 3 * n_joints))
    poses[:, :3] = [np.pi / 2, 0.1, 0.0]  # from y up to z up
    arrays = {
        "poses": poses,
        "trans": rng.normal(0, 1, (n_frames, 3)),
        "betas": rng.normal(0, 1, 16),
        "gender": np.array("female"),
    }
    if family == "SMPL+H":
        arrays["dmpls"] = np.zeros((n_frames, 8))
        arrays["mocap_framerate"] = np.array(120.0)
    else:
        arrays["root_orient"], arrays["pose_body"] = poses[:, :3], poses[:, 3:66]
        arrays["mocap_frame_rate"] = np.array(100.0)
        arrays["surface_model_type"] = np.array("smplx")
    return arrays


def turn(vector):
    """A rotation matrix by the exponential series of its axis-angle vector."""
    x, y, z = vector
    generator = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    result, term = np.eye(3), np.eye(3)
    for power in range(1, 40):
        term = term @ generator / power
        result = result + term
    return result


def posed(poses, translation, rest, top):
    """Slow forward kinematics of one frame: the 22 joints and the head top, world axes."""

    def transform(joint):
        local = np.eye(4)
        local[:3, :3] = turn(poses[3 * joint : 3 * joint + 3])
        parent = PARENTS[joint]
        local[:3, 3] = rest[joint] - (rest[parent] if parent >= 0 else 0)
        return local if parent < 0 else transform(parent) @ local

    joints = np.array([transform(j)[:3, 3] for j in range(22)])
    head = transform(15) @ np.append(top - rest[15], 1.0)
    return joints + translation, head[:3] + translation
