"""NONMEM's own concentrations (five digits), by closed form and by integration."""

import numpy as np
import pytest

from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.solver import Solver
from tests.odes.bank_schedule import problem_of, schedule_of
from tests.reference import nonmem

pytestmark = pytest.mark.skipif(not nonmem.DOSING.exists(), reason="development data are not here")


@pytest.mark.parametrize("method", ["closed_form", "expm", "tsit5"])
def test_concentrations_of_nonmem(method):
    subjects = nonmem.dosing_subjects()
    problem = problem_of({"parameters": nonmem.ORAL.parameters, **nonmem.ORAL.text()})
    rows = [values for each in subjects for values in each.parameters]
    parameters = np.array([[row[name] for name in problem.parameters] for row in rows])
    schedule = schedule_of(problem, [(each.table, len(each.parameters)) for each in subjects])
    kernel = compiled_kernel(problem, Solver(method=method), sensitivities=False)
    prediction, stop = kernel(parameters, *schedule), 0
    for each in subjects:
        start, stop = stop, stop + len(each.concentration)
        np.testing.assert_allclose(
            prediction[start:stop], each.concentration, rtol=5e-4, atol=1e-3, err_msg=each.name
        )
