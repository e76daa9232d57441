"""The last words of a run: the chosen subnet, what it costs, predicted and verified, and what it achieves."""

from __future__ import annotations

from typing import Any

from nas.output import format_value
from nas.run_directory import RunDirectory

COST_ROWS = (
    ("latency_ms", "latency, ms"),
    ("flash_kb", "flash, KB"),
    ("ram_kb", "RAM, KB"),
    ("energy_mj", "energy, mJ"),
    ("power_mw", "power at one window per 2 s, mW"),
)


def closing_summary(run: RunDirectory) -> dict[str, Any]:
    """Everything `closing_lines` says, and the metrics of every estimator, as JSON."""
    verified = run.summary("verify")
    return {
        "run": str(run.path),
        "chosen": run.summary("finish")["chosen"],
        "arch": verified["arch"],
        "device": run.config.device,
        "predicted": verified["predicted"],
        "verified": verified["measured"],
        "golden_vectors": verified["golden_vectors"],
        "mismatches": verified["mismatches"],
        "validation": run.summary("finish")["validation_errors"],
        "test": run.summary("evaluate"),
        "report": str(run.path / "report.html"),
        "picture": str(run.path / "front.png"),
        "bundle": str(run.subnet(run.summary("finish")["chosen"]) / "export"),
    }


def closing_lines(run: RunDirectory) -> list[str]:
    """The same for people."""
    found = closing_summary(run)
    lines = [
        "",
        f"Chosen subnet {found['chosen']}: {found['arch']}",
        f"on {found['device']}",
        f"{'':32}  {'predicted':>10}  {'on emulator':>11}",
    ]
    for key, name in COST_ROWS:
        predicted, measured = found["predicted"].get(key), found["verified"].get(key)
        lines.append(f"{name:32}  {format_value(predicted):>10}  {format_value(measured):>11}")
    lines.append(
        f"{found['golden_vectors']} golden vectors on the emulated core, "
        f"{found['mismatches']} outputs differ from the interpreter"
    )
    lines += ["", "Held-out test subjects:"]
    lines += [f"  {name}: {format_value(value)}" for name, value in found["test"].items()]
    if any(source.kind == "synthetic" for source in run.config.data.sources):
        lines.append("  (synthetic recordings: these figures say nothing about people)")
    lines += [
        "",
        f"Bundle:  {found['bundle']}",
        f"Report:  {found['report']}",
        f"Picture: {found['picture']}",
    ]
    return lines
