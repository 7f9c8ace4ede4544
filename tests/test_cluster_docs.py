"""The SLURM configuration of docs/cluster.md: generate its job script and read it."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "cluster.md"


def test_job_script_of_the_slurm_cluster():
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(snippet, names)
    with names["cluster"] as cluster:
        script = cluster.job_script()
        address = cluster.scheduler_address
    for line in ("-p cpu", "-A poses", "-n 1", "--cpus-per-task=1", "--mem=6G", "-t 04:00:00"):
        assert f"#SBATCH {line}\n" in script
    command = script.strip().splitlines()[-1]
    assert "source /shared/venv/bin/activate\n" in script
    assert f"dask_worker {address} " in command
    assert "--nthreads 1 " in command
    assert "--lifetime 225m" in command
