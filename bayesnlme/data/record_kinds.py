"""What can be wrong with the subject, the time and the kind of a record."""

from bayesnlme.data.kind import Kind

ID_FLOAT = Kind(
    code="E_ID_FLOAT",
    message="The identifier {cell} is a decimal number, but identifiers are labels.",
    remedy="Write identifiers as integers or as text.",
)
ID_BLOCKS = Kind(
    code="E_ID_BLOCKS",
    message="The records of this subject are not together: it came before, up to row {other}.",
    remedy="Bring the subject's records together, or give different subjects different ids.",
)
TIME_MISSING = Kind(
    code="E_TIME_MISSING",
    message="The record has no time.",
    remedy="Write the time of the record.",
)
TIME_BACK = Kind(
    code="E_TIME_BACK",
    message="Time goes back, from {other} on the row before to {cell}.",
    remedy="Sort the subject's records by time; let time run on over resets.",
)

EVID_MISSING = Kind(
    code="E_EVID_MISSING",
    message="The record does not say what it is.",
    remedy="Write 0 for an observation, 1 for a dose, 2 for covariates only, 3 or 4 for a reset.",
)
EVID_UNKNOWN = Kind(
    code="E_EVID_UNKNOWN",
    message="EVID {cell} is unknown.",
    remedy="Write 0 for an observation, 1 for a dose, 2 for covariates only, 3 or 4 for a reset.",
)
MDV_UNKNOWN = Kind(
    code="E_MDV_UNKNOWN",
    message="MDV {cell} is unknown.",
    remedy="Write 0 where DV is to be scored and 1 where it is not.",
)
MDV_MISSING = Kind(
    code="E_MDV_MISSING",
    message="The record does not say whether its DV is to be scored.",
    remedy="Write 0 where DV is to be scored and 1 where it is not.",
)
VALUE_NOT_SCORED = Kind(
    code="E_VALUE_NOT_SCORED",
    message="The record has a value ({cell}) but MDV says it has none.",
    remedy="Write MDV 0 to score the value, or '.' in DV to leave it out.",
)
DOSE_WITH_VALUE = Kind(
    code="E_DOSE_WITH_VALUE",
    message="The record has EVID {evid} and is marked as an observation too ({column} is {cell}).",
    remedy="Give the observation a row of its own with EVID 0; write MDV 1 and '.' in DV here.",
)
ZERO_NOT_SCORED = Kind(
    code="W_ZERO_NOT_SCORED",
    message="{count} records with EVID 0 and MDV 1 hold 0 in DV, this one first. The zeros are"
    " taken as placeholders and not scored.",
    remedy="Write '.' in DV; if they are below the limit of quantification, write the limit,"
    " MDV 0 and CENS 1.",
)
DUPLICATE = Kind(
    code="E_DUPLICATE",
    message="The record is the same as row {other} in every column.",
    remedy="Remove one of them; if both happened, add the doses up, or tell two equal measurements"
    " apart by a further column such as REPLICATE.",
)
MDV_INFERRED = Kind(
    code="N_MDV_INFERRED",
    message="There is no MDV column: the {count} records with EVID 0 and a value are scored.",
    remedy="Nothing to do if that is right.",
)
NOT_SCORED = Kind(
    code="N_NOT_SCORED",
    message="{count} records with EVID 0 have no value and are not scored, this one first.",
    remedy="Nothing to do if no sample was taken.",
)
