"""A likelihood maximised again: with weighted subjects, or with a parameter held."""

from dataclasses import dataclass

import numpy as np

from bayesnlme._types import Booleans, Floats
from bayesnlme.graph.build import build
from bayesnlme.inference.likelihood import method_of
from bayesnlme.inference.likelihood_tree import estimate_rows
from bayesnlme.inference.maximise import Maximum, Objective, maximise
from bayesnlme.marginal.contribution import Approximation
from bayesnlme.results.fit import Fit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refitter:
    """A fit's likelihood, compiled once.

    Attributes
    ----------
    approximation : Approximation
        What is maximised.
    theta : array, shape (parameter,)
        The fit's parameters, where each search starts unless told otherwise.
    inside : array, shape (parameter,)
        The same, with the numbers of the model for those at a bound, from where there is no way
        back.
    modes : array, shape (subject, effect)
        The modes of the random effects there.
    priors : bool
        Whether the priors count.
    most_iterations, tolerance : int, float
        When a search ends.
    """

    approximation: Approximation
    theta: Floats
    inside: Floats
    modes: Floats
    priors: bool
    most_iterations: int
    tolerance: float

    @classmethod
    def of(cls, fit: Fit) -> "Refitter":
        """Compile the likelihood of a fit that maximised one.

        Raises
        ------
        FitError
            If the fit has draws.
        """
        method = method_of(fit.method)
        approximation = method.approximations(build(fit.model, fit.data))[-1]
        group = fit.tree["likelihood"].to_dataset()
        theta = group["theta"].values
        at_bound = group["at_bound"].values.astype(bool)
        return cls(
            approximation=approximation,
            theta=theta,
            inside=np.where(at_bound, approximation.conditional.start, theta),
            modes=approximation.at(theta).modes.z,
            priors=method.priors,
            most_iterations=method.most_iterations,
            tolerance=method.tolerance,
        )

    def maximum(
        self,
        *,
        weights: Floats | None = None,
        held: Booleans | None = None,
        start: Floats | None = None,
    ) -> Maximum:
        """Maximise again.

        Parameters
        ----------
        weights : array, shape (subject,), optional
            How often each subject counts; once unless given.
        held : array of bool, shape (parameter,), optional
            Parameters that stay where `start` has them.
        start : array, shape (parameter,), optional
            Where to start; at the fit's parameters unless given.
        """
        conditional = self.approximation.conditional
        objective = Objective(
            approximation=self.approximation,
            weights=np.ones(conditional.n_subjects) if weights is None else weights,
            log_prior=conditional.log_prior if self.priors else None,
            modes=self.modes,
        )
        return maximise(
            objective,
            self.theta if start is None else start,
            held=held,
            most_iterations=self.most_iterations,
            tolerance=self.tolerance,
        )

    def estimates(self, theta: Floats) -> dict[str, Floats]:
        """Return the estimates by name, shape (draw,), for vectors of parameters."""
        rows = estimate_rows(self.approximation.conditional, theta)
        return {name: values for name, (values, _) in rows.items()}
