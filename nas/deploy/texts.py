"""The texts of a bundle that are not generated from the graph: self-test, CMake file, memory map, README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.integer import ClassSettings, HeartRateSettings, IntegerModel
from hwmodels.memory import MemoryPlan
from nas.data.preprocess import filter_rate_hz

_SELF_TEST = """\
/* Runs golden vectors through the network. ppgnet_selftest() returns 0 when every output is right, else
   the number of the first vector that is wrong, counted from 1. Leave this file out of a product. */
#include "ppgnet_model.h"

#include <stddef.h>

#define VECTORS {vectors}

static const int8_t inputs[VECTORS][PPGNET_INPUT_BYTES] = {{
{inputs}
}};

static const int32_t expected[VECTORS][3] = {{
{expected}
}};

int ppgnet_selftest(int8_t *arena)
{{
    for (size_t vector = 0; vector < VECTORS; vector++) {{
        ppgnet_result result;
{reset}        ppgnet_run(arena, inputs[vector], &result);
        if (result.estimate != expected[vector][0] || result.confidence != expected[vector][1]
            || result.valid != expected[vector][2])
            return (int)vector + 1;
    }}
    return 0;
}}
"""

_CMAKE = """\
# A static library for firmware: add_subdirectory() this folder and link `ppgnet`.
cmake_minimum_required(VERSION 3.13)
project(ppgnet C)

file(GLOB PPGNET_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/ppgnet_*.c)
list(FILTER PPGNET_SOURCES EXCLUDE REGEX "ppgnet_selftest\\\\.c$")

