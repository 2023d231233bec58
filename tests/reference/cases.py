"""The cases of the bank: a model, rows of parameters and a table of records each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.reference.models import VALUES

type Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One subject of one model."""

    name: str
    model: str
    parameters: list[dict[str, float]]
    table: list[Row]


def case(model: str, name: str, table: list[Row], *changes: Mapping[str, float]) -> Case:
    """Build a case whose rows of parameters differ from the usual values by `changes`."""
    parameters = [{**VALUES[model], **change} for change in (changes or ({},))]
    return Case(name=f"{model}: {name}", model=model, parameters=parameters, table=table)


def table(*parts: Row | Iterable[Row]) -> list[Row]:
    """Put rows in order of time; at one time they stay as given."""
    rows = [row for part in parts for row in ([part] if isinstance(part, dict) else part)]
    return sorted(rows, key=lambda row: row["time"])


def see(*times: float, output: str = "conc") -> list[Row]:
    """Observe one output."""
    return [{"time": time, "kind": "observe", "output": output} for time in times]


def dose(kind: str, time: float, compartment: str, amount: float, **more: Any) -> Row:
    """Give a dose."""
    return {"time": time, "kind": kind, "compartment": compartment, "amount": amount, **more}


def again(row: Row, interval: float, count: int) -> list[Row]:
    """Repeat a dose as plain doses, the first one excluded."""
    plain = {key: row[key] for key in row if key not in {"steady_state", "interval"}}
    return [{**plain, "time": row["time"] + k * interval} for k in range(1, count + 1)]


def change(time: float, row: int) -> Row:
    """Put another row of parameters in force."""
    return {"time": time, "kind": "row", "row": row}


def reset(time: float) -> Row:
    """Start afresh."""
    return {"time": time, "kind": "reset"}


def steady(row: Row, interval: float, how: int = 1) -> Row:
    """Let a dose be at steady state."""
    return {**row, "interval": interval, "steady_state": how}


EARLY = see(0.3, 1.1, 2.6, 4.4, 7.9)
DAY = see(0.6, 2.3, 5.1, 9.4, 14.2, 23.3)
DAYS = see(0.6, 3.1, 7.7, 11.6, 14.9, 22.5, 26.3, 31.0, 40.2)


