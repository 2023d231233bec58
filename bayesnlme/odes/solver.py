"""How to solve: the choice of a method, its tolerances, and the program that runs it."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from bayesnlme.errors import ModelError, did_you_mean

_METHODS = ("auto", "closed_form", "expm", "tsit5", "rodas5p")
_LINEAR = ("closed_form", "expm")
_BACKENDS = ("numba", "cvodes", "scipy", "sunode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Solver:
    """How the equations of a structure are solved between events.

    Attributes
    ----------
    method : str
        - ``"auto"``: a linear system by its closed form or matrix exponential; any other by
          ``"tsit5"``, which hands over to ``"rodas5p"`` where it finds the equations stiff;
        - ``"closed_form"``: the exponential of a linear system whose eigenvalues are known in
          closed form; its loss is the fastest rate times the length, in last bits, and from
          three states on, where it would be larger, all but short stretches go by ``"expm"``;
        - ``"expm"``: the matrix exponential of any linear system;
        - ``"tsit5"``: the explicit pair of order 5(4) of [Tsitouras2011]_, for equations that
          are not stiff;
        - ``"rodas5p"``: the Rosenbrock method of order 5 of [Steinebach2023]_, for stiff
          equations.

        Another backend than numba has methods of its own: there ``"tsit5"`` asks for its
        method for equations that are not stiff, ``"rodas5p"`` for its stiff method, and
        ``"auto"`` leaves the choice to the backend.
    rtol : float
        Relative tolerance of one step, on states and sensitivities.
    atol : float
        Absolute tolerance of one step, in units of each state's scale: its initial value,
        or the largest dose of the subject for states that doses reach.
    backend : str
        What integrates. Events and their jumps are the same for all.

        - ``"numba"``: compiled code inside the sampler, the fastest;
        - ``"cvodes"``: the multistep methods of SUNDIALS [Hindmarsh2005]_ through the package
          sundials4py, an independent reference;
        - ``"sunode"``: the same methods through the package sunode, from conda-forge;
        - ``"scipy"``: SciPy, an independent reference that needs nothing else.
    max_steps : int
        Steps, refused ones included, after which the solve of a subject counts as failed.
        A backend other than numba counts from event to event, and only what its program
        counts.
    threads : int
        Threads that share the subjects of one solve; numba only. Chains run in threads of
        their own, so more than one pays where there are more cores than chains.

    Raises
    ------
    ModelError
        If an option is unknown or out of range, or two of them contradict each other.

    References
    ----------
    .. [Hindmarsh2005] A. C. Hindmarsh et al., SUNDIALS: Suite of nonlinear and
       differential/algebraic equation solvers, ACM Trans. Math. Softw. 31 (2005) 363-396.
    .. [Steinebach2023] G. Steinebach, Construction of Rosenbrock-Wanner method Rodas5P and
       numerical benchmarks within the Julia Differential Equations package, BIT Numer.
       Math. 63 (2023) 27.
    .. [Tsitouras2011] Ch. Tsitouras, Runge-Kutta pairs of order 5(4) satisfying only the
       first column simplifying assumption, Comput. Math. Appl. 62 (2011) 770-775.
    """

    method: str = "auto"
    rtol: float = 1e-6
    atol: float = 1e-8
    backend: str = "numba"
    max_steps: int = 100_000
    threads: int = 1

    def __post_init__(self) -> None:
        _check_choice("method", self.method, _METHODS)
        _check_choice("backend", self.backend, _BACKENDS)
        _check_tolerance("rtol", self.rtol)
        _check_tolerance("atol", self.atol)
        _check_count("max_steps", self.max_steps)
        _check_count("threads", self.threads)
        if self.backend != "numba":
            self._check_other_backend()

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values."""
        return asdict(self)

    def _check_other_backend(self) -> None:
        if self.method in _LINEAR:
            raise ModelError(
                f"Solver: the method {self.method!r} is numba's alone; the backend "
                f"{self.backend!r} integrates step by step. Use backend='numba', or "
                "method='auto'."
            )
        if self.threads > 1:
            raise ModelError(
                f"Solver: threads={self.threads} needs backend='numba'; the backend "
                f"{self.backend!r} solves one subject after the other. Use threads=1."
            )


def _check_choice(what: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ModelError(f"Solver: unknown {what} {value!r}. {did_you_mean(str(value), known)}")


def _check_tolerance(what: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 1e-14 <= value < 1:  # type: ignore[arg-type, operator]
        raise ModelError(f"Solver: {what} must be a number from 1e-14 to below 1, not {value!r}.")


def _check_count(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelError(f"Solver: {what} must be a whole number, not {value!r}.")
    if value < 1:
        raise ModelError(f"Solver: {what} must be at least 1, not {value}.")
