"""CPU seconds of the likelihood estimators after compiling, and of one evaluation of each.

    python tests/bench/estimators.py

Theophylline in closed form, as equations that are found to be linear, and as equations taken in
steps. An evaluation is the value with its slope in all parameters, modes found from those before;
SAEM has none. A fit begins at the numbers of the model.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))

import bayesnlme as bn
from bayesnlme.inference.maximise import Objective, maximise
from bayesnlme.inference.saem import run_saem
from bayesnlme.marginal.conditional import Conditional
from tests.conftest import theophylline_equations, theophylline_model

STRUCTURES = {
    "closed form": None,
    "equations, exactly": theophylline_equations(),
    "equations, by steps": theophylline_equations(method="tsit5"),
}
METHODS = {
    "FO": bn.FO(),
    "FOCE": bn.FOCE(interaction=False),
    "FOCEI": bn.FOCE(),
    "Laplace": bn.Laplace(),
    "Quadrature, 5 points": bn.Quadrature(points=5),
}
TIMES = 20


def main() -> None:
    """Print a row for each structure and method."""
    data = bn.datasets.theophylline()
    table = Table("structure", "method", "evaluation, ms", "fit, s", title="CPU after compiling")
    for title, structure in STRUCTURES.items():
        population = bn.build(theophylline_model(structure), data)
        for name, method in METHODS.items():
            approximation = method.approximations(population)[-1]
            conditional = approximation.conditional
            found = approximation.at(conditional.start)
            one = _seconds(lambda a=approximation, f=found: _repeated(a, f))
            objective = Objective(approximation=approximation, weights=np.ones(data.n_subjects))
            fit = _seconds(lambda o=objective, c=conditional: maximise(o, c.start))
            table.add_row(title, name, f"{1e3 * one / TIMES:.2f}", f"{fit:.2f}")
        conditional = Conditional(population)
        run_saem(conditional, bn.SAEM(burn_in=2, smoothing=20), seed=1)
        fit = _seconds(lambda c=conditional: run_saem(c, bn.SAEM(), seed=1))
        table.add_row(title, "SAEM", "", f"{fit:.2f}")
    Console().print(table)


def _repeated(approximation: object, found: object) -> None:
    for _ in range(TIMES):
        approximation.at(approximation.conditional.start + 1e-3, found.modes.z)


def _seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    main()
