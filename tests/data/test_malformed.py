"""The bank of malformed tables: each is refused with a code, a place and a remedy."""

import codecs
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from bayesnlme.data import read_data
from bayesnlme.errors import DataError

HEADER = ["ID", "TIME", "EVID", "AMT", "CMT", "DV", "MDV", "WT"]
ROWS = [
    ["1", "0", "1", "100", "1", ".", "1", "70"],
    ["1", "1", "0", "0", "2", "5.1", "0", "70"],
    ["1", "2", "0", "0", "2", "3.9", "0", "70"],
    ["2", "0", "1", "100", "1", ".", "1", "80"],
    ["2", "1", "0", "0", "2", "6.2", "0", "80"],
    ["2", "2", "0", "0", "2", "4.4", "0", "80"],
]


def csv(*edits, drop=(), rename=None, add=None, delimiter=","):
    """Write the base table with cells changed (row, column, text), columns dropped or added."""
    columns = {name: [row[i] for row in ROWS] for i, name in enumerate(HEADER)}
    columns |= {name: cells.split() for name, cells in (add or {}).items()}
    for row, name, text in edits:
        columns[name][row - 1] = text
    columns = {name: cells for name, cells in columns.items() if name not in drop}
    names = [(rename or {}).get(name, name) for name in columns]
    lines = [names, *map(list, zip(*columns.values(), strict=True))]
    return "".join(delimiter.join(line) + "\n" for line in lines)


def lines(*changes):
    """Write the base table with whole lines replaced (0 is the header; ``None`` removes)."""
    text = csv().splitlines()
    for number, line in changes:
        text[number] = line
    return "".join(line + "\n" for line in text if line is not None)


def observed(**columns):
    """Write a table of two subjects without dosing columns, with more columns."""
    cells = {"ID": "1 1 2 2", "TIME": "0 1 0 1", "DV": "5 4 6 3"} | columns
    split = {name: text.split() for name, text in cells.items()}
    rows = [list(split), *map(list, zip(*split.values(), strict=True))]
    return "".join(",".join(row) + "\n" for row in rows)


def frame(**columns):
    base = {"ID": [1, 1, 2, 2], "TIME": [0.0, 1.0, 0.0, 1.0], "DV": [5.0, 4.0, 6.0, 3.0]}
    return pd.DataFrame(base | columns)


@dataclass(frozen=True)
class Case:
    kind: str
    table: object
    code: str
    subject: str | None = None
    row: int | None = None
    column: str | None = None
    options: dict = field(default_factory=dict)


def case(kind, table, code, subject=None, row=None, column=None, **options):
    return Case(kind, table, code, subject, row, column, options)


DOSES = {"RATE": "0 0 0 0 0 0", "II": "0 0 0 0 0 0", "ADDL": "0 0 0 0 0 0", "SS": "0 0 0 0 0 0"}
CENS = "0 0 0 0 0 0"


def dosing(*edits, drop=()):
    return csv(*edits, add=DOSES, drop=drop)


def censored(*edits, lloq=". 1 1 . 1 1"):
    return csv(*edits, add={"CENS": CENS, "LLOQ": lloq})


