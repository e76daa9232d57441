"""A frozen teacher and what it says of every window of a draw, computed once, kept in memory and on disk."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hwmodels.basics.atomic_files import replace_file
from hwmodels.network.graph import Reads
from hwmodels.signals.spectrum import POSITIONS
from supernet.compute.accelerator import CPU
from supernet.distillation.distiller import Distiller
from supernet.distillation.observation import Observation, observe
from supernet.settings.losses import Term
from supernet.tasks.task import Task
from supernet.windows.steps import Windows, blocks_of, call, remembered_steps
from supernet.windows.training_set import Draw, TrainingSet, input_of


class Teaching:
    """`network` as a teacher that reads `channels` channels, of samples at `rate_hz` or of their spectra.

    What it makes of a draw is computed in the order of the windows, so that it does not depend on how batches
    fall. With `folder`, it is also written there, under a digest of the network's weights, the windows and
    the draw, and read back by any later training on the same draw; a damaged file is made anew.
    """

    def __init__(
        self,
        network: nn.Module,
        rate_hz: int,
        channels: int = 4,
        folder: Path | None = None,
        reads: Reads = "samples",
    ) -> None:
        self.network, self.rate_hz, self.channels, self.folder = network.eval(), rate_hz, channels, folder
        self.reads = reads
        self._training: TrainingSet | None = None
        self._origin = ""
        self._observations: dict[object, Observation] = {}

    def of(self, draw: Draw, *, with_maps: bool = False, batch: int = 256) -> Observation:
        """What the teacher makes of all windows of a draw; features and attention only `with_maps`."""
        if draw.training is not self._training:
            self._training, self._origin = draw.training, ""
            self._observations.clear()
        key = (draw.identity, with_maps)
        if key not in self._observations:
            observation = self._read(draw, with_maps) or self._computed(draw, with_maps, batch)
            self._observations[key] = observation.to(draw.training.device)
        return self._observations[key]

    def of_window(self, window_s: float) -> Observation:
        """What it makes of two empty windows: the shapes of what it gives."""
        with torch.no_grad():
            positions = POSITIONS if self.reads == "spectrum" else round(window_s * self.rate_hz)
            return observe(self.network, torch.zeros(2, self.channels, positions))

    def _computed(self, draw: Draw, with_maps: bool, batch: int) -> Observation:
        parts = []
        follows = remembered_steps(self.network) > 0
        network = self.network.to(draw.training.device)
        with torch.no_grad():
            # A block is varied alike; beside it lie other variations, which are no context.
            rows = draw.blocks if follows and draw.blocks else blocks_of(len(draw.training), batch, 0)
            for chosen in rows:
                inputs = draw.inputs(chosen, (self.rate_hz,))
                windows = Windows(input_of(inputs, self), inputs.past)
                parts.append(observe(network, windows) if with_maps else Observation(call(network, windows)))
        self.network.to(CPU)
        observation = Observation.of(
            {name: _joined([part.tensors()[name] for part in parts]) for name in parts[0].tensors()}
        ).to(CPU)
        if self.folder is not None:
            arrays = {name: value.numpy() for name, value in observation.tensors().items() if value is not None}
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._path(draw, with_maps), lambda path: _save(path, arrays))
        return observation

    def _read(self, draw: Draw, with_maps: bool) -> Observation | None:
        if self.folder is None or not (path := self._path(draw, with_maps)).exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                observation = Observation.of({name: torch.from_numpy(stored[name]) for name in stored.files})
        except (OSError, ValueError, EOFError, KeyError, AssertionError, zipfile.BadZipFile):
            return None
        return observation if len(observation.logits) == len(draw.training) else None

    def _path(self, draw: Draw, with_maps: bool) -> Path:
        assert self.folder is not None
        if not self._origin:
            self._origin = _digest_of(self.network, draw.training)
        name = hashlib.sha256(repr((self._origin, draw.identity, self.rate_hz, self.channels)).encode())
        return self.folder / f"{name.hexdigest()[:16]}{'-maps' if with_maps else ''}.npz"


def distiller_of(
    terms: tuple[Term, ...],
    task: Task,
    student: nn.Module,
    channels: int,
    samples: int,
    teacher: Teaching,
    window_s: float,
) -> Distiller:
    """The distiller from `teacher` to `student`, which reads windows (n, channels, samples).

    Raises DistillationError when one of them cannot give what a term looks at.
    """
    was_training = student.training
    with torch.no_grad():
        own = observe(student.eval(), torch.zeros(2, channels, samples))
    student.train(was_training)
    taught = teacher.of_window(window_s)
    return Distiller(
        terms,
        task,
        student_channels=0 if own.features is None else own.features.shape[1],
        teacher_channels=0 if taught.features is None else taught.features.shape[1],
        has_attention=any(
            getattr(taught, name) is not None and getattr(own, name) is not None
            for name in ("attention", "spectral_attention")
        ),
    )


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present) if present else None


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def _digest_of(network: nn.Module, training: TrainingSet) -> str:
    """Of weights and windows."""
    total = hashlib.sha256()
    if remembered_steps(network) and training.steps is not None:
        total.update(str(training.block).encode() + np.ascontiguousarray(training.steps).tobytes())
    for name, value in sorted(network.state_dict().items()):
        total.update(name.encode() + value.detach().contiguous().numpy().tobytes())
    for rate, windows in sorted(training.inputs.items()):
        total.update(str((rate, windows.shape)).encode() + np.ascontiguousarray(windows).tobytes())
    total.update(np.ascontiguousarray(training.targets).tobytes())
    return total.hexdigest()
