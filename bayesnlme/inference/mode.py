r"""The mode of the joint posterior of population parameters and random effects.

The density is that of the PyMC graph on natural scales, without the Jacobians of the transforms, as
``pymc.find_MAP`` takes it; the random effects are those of the graph, :math:`z` at SD 1. A mode is
no estimate of a variance. Each subject adds :math:`\log p(y_i \mid \omega z_i) - z_i^2 / 2`: where
the data say much, a larger :math:`\omega` with smaller :math:`z_i` fits as well and costs less, so
that :math:`\omega` grows until its prior stops it; where they say little, :math:`z_i = 0` and
:math:`\omega` runs to the mode of its prior, which may be zero. The mass of the posterior, which a
marginal likelihood and NUTS follow, is elsewhere.

At the largest marginal likelihood, on the other hand, the EM step leaves each SD where it is: the
mean of :math:`\hat z_i^2 + \mathrm{var}(z_i \mid y_i)` is one. Where it is not, the fit says so and
is no final result.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from bayesnlme._types import Floats
from bayesnlme.errors import DataError, FitError
from bayesnlme.graph.build import Population
from bayesnlme.graph.flat import starting_vector
from bayesnlme.graph.start import start_findings
from bayesnlme.inference.density import Density, compile_density
from bayesnlme.inference.importance import Evaluated
from bayesnlme.inference.likelihood_tree import evaluated_groups
from bayesnlme.inference.native import climb
from bayesnlme.inference.options import require_count
from bayesnlme.marginal.conditional import LOG_2PI, Conditional
from bayesnlme.marginal.modes import Modes, find_modes
from bayesnlme.population.priors import Prior
from bayesnlme.results.status import Status

FACTOR = 1.2
"""By so much an SD may differ from what the random effects say."""

LEAST = 1e-3
"""An SD below it has run to zero."""

GRADIENT = 1e-2
"""Largest slope of the log density, on the unconstrained scales, at what counts as a mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """Find the joint posterior mode of population parameters and random effects.

    On natural scales, the random effects at SD 1, as ``pymc.find_MAP`` does. Quick, and no estimate
    of the variances: the fit says where they ran away, and its status is ``NOT_CONVERGED`` then.
    The OFV is Laplace's at the mode, without standard errors. See :mod:`bayesnlme.inference.mode`.

    Parameters
    ----------
    most_iterations : int
        After so many steps of L-BFGS the search ends, unconverged.
    """

    most_iterations: int = 2000

    name: ClassVar[str] = "Mode"
    title: ClassVar[str] = "joint posterior mode"

    def __post_init__(self) -> None:
        require_count(self.name, "most_iterations", self.most_iterations)

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the mode depends on."""
        return {"name": self.name, **asdict(self)}


def find_joint_mode(population: Population, method: Mode) -> Evaluated:
    """Find the mode; return how it ended, the groups of a fit's tree, and wall times.

    Raises
    ------
    DataError
        If an observation has no density at the starting values.
    FitError
        If every population parameter is fixed.
    """
    began = time.perf_counter()
    conditional = Conditional(population)
    if conditional.n_parameters == 0:
        raise FitError("Every population parameter is fixed: there is nothing to estimate.")
    density = compile_density(population.pymc, jacobian=False)
    function = density.function
    start = starting_vector(population.pymc, density.free)
    if not np.isfinite(function(start)[0]):
        raise DataError(list(start_findings(population)), population.data.source)
    ready = time.perf_counter()
    most = method.most_iterations
    x, found = climb(
        function, start, np.ones(start.size, bool),
        maxiter=most, maxfun=20 * most, maxcor=30, ftol=1e-14, gtol=1e-5,
    )  # fmt: skip
    theta = np.concatenate(
        [x[each.where] for each in density.free if each.name not in conditional.effect_places]
    )
    modes = find_modes(conditional, theta, _effects(conditional, density, x))
    value = modes.h + 0.5 * (conditional.n_effects * LOG_2PI - modes.log_det)
    slope = float(np.abs(found.jac).max())
    problems = [*_unfinished(slope, found.nit), *_runaways(conditional, theta, modes)]
    attributes = {
        "title": method.title,
        "words": (
            f"Joint posterior mode in {found.nit} steps, log density {-found.fun:.3f}; by Laplace "
            "there:"
        ),
        "problems": "\n".join(problems),
    }
    groups = evaluated_groups(conditional, theta, {"log_likelihood": value}, modes, attributes)
    seconds = {"compile": ready - began, "search": time.perf_counter() - ready}
    return Status.NOT_CONVERGED if problems else Status.CONVERGED, groups, seconds


def _effects(conditional: Conditional, density: Density, x: Floats) -> Floats:
    z = conditional.no_effects
    for each in density.free:
        if each.name in conditional.effect_places:
            columns, subject = conditional.effect_places[each.name]
            z[subject[:, None], columns] = x[each.where].reshape(columns.shape)
    return z


def _unfinished(slope: float, steps: int) -> Iterator[str]:
    if slope > GRADIENT:
        yield (
            f"The search ended after {steps} steps with a slope of {slope:.2g} where {GRADIENT} "
            "was asked for: there may be no mode. Give other numbers to start from."
        )


def _runaways(conditional: Conditional, theta: Floats, modes: Modes) -> Iterator[str]:
    """Say which estimated SDs differ from what modes and conditional variances say."""
    told = [
        f"{name} is {sd:.3g} ({sd * ratio:.3g})"
        for name, sd, ratio in _sds(conditional, theta, modes)
        if sd < LEAST or not 1 / FACTOR < ratio < FACTOR
    ]
    if told:
        yield (
            f"{', '.join(told)}; in brackets what the random effects and their variances say. A "
            "joint mode is no estimate of variances: use bn.FOCE(), bn.Laplace(), bn.Quadrature() "
            "or bn.NUTS()."
        )


def _sds(
    conditional: Conditional, theta: Floats, modes: Modes
) -> Iterator[tuple[str, float, float]]:
    """Yield each estimated SD: its name, value, and the factor by which an EM step moves it."""
    variance = np.einsum("nij,nij->ni", modes.spread, modes.spread)
    squares = modes.z**2 + variance
    natural = conditional.natural(theta).isel(chain=0, draw=0)
    for layer in conditional.population.model.layers:
        for k, name in enumerate(layer.effects):
            if not isinstance(layer.priors[name], Prior):
                continue
            together = conditional.effect_places.get(layer.names.standard)
            columns, subject = together or conditional.effect_places[layer.names.sampled(name)]
            column = columns[:, k] if together else columns[:, 0]
            ratio = float(np.sqrt(squares[subject, column].mean()))
            sd = float(natural[layer.names.sd].sel({layer.names.effect: name}))
            yield layer.names.sd_entry(name), sd, ratio
