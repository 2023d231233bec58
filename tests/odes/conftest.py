from types import SimpleNamespace

import pytest

from bayesnlme.math import exp
from bayesnlme.odes import linking
from bayesnlme.odes.op import compiled_kernel
from bayesnlme.odes.schedule import Kind, Schedule
from bayesnlme.odes.solver import Solver
from bayesnlme.odes.trace import trace
from tests.odes.bank_schedule import as_arrays

RECORD = tuple(name for name in Schedule._fields if name.startswith("record_"))[1:]


def _schedule(*subjects, start=None):
    """Every subject is a list of rows in the order of its table.

    Rows are ("dose", time, amount, rate, compartment), ("steady", time, amount, rate,
    compartment, interval), ("reset", time), ("see", time, output), and ("row", time): from here
    on the next row of parameters is in force.
    """
    columns = {name: [] for name in Schedule._fields}
    for name in ("record_offsets", "observation_offsets", "pair_offsets"):
        columns[name].append(0)
    row = -1
    for rows in subjects:
        row += 1
        first = row
        columns["start_time"].append(min(each[1] for each in rows) if start is None else start)
        columns["start_row"].append(first)
        for place, (word, time, *rest) in enumerate(rows):
            if word == "see":
                columns["pair_row"] += range(first, row + 1)
                columns["pair_offsets"].append(len(columns["pair_row"]))
                columns["observation_time"].append(time)
                columns["observation_output"].append(rest[0] if rest else 0)
                columns["observation_order"].append(2 * place)
                continue
            row += word == "row"
            amount, rate, compartment, interval = (*rest, *(0.0, 0.0, 0, 0.0)[len(rest) :])
            given = Kind.INFUSION if rate > 0 else Kind.BOLUS
            kind = {"reset": Kind.RESET, "row": Kind.ROW}.get(word, given)
            steady = int(word == "steady")
            order = 2 * place
            entry = (time, kind, compartment, amount, rate, interval, steady, row, order)
            for name, value in zip(RECORD, entry, strict=True):
                columns[name].append(value)
        columns["record_offsets"].append(len(columns["record_time"]))
        columns["observation_offsets"].append(len(columns["observation_time"]))
    return as_arrays(columns)


@pytest.fixture(scope="session")
def schedule():
    return _schedule


@pytest.fixture(scope="session")
def oral():
    return trace(
        lambda t, y, p: {
            "depot": -p.ka * y.depot,
            "central": p.ka * y.depot - p.CL / p.V * y.central,
        },
        states=("depot", "central"),
        initial=None,
        outputs={"conc": lambda t, y, p: y.central / p.V},
    )


@pytest.fixture(scope="session")
def oral_kernel(oral):
    return compiled_kernel(oral, Solver(rtol=1e-8, atol=1e-10), sensitivities=True)


@pytest.fixture(scope="session")
def saturable():
    def rhs(t, y, p):
        conc = y.central / p.V
        return {"depot": -p.ka * y.depot, "central": p.ka * y.depot - p.Vmax * conc / (p.Km + conc)}

    return trace(
        rhs,
        states=("depot", "central"),
        initial=None,
        outputs={"conc": lambda t, y, p: y.central / p.V},
    )


@pytest.fixture(scope="session")
def turnover():
    def rhs(t, y, p):
        conc = y.central / p.V
        effect = conc**p.gamma / (p.IC50**p.gamma + conc**p.gamma)
        return {
            "central": -p.CL * conc,
            "response": p.kin * (1 - effect) * (1 + 0.1 * exp(-t)) - p.kout * y.response,
        }

    return trace(
        rhs,
        states=("central", "response"),
        initial={"response": lambda p: p.kin / p.kout},
        outputs={"conc": lambda t, y, p: y.central / p.V, "response": lambda t, y, p: y.response},
    )


@pytest.fixture(scope="session")
def turnover_kernel(turnover):
    return compiled_kernel(turnover, Solver(), sensitivities=True)


def cache_in(place, patch):
    config = SimpleNamespace(base_compiledir=str(place))
    patch.setattr(linking, "pytensor", SimpleNamespace(config=config))


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """Let nothing of these tests stay in the cache of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        cache_in(tmp_path_factory.mktemp("cache"), patch)
        yield
