"""What one dose does: its lag, amount, duration and rate, with their derivatives."""

from bayesnlme.odes import places as at
from bayesnlme.odes.addresses import integers, reals, shift
from bayesnlme.odes.machine import Integers, Reals, routine
from bayesnlme.odes.places import W
from bayesnlme.odes.schedule import Kind
from bayesnlme.odes.vector import call

AMOUNT, RATE, TIME = (at.ARRAY[f"record_{name}"] for name in ("amount", "rate", "time"))
INTERVAL, STEADY_STATE = at.ARRAY["record_interval"], at.ARRAY["record_steady_state"]
KIND, COMPARTMENT, ROW = (at.ARRAY[f"record_{name}"] for name in ("kind", "compartment", "row"))
ORDER = at.ARRAY["record_order"]

_BOLUS, _INFUSION, _DURATION = int(Kind.BOLUS), int(Kind.INFUSION), int(Kind.DURATION)
LAG, GIVEN, LENGTH, SPEED = range(4)
"""Lag, amount that enters, how long that takes, at which rate."""


@routine
def weigh(w: Reals, s: Integers, lane: int, record: int) -> bool:
    """Work out the four numbers of a dose, each followed by its derivatives by the parameters.

    They stand in ``w[GRADIENT]``. Say whether they make sense.
    """
    m, kind = s[at.N_PARAMETERS], integers(s[KIND])[record]
    amount, rate = reals(s[AMOUNT])[record], reals(s[RATE])[record]
    out = shift(w, s[at.GRADIENT] + lane * 4 * (1 + m))
    for i in range(4 * (1 + m)):
        out[i] = 0.0
    out[GIVEN * (1 + m)] = amount
    share = 1.0
    if s[at.DOSED]:
        _evaluate(w, s, lane, record)
        share = _said(w, s, lane, record, 1, 0)
        for k in range(1 + m):
            out[LAG * (1 + m) + k] = _said(w, s, lane, record, 0, k)
            out[GIVEN * (1 + m) + k] = amount * _said(w, s, lane, record, 1, k)
    if kind == _INFUSION:
        out[SPEED * (1 + m)] = rate
        for k in range(1 + m):
            out[LENGTH * (1 + m) + k] = out[GIVEN * (1 + m) + k] / rate
    elif kind != _BOLUS:
        known = LENGTH if kind == _DURATION else SPEED
        sought = LENGTH + SPEED - known
        said = 2 if kind == _DURATION else 3
        for k in range(1 + m):
            out[known * (1 + m) + k] = _said(w, s, lane, record, said, k)
        divisor = out[known * (1 + m)]
        if not divisor > 0.0:
            return False
        found = out[GIVEN * (1 + m)] / divisor
        out[sought * (1 + m)] = found
        for k in range(1, 1 + m):
            given, known_k = out[GIVEN * (1 + m) + k], out[known * (1 + m) + k]
            out[sought * (1 + m) + k] = (given - found * known_k) / divisor
    lag, length = out[LAG * (1 + m)], out[LENGTH * (1 + m)]
    return 0.0 <= lag < 1e300 and 0.0 <= length < 1e300 and 0.0 <= share < 1e300


@routine
def weighed(w: Reals, s: Integers, lane: int, what: int, k: int) -> float:
    """Return one of the four numbers of `weigh` (k = 0), or its derivative by parameter k - 1."""
    m = s[at.N_PARAMETERS]
    return w[s[at.GRADIENT] + (lane * 4 + what) * (1 + m) + k]


@routine
def _evaluate(w: Reals, s: Integers, lane: int, record: int) -> None:
    """Evaluate what the model says of doses, by the row of parameters of a record."""
    m = s[at.N_PARAMETERS]
    row = shift(reals(s[at.PARAMETERS]), m * integers(s[ROW])[record])
    other = shift(w, s[at.OTHER])
    for k in range(m):
        other[k * W + lane] = row[k]
    call(s[at.F_DOSING], w, w, other, w, w, shift(w, s[at.DOSE]))


@routine
def _said(w: Reals, s: Integers, lane: int, record: int, what: int, k: int) -> float:
    state = integers(s[COMPARTMENT])[record]
    place = (state * 4 + what) * (1 + s[at.N_PARAMETERS]) + k
    return w[s[at.DOSE] + place * W + lane]
