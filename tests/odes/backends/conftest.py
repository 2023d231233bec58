import sys
from contextlib import contextmanager

import pytest

from bayesnlme.odes.backends import cvodes, open_backend, sunode
from bayesnlme.odes.solver import Solver
from tests.odes.backends import fake_sunode as fake
from tests.odes.backends.stretches import ATOL, RTOL


@contextmanager
def _installed(**modules):
    """Put other modules in the place of packages; None for a package that is not there."""

    def forget():
        for each in (sunode._import_sunode, sunode._make_pool, cvodes._sundials):
            each.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        for given, module in modules.items():
            name = given.replace("__", ".")
            for part in [each for each in sys.modules if each.startswith(f"{name}.")]:
                patch.delitem(sys.modules, part)
            patch.setitem(sys.modules, name, module)
        forget()
        yield
    forget()


@pytest.fixture
def installed():
    return _installed


@pytest.fixture
def fake_sunode():
    fake.Solver.made_by.clear()
    with _installed(sunode=fake, sunode__solver=fake.solver):
        yield fake


# sunode 0.6 builds syntax trees in a way that Python 3.12 calls deprecated
REAL = pytest.param("sunode", marks=pytest.mark.filterwarnings("ignore::DeprecationWarning"))
OUTSIDE = ["scipy", "cvodes", "stand-in for sunode", REAL]


@contextmanager
def _importable(name):
    """Give the name of a backend to ask for, or skip where it does not import."""
    if name == "stand-in for sunode":
        with _installed(sunode=fake, sunode__solver=fake.solver):
            yield "sunode"
        return
    if name == "cvodes":
        pytest.importorskip("sundials4py")
    if name == "sunode":
        pytest.importorskip("sunode")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sunode, "_SOLVERS", 2)  # each takes seconds
        yield name


@pytest.fixture(scope="module", params=OUTSIDE)
def backend(request):
    """Name every backend beside numba that imports, and sunode with its stand-in behind it."""
    with _importable(request.param) as name:
        yield name


@pytest.fixture(scope="module", params=["numba", *OUTSIDE])
def any_backend(request):
    """Name these and numba."""
    with _importable(request.param) as name:
        yield name


@pytest.fixture(scope="module", params=["numba", "scipy", "cvodes", REAL])
def integrator(request):
    """Name every backend that imports, without the stand-in."""
    with _importable(request.param) as name:
        yield name


@pytest.fixture(scope="module")
def opened(backend):
    def open_(problem, **options):
        chosen = {"method": "tsit5", "rtol": RTOL, "atol": ATOL} | options
        return open_backend(problem, Solver(**chosen, backend=backend))

    return open_
