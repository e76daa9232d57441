"""IntegerModel and sensors -> the C sources that firmware builds: network, front end, tracker, one header."""

from __future__ import annotations

from hwmodels.basics.errors import InputError
from hwmodels.basics.tool import tool_version
from hwmodels.c.text import C_FOLDER, array, braced, sources_in
from hwmodels.codegen.network_source import default_plan, generate
from hwmodels.firmware.front_end import Front
from hwmodels.firmware.learner import PersonalSettings
from hwmodels.firmware.learner_source import with_learner
from hwmodels.firmware.tracker import Tracker, generate_tracker
from hwmodels.network.integer_model import IntegerModel
from hwmodels.schedule.memory import aligned
from hwmodels.signals.filters import SIGNAL_BITS, IntegerResampler

SOURCES = C_FOLDER / "front_end"
ENTRY_POINTS = (
    "ppgnet_init",
    "ppgnet_restart",
    "ppgnet_push_ppg",
    "ppgnet_push_acc",
    "ppgnet_ready",
    "ppgnet_estimate",
)
CONTEXT_BYTES = "ppgnet_context_bytes"
"""The constant that tells how large the caller's context is."""
_LARGEST_TABLE = 8_192
_PREPARE_WHOLE = """
void ppgnet_prepare_whole(int8_t *input, const float *pulse, const float *acceleration)
{
    ppgnet_input_settings whole = input_settings;
    whole.skipped = 0;
    ppgnet_prepare_window(&whole, input, pulse, acceleration);
}
"""


def generate_firmware(
    front: Front, model: IntegerModel, tracker: Tracker | None = None, learner: PersonalSettings | None = None
) -> dict[str, str]:
    """All C sources of a bundle, file name to text; firmware includes ppgnet.h.

    `learner` adds what personalizes the network. Raises InputError when something of the network has no
    kernel, tracker or learner, and for rates whose ratio would make a table of filter coefficients larger
    than 16 KB.
    """
    require_small_filters(front)
    sources = generate(model) | sources_in(SOURCES)
    if _streams(model):
        sources["ppgnet_model.c"] = (
            sources["ppgnet_model.c"].replace(
                '#include "ppgnet_model.h"', '#include "ppgnet_front_model.h"\n#include "ppgnet_model.h"'
            )
            + _PREPARE_WHOLE
        )
    if tracker is not None:
        sources |= generate_tracker(tracker, model)
    if learner is not None:
        if model.graph.spans_windows:
            raise InputError("personalization does not learn of networks with context; export without it")
        if model.graph.state_bytes:
            raise InputError("personalization reads whole windows; export the network in window mode")
        sources = with_learner(sources, model, learner)
    sources["ppgnet_front_model.h"] = _header(front, model, tracker is not None, learner is not None)
    sources["ppgnet_front_model.c"] = _source(front)
    return sources


def _streams(model: IntegerModel) -> bool:
    """Whether a step reads the newest samples alone."""
    return model.graph.state_bytes > 0 and not model.graph.spans_windows


def require_small_filters(front: Front) -> None:
    """Raise InputError naming the sensor whose rate would take a table of more than 16 KB to convert."""
    sensors = {"ppg_hz": (front.sensors.ppg_hz, front.ppg)}
    if front.reads_motion:
        sensors["acc_hz"] = (front.sensors.acc_hz, front.acc)
    for name, (rate_hz, made) in sensors.items():
        if made.half >= _LARGEST_TABLE:
            raise InputError(
                f"{name}: {rate_hz:g} Hz is {made.down}/{made.up} of the network's rate, which takes a "
                f"filter of {2 * made.half + 1} coefficients; choose one that is simpler to convert, such as "
                "25, 50, 64, 100 or 125 Hz"
            )


def entry_points(tracker: Tracker | None = None) -> tuple[str, ...]:
    """The functions of ppgnet.h and the size of its context, for the linker to keep."""
    return (*ENTRY_POINTS, CONTEXT_BYTES, *(("ppgnet_track",) if tracker is not None else ()))


def context_parts(front: Front, model: IntegerModel, tracker: Tracker | None = None) -> dict[str, int]:
    """What the bytes of one wearer's context are for; padding apart, they add up to sizeof(ppgnet)."""
    held, window = front.input.window_samples + front.step_samples, front.input.window_samples
    channels, sections = front.sensors.ppg_channels, len(front.sections)
    axes = 3 if front.reads_motion else 0
    parts = {
        "network's arena": aligned(default_plan(model).arena_bytes),
        "resampling": 8 * (channels * (front.ppg.taps + front.thin.taps) + axes * front.acc.taps),
        "band-pass": 4 * channels * (2 * sections + 3),
        "samples of the window": 4 * held * (channels + axes) + held * (1 + bool(axes)),
    }
    if channels > 1:
        parts["light channels, combined"] = 4 * window
    if _streams(model):
        parts["first window of streaming"] = aligned(window * front.input.channels)
    if tracker is not None:
        parts["tracker"] = 2 * model.graph.output.channels_in
    return parts


