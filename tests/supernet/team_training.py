"""Trains a small supernet as one of the processes that torchrun starts; leaves what came of it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from supernet.network.supernet import SuperNet
from supernet.settings.training import TrainSettings
from supernet.tasks.task import HeartRateTask
from supernet.training.distributed import Team, joined
from supernet.training.methods import Sandwich
from supernet.training.trainer import fit
from tests.supernet.supernet_sets import sines, small_space


def train(team: Team, checkpoint: Path, epochs_kept: Path | None = None) -> tuple[SuperNet, list[float]]:
    """Two epochs with sorted channels between them; the checkpoint after the first is copied."""
    supernet = SuperNet(small_space(), np.random.default_rng(0))
    settings = TrainSettings(epochs=2, batch=16, warmup_epochs=1, validate_every=0, random_subnets=2)
    task = HeartRateTask(bins=24)

    def keep(record: object) -> None:
        if epochs_kept is not None and not epochs_kept.exists():
            shutil.copy(checkpoint, epochs_kept)

    history = fit(
        Sandwich(supernet, task),
        sines(64),
        task,
        settings,
        validation=sines(20, seed=1),
        checkpoint=checkpoint,
        on_epoch=keep,
        team=team,
    )
    return supernet, [record.loss for record in history]


def main() -> None:
    """Train, then go on from the checkpoint of the first epoch."""
    folder = Path(sys.argv[1])
    with joined() as team:
        whole, losses = train(team, folder / "whole.pt", folder / "first.pt")
        team.agree(None)
        resumed, again = train(team, folder / "first.pt")
        same = all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))
        told = {"size": team.size, "losses": losses, "resumed_losses": again, "resumed_is_same": same}
        torch.save(whole.state_dict(), folder / f"weights-{team.rank}.pt")
        (folder / f"told-{team.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
