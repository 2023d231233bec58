import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.gradient import NullTypeGradError, verify_grad
from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key

from bayesnlme.odes import op as module
from bayesnlme.odes.digest import sources_digest
from bayesnlme.odes.op import PopulationSolve, solve_key, solve_population
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.solver import Solver

SOLVER = Solver(rtol=1e-8, atol=1e-10)
PARAMETERS = np.array([[1.3, 2.7, 31.0], [0.9, 3.5, 25.0]])


@pytest.fixture(scope="module")
def arrays(schedule):
    rows = [("dose", 0.0, 320.0), *(("see", t) for t in (0.5, 2.0, 9.0)), ("dose", 10.0, 40.0)]
    return schedule([*rows, ("see", 12.0)], rows)


@pytest.fixture(scope="module")
def graph(oral, arrays):
    parameters = pt.dmatrix("parameters")
    inputs = {name: pytensor.shared(array, name=name) for name, array in arrays._asdict().items()}
    return parameters, solve_population(oral, SOLVER, parameters, inputs)


def solves(function):
    nodes = function.maker.fgraph.apply_nodes
    return [node.op for node in nodes if isinstance(node.op, PopulationSolve)]


@pytest.fixture(scope="module")
def value_and_gradient(graph):
    parameters, prediction = graph
    loss = (prediction**2).sum()
    with pytensor.config.change_flags(numba__fastmath=False):
        return pytensor.function([parameters], [loss, pytensor.grad(loss, parameters)])


def test_one_solve_gives_value_and_gradient(value_and_gradient):
    assert [op.sensitivities for op in solves(value_and_gradient)] == [True]


def test_values_alone_take_the_cheaper_solve(graph):
    parameters, prediction = graph
    function = pytensor.function([parameters], prediction.sum(), mode=Mode("py", "fast_run"))
    assert [op.sensitivities for op in solves(function)] == [False]


def test_one_solve_is_run(graph, value_and_gradient, monkeypatch):
    parameters, prediction = graph
    loss = (prediction**2).sum()
    calls = []
    perform = PopulationSolve.perform

    def counted(self, *given):
        calls.append(self.sensitivities)
        return perform(self, *given)

    monkeypatch.setattr(PopulationSolve, "perform", counted)
    function = pytensor.function(
        [parameters], [loss, pytensor.grad(loss, parameters)], mode=Mode("py", "fast_run")
    )
    interpreted, compiled = function(PARAMETERS), value_and_gradient(PARAMETERS)
    assert calls == [True]
    np.testing.assert_allclose(interpreted[0], compiled[0], rtol=1e-14)
    np.testing.assert_allclose(interpreted[1], compiled[1], rtol=1e-13)


def test_gradient(graph, arrays, oral):
    _, prediction = graph
    op = prediction.owner.op
    weights = pt.as_tensor(np.linspace(0.5, 2, len(arrays.observation_time)))

    def weighted(log_parameters):
        return (weights * op(pt.exp(log_parameters), *arrays)).sum()

    verify_grad(
        weighted, [np.log(PARAMETERS)], rng=np.random.default_rng(2), eps=1e-4, rel_tol=1e-5
    )


def test_shapes_are_known_without_solving(graph):
    parameters, prediction = graph
    function = pytensor.function([parameters], prediction.shape, on_unused_input="ignore")
    assert not solves(function)
    np.testing.assert_array_equal(function(PARAMETERS), [7])


def test_second_derivatives_are_refused(graph):
    parameters, prediction = graph
    gradient = pytensor.grad(prediction.sum(), parameters)
    with pytest.raises(NullTypeGradError, match="first derivatives alone"):
        pytensor.grad(gradient.sum(), parameters)


def test_gradient_by_dose_times_is_refused(oral, arrays):
    amount = pt.dvector("amount")
    inputs = arrays._asdict() | {"record_amount": amount}
    loss = solve_population(oral, SOLVER, pt.as_tensor(PARAMETERS), inputs).sum()
    with pytest.raises(NullTypeGradError):
        pytensor.grad(loss, amount)


