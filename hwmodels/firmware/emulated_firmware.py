"""The firmware's own C on a recording: on this machine, and on the emulated core with what each part takes.

What it returns must equal hwmodels.firmware.front_end.readings, number by number.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.c.toolchain import compile_host
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.device.target import Target
from hwmodels.emulation.emulator import RAM_BASE, EmulationError, Emulator, Execution
from hwmodels.firmware.front_end import Front
from hwmodels.firmware.learner import PersonalSettings
from hwmodels.firmware.sources import CONTEXT_BYTES, generate_firmware
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.integer_model import IntegerModel

_BLOCK_S = 0.5
_SAMPLES, _READING = RAM_BASE + (2 << 20), RAM_BASE + (3 << 20)
Block = tuple[str, NDArray[np.int16]]


def blocks(front: Front, ppg: NDArray[np.int16], acc: NDArray[np.int16] | None) -> Iterator[Block]:
    """A recording as sensors deliver it: ("ppg" or "acc", frames) of half a second each, in order of time."""
    streams = [("ppg", ppg, front.sensors.ppg_hz)]
    if front.reads_motion and acc is not None:
        streams.append(("acc", acc, front.sensors.acc_hz))
    duration = max(len(values) / rate for _, values, rate in streams)
    for number in range(int(np.ceil(duration / _BLOCK_S))):
        for name, values, rate in streams:
            begin, end = (round(at * _BLOCK_S * rate) for at in (number, number + 1))
            if begin < min(end, len(values)):
                yield name, np.ascontiguousarray(values[begin:end])


class HostFirmware:
    """A bundle's sources compiled for this machine; one wearer at a time.

    Raises ToolchainError without a host compiler.
    """

    def __init__(
        self,
        front: Front,
        model: IntegerModel,
        tracker: Tracker | None = None,
        cc: str = "cc",
        flags: Sequence[str] = ("-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"),
        learner: PersonalSettings | None = None,
    ) -> None:
        self._front, self._tracks = front, tracker is not None
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "ppgnet.so"
            sources = generate_firmware(front, model, tracker, learner)
            self._library = ctypes.CDLL(str(compile_host(sources, out, cc, flags=flags)))
        size = ctypes.c_uint32.in_dll(self._library, CONTEXT_BYTES).value
        self._context = (ctypes.c_uint32 * (size // 4))()
        self._sensors = ctypes.addressof(ctypes.c_uint32.in_dll(self._library, "ppgnet_front_constants"))
        self._size = size
        self.learner = None
        if learner:
            learner_bytes = ctypes.c_uint32.in_dll(self._library, "ppgnet_personal_bytes").value
            self.learner = (ctypes.c_uint32 * (learner_bytes // 4))()

    def call(self, function: str, *arguments: object) -> int:
        """Call a function of ppgnet.h with this wearer's context; its status."""
        status: int = getattr(self._library, function)(ctypes.byref(self._context), *arguments)
        return status

    def start(self) -> int:
        """ppgnet_init for the declared sensors."""
        return self.call("ppgnet_init", ctypes.c_void_p(self._sensors), self._size)

    def push(self, sensor: str, frames: NDArray[np.int16]) -> int:
        """ppgnet_push_ppg or _acc."""
        return self.call(f"ppgnet_push_{sensor}", ctypes.c_void_p(frames.ctypes.data), len(frames))

    def learner_call(self, function: str) -> int:
        """ppgnet_personal_reset, or _train and its status."""
        status: int = getattr(self._library, function)(self.learner)
        return status

    def reading(self, heart_rate_q8: int | None = None) -> tuple[int, list[int]]:
        """ppgnet_estimate's status and reading; with a tracker, what ppgnet_track makes of it.

        With a heart rate in 1/256 BPM, or 0 where none is known, ppgnet_estimate_personal's.
        """
        found = (ctypes.c_int32 * 3)()
        if heart_rate_q8 is None:
            status = self.call("ppgnet_estimate", found)
        else:
            status = self.call("ppgnet_estimate_personal", self.learner, heart_rate_q8, found)
        if status == 0 and self._tracks:
            status = self.call("ppgnet_track", found)
        return status, list(found)

    def readings(self, ppg: NDArray[np.int16], acc: NDArray[np.int16] | None = None) -> NDArray[np.int64]:
        """As hwmodels.firmware.front_end.readings. Raises RuntimeError with the status of a call that was refused."""
        rows = []
        _require(self.start())
        for name, frames in blocks(self._front, ppg, acc):
            _require(self.push(name, frames))
            while self.call("ppgnet_ready"):
                status, row = self.reading()
                _require(status)
                rows.append(row)
        return np.array(rows, np.int64).reshape(-1, 3)


def _require(status: int) -> None:
    if status:
        raise RuntimeError(f"the firmware refused with status {status}")


@dataclass(frozen=True)
class FirmwareRun:
    """A recording on the emulated core: readings (n, 3), and what a step of it takes.

    Cycles are those of the dearest step: push_cycles of taking in the samples between two readings,
    estimate_cycles of ppgnet_estimate, track_cycles of ppgnet_track. first_cycles: of the first
    ppgnet_estimate, in which a streaming network runs all steps of a window. context_bytes: the caller's
    ppgnet; stack_bytes: of the deepest call.
    """

    readings: NDArray[np.int64]
    push_cycles: int
    first_cycles: int
    estimate_cycles: int
    track_cycles: int
    context_bytes: int
    stack_bytes: int


def run_firmware(
    front: Front,
    emulator: Emulator,
    target: Target,
    ppg: NDArray[np.int16],
    acc: NDArray[np.int16] | None,
    tracks: bool,
) -> FirmwareRun:
    """Run a recording through the linked functions of ppgnet.h. Raises EmulationError when one refuses."""
    image, pipeline = emulator.image, PipelineModel(emulator.image, target.core)
    size = int.from_bytes(image.read(image.address(CONTEXT_BYTES), 4), "little")
    stack = 0

    def call(function: str, *arguments: int, samples: bytes = b"") -> Execution:
        nonlocal stack
        done = emulator.call(function, (RAM_BASE, *arguments), [(_SAMPLES, samples)] if samples else [])
        if done.return_value and function != "ppgnet_ready":
            raise EmulationError(f"{function}: refused with status {done.return_value}")
        stack = max(stack, done.stack_bytes)
        return done

    def cycles(done: Execution) -> int:
        return pipeline.cycles(done) + target.stall_cycles(done.instruction_misses, done.constant_misses)

    emulator.write(RAM_BASE, b"\xa5" * size)
    call("ppgnet_init", image.address("ppgnet_front_constants"), size)
    rows: list[NDArray[np.int64]] = []
    pushed = push = first = estimate = track = 0
    for name, frames in blocks(front, ppg, acc):
        pushed += cycles(call(f"ppgnet_push_{name}", _SAMPLES, len(frames), samples=frames.tobytes()))
        while call("ppgnet_ready").return_value:
            taken = cycles(call("ppgnet_estimate", _READING))
            first, estimate = first or taken, max(estimate, taken if rows else 0)
            if tracks:
                track = max(track, cycles(call("ppgnet_track", _READING)))
            # Before the first reading a whole window is pushed, later ones a step each.
            push, pushed = max(push, pushed if rows else 0), 0
            rows.append(np.frombuffer(emulator.read(_READING, 12), "<i4").astype(np.int64))
    return FirmwareRun(np.array(rows).reshape(-1, 3), push, first, estimate, track, size, stack)
