import pytest

from bayesnlme.errors import ModelError
from bayesnlme.odes.solver import Solver


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"method": "rodas5p"}, "not available yet"),
        ({"method": "euler"}, "unknown method"),
        ({"method": "tsit"}, "Did you mean 'tsit5'"),
        ({"backend": "sunode"}, "not available yet"),
        ({"backend": "cvodes"}, "not available yet"),
        ({"backend": "scipy"}, "not available yet"),
        ({"backend": "jax"}, "unknown backend"),
        ({"rtol": 0.0}, "rtol"),
        ({"rtol": "1e-6"}, "rtol"),
        ({"atol": -1e-8}, "atol"),
        ({"atol": float("nan")}, "atol"),
        ({"atol": True}, "atol"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_steps": 1e5}, "max_steps"),
    ],
)
def test_refused(options, advice):
    with pytest.raises(ModelError, match=advice):
        Solver(**options)


def test_round_trip():
    solver = Solver(rtol=1e-7, max_steps=10)
    assert Solver(**solver.to_dict()) == solver
