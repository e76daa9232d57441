"""From any trained network to int8: ranges from calibration alone, or learned on by further training."""

from __future__ import annotations

import numpy as np

from hwmodels.network.interpreter import InputSettings, IntegerModel
from hwmodels.network.preparation import ACC_SCALE_G
from hwmodels.signals.spectrum import POSITIONS
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.data.preprocess import BAND_HZ
from nas.run.config import Config
from supernet.compute.accelerator import CPU
from supernet.network.subnet import Subnet
from supernet.settings.training import TrainSettings
from supernet.space.arch import SENSOR_CHANNELS, input_channels
from supernet.tasks.task import Task
from supernet.training.methods import SingleNetwork
from supernet.training.teaching import Teaching
from supernet.training.trainer import fit
from supernet.windows.training_set import Reader, TrainingSet


def quantized(
    config: Config,
    method: SingleNetwork,
    training: TrainingSet,
    task: Task,
    settings: TrainSettings | None = None,
    teacher: Teaching | None = None,
) -> IntegerModel:
    """The integer network of a trained one, whose norms have statistics.

    Without `settings`, activation ranges come from 512 training windows (post-training quantization); with
    them, weights and ranges are trained on (Esser et al. 2020), with the teacher where there is one.
    """
    assert isinstance(method.module, Subnet)
    network = FakeQuantNetwork(method.module)
    chosen = np.random.default_rng(7).choice(len(training), min(512, len(training)), replace=False)
    parts = np.array_split(chosen, max(1, len(chosen) // 128))
    network.calibrate([training.read(method, part) for part in parts])
    if settings is not None:
        own = SingleNetwork(network, task, method.rate_hz, method.channels, "quantization", method.reads)
        # Its eval mode is the integer network, whose arithmetic is for the CPU.
        fit(own, training, task, settings, teacher=teacher, device=CPU)
    return network.eval().export(config.task_kind.head_settings(config.task), input_settings(config, method))


def input_settings(config: Config, reader: Reader) -> InputSettings:
    """What the input of a network stands for that reads as `reader` does."""
    sensors = next(name for name in SENSOR_CHANNELS if input_channels(name, reader.reads) == reader.channels)
    positions = POSITIONS if reader.reads == "spectrum" else None
    window_s = config.data.window_s
    return InputSettings(
        reader.rate_hz, window_s, sensors, BAND_HZ, ACC_SCALE_G, reads=reader.reads, positions=positions
    )
