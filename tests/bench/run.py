"""Time one log density and gradient of the benchmark models, systems side by side.

    python tests/bench/run.py [--models m1 m2] [--systems bayesnlme numpyro] [--out bench.json]

Every system evaluates the same model at the same sixteen points, in one process and on one
thread. Chunks of the systems take turns, inside each system's own compiled loop, and the figure
is the least CPU time of an evaluation over the chunks: the ratio counts, not the microseconds.
Before timing, the systems' densities are compared at all points; the command fails (exit code
1) where they are not the same posterior.
"""

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import environment  # noqa: F401  (first: single-threaded before anything else loads)
import problem as problems
from effort import Effort, effort_of
from rich.console import Console
from rich.table import Table
from timing import Difference, LogDensity, gradient_microseconds, largest_difference

BUILDERS = {
    "bayesnlme": ("ours", "bayesnlme_density", ("bayesnlme", "pymc", "pytensor", "nutpie")),
    "numpyro": ("peers", "numpyro_density", ("numpyro", "diffrax", "jax")),
}
MODELS = ("m1", "m2", "m3", "m4")
VALUE_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of `bench.json`."""

    model: str
    system: str
    gradient_us: float
    ratio_to_bayesnlme: float | None
    effort: Effort | None = None


def main() -> int:
    """Run the benchmark; return the exit code."""
    options = _options()
    console = Console()
    console.print(_setting(options.systems))
    figures: list[Figure] = []
    same = True
    for name in options.models:
        with console.status(f"{name}: compiling and timing"):
            densities = _densities(name, options.systems)
            difference = _difference(name, densities)
            figures += _figures(name, gradient_microseconds(densities))
        same &= difference is None or difference.value < VALUE_TOLERANCE
        console.print(_comparison(name, difference))
    console.print(_table(figures))
    if "bayesnlme" in options.systems:
        console.print(_work(figures))
    options.out.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    console.print(f"written: {options.out}")
    return 0 if same else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the benchmark models.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--systems", nargs="+", choices=BUILDERS, default=list(BUILDERS))
    parser.add_argument("--out", type=Path, default=Path("bench.json"))
    return parser.parse_args()


def _densities(name: str, systems: list[str]) -> dict[str, LogDensity]:
    problem = problems.load(problems.MODELS / f"{name}.json")
    return {system: _builder(system)(problem) for system in systems}


def _builder(system: str) -> Any:
    module, function, _ = BUILDERS[system]
    return getattr(import_module(module), function)


def _difference(name: str, densities: Mapping[str, LogDensity]) -> Difference | None:
    if len(densities) < 2:
        return None
    first, second = densities.values()
    points = problems.load(problems.MODELS / f"{name}.json").points
    return largest_difference(first, second, points)


def _figures(name: str, microseconds: Mapping[str, float]) -> list[Figure]:
    ours = microseconds.get("bayesnlme")
    return [
        Figure(
            model=name,
            system=system,
            gradient_us=round(each, 3),
            ratio_to_bayesnlme=None if ours is None else round(each / ours, 3),
            effort=effort_of(name) if system == "bayesnlme" else None,
        )
        for system, each in microseconds.items()
    ]


def _comparison(name: str, difference: Difference | None) -> str:
    if difference is None:
        return f"{name}: one system, nothing to compare with"
    verdict = "the same posterior" if difference.value < VALUE_TOLERANCE else "NOT the same"
    return (
        f"{name}: {verdict}; log densities within {difference.value:.1e} relative after a "
        f"constant of {difference.constant:.6g}, gradients within {difference.gradient:.1e}"
    )


def _table(figures: list[Figure]) -> Table:
    table = Table(title="CPU time of one log density and gradient")
    table.add_column("model")
    table.add_column("system")
    table.add_column("microseconds", justify="right")
    table.add_column("ratio to bayesnlme", justify="right")
    for figure in figures:
        ratio = figure.ratio_to_bayesnlme
        shown = "" if ratio is None else f"{ratio:.2f}"
        table.add_row(figure.model, figure.system, f"{figure.gradient_us:.1f}", shown)
    return table


def _work(figures: list[Figure]) -> Table:
    """Set our microseconds against the work that they pay for."""
    table = Table(title="Steps of one log density and gradient in bayesnlme")
    headings = ("right-hand sides", "ns per right-hand side", "steps", "ns per step", "lanes used")
    table.add_column("model")
    for heading in headings:
        table.add_column(heading, justify="right")
    for figure in figures:
        if figure.system == "bayesnlme":
            table.add_row(figure.model, *_effort(figure))
    return table


def _effort(figure: Figure) -> list[str]:
    if figure.effort is None:
        return ["none: exact", "", "", "", ""]
    nanoseconds = 1e3 * figure.gradient_us
    evaluations, steps = figure.effort.evaluations, figure.effort.steps
    return [
        f"{evaluations:.0f}",
        f"{nanoseconds / evaluations:.1f}",
        f"{steps:.0f}",
        f"{nanoseconds / steps:.1f}",
        f"{figure.effort.occupied:.0%}",
    ]


def _setting(systems: list[str]) -> str:
    """Name the processor, the Python and the versions of what is timed."""
    packages = [package for system in systems for package in BUILDERS[system][2]]
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{_processor()}, one thread; Python {platform.python_version()}; {versions}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