add_library(ppgnet STATIC ${PPGNET_SOURCES})
target_include_directories(ppgnet PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(ppgnet PROPERTIES C_STANDARD 11 C_EXTENSIONS ON)
target_compile_options(ppgnet PRIVATE -O2 -ffunction-sections -fdata-sections -ffp-contract=off -Wall -Wextra)

add_library(ppgnet_selftest STATIC EXCLUDE_FROM_ALL ppgnet_selftest.c)
target_link_libraries(ppgnet_selftest PUBLIC ppgnet)
"""


def self_test(model: IntegerModel, inputs: NDArray[np.int8], outputs: NDArray[np.int32]) -> str:
    """C source with golden vectors: inputs (n, T, C), outputs (n, 3)."""
    rows = [",".join(map(str, vector.reshape(-1).tolist())) for vector in inputs]
    wrapped = ["    {" + _wrap(row) + "}," for row in rows]
    expected = ["    {" + ", ".join(map(str, output.tolist())) + "}," for output in outputs]
    reset = "        ppgnet_stream_reset(arena);\n" if model.graph.state_bytes else ""
    return _SELF_TEST.format(
        vectors=len(inputs), inputs="\n".join(wrapped), expected="\n".join(expected), reset=reset
    )


def cmake_lists() -> str:
    """The CMake file of a bundle."""
    return _CMAKE


def memory_map(model: IntegerModel, arena: MemoryPlan) -> str:
    """Where every tensor and scratch buffer lies in the arena, in execution order."""
    lines = [
        f"arena: {arena.arena_bytes} bytes; largest live set: {arena.lower_bound_bytes} bytes",
        "",
        f"{'operation':<26}{'kind':<17}{'output at':>10}{'bytes':>8}{'scratch at':>12}{'bytes':>8}",
    ]
    for op in model.graph:
        offset = arena.offsets.get(op.name)
        scratch = arena.scratch_bytes.get(op.name, 0)
        place = str(arena.scratch_offsets[op.name]) if scratch else "-"
        if op.state_bytes:
            scratch, place = op.state_bytes, str(arena.state_offsets[op.name])
        where = "-" if offset is None or not op.output_bytes else str(offset)
        lines.append(
            f"{op.name:<26}{op.kind:<17}{where:>10}{op.output_bytes:>8}{place:>12}{scratch or '-':>8}"
        )
    return "\n".join(lines) + "\n"


_TRACKER = """
## Follow the wearer
`ppgnet_tracker.h` carries the belief over heart rates from window to window (2 s apart) and bridges windows
that motion spoils. It costs a few KB and is linked only where it is used; figures of single windows do not
contain it:
```c
static ppgnet_tracker tracker;
ppgnet_tracker_reset(&tracker); /* once, and after a gap */
ppgnet_infer(arena, pulse, acceleration, &result);
ppgnet_tracker_update(&tracker, arena + PPGNET_LOGITS_OFFSET, &result);
```
"""


_STREAMING = """Call it every {step_s:g} s with the last window: only the new samples are computed, and what
earlier ones left is kept in the arena's last bytes (PPGNET_STATE_OFFSET). Results count from the first whole
window on. """


def readme(model: IntegerModel, facts: Mapping[str, Any], arena: MemoryPlan, has_tracker: bool) -> str:
    """What a firmware engineer needs to know, with the figures of this network."""
    settings = model.input
    cost = facts["predicted"]
    sensors = "PPG and 3-axis accelerometer" if settings.sensors == "ppg_acc" else "PPG alone"
    samples = settings.window_samples
    is_streaming = bool(model.graph.state_bytes)
    reset = "\nppgnet_stream_reset(arena); /* once, when a recording starts */" if is_streaming else ""
    streaming = _STREAMING.format(step_s=settings.step_s) if is_streaming else ""
    filter_hz = filter_rate_hz(round(settings.rate_hz), settings.band_hz)
    return f"""\
# ppgnet: {facts["id"]}
An int8 network for wrist PPG, generated by ppg-nas. Architecture `{facts["arch"]}`.

## Use
```c
#include "ppgnet_model.h"

static int8_t arena[PPGNET_ARENA_BYTES] __attribute__((aligned(4)));
ppgnet_result result;
{reset}
ppgnet_infer(arena, pulse, acceleration, &result);
```
`pulse`: {samples} float samples at {settings.rate_hz:g} Hz ({settings.window_s:g} s), band-passed
{settings.band_hz[0]:g} to {settings.band_hz[1]:g} Hz, in any unit. `acceleration`: {samples} x 3 floats in g,
or NULL. {streaming}This network reads {sensors}. {_result_text(model)}

As in training: a forward Butterworth band-pass at {filter_hz} Hz or more, before the samples are thinned
out to {settings.rate_hz:g} Hz. With several PPG channels, standardize each over the window, then average.

No allocation, no writable globals; every call works on what it is given. `ppgnet_prepare` and
`ppgnet_run` are the two halves of `ppgnet_infer`, for input that is already int8.
{_TRACKER if has_tracker else ""}
## Cost
| | predicted for {facts["device"]} |
|---|---|
| latency of one window | {cost["latency_ms"]:.2f} ms ({cost["cycles"]:,} cycles) |
| flash, code included | {cost["flash_kb"]:.1f} KB |
| RAM: arena {arena.arena_bytes:,} bytes and stack | {cost["ram_kb"]:.1f} KB |
| energy of one window | {cost["energy_mj"]:.3f} mJ |

`ppg-nas verify` compiles these sources for the Cortex-M7, runs every golden vector on an emulated core and
writes what it measured into `verification.json`. Cycles are exact executions under a model of the pipeline:
expect a real board within 20 %. `memory_map.txt` shows the arena.

## Test on the board
Add `ppgnet_selftest.c` to the build and call `ppgnet_selftest(arena)`; it must return 0.
"""


def _result_text(model: IntegerModel) -> str:
    head = model.head
    if isinstance(head, HeartRateSettings):
        return (
            "`result.estimate` is the heart rate, `result.confidence` its expected error, both in 1/256 BPM; "
            f"`result.valid` is 0 when that exceeds {head.max_spread_bpm:g} BPM."
        )
    assert isinstance(head, ClassSettings)
    names = ", ".join(f"{index} {name}" for index, name in enumerate(head.names))
    return (
        f"`result.estimate` is the class ({names}), `result.confidence` its probability in 1/32768; "
        f"`result.valid` is 0 when that is below {head.min_probability:g}."
    )


def _wrap(row: str, width: int = 100) -> str:
    lines, line = [], ""
    for number in row.split(","):
        if len(line) + len(number) + 1 > width:
            lines.append(line)
            line = ""
        line += number + ","
    return "\n     ".join([*lines, line]).rstrip(",")
