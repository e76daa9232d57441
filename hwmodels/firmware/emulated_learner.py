"""Learning a wearer by generated C on the emulated core; what it learns must equal hwmodels.firmware.learner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.c.toolchain import ElfImage
from hwmodels.emulation.emulator import RAM_BASE, Emulator

LEARNER_ENTRIES = (
    "ppgnet_personal_reset",
    "ppgnet_personal_add",
    "ppgnet_personal_train",
    "ppgnet_personal_run",
    "ppgnet_personal_bytes",
)
_STRIDE_BYTES = 1 << 17


@dataclass(frozen=True, eq=False)
class CoreLesson:
    """What the core made of it: rows of the head (n, 3) with the weights learnt, the iteration kept, bytes of
    the learner and of the deepest stack, and instructions of learning.
    """

    results: NDArray[np.int64]
    kept_iteration: int
    learner_bytes: int
    stack_bytes: int
    instructions: int


def learn_on_core(
    image: ElfImage, windows: NDArray[np.int8], heart_rate_bpm: NDArray[np.floating], rest: NDArray[np.int8]
) -> CoreLesson:
    """Learn from int8 windows (n, T, C) and their heart rates (n,), then run the network on `rest` (m, T, C).

    `image` keeps LEARNER_ENTRIES of a network with its learner.
    """
    emulator = Emulator(image)
    personal, arena, given, result = (RAM_BASE + place * _STRIDE_BYTES for place in range(4))
    stack = emulator.call("ppgnet_personal_reset", (personal,)).stack_bytes
    labels = np.rint(np.asarray(heart_rate_bpm, np.float64) * 256).astype(int).tolist()
    for window, label in zip(windows, labels, strict=True):
        done = emulator.call("ppgnet_personal_add", (personal, arena, given, label), [(given, window.tobytes())])
        stack = max(stack, done.stack_bytes)
    training = emulator.call("ppgnet_personal_train", (personal,))
    kept = int(np.frombuffer(emulator.read(personal, 8), "<u4")[1])
    rows = []
    for window in rest:
        emulator.call("ppgnet_personal_run", (personal, arena, given, 0, result), [(given, window.tobytes())])
        rows.append(np.frombuffer(emulator.read(result, 12), "<i4").astype(np.int64))
    size = int.from_bytes(image.read(image.address("ppgnet_personal_bytes"), 4), "little")
    stack = max(stack, training.stack_bytes)
    return CoreLesson(np.array(rows).reshape(-1, 3), kept, size, stack, training.instructions)