BANK = [
    # doses without AMT
    case("no AMT", csv(drop=["AMT"]), "E_DOSE_NO_AMOUNT_COLUMN", "1", 1, "AMT"),
    case("no AMT", csv((1, "EVID", "4"), drop=["AMT"]), "E_DOSE_NO_AMOUNT_COLUMN", "1", 1, "AMT"),
    case("no AMT", csv((4, "AMT", ".")), "E_AMOUNT_MISSING", "2", 4, "AMT"),
    case("no AMT", csv((1, "AMT", "")), "E_AMOUNT_MISSING", "1", 1, "AMT"),
    case("no AMT", csv((4, "EVID", "4"), (4, "AMT", "NA")), "E_AMOUNT_MISSING", "2", 4, "AMT"),
    case("no AMT", observed(RATE="10 0 0 0"), "E_DOSE_COLUMNS_ALONE", "1", 1, "RATE"),
    case("no AMT", observed(ADDL="0 3 0 0"), "E_DOSE_COLUMNS_ALONE", "1", 2, "ADDL"),
    # the amount under another name
    case("other AMT", csv(rename={"AMT": "DOSE"}), "E_DOSE_NO_AMOUNT_COLUMN", "1", 1, "AMT"),
    case("other AMT", csv(rename={"AMT": "AMOUNT"}), "E_DOSE_NO_AMOUNT_COLUMN", "1", 1, "AMT"),
    case("other AMT", csv(rename={"AMT": "D"}), "E_DOSE_NO_AMOUNT_COLUMN", "1", 1, "AMT"),
    case("other AMT", csv(rename={"AMT": "amnt"}), "E_DOSE_NO_AMOUNT_COLUMN", "1", 1, "AMT"),
    case("other AMT", csv(), "E_COLUMN_UNKNOWN", None, None, "DOSE", amt="DOSE"),
    case(
        "other AMT",
        csv(rename={"AMT": "DOSE"}, drop=["EVID", "MDV", "CMT"]),
        "E_AMOUNT_OTHER_NAME", "1", 1, "DOSE",
    ),
    # AMT > 0 without EVID, or on a record that is no dose
    case("AMT no EVID", csv(drop=["EVID"]), "E_AMOUNT_NO_EVID", "1", 1, "AMT"),
    case("AMT no EVID", csv((1, "AMT", "0"), drop=["EVID"]), "E_AMOUNT_NO_EVID", "2", 4, "AMT"),
    case("AMT no EVID", observed(AMT="0 0 0 2.5"), "E_AMOUNT_NO_EVID", "2", 4, "AMT"),
    case("AMT no EVID", csv((2, "AMT", "50")), "E_DOSE_ITEM_ELSEWHERE", "1", 2, "AMT"),
    case("AMT no EVID", csv((4, "EVID", "0")), "E_DOSE_ITEM_ELSEWHERE", "2", 4, "AMT"),
    case("AMT no EVID", csv((4, "EVID", "3")), "E_DOSE_ITEM_ELSEWHERE", "2", 4, "AMT"),
    case("AMT no EVID", csv((4, "EVID", "2")), "E_DOSE_ITEM_ELSEWHERE", "2", 4, "AMT"),
    # compartments
    case("CMT", csv(drop=["CMT"]), "E_COMPARTMENT_NO_COLUMN", "1", 1, "CMT"),
    case("CMT", csv((4, "CMT", ".")), "E_COMPARTMENT_MISSING", "2", 4, "CMT"),
    case("CMT", csv((1, "CMT", "")), "E_COMPARTMENT_MISSING", "1", 1, "CMT"),
    case("CMT", csv((1, "CMT", "0")), "E_COMPARTMENT_INVALID", "1", 1, "CMT"),
    case("CMT", csv((4, "CMT", "1.5")), "E_COMPARTMENT_INVALID", "2", 4, "CMT"),
    case("CMT", csv(*((row, "CMT", "-2") for row in (2, 3, 5, 6))), "E_COMPARTMENT_INVALID", "1", 2,
         "CMT"),
    case("CMT", csv(), "E_COLUMN_UNKNOWN", None, None, "COMP", cmt="COMP"),
    # outputs
    case("output", csv((3, "CMT", "3")), "E_OUTPUT_AMBIGUOUS", "1", 3, "CMT"),
    case("output", csv((6, "CMT", "depot")), "E_OUTPUT_AMBIGUOUS", "2", 6, "CMT"),
    case("output", observed(DVID="1 . 1 1"), "E_OUTPUT_MISSING", "1", 2, "DVID"),
    case("output", observed(DVID="1 2 1 NA"), "E_OUTPUT_MISSING", "2", 4, "DVID"),
    case("output", observed(YTYPE=". 2 1 1"), "E_OUTPUT_MISSING", "1", 1, "YTYPE", dvid="YTYPE"),
    case("output", observed(DVID="1 2 1 2"), "E_OUTPUT_UNKNOWN", outputs={1: "a", 3: "b"}),
    case("output", observed(DVID="1 2 1 2"), "E_OUTPUT_TWICE", outputs={1: "a", 2: "a"}),
    case("output", observed(DVID="1 2 1 2"), "E_OUTPUT_NAME", outputs={1: "a", 2: " "}),
    case("output", observed(DVID="1 2 1 2"), "E_OUTPUT_NAME", outputs={1: ".", 2: "b"}),
    case("output", observed(DVID="1 2 1 2"), "E_OUTPUT_NAME", outputs={1: "a", 2: None}),
    case("output", observed(), "E_OUTPUT_NAME", outputs={1: "-9"}, missing=[-9]),
    # a value present but MDV = 1
    case("MDV", csv((2, "MDV", "1")), "E_VALUE_NOT_SCORED", "1", 2, "DV"),
    case("MDV", csv((6, "MDV", "1")), "E_VALUE_NOT_SCORED", "2", 6, "DV"),
    case("MDV", csv((5, "DV", "-0.3"), (5, "MDV", "1")), "E_VALUE_NOT_SCORED", "2", 5, "DV"),
    case("MDV", csv((1, "DV", "7")), "E_VALUE_NOT_SCORED", "1", 1, "DV"),
    case("MDV", csv((3, "EVID", "2"), (3, "MDV", "1")), "E_VALUE_NOT_SCORED", "1", 3, "DV"),
    case("MDV", csv((3, "MDV", "2")), "E_MDV_UNKNOWN", "1", 3, "MDV"),
    case("MDV", csv((3, "MDV", ".")), "E_MDV_MISSING", "1", 3, "MDV"),
    case("MDV", csv((3, "MDV", "0.5")), "E_NOT_INTEGER", "1", 3, "MDV"),
    # a dose and an observation in one, or a scored record without a value
    case("DV", csv((4, "MDV", "0")), "E_DOSE_WITH_VALUE", "2", 4, "MDV"),
    case("DV", csv((1, "MDV", "0"), (1, "DV", "3")), "E_DOSE_WITH_VALUE", "1", 1, "MDV"),
    case("DV", csv((1, "DV", "3"), drop=["MDV"]), "E_DOSE_WITH_VALUE", "1", 1, "DV"),
    case("DV", csv((3, "DV", ".")), "E_VALUE_MISSING", "1", 3, "DV"),
    case("DV", csv((5, "DV", "NA")), "E_VALUE_MISSING", "2", 5, "DV"),
    # nothing to score
    case("empty", "", "E_EMPTY"),
    case("empty", "\n\n\n", "E_EMPTY"),
    case("empty", "ID,TIME,DV\n", "E_EMPTY"),
    case("empty", observed(DV=". . . ."), "E_NO_OBSERVATIONS"),
    case("empty", lines((2, None), (3, None), (5, None), (6, None)), "E_NO_OBSERVATIONS"),
    case("empty", frame().iloc[:0], "E_EMPTY"),
    case("empty", pd.DataFrame(), "E_EMPTY"),
    # a subject without observations
    case("unobserved", lines((5, None), (6, None)), "E_SUBJECT_UNOBSERVED", "2", 4, "ID"),
    case("unobserved", lines((2, None), (3, None)), "E_SUBJECT_UNOBSERVED", "1", 1, "ID"),
    case("unobserved", observed(DV="5 4 . ."), "E_SUBJECT_UNOBSERVED", "2", 3, "ID"),
    case("unobserved", observed(MDV="1 1 0 0", DV=". . 6 3"), "E_SUBJECT_UNOBSERVED", "1", 1, "ID"),
    case("unobserved", observed(EVID="0 0 2 2", DV="5 4 . ."),
         "E_SUBJECT_UNOBSERVED", "2", 3, "ID"),
    # identifiers
    case("blocks", observed(ID="1 2 1 2", TIME="0 0 1 1"), "E_ID_BLOCKS", "1", 3, "ID"),
    case("blocks", observed(ID="a b b a", TIME="0 0 1 1"), "E_ID_BLOCKS", "a", 4, "ID"),
    case("blocks", observed(ID="7 8 8 7", TIME="5 0 1 6"), "E_ID_BLOCKS", "7", 4, "ID"),
    case("blocks", observed(SUBJ="1 2 2 1", TIME="0 0 1 1"),
         "E_ID_BLOCKS", "1", 4, "SUBJ", id="SUBJ"),
    case("blocks", frame(ID=[3, 4, 4, 3], TIME=[0.0, 0.0, 1.0, 1.0]), "E_ID_BLOCKS", "3", 4, "ID"),
    case("float id", observed(ID="1.0 1.0 2.0 2.0"), "E_ID_FLOAT", "1.0", 1, "ID"),
    case("float id", observed(ID="1 1 2.5 2.5"), "E_ID_FLOAT", "2.5", 3, "ID"),
    case("float id", observed(ID="1 1 2E+05 2E+05"), "E_ID_FLOAT", "2E+05", 3, "ID"),
    case("float id", frame(ID=[1.0, 1.0, 2.0, 2.0]), "E_ID_FLOAT", "1.0", 1, "ID"),
    case("float id", frame(ID=[1.0, 1.0, 1e19, 1e19]), "E_ID_FLOAT", "1e+19", 3, "ID"),
    case("no id", observed(ID="1 . 2 2"), "E_ID_MISSING", None, 2, "ID"),
    case("no id", observed(ID="1 1 2 NA"), "E_ID_MISSING", None, 4, "ID"),
    case("no id", frame(ID=[None, "1", "2", "2"]), "E_ID_MISSING", None, 1, "ID"),
    case("no id", csv(drop=["ID"]), "E_COLUMN_MISSING", None, None, "ID"),
    case("no id", csv(rename={"ID": "SUBJECT"}), "E_COLUMN_MISSING", None, None, "ID"),
    # time
    case("time back", csv((3, "TIME", "0.5")), "E_TIME_BACK", "1", 3, "TIME"),
    case("time back", csv((6, "TIME", "-1")), "E_TIME_BACK", "2", 6, "TIME"),
    case("time back", csv((4, "TIME", "1.5")), "E_TIME_BACK", "2", 5, "TIME"),
    case("time back", csv((3, "EVID", "4"), (3, "TIME", "0"), (3, "DV", "."), (3, "AMT", "1"),
                          (3, "MDV", "1")), "E_TIME_BACK", "1", 3, "TIME"),
    case("time back", frame(TIME=[0.0, 1.0, 1.0, 0.0]), "E_TIME_BACK", "2", 4, "TIME"),
    case("dates", csv((2, "TIME", "08:30")), "E_TIME_CLOCK", "1", 2, "TIME"),
    case("dates", csv((5, "TIME", "2024-03-01")), "E_TIME_CLOCK", "2", 5, "TIME"),
    case("dates", csv((5, "TIME", "01/03/2024")), "E_TIME_CLOCK", "2", 5, "TIME"),
    case("dates", csv((5, "TIME", "2024-03-01 08:30")), "E_TIME_CLOCK", "2", 5, "TIME"),
    case("dates", frame(TIME=pd.date_range("2024-01-01", periods=4)),
         "E_TIME_CLOCK", "2", 4, "TIME"),
    case("dates", observed(DATE="1 2 1 2"), "E_COLUMN_IGNORED", None, None, "DATE"),
    case("no time", csv((3, "TIME", ".")), "E_TIME_MISSING", "1", 3, "TIME"),
    case("no time", csv((4, "TIME", "")), "E_TIME_MISSING", "2", 4, "TIME"),
    case("no time", csv(drop=["TIME"]), "E_COLUMN_MISSING", None, None, "TIME"),
    case("no time", csv(rename={"DV": "CONC"}), "E_COLUMN_MISSING", None, None, "DV"),
    case("no time", frame(TIME=[0.0, np.nan, 0.0, 1.0]), "E_TIME_MISSING", "1", 2, "TIME"),
    # repeated doses
    case("ADDL", dosing((1, "ADDL", "3")), "E_ADDITIONAL_NO_INTERVAL", "1", 1, "II"),
    case("ADDL", dosing((4, "ADDL", "3"), (4, "II", ".")),
         "E_ADDITIONAL_NO_INTERVAL", "2", 4, "II"),
    case("ADDL", dosing((4, "ADDL", "3"), drop=["II"]), "E_ADDITIONAL_NO_INTERVAL", "2", 4, "ADDL"),
    case("ADDL", dosing((1, "ADDL", "3"), (1, "II", "-12")), "E_INTERVAL_NEGATIVE", "1", 1, "II"),
    case("ADDL", dosing((1, "ADDL", "-1"), (1, "II", "12")),
         "E_ADDITIONAL_NEGATIVE", "1", 1, "ADDL"),
    case("ADDL", dosing((1, "ADDL", "1.5"), (1, "II", "12")), "E_NOT_INTEGER", "1", 1, "ADDL"),
    case("ADDL", dosing((1, "ADDL", "1000000"), (1, "II", "1")),
         "E_ADDITIONAL_MANY", "1", 1, "ADDL"),
    case("ADDL", dosing((2, "ADDL", "3")), "E_DOSE_ITEM_ELSEWHERE", "1", 2, "ADDL"),
    case("ADDL", dosing((2, "II", "24")), "E_DOSE_ITEM_ELSEWHERE", "1", 2, "II"),
    # steady state
    case("SS", dosing((4, "SS", "2")), "E_STEADY_STATE_NO_INTERVAL", "2", 4, "II"),
    case("SS", dosing((4, "SS", "2"), (4, "AMT", "0"), (4, "RATE", "5")),
         "E_STEADY_STATE_ENDLESS_ADDED", "2", 4, "SS"),
    case("SS", dosing((1, "SS", "1")), "E_STEADY_STATE_NO_INTERVAL", "1", 1, "II"),
    case("SS", dosing((4, "SS", "1"), drop=["II"]), "E_STEADY_STATE_NO_INTERVAL", "2", 4, "SS"),
    case("SS", dosing((1, "SS", "3"), (1, "II", "12")), "E_STEADY_STATE_UNKNOWN", "1", 1, "SS"),
    case("SS", dosing((1, "SS", "-1"), (1, "II", "12")), "E_STEADY_STATE_UNKNOWN", "1", 1, "SS"),
    case("SS", dosing((2, "SS", "1")), "E_DOSE_ITEM_ELSEWHERE", "1", 2, "SS"),
    case("SS", dosing((1, "SS", "1"), (1, "II", "12"), (1, "AMT", "0"), (1, "RATE", "5")),
         "E_STEADY_STATE_ENDLESS", "1", 1, "II"),
    # rates and amounts
    case("RATE", dosing((1, "RATE", "-3")), "E_RATE_NEGATIVE", "1", 1, "RATE"),
    case("RATE", dosing((4, "RATE", "-1.5")), "E_RATE_NEGATIVE", "2", 4, "RATE"),
    case("RATE", dosing((4, "RATE", "-0.1")), "E_RATE_NEGATIVE", "2", 4, "RATE"),
    case("RATE", dosing((2, "RATE", "10")), "E_DOSE_ITEM_ELSEWHERE", "1", 2, "RATE"),
    case("RATE", dosing((1, "RATE", "50"), (1, "AMT", "0")), "E_RATE_NO_AMOUNT", "1", 1, "RATE"),
    case("RATE", dosing((4, "RATE", "0.5"), (4, "AMT", "0.0"), (4, "EVID", "4")),
         "E_RATE_NO_AMOUNT", "2", 4, "RATE"),
    case("RATE", dosing((1, "RATE", "fast")), "E_NUMBER", "1", 1, "RATE"),
    case("negative", csv((1, "AMT", "-100")), "E_AMOUNT_NEGATIVE", "1", 1, "AMT"),
    case("negative", csv((4, "AMT", "-1e-3")), "E_AMOUNT_NEGATIVE", "2", 4, "AMT"),
    case("negative", csv((4, "EVID", "4"), (4, "AMT", "-5")), "E_AMOUNT_NEGATIVE", "2", 4, "AMT"),
    case("negative", csv((5, "AMT", "-5")), "E_DOSE_ITEM_ELSEWHERE", "2", 5, "AMT"),
    case("negative", dosing((1, "AMT", "-1"), (1, "RATE", "5")),
         "E_AMOUNT_NEGATIVE", "1", 1, "AMT"),
    # EVID
    case("EVID", csv((3, "EVID", "5")), "E_EVID_UNKNOWN", "1", 3, "EVID"),
    case("EVID", csv((1, "EVID", "101")), "E_EVID_UNKNOWN", "1", 1, "EVID"),
    case("EVID", csv((3, "EVID", "-1")), "E_EVID_UNKNOWN", "1", 3, "EVID"),
    case("EVID", csv((3, "EVID", ".")), "E_EVID_MISSING", "1", 3, "EVID"),
    case("EVID", csv((3, "EVID", "0.5")), "E_NOT_INTEGER", "1", 3, "EVID"),
    case("EVID", csv((3, "EVID", "dose")), "E_NUMBER", "1", 3, "EVID"),
    # censoring
    case("CENS", csv((2, "DV", "."), (2, "CENS", "1"), add={"CENS": CENS}),
         "E_CENS_NO_LIMIT", "1", 2, "DV"),
    case("CENS", censored((6, "DV", "."), (6, "CENS", "1"), lloq=". 1 1 . 1 ."),
         "E_CENS_NO_LIMIT", "2", 6, "LLOQ"),
    case("CENS", censored((2, "CENS", "-1"), (2, "DV", ".")), "E_CENS_NO_UPPER_LIMIT",
         "1", 2, "DV"),
    case("CENS", censored((3, "CENS", "-1"), lloq=". 1 50 . 1 1"), "E_CENS_BELOW_LIMIT",
         "1", 3, "DV"),
    case("CENS", censored((2, "CENS", "2")), "E_CENS_UNKNOWN", "1", 2, "CENS"),
    case("CENS", censored((2, "CENS", ".")), "E_CENS_MISSING", "1", 2, "CENS"),
    case("CENS", censored((1, "CENS", "1")), "E_CENS_ELSEWHERE", "1", 1, "CENS"),
    case("CENS", csv(add={"LLOQ": ". 1 5 . 1 1"}), "E_LIMIT_NO_CENS", "1", 3, "DV"),
    case("CENS", csv((3, "CENS", "1"), add={"CENS": CENS, "LIMIT": "50 50 50 50 50 50"}),
         "E_INTERVAL_EMPTY", "1", 3, "LIMIT"),
    case("CENS", csv((3, "CENS", "-1"), add={"CENS": CENS, "LIMIT": CENS}),
         "E_INTERVAL_EMPTY", "1", 3, "LIMIT"),
    case("above limit", censored((2, "CENS", "1")), "E_CENS_ABOVE_LIMIT", "1", 2, "DV"),
    case("above limit", censored((6, "CENS", "1")), "E_CENS_ABOVE_LIMIT", "2", 6, "DV"),
    case("above limit", censored((6, "CENS", "1"), (6, "DV", "1.001")),
         "E_CENS_ABOVE_LIMIT", "2", 6, "DV"),
    case("above limit", censored((3, "CENS", "1"), (3, "DV", "1e3")),
         "E_CENS_ABOVE_LIMIT", "1", 3, "DV"),
    case("above limit", censored((5, "CENS", "1"), lloq=". 1 1 . -2 1"),
         "E_CENS_ABOVE_LIMIT", "2", 5, "DV"),
    # text in numbers
    case("text", csv((3, "DV", "<LLOQ")), "E_NUMBER_CENSORED", "1", 3, "DV"),
    case("text", csv((3, "DV", "<0.5")), "E_NUMBER_CENSORED", "1", 3, "DV"),
    case("text", csv((6, "DV", "BLQ")), "E_NUMBER_CENSORED", "2", 6, "DV"),
    case("text", csv((3, "DV", "1e")), "E_NUMBER", "1", 3, "DV"),
    case("text", csv((3, "DV", "NaN")), "E_NUMBER", "1", 3, "DV"),
    case("text", csv((3, "DV", "1_000")), "E_NUMBER", "1", 3, "DV"),
    case("text", csv((1, "AMT", "100mg")), "E_NUMBER", "1", 1, "AMT"),
    case("comma", csv((3, "DV", '"12,5"')), "E_NUMBER_COMMA", "1", 3, "DV"),
    case("comma", csv((3, "DV", '"1,200"')), "E_NUMBER_COMMA", "1", 3, "DV"),
    case("comma", csv((1, "AMT", '"1,200.50"')), "E_NUMBER_COMMA", "1", 1, "AMT"),
    case("comma", csv((5, "DV", "6,2"), delimiter=";"), "E_NUMBER_COMMA", "2", 5, "DV"),
    case("comma", csv((5, "TIME", "1,5"), (6, "TIME", "2.5"), delimiter="\t"),
         "E_NUMBER_COMMA", "2", 5, "TIME"),
    # the file
    case("BOM", codecs.BOM_UTF8 + csv().encode(), "E_BOM"),
    case("BOM", codecs.BOM_UTF8, "E_BOM"),
    case("BOM", codecs.BOM_UTF8 + observed().encode(), "E_BOM"),
    case("BOM", codecs.BOM_UTF8 + b'"ID",TIME,DV\n1,0,2\n', "E_BOM"),
    case("BOM", codecs.BOM_UTF8 + csv(delimiter="\t").encode(), "E_BOM", encoding="latin-1"),
    case("UTF-16", csv().encode("utf-16"), "E_UTF16"),
    case("UTF-16", codecs.BOM_UTF16_BE + csv().encode("utf-16-be"), "E_UTF16"),
    case("UTF-16", csv().encode("utf-16-le"), "E_UTF16"),
    case("UTF-16", csv().encode("utf-32"), "E_UTF16"),
    case("UTF-16", observed().encode("utf-16"), "E_UTF16", encoding="latin-1"),
    case("bytes", csv((2, "WT", "70\0")), "E_NUL", None, 2),
    case("bytes", "\0" + csv(), "E_NUL"),
    case("bytes", b"ID,TIME,DV\n1,0,2\n\0\0\0\0", "E_NUL", None, 2),
    case("bytes", csv((3, "WT", "\xe9")).encode("latin-1"), "E_ENCODING", None, 3),
    case("bytes", csv(), "E_ENCODING", encoding="utf-9"),
    case("bytes", b"PK\x03\x04" + bytes(40), "E_FILE_NOT_TEXT"),
    case("ragged", lines((3, "1,2,0,0,2,3.9,0")), "E_RAGGED", None, 3),
    case("ragged", lines((3, "1,2,0,0,2,3,9,0,70")), "E_RAGGED", None, 3),
    case("ragged", lines((6, "2,2,0,0,2,4.4,0,80,")), "E_RAGGED", None, 6),
    case("ragged", lines((2, "")), "E_ROW_BLANK", None, 2),
    case("ragged", lines((4, ",,,,,,,")), "E_ROW_BLANK", None, 4),
    case("ragged", lines((2, '1,1,0,0,2,"5.1,0,70')), "E_QUOTE", None, 6),
    case("two headers", lines((1, ",".join(HEADER))), "E_HEADER_TWICE", None, 1),
    case("two headers", lines((1, ",".join(HEADER).lower())), "E_HEADER_TWICE", None, 1),
    case("two headers", lines((4, ",".join(HEADER))), "E_HEADER_TWICE", None, 4),
    case("two headers", lines((1, "-,h,-,mg,-,mg/L,-,kg")), "E_HEADER_TWICE", None, 1),
    case("two headers", lines((6, ",".join(HEADER))), "E_HEADER_TWICE", None, 6),
    case("no header", lines((0, "1,2,3,4,5,6,7,8")), "E_HEADER_ABSENT"),
    case("no header", lines((0, None)).replace(".", "0"), "E_HEADER_ABSENT"),
    case("columns", csv(rename={"WT": "DV"}), "E_COLUMN_TWICE", None, None, "DV"),
    case("columns", csv(rename={"WT": "ID"}), "E_COLUMN_TWICE", None, None, "ID"),
    case("columns", csv(add={"wt": CENS}, rename={"wt": "WT"}), "E_COLUMN_TWICE", None, None, "WT"),
    case("columns", csv(rename={"WT": "dv"}), "E_ROLE_TWICE", None, None, "dv"),
    case("columns", csv(rename={"WT": "Time"}), "E_ROLE_TWICE", None, None, "Time"),
    case("columns", csv(rename={"WT": ""}), "E_COLUMN_UNNAMED"),
    case("columns", pd.DataFrame([[1, 0, 2.0]], columns=["ID", "DV", "DV"]), "E_COLUMN_TWICE",
         None, None, "DV"),
    case("columns", csv(), "E_COLUMN_UNKNOWN", None, None, "SUBJ", id="SUBJ"),
    case("columns", csv(), "E_ROLE_UNKNOWN", subjct="ID"),
    case("columns", csv(), "E_COLUMN_UNKNOWN", None, None, "wt", covariates=["wt"]),
    case("columns", csv(), "E_COVARIATE_IS_ROLE", None, None, "CMT", covariates=["CMT"]),
    # numbers that cannot be
    case("infinite", csv((3, "DV", "inf")), "E_NUMBER_INFINITE", "1", 3, "DV"),
    case("infinite", csv((3, "DV", "-Infinity")), "E_NUMBER_INFINITE", "1", 3, "DV"),
    case("infinite", csv((4, "AMT", "INF")), "E_NUMBER_INFINITE", "2", 4, "AMT"),
    case("infinite", csv((4, "WT", "inf")), "E_NUMBER_INFINITE", "2", 4, "WT"),
    case("infinite", frame(DV=[1.0, np.inf, 2.0, 3.0]), "E_NUMBER_INFINITE", "1", 2, "DV"),
    case("huge", csv((3, "DV", "1e101")), "E_NUMBER_HUGE", "1", 3, "DV"),
    case("huge", csv((3, "DV", "-1e300")), "E_NUMBER_HUGE", "1", 3, "DV"),
    case("huge", csv((3, "DV", "1e999")), "E_NUMBER_HUGE", "1", 3, "DV"),
    case("huge", csv((3, "DV", "4e-320")), "E_NUMBER_TINY", "1", 3, "DV"),
    case("huge", csv((3, "DV", "1e-999")), "E_NUMBER_TINY", "1", 3, "DV"),
    case("huge", csv((2, "WT", "7e200")), "E_NUMBER_HUGE", "1", 2, "WT"),
    # duplicates
    case("twice", lines((3, "1,1,0,0,2,5.1,0,70")), "E_DUPLICATE", "1", 3, "ID"),
    case("twice", lines((3, "1,1,0,0.0,2,5.10,0,70.")), "E_DUPLICATE", "1", 3, "ID"),
    case("twice", csv() + "2,2,0,0,2,4.4,0,80\n", "E_DUPLICATE", "2", 7, "ID"),
    case("twice", lines((2, "1,0,1,100,1,.,1,70")), "E_DUPLICATE", "1", 2, "ID"),
    case("twice", frame(TIME=[0.0, 1, 1, 1], DV=[5.0, 4, 3, 3]), "E_DUPLICATE", "2", 4, "ID"),
    # occasions
    case("OCC", observed(OCC="1 . 1 1"), "E_OCCASION_MISSING", "1", 2, "OCC"),
    case("OCC", observed(OCC="NA 1 1 1"), "E_OCCASION_MISSING", "1", 1, "OCC"),
    case("OCC", observed(OCC="1 1 2 ."), "E_OCCASION_MISSING", "2", 4, "OCC"),
    case("OCC", observed(PERIOD="1 1 2 ."), "E_OCCASION_MISSING", "2", 4, "PERIOD", occ="PERIOD"),
    case("OCC", frame(OCC=[1, 1, None, 2]), "E_OCCASION_MISSING", "2", 3, "OCC"),
    # units
    case("units", csv(), "E_UNIT_UNKNOWN", None, None, "DV", units={"DV": "mgg/L"}),
    case("units", csv(), "E_UNIT_UNKNOWN", None, None, "WT", units={"WT": "kg)("}),
    case("units", csv(), "E_UNIT_UNKNOWN", None, None, "TIME", units={"TIME": ""}),
    case("units", csv(), "E_UNIT_COLUMN", None, None, "AGE", units={"AGE": "year"}),
    case("units", csv(), "E_UNIT_AT_ODDS", None, None, "TIME", units={"TIME": "mg"}),
    case("units", csv(), "E_UNIT_AT_ODDS", None, None, "DV", units={"TIME": "h", "DV": "h"}),
    case("units", csv(), "E_UNIT_AT_ODDS", None, None, "AMT", units={"AMT": "mg/L"}),
    case("units", csv(), "E_UNIT_AT_ODDS", None, None, "AMT", units={"AMT": "h"}),
    case("units", csv(), "E_UNIT_AT_ODDS", None, None, "TIME", units={"TIME": "IU"}),
    # options of the wrong kind
    case("option", csv(), "E_OPTION", units=["h"]),
    case("option", csv(), "E_OPTION", units={"DV": 3}),
    case("option", csv(), "E_OPTION", units={None: "h"}),
    case("option", csv(), "E_OPTION", outputs=["conc"]),
    case("option", csv(), "E_OPTION", outputs="conc"),
    case("option", csv(), "E_OPTION", covariates=3),
    case("option", csv(), "E_OPTION", covariates=[None]),
    case("option", csv(), "E_OPTION", covariates={"WT": 1}),
    case("option", csv(), "E_OPTION", missing=None),
    case("option", csv(), "E_OPTION", missing=[None]),
    case("option", csv(), "E_OPTION", missing=[True]),
    case("option", csv(), "E_COLUMN_UNKNOWN", None, None, "3", covariates=[3]),
]  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def read(table, options):
        if isinstance(table, pd.DataFrame):
            return read_data(table, **options)
        path = tmp_path / "table.csv"
        path.write_bytes(table if isinstance(table, bytes) else table.encode())
        return read_data(path, **options)

    return read