def test_pickle_keeps_the_identity(oral):
    op = PopulationSolve(oral, SOLVER)
    again = pickle.loads(pickle.dumps(op))  # noqa: S301
    assert again == op
    assert hash(again) == hash(op)
    assert again != PopulationSolve(oral, SOLVER, sensitivities=False)


def test_key_follows_equations_and_options(oral):
    key = solve_key(oral, SOLVER)
    other = problem_from_text(
        rhs={"depot": "-ka*depot", "central": "ka*depot - CL/V*central"},
        outputs={"conc": "2*central/V"},
    )
    same = problem_from_text(**oral.to_dict())
    assert solve_key(same, Solver(rtol=1e-8, atol=1e-10)) == key
    assert solve_key(other, SOLVER) != key
    assert solve_key(oral, Solver(rtol=1e-8, atol=1e-9)) != key
    assert solve_key(oral, Solver(rtol=1e-8, atol=1e-10, max_steps=7)) != key


def test_key_follows_the_sources_of_the_solver(oral, monkeypatch, tmp_path):
    before = solve_key(oral, SOLVER)
    source = Path(module.__file__)
    (tmp_path / "a.py").write_bytes(source.read_bytes())
    first = sources_digest([tmp_path / "a.py"])
    (tmp_path / "a.py").write_bytes(source.read_bytes() + b"\n")
    assert sources_digest([tmp_path / "a.py"]) != first
    monkeypatch.setattr(module, "solver_sources", lambda: first)
    assert solve_key(oral, SOLVER) != before
    monkeypatch.setattr(module, "KERNEL_VERSION", 1000)
    assert solve_key(oral, SOLVER) != before


def test_cache_key_tells_values_from_sensitivities(oral, graph):
    node = graph[1].owner
    keys = {
        numba_funcify_and_cache_key(op, node=node)[1]
        for op in (node.op, PopulationSolve(oral, SOLVER, sensitivities=False))
    }
    assert len(keys) == 2
    assert None not in keys


PROGRAM = """
import sys, time
import numpy as np, pytensor, pytensor.tensor as pt
from bayesnlme.odes.op import solve_population
from bayesnlme.odes.problem import problem_from_text
from bayesnlme.odes.schedule import Schedule
from bayesnlme.odes.solver import Solver
problem = problem_from_text(
    rhs={"y": "-Vmax*y/(Km + y)"}, outputs={"signal": "y**gamma"}, initial={"y": "y0"}
)
times = np.linspace(0, 9, 7)
arrays = dict.fromkeys(Schedule._fields, np.zeros(0, np.int64)) | {
    "start_time": np.zeros(1), "start_row": np.zeros(1, np.int64),
    "record_offsets": np.zeros(2, np.int64), "observation_offsets": np.array([0, 7]),
    "observation_time": times, "observation_output": np.zeros(7, np.int64),
    "observation_order": np.arange(7), "pair_offsets": np.arange(8),
    "pair_row": np.zeros(7, np.int64),
}
theta = pt.dmatrix()
loss = pt.log(solve_population(problem, Solver(), theta, arrays)).sum()
with pytensor.config.change_flags(numba__fastmath=False):
    f = pytensor.function([theta], [loss, pytensor.grad(loss, theta)])
    begin = time.process_time()
    value, gradient = f(np.array([[3.1, 0.7, 1.3, 11.0]]))
print(float(value).hex(), *(float(g).hex() for g in gradient[0]))
print(time.process_time() - begin, file=sys.stderr)
"""


@pytest.mark.slow
def test_same_bits_from_cold_and_warm_cache(tmp_path):
    environment = {"HOME": str(tmp_path), "PYTENSOR_FLAGS": f"base_compiledir={tmp_path}"}
    runs = [
        subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-c", PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(3)
    ]
    assert len({run.stdout for run in runs}) == 1
    cold, *warm = (float(run.stderr.splitlines()[-1]) for run in runs)
    assert max(warm) < cold / 2