def oral_events(model: str) -> list[Case]:
    """Every kind of event, into the depot and the central compartment of one model."""
    oral = dose("bolus", 0.0, "depot", 120.0)
    drip = dose("infusion", 0.0, "central", 90.0, rate=24.0)
    long = dose("infusion", 0.0, "central", 70.0, rate=4.1)
    pill = dose("bolus", 0.0, "depot", 55.0)

    def made(name: str, rows: list[Row], *changes: Mapping[str, float]) -> Case:
        return case(model, name, rows, *changes)

    return [
        made("one oral dose with lag", table(oral, EARLY, see(15.0, 30.0))),
        made("repeated oral doses", table(oral, again(oral, 8.0, 5), DAYS, see(60.0))),
        made("one infusion", table(drip, EARLY, DAY)),
        made(
            "overlapping infusions",
            table(drip, again(drip, 2.0, 2), dose("infusion", 1.0, "depot", 60.0, rate=30.0), DAY),
        ),
        made("modelled duration", table(dose("duration", 0.0, "central", 90.0), EARLY, DAY)),
        made(
            "modelled duration into the depot",
            table(dose("duration", 2.0, "depot", 90.0), see(1.0), DAY),
        ),
        made("modelled rate", table(dose("rate", 0.0, "central", 90.0), EARLY, DAY)),
        made(
            "lags reorder doses",
            table(
                oral,
                dose("bolus", 0.2, "central", 40.0),
                dose("bolus", 1.0, "central", 30.0),
                DAY,
                EARLY,
            ),
        ),
        made(
            "two compartments at once",
            table(
                see(3.0),
                dose("bolus", 3.0, "depot", 80.0),
                dose("bolus", 3.0, "central", 50.0),
                DAY,
                see(30.0),
            ),
        ),
        made(
            "steady state of oral doses with lag",
            table(steady(oral, 24.0), again(oral, 24.0, 1), DAYS),
        ),
        made("steady state of oral doses, lag 0", table(steady(oral, 24.0), DAY), {"tlag": 0.0}),
        made("steady state of infusions", table(steady(drip, 12.0), again(drip, 12.0, 2), DAYS)),
        made("steady state of long infusions", table(steady(long, 6.0), DAY, see(36.0))),
        made(
            "steady state of long infusions that run through their lag",
            table(steady(long, 12.0), again(long, 12.0, 1), DAYS),
            {"delay": 5.3},
        ),
        made(
            "steady state with a lag beyond the interval",
            table(steady(pill, 6.0), DAY),
            {"tlag": 14.2},
        ),
        made(
            "steady state of long infusions with a lag beyond the interval",
            table(steady(long, 7.0), again(long, 7.0, 1), DAYS),
            {"delay": 9.1},
        ),
        made(
            "two steady states",
            table(
                steady(oral, 24.0),
                steady({**drip, "time": 10.0, "amount": 40.0}, 24.0, 2),
                again({**drip, "time": 10.0, "amount": 40.0}, 24.0, 1),
                DAYS,
            ),
        ),
        made(
            "second steady state of long infusions on running and pending doses",
            table(
                dose("infusion", 0.0, "central", 60.0, rate=6.0),
                dose("bolus", 3.4, "depot", 45.0),
                steady({**long, "time": 4.0}, 8.0, 2),
                DAYS,
            ),
            {"delay": 1.3},
        ),
        made(
            "steady state calls off what runs and pends",
            table(
                dose("infusion", 0.0, "central", 60.0, rate=6.0),
                dose("bolus", 4.0, "depot", 90.0),
                steady({**pill, "time": 5.0}, 12.0),
                DAY,
            ),
        ),
        made(
            "steady state of modelled durations",
            table(steady(dose("duration", 1.0, "central", 45.0), 8.0), DAY),
        ),
        made(
            "steady state of modelled rates",
            table(steady(dose("rate", 1.0, "central", 45.0), 8.0), DAY),
        ),
        made(
            "constant infusion at steady state",
            table(
                dose("infusion", 2.0, "central", 0.0, rate=9.0, interval=0.0, steady_state=1), DAY
            ),
        ),
        made(
            "reset while an infusion runs and a dose pends",
            table(
                drip,
                dose("bolus", 2.0, "depot", 80.0),
                see(0.6, 2.3),
                reset(2.9),
                see(3.3, 5.0),
                {**oral, "time": 6.0},
                see(7.0, 8.3, 12.0, 20.0),
            ),
        ),
        made(
            "reset and dose",
            table(
                oral,
                drip,
                see(1.0, 2.6),
                reset(3.0),
                {**oral, "time": 3.0},
                see(3.5, 5.5, 9.0),
                reset(12.0),
                {**drip, "time": 12.0},
                see(12.9, 14.0, 20.0),
            ),
        ),
        made(
            "parameters change twice",
            table(
                oral,
                drip,
                see(0.9, 2.5),
                change(3.0, 1),
                see(4.6, 6.3),
                dose("duration", 7.0, "central", 35.0),
                {**oral, "time": 8.0},
                see(8.4, 9.2),
                change(9.5, 2),
                see(10.5, 14.0),
                {**oral, "time": 15.0},
                see(19.0, 30.0),
            ),
            {},
            {"ka": 0.7, "V": 33.0, "tlag": 1.1, "F": 0.8, "D": 3.6, "delay": 0.6},
            {"ka": 1.2, "V": 25.0, "tlag": 1.4, "F": 0.6, "D": 5.0},
        ),
        made(
            "a late dose with the parameters of an earlier row",
            table(
                steady(oral, 12.0),
                see(3.0),
                change(8.0, 1),
                see(9.0),
                {**again(oral, 12.0, 1)[0], "row": 0},
                see(12.4, 14.0, 18.0),
                dose("bolus", 24.0, "depot", 120.0),
                see(24.9, 26.0, 32.0),
            ),
            {},
            {"ka": 1.3, "tlag": 0.4, "F": 0.5},
        ),
        made(
            "parameters change within a steady state",
            table(
                steady(oral, 12.0),
                see(3.0),
                change(5.0, 1),
                see(8.0),
                steady({**drip, "time": 10.0, "amount": 40.0}, 12.0),
                see(11.0, 16.0),
                change(18.0, 2),
                steady({**pill, "time": 20.0}, 12.0, 2),
                see(21.0, 24.0, 31.0),
            ),
            {},
            {"ka": 0.7, "V": 33.0, "tlag": 1.1, "F": 0.8, "delay": 0.6},
            {"ka": 1.2, "V": 25.0, "tlag": 1.4, "F": 0.6},
        ),
    ]


