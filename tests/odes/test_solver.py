import pytest

from bayesnlme.errors import ModelError
from bayesnlme.odes.solver import Solver


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"method": "euler"}, "unknown method 'euler'. Known: 'auto', 'closed_form', 'expm'"),
        ({"method": "tsit"}, "Did you mean 'tsit5'"),
        ({"method": "rodas5"}, "Did you mean 'rodas5p'"),
        ({"method": None}, "unknown method None"),
        ({"backend": "jax"}, "unknown backend 'jax'. Known: 'numba', 'cvodes', 'scipy', 'sunode'"),
        ({"backend": "cvode"}, "Did you mean 'cvodes'"),
        ({"rtol": 0.0}, "rtol"),
        ({"rtol": "1e-6"}, "rtol"),
        ({"atol": -1e-8}, "atol"),
        ({"atol": float("nan")}, "atol"),
        ({"atol": True}, "atol"),
        ({"max_steps": 0}, "max_steps must be at least 1, not 0"),
        ({"max_steps": 1e5}, "max_steps must be a whole number"),
        ({"threads": 0}, "threads must be at least 1, not 0"),
        ({"threads": -2}, "threads must be at least 1"),
        ({"threads": 2.0}, "threads must be a whole number"),
        ({"threads": True}, "threads must be a whole number"),
        ({"threads": "4"}, "threads must be a whole number"),
    ],
)
def test_refused(options, advice):
    with pytest.raises(ModelError, match=advice):
        Solver(**options)


@pytest.mark.parametrize("backend", ["cvodes", "scipy", "sunode"])
@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"method": "closed_form"}, "'closed_form' is numba's alone"),
        ({"method": "expm"}, "'expm' is numba's alone"),
        ({"threads": 2}, "threads=2 needs backend='numba'"),
    ],
)
def test_only_numba_has_it(backend, options, advice):
    assert Solver(**options).backend == "numba"
    with pytest.raises(ModelError, match=f"{advice}.*{backend}"):
        Solver(**options, backend=backend)


@pytest.mark.parametrize("method", ["auto", "tsit5", "rodas5p"])
@pytest.mark.parametrize("backend", ["numba", "cvodes", "scipy", "sunode"])
def test_methods_that_every_backend_has(method, backend):
    assert Solver(method=method, backend=backend).method == method


def test_round_trip():
    solver = Solver(rtol=1e-7, max_steps=10, threads=3, method="rodas5p")
    assert Solver(**solver.to_dict()) == solver
