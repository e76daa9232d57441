"""`ppg-nas data check PATH` and `ppg-nas data simulate`: look at recordings, or make synthetic ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.terminal.arguments import count, positive_count, positive_number
from nas.terminal.output import print_json, print_table


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the two verbs and their arguments."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser("check", help="say what lies in a folder or file, and what looks wrong")
    check.add_argument("path", type=Path, help="folder or file of recordings")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(execute=check_recordings)
    synthetic = verbs.add_parser("simulate", help="write synthetic recordings as NPZ files")
    synthetic.add_argument("--out", type=Path, required=True, help="new folder for the files")
    synthetic.add_argument("--subjects", type=positive_count, default=12, help="people (default 12)")
    synthetic.add_argument("--minutes", type=positive_number, default=10.0, help="minutes each (default 10)")
    synthetic.add_argument("--task", choices=("heart_rate", "rhythm"), default="heart_rate", help="what is labelled")
    synthetic.add_argument("--population", choices=("plain", "wide", "quiet"), default="plain", help="which people")
    synthetic.add_argument("--seed", type=count, default=0, help="seed (default 0)")
    synthetic.add_argument("--json", action="store_true", help="print JSON")
    synthetic.set_defaults(execute=simulate_recordings)


def check_recordings(options: argparse.Namespace) -> int:
    """Print every finding; exit code 2 when a file could not be read."""
    from hwmodels.basics.errors import InputError
    from nas.evaluation.recording_check import check_path

    findings = [finding.to_dict() for finding in check_path(options.path)]
    if options.json:
        print_json(findings)
    else:
        print_table(findings, ("level", "recording", "check", "message"))
        warnings = sum(finding["level"] == "warning" for finding in findings)
        recordings = sum(finding["check"] == "recording" for finding in findings)
        print(f"{recordings} recordings, {warnings} warnings")
    failed = [finding for finding in findings if finding["level"] == "error"]
    if failed:
        raise InputError(
            f"{options.path}: {len(failed)} of its files cannot be used, such as {failed[0]['recording']}; "
            "mend or remove those marked error"
        )
    return 0


def simulate_recordings(options: argparse.Namespace) -> int:
    """Write one NPZ file per simulated person."""
    from hwmodels.basics.errors import InputError
    from nas.data.loaders.tabular import save_recording
    from nas.data.synthetic import simulate

    out: Path = options.out
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; choose a new folder for simulated recordings")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: the folder is not empty; choose a new one for simulated recordings")
    recordings = simulate(
        options.subjects, options.seed, minutes=options.minutes, task=options.task, population=options.population
    )
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for recording in recordings:
        path = out / f"{recording.name}.npz"
        save_recording(path, recording)
        rows.append({"file": path.name, "subject": recording.subject, "seconds": recording.duration_s})
    if options.json:
        print_json(rows)
    else:
        print_table(rows, ("file", "subject", "seconds"))
    return 0