def linear_cases() -> list[Case]:
    """Linear systems: what matters there are their eigenvalues."""
    dosed = dose("bolus", 0.0, "central", 250.0)
    tablet = dose("bolus", 0.0, "depot", 100.0)
    drip = dose("infusion", 0.0, "central", 80.0, rate=55.0)
    return [
        case(
            "bolus",
            "one dose",
            table(dosed, see(0.0), EARLY, DAY, see(1.0, 9.0, 40.0, output="excreted")),
        ),
        case(
            "bolus",
            "samples before and after a dose at its time",
            table(
                see(0.0),
                dosed,
                see(0.0),
                see(6.0),
                again(dosed, 6.0, 1),
                see(6.0),
                see(6.0, output="excreted"),
                reset(12.0),
                see(12.0),
                again(dosed, 12.0, 1),
                see(12.0, 15.0),
            ),
        ),
        case(
            "bolus",
            "infusion after a dose, parameters change at a dose",
            table(
                dosed,
                see(2.0, 5.0),
                change(5.0, 1),
                {**drip, "time": 5.0},
                see(5.0),
                see(5.9, 8.0),
                see(8.0, output="excreted"),
                again(dosed, 9.0, 1),
                change(9.0, 2),
                see(9.0, 13.0),
                see(13.0, output="excreted"),
            ),
            {},
            {"CL": 1.6, "V": 25.0},
            {"CL": 3.0, "CLr": 0.7},
        ),
        case(
            "oral",
            "absorption as fast as elimination",
            table(tablet, again(tablet, 12.0, 2), DAYS),
            {"ka": 0.25, "CL": 5.0, "V": 20.0},
        ),
        case(
            "oral",
            "absorption almost as fast as elimination",
            table(tablet, drip, DAYS),
            {"ka": 0.25 * (1 + 1e-7), "CL": 5.0, "V": 20.0},
        ),
        case(
            "oral",
            "steady state, absorption as fast as elimination",
            table(steady(tablet, 12.0), steady({**drip, "time": 5.0}, 8.0, 2), DAYS),
            {"ka": 0.25, "CL": 5.0, "V": 20.0},
        ),
        case(
            "two_compartments",
            "repeated doses, two outputs",
            table(tablet, again(tablet, 12.0, 3), DAYS, see(0.6, 9.0, 24.0, 50.0, output="tissue")),
        ),
        case(
            "two_compartments",
            "loading infusion, then tablets at steady state",
            table(
                drip,
                see(0.7, 1.9, 5.0),
                steady({**tablet, "time": 8.0}, 12.0, 2),
                see(8.0, 8.5, 10.0, 15.0),
                see(8.0, 19.0, output="tissue"),
            ),
        ),
        case(
            "two_compartments",
            "samples before and after a dose at its time",
            table(
                see(0.0),
                dosed,
                see(0.0),
                see(7.0),
                {**dosed, "time": 7.0},
                see(7.0, 9.0),
                see(12.0, 12.0, output="tissue"),
                steady({**drip, "time": 12.0}, 8.0),
                see(12.0, 13.0),
                see(12.0, output="tissue"),
            ),
        ),
        case(
            "two_compartments",
            "three rows",
            table(
                tablet,
                see(1.0, 3.5),
                change(4.0, 1),
                see(4.0, 6.0),
                {**tablet, "time": 7.0},
                see(8.0),
                change(8.0, 2),
                see(9.5, 14.0),
                see(9.5, 14.0, 22.0, output="tissue"),
            ),
            {},
            {"CL": 3.2, "V1": 22.0},
            {"CL": 5.1, "Q": 5.0, "ka": 0.9},
        ),
        case("three_compartments", "one infusion", table(drip, EARLY, DAY, see(72.0, 200.0))),
        case(
            "three_compartments",
            "overlapping infusions of modelled duration",
            table(
                dose("duration", 0.0, "central", 60.0),
                again(dose("duration", 0.0, "central", 60.0), 1.0, 3),
                EARLY,
                DAY,
            ),
        ),
        case(
            "three_compartments",
            "steady state of infusions, then a reset",
            table(
                steady(drip, 24.0),
                see(0.0),
                DAY,
                reset(30.0),
                see(31.0),
                {**dosed, "time": 32.0},
                see(33.0, 40.0),
            ),
        ),
        case(
            "transit",
            "repeated doses",
            table(
                dose("bolus", 0.0, "a1", 100.0),
                again(dose("bolus", 0.0, "a1", 100.0), 12.0, 2),
                DAYS,
            ),
        ),
        case(
            "transit",
            "all rates equal",
            table(
                dose("bolus", 0.0, "a1", 100.0),
                dose("infusion", 3.0, "central", 20.0, rate=8.0),
                DAYS,
            ),
            {"ktr": 0.5, "CL": 10.0, "V": 20.0},
        ),
        case(
            "transit",
            "steady state",
            table(
                steady(dose("bolus", 0.0, "a1", 100.0), 6.0), dose("bolus", 4.0, "a3", 30.0), DAY
            ),
        ),
        case(
            "recirculation",
            "repeated doses, two outputs",
            table(
                dose("bolus", 0.0, "gut", 100.0),
                again(dose("bolus", 0.0, "gut", 100.0), 12.0, 1),
                DAYS,
                see(2.0, 7.0, 20.0, output="bile"),
            ),
        ),
        case(
            "recirculation",
            "steady state of infusions",
            table(
                steady(drip, 8.0),
                dose("bolus", 5.0, "liver", 10.0),
                DAY,
                see(2.0, 7.0, output="bile"),
            ),
        ),
        case(
            "endogenous",
            "doses on a baseline",
            table(
                see(0.0, output="amount"),
                tablet,
                again(tablet, 10.0, 1),
                see(0.5, 1.0, 4.0, 9.0, 15.0, 40.0, output="amount"),
                reset(50.0),
                see(50.0, 60.0, output="amount"),
            ),
        ),
        case(
            "endogenous",
            "two steady states on a baseline",
            table(
                steady(tablet, 12.0),
                see(0.2, 3.0, 8.0, output="amount"),
                steady({**drip, "time": 9.0}, 12.0, 2),
                see(9.5, 12.0, 20.0, 30.0, output="amount"),
            ),
        ),
        case(
            "endogenous",
            "constant infusion at steady state on a baseline",
            table(
                dose("infusion", 0.0, "central", 0.0, rate=5.0, interval=0.0, steady_state=1),
                see(0.0, 1.0, 6.0, 20.0, output="amount"),
            ),
        ),
        case(
            "effect_compartment",
            "effect from zero on",
            table(
                see(0.0, output="effect"),
                tablet,
                again(tablet, 12.0, 1),
                DAYS,
                see(0.0, 0.1, 1.0, 4.0, 11.0, 18.0, output="effect"),
            ),
        ),
    ]


