"""`python -m tests.fuzz [TARGET ...] --inputs 100000`: damaged inputs read in bounded memory, failures listed."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from tests.fuzz.targets import TARGETS, fuzz


def main() -> int:
    """Fuzz the wanted targets; exit code 1 when an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], default=[], metavar="TARGET")
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory-gb", type=float, default=4.0, help="address space of the process")
    parser.add_argument("--keep", type=Path, help="folder for inputs that failed")
    options = parser.parse_args()
    most = int(options.memory_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    failed = 0
    for name in options.targets or TARGETS:
        begun = time.perf_counter()
        outcome = fuzz(name, options.inputs, options.seed, options.keep)
        seconds = round(time.perf_counter() - begun, 1)
        print(json.dumps({"target": name, **outcome.row(), "seconds": seconds}), flush=True)
        for failure in (outcome.failures or [])[:20]:
            print(f"  {failure}", file=sys.stderr)
        failed += len(outcome.failures or [])
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
