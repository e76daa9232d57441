"""Supernets trained by two processes: one network, resumed exactly, and as good as one process makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hwmodels.basics.errors import InputError
from supernet.training.batch import Batch
from supernet.training.distributed import ALONE, Team
from supernet.windows.training_set import Inputs
from tests.supernet.team_training import train


def test_two_processes_train_one_network_and_resume_it_exactly(tmp_path):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "tests.supernet.team_training",
        str(tmp_path),
    ]
    own = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=Path(__file__).parents[2], env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads((tmp_path / f"told-{rank}.json").read_text()) for rank in (0, 1)]
    weights = [torch.load(tmp_path / f"weights-{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert told[0] == told[1]
    assert told[0]["size"] == 2
    assert told[0]["resumed_is_same"]
    assert told[0]["resumed_losses"] == told[0]["losses"]
    assert all(map(torch.equal, weights[0].values(), weights[1].values()))
    _, losses = train(ALONE, tmp_path / "alone.pt")
    assert told[0]["losses"] != losses
    np.testing.assert_allclose(told[0]["losses"], losses, rtol=0.05)


def test_a_batch_is_shared_out_whole_and_none_gets_less_than_two_windows():
    batch = Batch(Inputs({16: torch.arange(11.0)[:, None, None]}), torch.arange(11))
    parts = [Team(rank, 3).share(batch) for rank in range(3)]
    assert torch.equal(torch.cat([part.targets for part in parts]), batch.targets)
    assert torch.equal(torch.cat([part.inputs[16] for part in parts]), batch.inputs[16])
    assert ALONE.share(batch) is batch
    with pytest.raises(InputError, match="too small for 6 processes"):
        Team(0, 6).share(batch)
