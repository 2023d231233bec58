"""The model as a value: parameters, structure, residual error, and every prior they imply."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from keyword import iskeyword
from types import MappingProxyType
from typing import Any, Self

from bayesnlme import names
from bayesnlme.data.units import check_units
from bayesnlme.errors import ModelError, did_you_mean
from bayesnlme.model import display
from bayesnlme.model.layers import Layer, occasion_layer, subject_layer
from bayesnlme.model.placing import Places, checked_options
from bayesnlme.model.priors import PriorRow, prior_rows
from bayesnlme.model.published import read_published
from bayesnlme.observation.kinds import KINDS, Observed
from bayesnlme.population.effects import StudentT
from bayesnlme.population.parameters import (
    LogitNormal,
    LogNormal,
    Normal,
    Parameter,
    check_shares,
)
from bayesnlme.population.priors import finite_number
from bayesnlme.population.sharing import Shared
from bayesnlme.structural.base import Structure
from bayesnlme.structural.cumulative import with_cumulative


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A nonlinear mixed-effects model, checked when it is made and never changed after.

    Parameters
    ----------
    name : str
        What the model is called in tables, reports and files.
    parameters : mapping of str to LogNormal, Normal or LogitNormal
        The individual parameters, by the names the structure uses.
    structure : Structure
        What predicts: ``bn.pk.one_compartment(...)`` or ``bn.ode(...)``.
    observations : mapping of str to residual error or other outcome
        What is observed of each output of the structure, in the order of DVID: a residual error
        (``bn.additive(...)``), counts (``bn.poisson()``), categories (``bn.ordered(...)``).
    correlated : sequence of sequences of str
        Blocks of parameters whose random effects are correlated.
    correlated_occasion : sequence of sequences of str
        Blocks of parameters whose occasion effects (``iov``) are correlated.
    lkj : float
        Shape of the LKJ prior of each block's correlations: 1 is flat, 2 (default) leans to zero.

    Raises
    ------
    ModelError
        If the parts do not fit; the message names the part and what to do.
    """

    name: str
    parameters: Mapping[str, Parameter]
    structure: Structure
    observations: Mapping[str, Observed]
    correlated: Sequence[Sequence[str]] = ()
    correlated_occasion: Sequence[Sequence[str]] = ()
    lkj: float = 2.0

    def __post_init__(self) -> None:
        _freeze(self)
        _check_names(self)
        _check_parameters(self)
        _check_units(self)
        _check_observations(self)
        _check_shared(self)
        _check_correlated(self)
        _check_variables(self)

    @property
    def effects(self) -> tuple[str, ...]:
        """Parameters with a random effect between subjects of their own, in order."""
        return subject_layer(self.parameters).effects

    @property
    def occasion_effects(self) -> tuple[str, ...]:
        """Parameters with a random effect between occasions of their own, in order."""
        return occasion_layer(self.parameters).effects

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of random effects that the model has."""
        layers = (
            subject_layer(self.parameters, self.correlated),
            occasion_layer(self.parameters, self.correlated_occasion),
        )
        return tuple(each for each in layers if each.effects)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns of the table that the model uses as covariates."""
        used = [e.covariate for p in self.parameters.values() for e in p.covariates]
        return tuple(dict.fromkeys(used))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Observed outputs, in the order of DVID."""
        return tuple(self.observations)

    @property
    def events(self) -> tuple[str, ...]:
        """Outputs that are times to events, in the order of DVID."""
        return tuple(name for name, each in self.observations.items() if each.scale == "event")

    @property
    def priors(self) -> tuple[PriorRow, ...]:
        """Every prior of the model, default or stated, in the order of the equations."""
        return prior_rows(self.parameters, self.observations, self.layers, self.lkj)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Examples
        --------
        >>> from bayesnlme.structural import pk
        >>> from bayesnlme.observation.continuous import additive, proportional
        >>> first = Model(
        ...     name="first",
        ...     parameters={"CL": LogNormal(4.0, iiv=0.3), "V": LogNormal(70.0)},
        ...     structure=pk.one_compartment(),
        ...     observations={"conc": additive(1.0)},
        ... )
        >>> first.replace(name="second", observations={"conc": proportional(0.2)}).name
        'second'
        """
        return replace(self, **changes)

    def with_priors(
        self,
        table: object,
        *,
        source: str = "",
        inflate: float = 1.0,
        units: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a copy whose priors come from a published table of parameters.

        ===============  =========================================================================
        column           holds
        ===============  =========================================================================
        ``parameter``    the parameter (``CL``); of a covariate or residual row the variable as in
                         ``model.priors`` (``CL_WT``, ``conc_additive``)
        ``kind``         ``typical``, ``iiv``, ``iov``, ``shape``, ``scale`` (of a shared effect),
                         ``covariate`` or ``residual``
        ``value``        the estimate
        ``rse_percent``  its relative standard error: 20 is 20 %. ``fixed``: it was not estimated
        ``se``           or its standard error, in the unit of the value
        ``unit``         converted to the model's; without the column values are in the model's
        ``as``           what a standard deviation is given as: ``sd``, ``variance``,
                         ``cv_percent``; the last where the unit is %
        ``source``       where the row is from, if not from what ``source`` says
        ===============  =========================================================================

        A typical value is taken as ``bn.typical(value, rse=...)``, a standard deviation as
        ``bn.sd``, ``bn.variance`` or ``bn.cv``, a coefficient as ``Normal(value, se)``, what is
        positive as a log-normal with median ``value`` and CV ``rse``, a fixed value as
        ``bn.fixed``. What the table does not give keeps its prior.

        Parameters
        ----------
        table : path, data frame, list of rows or mapping of columns
            The table.
        source : str
            What to call it, such as ``"Upton 2004, table 2"``; the name of the file by default. It
            is listed with every prior from it.
        inflate : float
            By how much to multiply the standard errors: above 1 trusts the publication less.
        units : mapping of str to str, optional
            Units of the outputs, for additive residual errors whose unit the table gives.

        Returns
        -------
        Model
            With the priors, each with its source.

        Raises
        ------
        DataError
            With every row that is not understood or has no place in the model.
        ModelError
            If an option is not of the right kind.

        Examples
        --------
        >>> from bayesnlme.model.examples import theophylline_model
        >>> rows = [{"parameter": "CL", "kind": "typical", "value": 45, "se": 5, "unit": "mL/min"}]
        >>> model = theophylline_model().with_priors(rows, source="a textbook", inflate=2)
        >>> model.priors[1].text, model.priors[1].source
        ('CL_pop ~ LogNormal(mu=0.993252, sigma=0.21955)', 'a textbook, standard error times 2')
        """
        known = checked_options(source, inflate, units, self.outputs)
        called, rows = read_published(table, source=source, inflate=float(inflate))
        places = Places(
            parameters=dict(self.parameters), observations=dict(self.observations), units=known
        )
        places.take(rows, called)
        return self.replace(parameters=places.parameters, observations=places.observations)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain values, the content of its TOML file."""
        content = {
            "name": self.name,
            "parameters": {name: each.to_dict() for name, each in self.parameters.items()},
            "structure": self.structure.to_dict(),
            "observations": {name: each.to_dict() for name, each in self.observations.items()},
            "correlated": [list(block) for block in self.correlated],
            "lkj": self.lkj,
        }
        if self.correlated_occasion:
            content["correlated_occasion"] = [list(block) for block in self.correlated_occasion]
        return content

    @property
    def hash(self) -> str:
        """SHA-256 of the model's content: the same for the same model, wherever it was made.

        The order of parameters and observations counts: it is the order of effects and of DVID.
        """
        content = json.dumps(self.to_dict(), allow_nan=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields |= {"parameters": dict(self.parameters), "observations": dict(self.observations)}
        return partial(type(self), **fields), ()

    def __repr__(self) -> str:
        return display.as_text(self)

    def _repr_latex_(self) -> str:
        return display.as_latex(self)


def _freeze(model: Model) -> None:
    for name in ("parameters", "observations"):
        given = getattr(model, name)
        if not isinstance(given, Mapping) or not given:
            raise ModelError(f"{name} must be a mapping of names, with at least one entry.")
        object.__setattr__(model, name, MappingProxyType(dict(given)))
    for name in ("correlated", "correlated_occasion"):
        given = getattr(model, name)
        if not isinstance(given, Iterable):
            raise ModelError(f"{name} must be a list of blocks, such as [('CL', 'V')].")
        object.__setattr__(model, name, tuple(_block(name, each) for each in given))
    object.__setattr__(model, "lkj", finite_number(model.lkj, "lkj"))


def _block(field: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ModelError(
            f"{field}: {given!r} is no block. Give blocks, such as {field}=[('CL', 'V')]."
        )
    return tuple(str(name) for name in given)


def _check_names(model: Model) -> None:
    if not isinstance(model.name, str) or not model.name.strip():
        raise ModelError("A model needs a name, such as name='theophylline'.")
    if isinstance(model.structure, type) or not isinstance(model.structure, Structure):
        raise ModelError(
            f"structure: {model.structure!r} is no structural model. "
            "Use bn.pk.one_compartment(...) or bn.ode(...)."
        )
    for name in (*model.parameters, *model.observations):
        if not (isinstance(name, str) and name.isidentifier()) or iskeyword(name):
            raise ModelError(f"{name!r} is not a valid name: use letters, digits and underscores.")
        if name in names.RESERVED:
            raise ModelError(f"{name!r} is a name the package itself uses. Choose another.")


def _check_parameters(model: Model) -> None:
    needed = model.structure.parameters
    for name, each in model.parameters.items():
        if not isinstance(each, LogNormal | Normal | LogitNormal):
            raise ModelError(
                f"parameter {name}: {each!r} is no parameter. "
                "Use bn.LogNormal(...), bn.Normal(...) or bn.LogitNormal(...)."
            )
        if name not in needed:
            raise ModelError(
                f"parameter {name!r} is not used by the structure. {did_you_mean(name, needed)}"
            )
    missing = [name for name in needed if name not in model.parameters]
    if missing:
        raise ModelError(
            f"the structure needs {', '.join(missing)}, which the model does not define. "
            f"Add to parameters, such as {missing[0]}=bn.LogNormal(1.0, iiv=0.3)."
        )
    check_shares(model.parameters, model.structure.shares)


def _check_observations(model: Model) -> None:
    for name, each in model.observations.items():
        if not isinstance(each, KINDS):
            raise ModelError(
                f"observation {name}: {each!r} is no residual error or other outcome. "
                "Use bn.additive, bn.proportional, bn.combined, bn.log_normal, bn.poisson, ..."
            )
        if name not in model.structure.outputs:
            raise ModelError(
                f"the structure has no output {name!r}. "
                f"{did_you_mean(name, model.structure.outputs)}"
            )
    if model.events:
        with_cumulative(model.structure, model.events)
    clash = set(model.observations) & set(model.parameters)
    if clash:
        raise ModelError(f"{sorted(clash)} names both a parameter and an output. Rename one.")


def _check_variables(model: Model) -> None:
    """Refuse names that would give two variables of the PyMC model one name."""
    minted = [row.name for row in model.priors] + list(model.parameters) + list(model.observations)
    for name, each in model.parameters.items():
        minted += [names.logit(names.typical(name))]
        minted += [names.levels(name, effect.covariate) for effect in each.covariates]
    minted += [names.covariate(name) for name in model.covariates]
    for layer in model.layers:
        minted += [layer.names.sd, layer.names.corr]
        minted += [layer.names.partial(block) for block in layer.blocks]
        for name in layer.effects:
            minted += [layer.names.sd_of(name), layer.names.sampled(name)]
    minted += [names.observed(output) for output in model.outputs]
    minted += [names.hazard(output) for output in model.events]
    minted += [names.position(output) for output in model.outputs]
    minted += [
        names.observation_dim(o, model.outputs) for o in model.outputs if len(model.outputs) > 1
    ]
    twice = {name for name in minted if minted.count(name) > 1}
    if twice:
        raise ModelError(f"{sorted(twice)} would name two variables. Rename a parameter or output.")


def _check_units(model: Model) -> None:
    stated = {name: each.unit for name, each in model.parameters.items() if each.unit}
    for finding in check_units(stated, stated, dosed=False):
        raise ModelError(f"parameter {finding.column}: {finding.message} {finding.remedy}")


def _check_shared(model: Model) -> None:
    for field, layer in (
        ("iiv", subject_layer(model.parameters)),
        ("iov", occasion_layer(model.parameters)),
    ):
        for name, share in layer.shared.items():
            where, whose = f"parameter {name}, {field}={share!r}", share.parameter
            if whose not in model.parameters:
                raise ModelError(
                    f"{where}: no such parameter. {did_you_mean(whose, model.parameters)}"
                )
            if whose in layer.shared:
                raise ModelError(
                    f"{where}: {whose} has no effect of its own, it shares that of "
                    f"{layer.shared[whose].parameter}. Name the parameter that has one."
                )
            if whose not in layer.effects:
                raise ModelError(f"{where}: {whose} has no such effect. Give it {field}=0.3.")
            kinds = model.parameters[name].kind, model.parameters[whose].kind
            if share.scale is None and kinds[0] != kinds[1]:
                raise ModelError(
                    f"{where}: {name} is {kinds[0]} and {whose} is {kinds[1]}, so that one effect "
                    "means different things in them. State scale=."
                )


def _check_correlated(model: Model) -> None:
    if not model.lkj > 0:
        raise ModelError(f"lkj={model.lkj!r} must be positive: 1 is flat, 2 leans to zero.")
    _check_blocks(model, "correlated", model.effects, "iiv")
    _check_blocks(model, "correlated_occasion", model.occasion_effects, "iov")


def _without_effect(model: Model, name: str, sd: str) -> str:
    given = getattr(model.parameters[name], sd)
    if isinstance(given, Shared):
        return (
            f"{name} shares the random effect of {given.parameter}, so that they move together "
            f"already. Name {given.parameter} alone, or give {name} an effect of its own, {sd}=0.3."
        )
    return f"{name} has no random effect of its own. Give it {sd}=0.3."


def _check_blocks(model: Model, field: str, effects: Sequence[str], sd: str) -> None:
    seen: set[str] = set()
    for block in getattr(model, field):
        if len(block) < 2:
            raise ModelError(f"{field}: {block} needs at least two parameters.")
        for name in block:
            if name not in model.parameters:
                raise ModelError(
                    f"{field}: no parameter {name!r}. {did_you_mean(name, model.parameters)}"
                )
            if name not in effects:
                raise ModelError(f"{field}: {_without_effect(model, name, sd)}")
            if sd == "iiv" and isinstance(model.parameters[name].shape, StudentT):
                raise ModelError(
                    f"{field}: the random effect on {name} has Student's t distribution, which "
                    "no block can hold. Take it out of the block, or leave out its shape."
                )
            if name in seen:
                raise ModelError(f"{field}: {name} stands twice. Name each parameter once.")
            seen.add(name)
