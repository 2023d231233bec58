"""Data sets that come with the package."""

from importlib.resources import as_file, files

from bayesnlme.data.dataset import Dataset
from bayesnlme.data.reading import read_data


def theophylline() -> Dataset:
    """Read the oral theophylline data: 12 adults, 132 concentrations over a day.

    Each subject took one oral dose and was sampled eleven times. The dose goes
    into compartment 1, the depot. Times in h, amounts in mg, concentrations in
    mg/L, body weight WT in kg, and the dose per body weight DOSE in mg/kg.

    Returns
    -------
    Dataset
        With one output, ``"1"``, and the covariates WT and DOSE.

    Notes
    -----
    Measured by R. A. Upton; published by Boeckmann, Sheiner and Beal in the
    NONMEM Users Guide, part V (1994).

    Examples
    --------
    >>> data = theophylline()
    >>> data.n_subjects, data.n_doses, data.n_observations
    (12, 12, 132)
    """
    units = {"TIME": "h", "AMT": "mg", "DV": "mg/L", "WT": "kg", "DOSE": "mg/kg"}
    with as_file(files("bayesnlme.data") / "theophylline.csv") as path:
        return read_data(path, units=units)
