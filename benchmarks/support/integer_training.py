"""One architecture from random weights to the integer network with its verdict and tracker, on labels alone."""

from __future__ import annotations

from benchmarks.support.trials import train_on
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.interpreter import IntegerModel
from nas.assembly.run_space import space_of
from nas.assembly.task_setup import train_settings, training_set
from nas.compress.finish import with_limit
from nas.compress.quantize import quantized
from nas.data.windows import WindowSet
from nas.evaluation.tracker_fit import fit_tracker
from nas.run.config import Config
from nas.terminal.output import print_note
from supernet.space.arch import Arch

MIDDLE = "16Hz-spectrum/ppg_acc/20/24:i5d1e2m8k3s1,i7d1e2m8k3s2,i7d1e2m4k3s4/20:i5d1e2,i7d1e2,i7d1e2m4k3s8"
"""Near the middle of the space context, with memories of 2 s to half a minute in four of its six blocks."""


def trained_integers(
    config: Config, arch: Arch, training: WindowSet, validation: WindowSet, title: str
) -> tuple[IntegerModel, Tracker]:
    """Train as the configuration finishes subnets, but for a teacher; who validates only limits and tunes."""
    space, kind = space_of(config), config.task_kind
    windows = training_set(training, kind, has_context=space.has_context)
    task = kind.training(config.task, windows.targets)
    people = len(set(training.subject.tolist()))
    print_note(f"{title}: {len(windows)} windows of {people} people train")
    fine = train_settings(config.finish.fine_tuning, config.seed).with_changes(validate_every=0)
    method = train_on(windows, task, space.lower(arch), fine)
    own = train_settings(config.finish.quantization, config.seed).with_changes(validate_every=0)
    model = quantized(config, method, windows, task, own if config.finish.quantization.epochs else None)
    model = with_limit(config, model, validation)
    return model, fit_tracker(model, training, validation)
