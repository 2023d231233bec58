"""NONMEM's own concentrations as tables for the simulator.

Model: one compartment with first-order absorption. Additional doses are written out; they keep
the lag and the bioavailability of the record they come from, and stand where it stands. A
reset, and a steady state that replaces the state, call off those still due.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.reference.equations import Model

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "published"
DOSING = FOLDER / "nonmem_dosing.csv"
TIME_VARYING = FOLDER / "nonmem_time_varying.csv"

ORAL = Model(
    rhs={"depot": "-KA*depot", "central": "KA*depot - CL/V*central"},
    outputs={"CP": "1000*central/V"},
    parameters=("KA", "CL", "V", "LAGT", "BIOAV", "RAT2", "DUR2"),
    lag={"central": "LAGT"},
    bioavailability={"central": "BIOAV"},
    duration={"central": "DUR2"},
    rate={"central": "RAT2"},
    linear=True,
)
DOSING_NAMES = ("LAGT", "BIOAV", "RAT2", "DUR2")
KINDS = {0.0: "bolus", -1.0: "rate", -2.0: "duration"}

type Record = dict[str, float]
type Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One subject: a table, its rows of parameters, and the concentrations that NONMEM gives."""

    name: str
    parameters: list[Record]
    table: list[Row]
    concentration: list[float]


def dosing_subjects() -> list[Subject]:
    """Read the subjects whose records have standard semantics (USE = 1)."""
    groups: dict[float, list[Record]] = {}
    for record in _records(DOSING):
        if record["USE"] == 1:
            groups.setdefault(record["ID"], []).append(record)
    return [_dosing_subject(f"{name:g}", records) for name, records in groups.items()]


def time_varying_subject() -> Subject:
    """Read the subject whose weight changes: a record's holds over the interval that ends at it."""
    records = list(_records(TIME_VARYING))
    rows: list[tuple[float, int, int, Row]] = []
    for place, record in enumerate(records):
        rows.extend(_events(record, place, rows_so_far=None, wiped_at=float("inf")))
        after = min(place + 1, len(records) - 1)
        rows.append((record["TIME"], place, 3, {"kind": "row", "row": after}))
    parameters = [_parameters(record, CL=1.1 * (record["WT"] / 70) ** 0.75) for record in records]
    seen = [record["CP_NONMEM"] for record in records if record["EVID"] == 0]
    return Subject(name="1", parameters=parameters, table=_ordered(rows), concentration=seen)


def _dosing_subject(name: str, records: list[Record]) -> Subject:
    rows: list[tuple[float, int, int, Row]] = []
    parameters: list[Record] = []
    for place, record in enumerate(records):
        current = _parameters(record)
        if not parameters or current != parameters[-1]:
            rows.append((record["TIME"], place, 0, {"kind": "row", "row": len(parameters)}))
            parameters.append(current)
        later = records[place + 1 :]
        wiped = [each["TIME"] for each in later if each["EVID"] in {3, 4} or each["SS"] == 1]
        rows.extend(
            _events(
                record,
                place,
                rows_so_far=len(parameters),
                wiped_at=min(wiped, default=float("inf")),
            )
        )
    seen = [record["CP"] for record in records if record["EVID"] == 0]
    return Subject(name=name, parameters=parameters, table=_ordered(rows), concentration=seen)


def _events(
    record: Record, place: int, *, rows_so_far: int | None, wiped_at: float
) -> Iterator[tuple[float, int, int, Row]]:
    """Give what a record does, with time, place in the table and order at its place."""
    time, interval = record["TIME"], record["II"]
    if record["EVID"] == 0:
        yield time, place, 2, {"kind": "observe", "output": "CP"}
        return
    if record["EVID"] in {3, 4}:
        yield time, place, 1, {"kind": "reset"}
    if record["EVID"] == 3:
        return
    dose: Row = {
        "kind": KINDS.get(record["RATE"], "infusion"),
        "compartment": ("depot", "central")[int(record["CMT"]) - 1],
        "amount": record["AMT"],
    }
    if record["RATE"] > 0:
        dose["rate"] = record["RATE"]
    if rows_so_far is not None:
        dose["row"] = rows_so_far - 1
    steady = int(record["SS"])
    yield time, place, 2, dose | ({"steady_state": steady, "interval": interval} if steady else {})
    for k in range(1, int(record["ADDL"]) + 1):
        if time + k * interval < wiped_at:
            yield time + k * interval, place, 2, dose


def _ordered(rows: list[tuple[float, int, int, Row]]) -> list[Row]:
    return [{"time": time, **row} for time, _, _, row in sorted(rows, key=lambda each: each[:3])]


def _parameters(record: Record, **more: float) -> Record:
    usual = {"LAGT": 0.0, "BIOAV": 1.0, "RAT2": 10.0, "DUR2": 2.0}
    own = {name: record.get(name, usual[name]) for name in DOSING_NAMES}
    return {"KA": 1.5, "CL": 1.1, "V": 20.0} | own | more


def _records(path: Path) -> Iterator[Record]:
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield {name: float(text) for name, text in row.items()}
