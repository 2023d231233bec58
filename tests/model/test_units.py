"""Units of the table against units of the model."""

from functools import partial

import pandas as pd
import pytest

import bayesnlme as bn
from bayesnlme.errors import DataError

check = partial(bn.check, identifiability=False)

ROWS = [[1, 0.0, 1, 100.0, 1, None], [1, 1.0, 0, None, None, 4.0], [1, 2.0, 0, None, None, 3.0]]
SOUND_TABLE = {"TIME": "h", "AMT": "mg", "DV": "mg/L"}
SOUND_MODEL = {"ka": "1/h", "CL": "L/h", "V": "L"}


def data_of(units):
    frame = pd.DataFrame(ROWS, columns=["ID", "TIME", "EVID", "AMT", "CMT", "DV"])
    return bn.read_data(frame, units=units)


def model_of(units):
    numbers = {"ka": 1.5, "CL": 3.0, "V": 30.0}
    return bn.Model(
        name="units",
        parameters={
            name: bn.LogNormal(number, unit=units.get(name)) for name, number in numbers.items()
        },
        structure=bn.pk.one_compartment(absorption="first_order"),
        observations={"conc": bn.additive(0.5)},
    )


def unit_findings(table, model):
    found = check(model_of(model), data_of(table))
    return [each for each in found if each.code == "E_UNITS_AT_ODDS"]


@pytest.mark.parametrize(
    ("table", "model", "column", "words"),
    [
        ({"AMT": "ug"}, {}, "AMT", "factor of 0.001"),
        ({"DV": "ug/L"}, {}, "AMT", "factor of 1000"),
        ({"DV": "ng/mL"}, {}, "AMT", "factor of 1000"),
        ({"AMT": "g"}, {}, "AMT", "factor of 1000"),
        ({}, {"V": "mL", "CL": "mL/h"}, "AMT", "factor of 1000"),
        ({}, {"CL": "mL/h"}, "TIME", "factor of 0.001"),
        ({"TIME": "min"}, {}, "TIME", "factor of 0.0166667"),
        ({"TIME": "d"}, {}, "TIME", "factor of 24"),
        ({}, {"ka": "1/min"}, "TIME", "factor of 60"),
        ({}, {"CL": "mL/min"}, "TIME", "factor of 0.06"),
        ({"DV": "mmol/L"}, {}, "AMT", "cannot belong together"),
        ({}, {"ka": "h"}, "TIME", "cannot belong together"),
        ({}, {"CL": "1/h"}, "TIME", "cannot belong together"),
        ({}, {"V": "L/kg"}, "AMT", "cannot belong together"),
        ({}, {"V": "kg"}, "AMT", "cannot belong together"),
        ({}, {"V": "degC"}, "AMT", "cannot belong together"),
        ({"AMT": "mg/kg"}, {}, "AMT", "cannot belong together"),
    ],
)
def test_units_at_odds_are_refused(table, model, column, words):
    table, model = SOUND_TABLE | table, SOUND_MODEL | model
    finding = unit_findings(table, model)[0]
    assert words in finding.message
    assert finding.column == column
    assert finding.remedy
    for call in (bn.build, lambda m, d: bn.fit(m, d, seed=1)):
        with pytest.raises(DataError) as refused:
            call(model_of(model), data_of(table))
        assert "E_UNITS_AT_ODDS" in {each.code for each in refused.value.findings}


@pytest.mark.parametrize(
    ("table", "model"),
    [
        (SOUND_TABLE, SOUND_MODEL),
        (SOUND_TABLE, {}),
        ({}, SOUND_MODEL),
        ({"TIME": "h", "AMT": "ug", "DV": "ng/mL"}, {"ka": "1/hr", "CL": "l/hour", "V": "litre"}),
        ({"TIME": "day", "AMT": "mmol", "DV": "mol/L"}, {"ka": "1/d", "CL": "mL/d", "V": "mL"}),
        ({"TIME": "min", "DV": "mg/L"}, {"ka": "1/min", "CL": "mL/min", "V": "mL"}),
        ({"AMT": "mg/kg", "DV": "mg/L", "TIME": "h"}, {"V": "L/kg", "CL": "L/h/kg"}),
    ],
)
def test_units_that_agree_or_are_not_stated_pass(table, model):
    assert unit_findings(table, model) == []
    bn.build(model_of(model), data_of(table))


def test_every_broken_balance_is_named():
    found = unit_findings(SOUND_TABLE | {"TIME": "min", "AMT": "g"}, SOUND_MODEL)
    assert [each.column for each in found] == ["AMT", "TIME", "TIME"]


def test_the_unit_of_an_output_goes_before_that_of_the_column():
    frame = pd.DataFrame(ROWS, columns=["ID", "TIME", "EVID", "AMT", "CMT", "DV"])
    data = bn.read_data(frame.assign(DVID=1), units={"AMT": "mg", "DV": "g/L", "1": "mg/L"})
    found = check(model_of(SOUND_MODEL), data)
    assert [each for each in found if each.code == "E_UNITS_AT_ODDS"] == []


def test_each_output_has_its_own_unit_whatever_the_order_of_the_labels():
    structure = bn.ode(
        lambda t, y, p: {"central": -p.CL / p.V * y.central},
        states=("central",),
        outputs={"conc": lambda t, y, p: y.central / p.V, "left": lambda t, y, p: y.central},
    )
    model = bn.Model(
        name="two",
        parameters={"CL": bn.LogNormal(3.0, unit="L/h"), "V": bn.LogNormal(30.0, unit="L")},
        structure=structure,
        observations={"conc": bn.additive(1.0), "left": bn.additive(1.0)},
    )
    frame = pd.DataFrame(ROWS, columns=["ID", "TIME", "EVID", "AMT", "CMT", "DV"])
    frame["DVID"] = [None, "left", "conc"]
    data = bn.read_data(frame, units={"AMT": "mg", "left": "mg", "conc": "mg/L"})
    assert bn.build(model, data).data.units == {"AMT": "mg", "left": "mg", "conc": "mg/L"}
