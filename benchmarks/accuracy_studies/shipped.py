"""The networks that come with the program, on real recordings, none of which they were trained on.

Through `infer`, as `ppg-nas predict shipped` does. With --train, one is first trained anew from the simulated people
of its configuration, of whom a fifth only limit what counts as valid; with --cards, the cards are written again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.integer_training import MIDDLE, trained_integers
from benchmarks.support.left_out import SIMULATED_ALONE, Split, load_parts, sides_of
from benchmarks.support.markdown import table
from hwmodels.basics.shipped import shipped_folder
from hwmodels.firmware.tracker import save_tracker
from hwmodels.network.integer_model import HeartRateSettings, InputSettings
from hwmodels.network.model_file import save_model
from nas.assembly.graph_costs import graph_cost
from nas.data.loader import LOADERS
from nas.data.recording import Recording
from nas.data.sources import load_source
from nas.evaluation.metrics import heart_rate_metrics
from nas.evaluation.verdict import FAR_BPM
from nas.predict.inference import infer
from nas.predict.shipped import CARD, MODEL, PULSE_ALONE, TRACKER, WITH_ACCELEROMETER, Shipped
from nas.run.config import load_config
from nas.run.processor import take
from nas.run.run_files import write_text
from supernet.space.arch import parse_arch

_CONFIGS = {WITH_ACCELEROMETER: "shipped", PULSE_ALONE: "shipped-ppg"}
_ARCHS = {WITH_ACCELEROMETER: MIDDLE, PULSE_ALONE: MIDDLE.replace("ppg_acc", "ppg")}
_NAMES = tuple(_ARCHS)
_SETS = {
    "BAMI-1": ("bami", "bami/BAMI-1", None),
    "IEEE SPC, training records": ("ieee_spc", "ieee_spc", ("training",)),
    "IEEE SPC, extra and test records": ("ieee_spc", "ieee_spc", ("extra", "test")),
    "Wrist PPG During Exercise": ("wrist_exercise", "wrist_exercise", None),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks shipped`."""
    parser.add_argument("--data", type=Path, help="folder of the recordings (default: PPG_DATA, else .)")
    parser.add_argument("--train", action="append", default=[], choices=_NAMES, help="train this one (repeatable)")
    parser.add_argument("--cards", action="store_true", help="write the cards again")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """A row for each network and set at hand; see the module's first lines."""
    for name in options.train:
        _train(name)
    data = options.data or Path(os.environ.get("PPG_DATA", "."))
    rows = [_row(Shipped(name), tested, list(people)) for name in _NAMES for tested, people in _sets(data)]
    if options.cards:
        for name in _NAMES:
            own = [{k: v for k, v in row.items() if k != "network"} for row in rows if row["network"] == name]
            write_text(Shipped(name).folder / CARD, _card(Shipped(name), own))
    return {"rows": rows}


def document_table(result: dict[str, Any]) -> str:
    """The rows in Markdown."""
    return table(list(result["rows"][0]), [[str(value) for value in row.values()] for row in result["rows"]])


def _sets(data: Path) -> Iterator[tuple[str, Iterator[Recording]]]:
    """The sets that lie in `data`, by name, with their recordings."""
    for name, (kind, folder, splits) in _SETS.items():
        if LOADERS[kind].find(data / folder):
            yield name, iter(load_source(kind, data / folder, splits))


