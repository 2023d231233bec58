"""Models to start from, each for a data set that comes with the package."""

from bayesnlme.model.model import Model
from bayesnlme.observation.continuous import combined
from bayesnlme.population.covariates import power
from bayesnlme.population.parameters import LogNormal
from bayesnlme.structural.pk import one_compartment


def theophylline_model() -> Model:
    """Return a model of oral theophylline for `bayesnlme.data.datasets.theophylline`.

    One compartment with first-order absorption; clearance scales with body weight by the
    allometric exponent 0.75, and the random effects of CL and V are correlated. Doses in mg,
    concentrations in mg/L, times in h.

    Returns
    -------
    Model
        The model.

    Examples
    --------
    >>> theophylline_model().effects
    ('ka', 'CL', 'V')
    """
    return Model(
        name="theophylline",
        parameters={
            "ka": LogNormal(1.5, iiv=0.6, unit="1/h"),
            "CL": LogNormal(
                2.8,
                iiv=0.3,
                unit="L/h",
                covariates=(power("WT", reference=70, exponent=0.75),),
            ),
            "V": LogNormal(32.0, iiv=0.2, unit="L"),
        },
        correlated=[("CL", "V")],
        structure=one_compartment(absorption="first_order"),
        observations={"conc": combined(additive=0.3, proportional=0.1)},
    )
