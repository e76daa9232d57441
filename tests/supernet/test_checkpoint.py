"""Checkpoints come back as they were saved; a damaged or malicious one is refused before anything of it is built."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from supernet.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint


def trained(layers: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    network(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return network, optimizer


@pytest.mark.parametrize("layers", [1, 30])
def test_networks_and_optimizers_of_any_size_come_back(layers: int, tmp_path: Path) -> None:
    network, optimizer = trained(layers)
    content = {"module": network.state_dict(), "optimizer": optimizer.state_dict(), "history": [{"epoch": 0}] * 200}
    save_checkpoint(tmp_path / "a.pt", content)
    loaded = load_checkpoint(tmp_path / "a.pt")
    assert all(torch.equal(value, loaded["module"][name]) for name, value in network.state_dict().items())
    assert loaded["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert loaded["history"] == content["history"]


def with_pickle(path: Path, content: bytes) -> Path:
    """A checkpoint whose pickle is replaced."""
    save_checkpoint(path, {"module": {}})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, held in members.items():
            archive.writestr(name, content if name.endswith("data.pkl") else held)
    return path


def deep_key(levels: int) -> bytes:
    """A dictionary with a tuple nested so deep as its key, whose hash would end the process."""
    return b"\x80\x02})" + b"\x85" * levels + b"K\x01s."


@pytest.mark.parametrize(
    "content",
    [
        deep_key(300_000),
        b"R.",
        b"Q.",
        b"a.",
        b"s.",
        b"\x80\x02}]K\x01s.",
        b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
        pickle.dumps({"module": {}})[:-3],
    ],
    ids=["deep key", "reduce", "persistent", "append", "set", "list as key", "system", "cut"],
)
def test_a_pickle_that_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a\.pt: the checkpoint is truncated or damaged"):
        load_checkpoint(with_pickle(tmp_path / "a.pt", content))