def nonlinear_cases() -> list[Case]:
    """Nonlinear systems, most of them with doses."""
    tablet = dose("bolus", 0.0, "depot", 100.0)
    drip = dose("infusion", 0.0, "central", 80.0, rate=55.0)
    weekly = dose("bolus", 0.0, "central", 300.0)
    days = [24.0 * k for k in (1.0, 4.2, 7.0, 10.5, 14.0, 18.3, 21.0, 26.0, 28.0, 33.0, 41.0, 50.0)]
    return [
        case(
            "parallel",
            "repeated doses",
            table(
                dose("bolus", 0.0, "central", 200.0),
                again(dose("bolus", 0.0, "central", 200.0), 8.0, 3),
                see(0.0),
                DAYS,
            ),
        ),
        case(
            "parallel",
            "samples before and after a dose at its time",
            table(
                see(0.0),
                {**weekly},
                see(0.0),
                see(6.0),
                {**weekly, "time": 6.0},
                see(6.0, 9.0),
                see(12.0),
                steady({**drip, "time": 12.0}, 8.0),
                see(12.0, 13.0),
            ),
        ),
        case(
            "parallel",
            "steady state of infusions, then another",
            table(
                steady(drip, 12.0),
                DAY,
                steady({**drip, "time": 24.0, "rate": 6.0}, 8.0, 2),
                see(24.0, 25.5, 33.0),
            ),
        ),
        case(
            "tmdd",
            "one dose, three outputs",
            table(
                see(0.0, output="target"),
                weekly,
                *(
                    see(0.02, 0.5, 3.0, 24.0, 96.0, 200.0, 300.0, 420.0, output=each)
                    for each in ("free", "target", "total")
                ),
            ),
        ),
        case(
            "tmdd",
            "weekly infusions",
            table(
                dose("infusion", 0.0, "central", 150.0, rate=60.0),
                again(dose("infusion", 0.0, "central", 150.0, rate=60.0), 168.0, 2),
                see(1.0, 3.0, 50.0, 160.0, 169.0, 300.0, 340.0, 500.0, output="free"),
                see(1.0, 100.0, 450.0, output="target"),
            ),
        ),
        case(
            "tmdd",
            "steady state of weekly doses",
            table(
                steady({**weekly, "amount": 120.0}, 168.0),
                see(0.0, 0.3, 5.0, 60.0, 150.0, output="free"),
                see(0.3, 120.0, output="target"),
                see(40.0, output="total"),
            ),
        ),
        case(
            "tmdd_qss",
            "one dose",
            table(
                see(0.0, output="target"),
                {**weekly, "compartment": "total"},
                *(
                    see(0.02, 3.0, 24.0, 96.0, 200.0, 300.0, 420.0, output=each)
                    for each in ("free", "target")
                ),
            ),
        ),
        case(
            "tmdd_qss",
            "steady state of infusions",
            table(
                steady(dose("infusion", 0.0, "total", 90.0, rate=30.0), 168.0),
                see(0.0, 1.0, 5.0, 60.0, 150.0, output="free"),
                see(1.0, 120.0, output="target"),
            ),
        ),
        case(
            "turnover",
            "repeated doses, five outputs",
            table(
                tablet,
                again(tablet, 12.0, 2),
                see(1.0, 5.0, 30.0),
                *(see(0.0, 2.0, 9.0, 20.0, 48.0, output=f"r{i}") for i in range(1, 5)),
            ),
        ),
        case(
            "turnover",
            "steady state, then a reset",
            table(
                steady(tablet, 12.0),
                *(see(0.0, 4.0, output=f"r{i}") for i in range(1, 5)),
                reset(13.0),
                {**drip, "time": 13.0},
                *(see(13.0, 14.0, 20.0, output=f"r{i}") for i in range(1, 5)),
            ),
        ),
        case(
            "turnover",
            "three rows",
            table(
                tablet,
                see(2.0, output="r1"),
                change(6.0, 1),
                see(8.0, output="r1"),
                see(8.0, output="r4"),
                {**tablet, "time": 9.0},
                change(12.0, 2),
                see(14.0, 20.0, output="r1"),
                see(16.0, output="r3"),
            ),
            {},
            {"CL": 2.0, "kout": 0.35},
            {"CL": 4.0, "kin": 7.0},
        ),
        case(
            "friberg",
            "28 daily doses",
            table(
                see(0.0, output="cells"),
                {**tablet, "amount": 150.0},
                again({**tablet, "amount": 150.0}, 24.0, 27),
                see(*days, output="cells"),
            ),
        ),
        case(
            "gompertz",
            "growth and three doses with lag",
            table(
                dose("bolus", 4.0, "central", 30.0),
                again(dose("bolus", 4.0, "central", 30.0), 7.0, 2),
                see(0.0, 4.0, 6.0, 12.0, 20.0, 40.0, output="size"),
                see(5.0, 30.0, output="log_size"),
            ),
        ),
        case(
            "simeoni",
            "four doses",
            table(
                see(0.0, 6.0, 10.0, output="weight"),
                again({**tablet, "time": 8.0, "amount": 60.0}, 3.0, 4),
                see(12.0, 15.0, 19.0, 22.0, 27.0, 34.0, output="weight"),
            ),
        ),
        case(
            "viral",
            "a load that falls",
            table(
                see(0.0, 0.1, 0.5, 1.5, 3.0, 5.0, 8.0, 13.0, output="log_load"),
                see(0.5, 7.0, 13.0, output="infected"),
            ),
        ),
        case(
            "lotka_volterra",
            "two cycles",
            table(
                *(
                    see(0.0, 2.0, 5.0, 8.0, 11.0, 14.0, 17.0, 20.0, output=each)
                    for each in ("hare", "lynx")
                )
            ),
        ),
        case(
            "sir",
            "influenza at a school",
            table(see(*range(15), output="infected"), see(3.0, 6.5, 12.0, output="incidence")),
        ),
        case(
            "robertson",
            "twelve decades",
            table(
                *(
                    see(0.0, 1e-3, 0.4, 4.0, 40.0, 4e3, 4e5, 4e7, output=each)
                    for each in ("a", "b", "c")
                )
            ),
        ),
        case(
            "circadian",
            "doses with lag on a daily rhythm",
            table(
                see(0.0, output="hormone"),
                {**tablet, "time": 5.0},
                again({**tablet, "time": 5.0}, 12.0, 3),
                see(3.0, 6.0, 9.0, 14.0, 18.3, 25.0, 33.0, 50.0, 70.0, output="hormone"),
            ),
        ),
        case(
            "circadian",
            "steady state of daily doses",
            table(
                steady({**tablet, "time": 8.0}, 24.0),
                see(8.0, 9.5, 12.0, 20.0, 31.0, 40.0, output="hormone"),
            ),
        ),
        case(
            "circadian",
            "steady state of long infusions that are not daily",
            table(
                steady(dose("infusion", 8.0, "depot", 100.0, rate=8.0), 10.0),
                see(8.0, 9.5, 12.0, 20.0, 31.0, 40.0, output="hormone"),
            ),
            {"tlag": 3.4, "kout": 0.11},
        ),
        case(
            "switched",
            "input until 8, faster loss from 20 on",
            table(
                dose("bolus", 2.0, "central", 10.0),
                see(0.0, 1.0, 5.0, 9.0, 15.0, 24.0, 40.0, output="amount"),
            ),
        ),
    ]


def all_cases() -> list[Case]:
    """Every case of the bank."""
    return [
        *oral_events("oral"),
        *oral_events("michaelis_menten"),
        *linear_cases(),
        *nonlinear_cases(),
    ]
