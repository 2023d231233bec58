"""Opening a backend: what is missing, and what sunode's threads and processes need."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from bayesnlme.errors import ModelError
from bayesnlme.odes.backends import open_backend, sunode
from bayesnlme.odes.solver import Solver
from tests.odes.backends.stretches import EXPLOSION, ORAL, stretch

GIVEN = stretch(ORAL, [1.2, 0.15, 3.0], [10.0, 2.0], (1.0, 3.0))


@pytest.mark.parametrize(
    ("name", "package", "command"),
    [
        ("cvodes", "sundials4py", r"pip install bayesnlme\[cvodes\]"),
        ("sunode", "sunode", "conda install -c conda-forge sunode"),
    ],
)
def test_not_installed(installed, name, package, command):
    with (
        installed(**{package: None}),
        pytest.raises(ModelError, match=f"backend='{name}' cannot be imported.*{command}"),
    ):
        open_backend(ORAL, Solver(backend=name))


def test_sundials4py_without_a_function(installed):
    empty = SimpleNamespace(core=SimpleNamespace(), cvodes=SimpleNamespace())
    parts = {"sundials4py__core": empty.core, "sundials4py__cvodes": empty.cvodes}
    with (
        installed(sundials4py=empty, **parts),
        pytest.raises(ModelError, match=r"lacks core\..*cvodes\.CVode,.*pip install"),
    ):
        open_backend(ORAL, Solver(backend="cvodes"))


def test_numba_has_another_door():
    with pytest.raises(ModelError, match="'numba' does not integrate by stretches"):
        open_backend(ORAL, Solver())


def test_opened_once(fake_sunode):
    """Solvers are made by the thread that opens, and shared by what is opened again."""
    opened = []
    thread = threading.Thread(
        target=lambda: opened.append(open_backend(ORAL, Solver(backend="sunode")))
    )
    thread.start()
    thread.join()
    open_backend(ORAL, Solver(backend="sunode"))
    assert len(opened) == 1
    assert fake_sunode.Solver.made_by == [thread.ident] * sunode._SOLVERS
    open_backend(ORAL, Solver(backend="sunode", rtol=1e-5))
    assert len(fake_sunode.Solver.made_by) == 2 * sunode._SOLVERS


def test_a_solver_serves_one_thread(fake_sunode):
    """More threads than solvers; the stand-in objects when two threads share one."""
    backend = open_backend(ORAL, Solver(backend="sunode", rtol=1e-4))
    with ThreadPoolExecutor(3 * sunode._SOLVERS) as threads:
        found = list(threads.map(backend.integrate, [GIVEN] * 6 * sunode._SOLVERS))
    assert len(fake_sunode.Solver.made_by) == sunode._SOLVERS
    assert all(np.isfinite(states).all() for states, _ in found)


def test_a_solver_comes_back_after_a_failure(fake_sunode):
    backend = open_backend(EXPLOSION, Solver(backend="sunode", method="tsit5"))
    for _ in range(sunode._SOLVERS + 1):
        failed = backend.integrate(stretch(EXPLOSION, [1.0], [1.0], (0.5, 2.0)))
        assert all(np.isnan(each).all() for each in failed)
    good = backend.integrate(stretch(EXPLOSION, [1.0], [1.0], (0.5,)))
    np.testing.assert_allclose(good[0], 2.0, rtol=1e-4)


def test_another_process_opens_anew(fake_sunode, monkeypatch):
    """A fork keeps the object, and nothing of the solvers behind it."""
    backend = open_backend(ORAL, Solver(backend="sunode", rtol=1e-4))
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    with ThreadPoolExecutor(1) as thread, pytest.raises(ModelError, match="main thread"):
        thread.submit(backend.integrate, GIVEN).result()
    assert len(fake_sunode.Solver.made_by) == sunode._SOLVERS
    assert np.isfinite(backend.integrate(GIVEN)[0]).all()
    assert len(fake_sunode.Solver.made_by) == 2 * sunode._SOLVERS


@pytest.mark.parametrize(
    ("columns", "slots", "rounds"),
    [
        ([], 2, [{}]),
        ([0, 1], 2, [{0: 0, 1: 1}]),
        ([-1, 1], 2, [{1: 1, 0: 0}]),
        ([1, 1], 2, [{1: 0}, {1: 1}]),
        ([-1, -1, -1, 0], 2, [{0: 3, 1: 0}, {0: 1, 1: 2}]),
    ],
)
def test_columns_share_the_slots(columns, slots, rounds):
    assert sunode._share_out(np.array(columns, dtype=np.int64), slots) == rounds