def _row(shipped: Shipped, tested: str, recordings: list[Recording]) -> dict[str, Any]:
    """Figures of one network on one set, of windows with a label."""
    model, tracker = shipped.load()
    found: dict[str, list[Any]] = {"estimate": [], "tracked": [], "reference": [], "valid": [], "subject": []}
    for recording in recordings:
        given = recording if shipped.name == WITH_ACCELEROMETER else replace(recording, acc=None)
        one, tracked = infer(model, given), infer(model, given, tracker)
        known = np.isfinite(one.reference_bpm)
        for name, values in (
            ("estimate", one.estimate),
            ("tracked", tracked.estimate),
            ("reference", one.reference_bpm),
            ("valid", one.valid),
        ):
            found[name].append(values[known])
        found["subject"].append(np.full(int(known.sum()), recording.subject))
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    people = arrays["reference"], arrays["subject"]
    plain = heart_rate_metrics(arrays["estimate"], *people, valid=arrays["valid"])
    far = np.abs(arrays["estimate"] - arrays["reference"]) > FAR_BPM
    return {
        "network": shipped.name,
        "tested on": tested,
        "people": plain.subjects,
        "MAE, BPM": str(plain.mae_bpm),
        "tracked": str(heart_rate_metrics(arrays["tracked"], *people).mae_bpm),
        "valid": _percent(arrays["valid"]),
        "valid, but off by > 10 BPM": _percent(far[arrays["valid"]]),
        "off by > 10 BPM": _percent(far),
    }


def _percent(mask: np.ndarray) -> str:
    return f"{100 * mask.mean():.1f} %" if mask.size else "-"


def _train(name: str) -> None:
    """Train one and put it into the package's data."""
    config = load_config(_CONFIGS[name])
    take(config)
    parts = load_parts(config, Path())
    simulated = tuple(part.name for part in parts)
    sides = sides_of(Split(name, SIMULATED_ALONE, simulated, simulated), parts, config)
    arch = parse_arch(_ARCHS[name])
    model, tracker = trained_integers(config, arch, sides.training, sides.validation, name)
    folder = shipped_folder() / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder / MODEL)
    save_tracker(tracker, folder / TRACKER)


def _card(shipped: Shipped, rows: list[dict[str, Any]]) -> str:
    """The card of one network: what it is, what it was trained of, how it did, what it cannot do."""
    model, _ = shipped.load()
    assert isinstance(model.head, HeartRateSettings) and model.head.max_spread_bpm is not None
    cost = graph_cost(model.graph, "cortex-m7-64mhz")
    figures = (
        table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]) if rows else "Not measured."
    )
    return _TEXT.format(
        name=shipped.name,
        arch=_ARCHS[shipped.name],
        config=_CONFIGS[shipped.name],
        reads=_reads(model.input),
        steps=2 * model.graph.remembered_steps,
        parameters=model.graph.parameter_count,
        state=model.graph.state_bytes,
        limit=model.head.max_spread_bpm,
        figures=figures,
        **cost,
    )


def _reads(settings: InputSettings) -> str:
    return "PPG and a three-axis accelerometer" if settings.sensors == "ppg_acc" else "PPG alone"


_TEXT = """\
# {name}
Heart rate from {reads}, every 2 s, from windows of 8 s and what it remembers of the {steps} s before.
int8, {parameters} parameters; the network takes {latency_ms} ms, {flash_kb} KB of flash and {ram_kb} KB of RAM on a
Cortex-M7 of 64 MHz (model), of which {state} bytes are its memory of earlier windows.

- **Trained of** simulated people alone, on their labels: `python -m benchmarks shipped --train {name} --cards`
  (configs/{config}.yaml). No recording of anybody was trained on. The simulator's ranges were
  widened while looking at the sets below, so that they flatter it somewhat. Its licence is the program's.
- **Architecture**: near the middle of the space `context`, not searched: `{arch}`.
- **Valid** means that its expected error is at most {limit:g} BPM, the largest limit at which, on simulated
  strangers and on noise, at most 2 % of what is valid is more than 10 BPM off.

## Tested on real people
Means over people with 95 % intervals. Regenerated by `python -m benchmarks shipped --cards`.

{figures}

## Limits
It knows healthy hearts in sinus rhythm between 35 and 220 BPM. With other rhythms, with tattoos or cold hands, and with
sensors unlike a reflective wrist PPG, nobody has tested it. It is no medical device.
"""