def _name(each):
    return f"{each.kind}-{each.code}"


@pytest.mark.parametrize("each", BANK, ids=_name)
def test_a_malformed_table_is_refused_with_code_place_and_remedy(read, each):
    with pytest.raises(DataError) as caught:
        read(each.table, each.options)
    findings = caught.value.findings
    places = [(found.code, found.subject, found.row, found.column) for found in findings]
    assert (each.code, each.subject, each.row, each.column) in places
    assert {found.code for found in findings} == {each.code}, "one fault, one kind of finding"
    assert all(found.remedy.strip() and found.message.strip() for found in findings)
    assert not re.search(r"\{\w*\}", str(caught.value)), "a place of the message is not filled in"


def test_the_bank_is_large():
    assert len(BANK) >= 100
    assert len(Counter(each.kind for each in BANK)) >= 20


def test_the_base_tables_are_accepted(read):
    assert read(csv(), {}).n_observations == 4
    assert read(dosing(), {}).n_observations == 4
    assert read(censored(), {}).n_observations == 4
    assert read(observed(), {}).n_observations == 4
    assert read_data(frame()).n_observations == 4


def test_every_problem_of_a_table_is_told_at_once(read):
    table = csv((1, "AMT", "-1"), (2, "DV", "<LLOQ"), (3, "TIME", "0.5"), (6, "EVID", "9"))
    with pytest.raises(DataError) as caught:
        read(table, {})
    told = [(found.row, found.code) for found in caught.value.findings]
    assert told == [
        (1, "E_AMOUNT_NEGATIVE"),
        (2, "E_NUMBER_CENSORED"),
        (3, "E_TIME_BACK"),
        (6, "E_EVID_UNKNOWN"),
    ]


