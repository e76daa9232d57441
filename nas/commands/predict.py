"""`ppg-nas predict BUNDLE_OR_RUN RECORDING`: the integer network over recordings, as CSV and picture."""

from __future__ import annotations

import argparse
import csv
import io
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.terminal.arguments import picture_path
from nas.terminal.output import print_json, print_notes, print_table

if TYPE_CHECKING:
    from nas.predict.inference import Inference


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", type=Path, help="folder of a bundle or of a finished run, or: shipped")
    parser.add_argument("recording", type=Path, help="file or folder that the loaders read, or your own CSV")
    parser.add_argument("--track", action="store_true", help="follow the wearer (causal tracker)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write every window as CSV")
    parser.add_argument("--plot", type=picture_path, metavar="FILE", help="draw the trace of one recording")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Predict, write what was asked for, and print one line a recording."""
    from hwmodels.basics.errors import InputError
    from nas.data.remarks import with_remarks
    from nas.data.sources import detect_and_load, reference_of
    from nas.predict.inference import infer, load_network
    from nas.run.run_files import replace_file, write_text

    by_sensors = cache(partial(load_network, options.model))
    if options.track and by_sensors(True)[1] is None:
        raise InputError(f"{options.model}: has no tracker; leave --track out")
    recordings = detect_and_load(options.recording, needs_labels=False)
    print_notes([with_remarks(recording) for recording in recordings])
    if options.plot and len(recordings) != 1:
        raise InputError(f"--plot draws one recording, {options.recording} holds {len(recordings)}")
    found = []
    for recording in recordings:
        model, tracker = by_sensors(recording.acc is not None)
        found.append(infer(model, recording, tracker if options.track else None))
    if options.out:
        write_text(options.out, _csv(found))
    if options.plot:
        figure = _trace(found[0], reference_of(recordings[0].source))
        replace_file(options.plot, lambda path: figure.savefig(path, dpi=130))
    rows = [_summary(one) for one in found]
    if options.json:
        print_json([{**row, "windows": _rows(one)} for row, one in zip(rows, found, strict=True)])
    else:
        table = [{**row, "reasons": _in_words(row["reasons"])} for row in rows]
        print_table(table, tuple(table[0]))
    return 0


def _summary(one: Inference) -> dict[str, Any]:
    """How many windows are valid, why the others are not, and the error where there are labels."""
    judged = {"accuracy": one.accuracy} if one.classes else {"mae_bpm": one.mae_bpm}
    return {
        "recording": one.recording,
        "windows": len(one.time_s),
        "valid": int(one.valid.sum()),
        "reasons": one.reason_counts,
        **judged,
    }


def _in_words(reasons: dict[str, int]) -> str:
    """Such as "uncertain 12, no pulse 5"; windows count under each of their reasons."""
    return ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "-"


def _rows(one: Inference) -> list[dict[str, Any]]:
    """One plain row a window."""
    rows = []
    for index, time_s in enumerate(one.time_s.tolist()):
        row: dict[str, Any] = {"recording": one.recording, "time_s": round(time_s, 3)}
        if one.classes:
            row |= {
                "rhythm": one.classes[int(one.estimate[index])],
                "probability": round(float(one.confidence[index]), 4),
            }
        else:
            row |= {
                "heart_rate_bpm": round(float(one.estimate[index]), 3),
                "expected_error_bpm": round(float(one.confidence[index]), 3),
            }
        rows.append({**row, "valid": bool(one.valid[index]), "reasons": one.reasons(index)})
    return rows


def _csv(found: list[Inference]) -> str:
    stream = io.StringIO()
    rows = [row for one in found for row in _rows(one)]
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "valid": int(row["valid"])} for row in rows)
    return stream.getvalue()


def _trace(one: Inference, measured_with: str) -> Any:
    from hwmodels.basics.errors import InputError
    from nas.report.plots import rate_trace

    if one.classes:
        raise InputError("--plot draws heart rates; this network tells rhythms apart")
    error = "" if one.mae_bpm is None else f", MAE {one.mae_bpm:.1f} BPM"
    title = f"{one.recording}{error}"
    return rate_trace(one.time_s, one.reference_bpm, one.estimate, one.valid, title, measured_with)
