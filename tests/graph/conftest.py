"""Equations solved step by step: left to itself the solver takes linear ones in closed form."""

import pytest

import bayesnlme as bn
from tests.conftest import theophylline_equations, theophylline_model


@pytest.fixture(scope="session")
def ode_population(data):
    return bn.build(theophylline_model(theophylline_equations(method="tsit5")), data)