def test_a_near_name_is_offered(read):
    with pytest.raises(DataError, match="Did you mean 'TIME'"):
        read(csv(), {"time": "TIM"})
    with pytest.raises(DataError, match="Did you mean 'evid'"):
        read(csv(), {"evd": "EVID"})
    with pytest.raises(DataError, match='amt="DOSE"'):
        read(csv(rename={"AMT": "DOSE"}), {})


def test_a_missing_file_is_told_with_a_near_name(tmp_path):
    (tmp_path / "table.csv").write_text(csv())
    with pytest.raises(DataError, match=r"E_FILE_MISSING.*Did you mean 'table.csv'"):
        read_data(tmp_path / "tabel.csv")


def test_a_folder_is_told_as_such(tmp_path):
    (tmp_path / "table.csv").write_text(csv())
    with pytest.raises(DataError, match=r"E_FILE_IS_FOLDER.*is a folder.*'table.csv'"):
        read_data(tmp_path)
    with pytest.raises(DataError, match=r"^/: 1 problem\n.*E_FILE_IS_FOLDER"):
        read_data("/")


@pytest.mark.parametrize("source", [{"ID": [1]}, [1, 2], 3, None])
def test_what_is_no_table_is_refused(source):
    with pytest.raises(DataError, match="E_SOURCE"):
        read_data(source)