def _header(front: Front, model: IntegerModel, has_tracker: bool, has_learner: bool) -> str:
    sensors = front.sensors
    acc_hz = sensors.acc_hz if front.reads_motion else 0.0
    return f"""\
/* Generated by ppg-nas: the sensors that one bundle is made for, and the sizes that follow from them. */
#ifndef PPGNET_FRONT_MODEL_H
#define PPGNET_FRONT_MODEL_H

#include "ppgnet_front.h"

#define PPGNET_VERSION "{tool_version()}"
#define PPGNET_PPG_CHANNELS {sensors.ppg_channels}
#define PPGNET_PPG_HZ {sensors.ppg_hz:g}
#define PPGNET_AXES {3 if front.reads_motion else 0}
#define PPGNET_ACC_HZ {acc_hz:g}
#define PPGNET_ACC_COUNTS_PER_G {sensors.acc_counts_per_g if front.reads_motion else 0}
#define PPGNET_MOST_PPG_FRAMES {_most_frames(sensors.ppg_hz, front)}
#define PPGNET_MOST_ACC_FRAMES {_most_frames(acc_hz, front)}
#define PPGNET_STEP_SAMPLES {front.step_samples}
#define PPGNET_HELD_SAMPLES {front.input.window_samples + front.step_samples}
#define PPGNET_PPG_TAPS {front.ppg.taps}
#define PPGNET_THIN_TAPS {front.thin.taps}
#define PPGNET_ACC_TAPS {front.acc.taps}
#define PPGNET_SECTIONS {len(front.sections)}
#define PPGNET_STREAMING {int(_streams(model))}
#define PPGNET_HAS_CONTEXT {int(model.graph.spans_windows)}
#define PPGNET_HAS_TRACKER {int(has_tracker)}
#define PPGNET_HAS_PERSONAL {int(has_learner)}

#ifdef __cplusplus
extern "C" {{
#endif

extern const ppgnet_front_settings ppgnet_front_constants;

/* The sensors that this bundle was made for, for ppgnet_init. */
#define PPGNET_DECLARED_SENSORS (&ppgnet_front_constants.sensors)

#if PPGNET_STREAMING
/* As ppgnet_prepare, for all samples of the window. */
void ppgnet_prepare_whole(int8_t *input, const float *pulse, const float *acceleration);
#endif

#ifdef __cplusplus
}}
#endif

#endif
"""


def _most_frames(rate_hz: float, front: Front) -> int:
    """Frames of one step."""
    return -(-int(rate_hz * 1000 * front.step_s) // 1000)


def _source(front: Front) -> str:
    sensors, filters = front.sensors, {"ppg": front.ppg, "thin": front.thin, "acc": front.acc}
    if not front.reads_motion:
        del filters["acc"]
    tables: dict[bytes, str] = {}
    texts = []
    for name, made in filters.items():
        held = made.coefficients.tobytes()
        if held not in tables:
            tables[held] = f"{name}_coefficients"
            texts.append(array("int16_t", tables[held], made.coefficients))
    fields = {name: _resampler(made, tables, name != "thin") for name, made in filters.items()}
    millihz = round(sensors.acc_hz * 1000) if front.reads_motion else 0
    counts = sensors.acc_counts_per_g if front.reads_motion else 0
    declared = braced((round(sensors.ppg_hz * 1000), sensors.ppg_channels, millihz, counts))
    return "\n".join(
        [
            "/* Generated by ppg-nas: the filters of one network's front end. */",
            '#include "ppgnet_front_model.h"\n',
            *texts,
            array("int32_t", "sections", front.sections.ravel()),
            "const ppgnet_front_settings ppgnet_front_constants = {",
            f"    {declared},",
            f"    {braced((*sensors.ppg_range, *sensors.contact))},",
            f"    {braced((*sensors.acc_range, -32768, 32767))},",
            *(f"    {fields.get(name, '{0, 0, 0, 0, 0, 0, 0}')}," for name in ("ppg", "thin", "acc")),
            f"    sections, {float(front.acc_unit).hex()}f, {front.most_marked}",
            "};",
            "",
        ]
    )


def _resampler(made: IntegerResampler, tables: dict[bytes, str], counts: bool) -> str:
    gain = SIGNAL_BITS if counts else 0
    table = tables[made.coefficients.tobytes()]
    return braced((table, made.up, made.down, made.half, made.taps, made.shift, gain))
