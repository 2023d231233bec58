"""CPU seconds from a bare process to a compiled log density, first and from the cache.

    python tests/bench/compiling.py [--models m1 m2]

Every figure is a process of its own: interpreter, imports, building and compiling, of which
the imports are shown apart. "First" starts with an empty cache, so the loop over subjects is
compiled too; for "again" the cache is what "first" left.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
MODELS = ("m1", "m2", "m3", "m4")
RUN = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import environment
import ours, problem
import bayesnlme.inference.nuts
imported = time.process_time()
ours.compiled(problem.load(problem.MODELS / f"{sys.argv[2]}.json"))
print(json.dumps({"imports": imported, "all": time.process_time()}))
"""


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description="Time compiling the benchmark models.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options = parser.parse_args()
    table = Table("model", "cache", "imports", "compiling", "all", title="CPU seconds")
    for model in options.models:
        with tempfile.TemporaryDirectory() as cache:
            for state in ("empty", "filled"):
                spent = _spent(model, cache)
                compiling = spent["all"] - spent["imports"]
                shown = (spent["imports"], compiling, spent["all"])
                table.add_row(model, state, *(f"{each:.1f}" for each in shown))
    Console().print(table)


def _spent(model: str, cache: str) -> dict[str, float]:
    flags = {"PYTENSOR_FLAGS": f"base_compiledir={cache}"}
    command = [sys.executable, "-c", RUN, str(HERE), model]
    done = subprocess.run(
        command, env=os.environ | flags, check=True, capture_output=True, text=True
    )
    spent: dict[str, float] = json.loads(done.stdout)
    return spent


if __name__ == "__main__":
    main()
