"""How cost grows with the number of subjects, and memory with the number of evaluations.

    python tests/bench/scale.py [--models m1 m3] [--subjects 10 100 1000 10000]

The subjects of a benchmark model are repeated under new ids. Every size is a process of its own,
so that its largest memory is its own: after compiling, and after as many evaluations of the log
density with gradient as fill a second, and ten times as many.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import environment  # noqa: F401  (first: single-threaded before anything else loads)
import ours
import problem as problems
from rich.console import Console
from rich.table import Table

MODELS = ("m1", "m2", "m3", "m4")


def main() -> None:
    """Print a row for each model and size."""
    parser = argparse.ArgumentParser(description="Time the benchmark models with more subjects.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["m1", "m3"])
    parser.add_argument("--subjects", nargs="+", type=int, default=[10, 100, 1000, 10_000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(json.dumps(_measured(options.one[0], int(options.one[1]))))
        return
    table = Table("model", "subjects", "compiling, s", "gradient, µs", "µs per subject")
    for heading in ("memory, MiB", "after 1 s", "after 10 s"):
        table.add_column(heading, justify="right")
    for model in options.models:
        for n in options.subjects:
            command = [sys.executable, __file__, "--one", model, str(n)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            table.add_row(model, str(n), *_shown(json.loads(said), n))
    Console().print(table)


def _shown(row: dict[str, Any], n: int) -> list[str]:
    each = row["gradient_us"]
    return [
        f"{row['compiling_s']:.1f}",
        f"{each:.0f}",
        f"{each / n:.2f}",
        *(f"{size:.0f}" for size in row["memory_mib"]),
    ]


def _measured(name: str, n: int) -> dict[str, Any]:
    problem = ours.enlarged(problems.load(problems.MODELS / f"{name}.json"), n)
    start = time.process_time()
    density = ours.bayesnlme_density(problem)
    compiling, memory = time.process_time() - start, [_memory()]
    density.sweep(1)
    count, spent = 1, 0.0
    while spent < 0.5:
        count *= 4
        start = time.process_time()
        density.sweep(count)
        spent = time.process_time() - start
    each = spent / count
    for seconds in (1, 10):
        density.sweep(max(1, int(seconds / each)))
        memory.append(_memory())
    return {"compiling_s": compiling, "gradient_us": 1e6 * each, "memory_mib": memory}


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
