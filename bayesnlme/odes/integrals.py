"""Integrals of outputs over time, as further states of a problem."""

from collections.abc import Mapping
from dataclasses import replace

import sympy

from bayesnlme.odes.continuity import check_continuous
from bayesnlme.odes.problem import Problem, check_names
from bayesnlme.odes.text import symbol


def with_integrals(problem: Problem, names: Mapping[str, str]) -> Problem:
    """Add states that are outputs integrated over time, from 0 at the first record.

    Parameters
    ----------
    problem : Problem
        The equations.
    names : mapping of str to str
        By output, what its integral is called: a state, and an output that is that state.

    Raises
    ------
    ModelError
        If a name means something already, or such an output may jump where a parameter or a
        state says.
    """
    flows = [problem.readouts[problem.outputs.index(output)] for output in names]
    for output, flow in zip(names, flows, strict=True):
        check_continuous(flow, label=f"output {output}", parameters=problem.parameter_symbols)
    added, nothing = tuple(names.values()), (None,) * len(names)
    states, outputs = (*problem.states, *added), (*problem.outputs, *added)
    check_names(states, problem.parameters, outputs)
    return replace(
        problem,
        states=states,
        rhs=(*problem.rhs, *flows),
        initial=(*problem.initial, *[sympy.Integer(0)] * len(names)),
        outputs=outputs,
        readouts=(*problem.readouts, *map(symbol, added)),
        lag=(*problem.lag, *nothing),
        bioavailability=(*problem.bioavailability, *nothing),
        duration=(*problem.duration, *nothing),
        rate=(*problem.rate, *nothing),
        integrals=(*problem.integrals, *added),
    )
