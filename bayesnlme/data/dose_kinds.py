"""What can be wrong with a dose."""

from bayesnlme.data.kind import Kind

DOSE_NO_AMOUNT_COLUMN = Kind(
    code="E_DOSE_NO_AMOUNT_COLUMN",
    message="The record is a dose, but the table has no AMT column ({count} such rows, this one"
    " first).",
    remedy='Add AMT, or say which column holds the amounts, as in amt="{near}".',
)
DOSE_COLUMNS_ALONE = Kind(
    code="E_DOSE_COLUMNS_ALONE",
    message="{column} is {cell}, but the table has no AMT column ({count} such rows, this one"
    " first).",
    remedy="Add AMT and EVID columns that say which records are doses.",
)
AMOUNT_OTHER_NAME = Kind(
    code="E_AMOUNT_OTHER_NAME",
    message="{column} is {cell} on a record without a value, and never on one with a value, so it"
    " looks like a dose; but the table has neither AMT nor EVID.",
    remedy='Add EVID (1 on dose rows) and pass amt="{column}", or list the covariates in'
    " covariates=[...] if it is one.",
)
AMOUNT_NO_EVID = Kind(
    code="E_AMOUNT_NO_EVID",
    message="AMT is {cell}, but the table has no EVID column to say that this is a dose"
    " ({count} such rows, this one first).",
    remedy="Add an EVID column: 1 on dose rows, 0 on observations.",
)
AMOUNT_MISSING = Kind(
    code="E_AMOUNT_MISSING",
    message="The dose has no amount.",
    remedy="Write the amount; 0 for a placebo.",
)
AMOUNT_NEGATIVE = Kind(
    code="E_AMOUNT_NEGATIVE",
    message="The amount {cell} is negative.",
    remedy="Write a positive amount; 0 for a placebo.",
)
DOSE_ITEM_ELSEWHERE = Kind(
    code="E_DOSE_ITEM_ELSEWHERE",
    message="{column} is {cell} on a record that is no dose (EVID {evid}).",
    remedy="Write EVID 1 if it is a dose, else 0 or '.' in {column}.",
)
COMPARTMENT_NO_COLUMN = Kind(
    code="E_COMPARTMENT_NO_COLUMN",
    message="The record is a dose, but the table has no CMT column ({count} such rows, this one"
    " first).",
    remedy="Add CMT, or pass cmt=1 if every dose goes into the first compartment.",
)
COMPARTMENT_MISSING = Kind(
    code="E_COMPARTMENT_MISSING",
    message="The dose goes into no compartment.",
    remedy="Write its compartment in CMT, or pass cmt=1 if every dose goes into the first one.",
)
COMPARTMENT_INVALID = Kind(
    code="E_COMPARTMENT_INVALID",
    message="{cell} is no compartment that can be dosed.",
    remedy="Write its number, counted from 1, or its name; compartments cannot be switched off.",
)
RATE_NO_AMOUNT = Kind(
    code="E_RATE_NO_AMOUNT",
    message="The dose has a rate (RATE {cell}) but the amount 0, so nothing would be infused.",
    remedy="Write the amount in AMT, 0 in RATE for a placebo, or SS 1 and II 0 for a constant"
    " infusion at steady state.",
)
RATE_NEGATIVE = Kind(
    code="E_RATE_NEGATIVE",
    message="The rate {cell} is negative.",
    remedy="Write 0 for a bolus, a positive rate for an infusion, or -1 or -2 where the model"
    " gives the rate or the duration.",
)
STEADY_STATE_ENDLESS = Kind(
    code="E_STEADY_STATE_ENDLESS",
    message="The steady-state dose has a rate but no amount, which means an infusion without end,"
    " and an interval too (II {cell}).",
    remedy="Write 0 in II for a constant infusion, or the amount of each infusion in AMT.",
)
STEADY_STATE_ENDLESS_ADDED = Kind(
    code="E_STEADY_STATE_ENDLESS_ADDED",
    message="The record adds (SS {cell}) the steady state of an infusion without end: it has a rate"
    " but no amount.",
    remedy="Write SS 1, which puts the steady state in place of what was there; an infusion beside"
    " other doses needs an amount.",
)
ADDITIONAL_NEGATIVE = Kind(
    code="E_ADDITIONAL_NEGATIVE",
    message="The number of additional doses {cell} is negative.",
    remedy="Write how many doses follow this one, or 0.",
)
ADDITIONAL_MANY = Kind(
    code="E_ADDITIONAL_MANY",
    message="{cell} additional doses are more than 100,000.",
    remedy="Correct ADDL, or use a steady-state dose.",
)
ADDITIONAL_NO_INTERVAL = Kind(
    code="E_ADDITIONAL_NO_INTERVAL",
    message="ADDL asks for additional doses, but the time between them (II) is {interval}.",
    remedy="Write the time between doses, above 0, in II.",
)
INTERVAL_NEGATIVE = Kind(
    code="E_INTERVAL_NEGATIVE",
    message="The interval {cell} between doses is negative.",
    remedy="Write a positive time in II, or 0.",
)
INTERVAL_UNUSED = Kind(
    code="W_INTERVAL_UNUSED",
    message="II is {cell}, but neither ADDL nor SS repeats the dose ({count} such rows, this one"
    " first).",
    remedy="Write ADDL or SS if the dose was repeated, else 0 in II.",
)
STEADY_STATE_UNKNOWN = Kind(
    code="E_STEADY_STATE_UNKNOWN",
    message="SS {cell} is unknown.",
    remedy="Write 0 for a plain dose, 1 for steady state, 2 to add a steady state to the rest.",
)
STEADY_STATE_NO_INTERVAL = Kind(
    code="E_STEADY_STATE_NO_INTERVAL",
    message="The dose is at steady state, but the time between doses (II) is {interval}.",
    remedy="Write the dosing interval, above 0, in II.",
)
RATE_UNMODELLED = Kind(
    code="E_RATE_UNMODELLED",
    message="The dose leaves its rate to the model (RATE -1), which gives none for doses into"
    " {compartment!r}.",
    remedy="Give the model a rate for that compartment, or write the rate in RATE.",
)
DURATION_UNMODELLED = Kind(
    code="E_DURATION_UNMODELLED",
    message="The dose leaves its duration to the model (RATE -2), which gives none for doses into"
    " {compartment!r}.",
    remedy="Give the model a duration for that compartment, or write the rate in RATE.",
)
COMPARTMENT_UNKNOWN = Kind(
    code="E_COMPARTMENT_UNKNOWN",
    message="The dose goes into compartment {label!r}, which the model lacks.",
    remedy="{choice} {near}",
)
