"""Stage 6: the best of the front are fine-tuned and quantized; validation decides which one goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.assembly.choice import arch_of
from nas.compress.finish import compared_files, finish_subnet, finished_files, train_float_as_long
from nas.run.run_directory import RunDirectory

NAME = "finish"
NEEDS: tuple[str, ...] = ("prepare", "teacher", "supernet", "search")


def inputs(run: RunDirectory) -> object:
    """The finishing section."""
    return run.config.finish.model_dump()


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The networks of the chosen subnet."""
    chosen = str(run.summary(NAME)["chosen"])
    return (*finished_files(run, chosen), *compared_files(run, chosen))


def execute(run: RunDirectory) -> dict[str, Any]:
    """Finish the candidates that the search named; the lowest int8 validation error is chosen."""
    candidates = run.summary("search")["candidates"]
    errors = {arch_id: finish_subnet(run, arch_of(run, arch_id)) for arch_id in candidates}
    chosen = min(candidates, key=lambda arch_id: errors[arch_id]["int8"])
    as_long = train_float_as_long(run, arch_of(run, chosen))
    if as_long is not None:
        errors[chosen]["float_as_long"] = as_long
    return {
        "chosen": chosen,
        "validation_errors": errors,
        **{f"validation_{step}": value for step, value in errors[chosen].items()},
    }
