"""The last words of a run: the chosen subnet, what it costs, predicted and verified, and what it achieves."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from textwrap import wrap
from typing import Any

from nas.report.comparison import comparison_lines, training_line
from nas.run.carried import relative
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest
from nas.terminal.output import format_value

COST_ROWS = (
    ("latency_ms", "latency, ms"),
    ("flash_kb", "flash, KB"),
    ("ram_kb", "RAM, KB"),
    ("energy_mj", "energy, mJ"),
    ("power_mw", "power at one window per 2 s, mW"),
)
STAGES = ("prepare", "profile", "teacher", "supernet", "search", "finish", "verify", "evaluate", "report")


def closing_summary(run: RunDirectory) -> dict[str, Any]:
    """Everything `closing_lines` says, all metrics on test subjects, and what they were made with."""
    verified, finished = run.summary("verify"), run.summary("finish")
    stamps = {stage: stamp for stage in STAGES if (stamp := run.stamp(stage))}
    return {
        "run": str(run.path),
        "task": run.config.task.kind,
        "is_synthetic": is_synthetic(run),
        "chosen": finished["chosen"],
        "arch": verified["arch"],
        "device": run.device().name,
        "predicted": verified["predicted"],
        "verified": verified["measured"],
        "preparation": verified["preparation"],
        "golden_vectors": verified["golden_vectors"],
        "mismatches": verified["mismatches"],
        "validation": finished["validation_errors"],
        "test": run.summary("evaluate"),
        "metrics": run.json("evaluation", "results.json"),
        "seed": run.config.seed,
        "fold": f"{run.config.data.fold} of {run.config.data.folds}",
        "config_digest": digest(relative(run.config).model_dump(mode="json")),
        **made_with(),
        "seconds_by_stage": {stage: stamp.seconds for stage, stamp in stamps.items()},
        "seconds": round(sum(stamp.seconds for stamp in stamps.values()), 1),
        "report": str(run.path / "report.html"),
        "picture": str(run.path / "front.png"),
        "bundle": str(run.subnet(finished["chosen"]) / "export"),
    }


def made_with() -> dict[str, str]:
    """Code version and hardware, as result files state them."""
    return {"version": version("ppg-nas"), "hardware": f"{platform.machine()}, {os.cpu_count()} cores"}


def is_synthetic(run: RunDirectory) -> bool:
    """Whether the people of the tests are simulated: beside real ones, simulated people only train."""
    return all(source.kind == "synthetic" for source in run.config.data.sources)


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
    lines.append(f"Making the input of a window, besides: {found['preparation']['latency_ms']:.2f} ms")
    lines.append(
        f"{found['golden_vectors']} golden vectors on the emulated core, "
        f"{found['mismatches']} outputs differ from the interpreter"
    )
    lines += ["", "Held-out test subjects:"]
    lines += [f"  {name}: {format_value(value)}" for name, value in sorted(found["test"].items())]
    said = comparison_lines(found["metrics"])
    said.append(training_line(run.config.finish.fine_tuning.epochs, run.config.finish.quantization.epochs))
    lines += ["", *(line for sentence in said for line in wrap(sentence, 100))]
    if found["is_synthetic"]:
        lines.append("  (synthetic recordings: these figures say nothing about people)")
    lines.append("")
    lines += [f"{name.capitalize() + ':':9}{found[name]}" for name in ("bundle", "report", "picture")]
    return lines
