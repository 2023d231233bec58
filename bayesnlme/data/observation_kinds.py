"""What can be wrong with an observation."""

from bayesnlme.data.kind import Kind

NO_OBSERVATIONS = Kind(
    code="E_NO_OBSERVATIONS",
    message="No record of the table is an observation that can be scored.",
    remedy="Write observations with EVID 0, MDV 0 and a value in DV.",
)
SUBJECT_UNOBSERVED = Kind(
    code="E_SUBJECT_UNOBSERVED",
    message="The subject has no observation that can be scored.",
    remedy="Take the subject's rows out of the table, as it tells the model nothing.",
)
VALUE_MISSING = Kind(
    code="E_VALUE_MISSING",
    message="The record is to be scored (MDV 0) but has no value.",
    remedy="Write the value in DV, or MDV 1 if there is none.",
)
OUTPUT_MISSING = Kind(
    code="E_OUTPUT_MISSING",
    message="The observation does not say what was measured.",
    remedy="Write the output's label in {column}.",
)
OUTPUT_AMBIGUOUS = Kind(
    code="E_OUTPUT_AMBIGUOUS",
    message="Observations come from the compartments {labels}, and no DVID says what they are.",
    remedy='Add a DVID column, or pass dvid="{column}" if each compartment is an output.',
)
OUTPUT_UNKNOWN = Kind(
    code="E_OUTPUT_UNKNOWN",
    message="outputs= renames {label!r}, which no observation has.",
    remedy="{near}",
)
OUTPUT_NAME = Kind(
    code="E_OUTPUT_NAME",
    message="outputs= calls the output {label!r} {name}, which is no name.",
    remedy="Give it a name that is text and does not stand for a missing value.",
)
OUTPUT_TWICE = Kind(
    code="E_OUTPUT_TWICE",
    message="Two outputs would both be called {label!r}.",
    remedy="Give each output a name of its own in outputs=.",
)
OCCASION_MISSING = Kind(
    code="E_OCCASION_MISSING",
    message="The record does not say to which occasion it belongs.",
    remedy="Write the occasion on every row.",
)
CENS_UNKNOWN = Kind(
    code="E_CENS_UNKNOWN",
    message="CENS {cell} is unknown.",
    remedy="Write 1 where the value is below a limit, -1 where it is above one, else 0.",
)
CENS_NO_UPPER_LIMIT = Kind(
    code="E_CENS_NO_UPPER_LIMIT",
    message="The observation lies above a limit (CENS -1), which DV does not give.",
    remedy="Write the upper limit of quantification in DV.",
)
CENS_BELOW_LIMIT = Kind(
    code="E_CENS_BELOW_LIMIT",
    message="The observation is marked as above {cell} (CENS -1), which is below its limit of"
    " quantification {other}.",
    remedy="Write CENS 1 if it is below the limit, or correct DV or LLOQ.",
)
INTERVAL_NO_CENS = Kind(
    code="W_INTERVAL_NO_CENS",
    message="The column {column!r} gives the far end of censored intervals, but there is no CENS"
    " column: it says nothing.",
    remedy="Add a CENS column, or give the column another name if it is a covariate.",
)
INTERVAL_EMPTY = Kind(
    code="E_INTERVAL_EMPTY",
    message="The far end {cell} of the censored interval must lie {side} its limit {near:g}"
    " (CENS {cens}).",
    remedy="With CENS 1 the value lies between LIMIT and LLOQ (or DV), with CENS -1 between DV"
    " and LIMIT.",
)
CENS_MISSING = Kind(
    code="E_CENS_MISSING",
    message="The observation does not say whether it is censored.",
    remedy="Write 1 where the value is below a limit, -1 where it is above one, else 0.",
)
CENS_ELSEWHERE = Kind(
    code="E_CENS_ELSEWHERE",
    message="CENS is {cell} on a record that is not scored.",
    remedy="Write CENS 0 here, or EVID 0 and MDV 0 if it is a censored observation.",
)
CENS_NO_LIMIT = Kind(
    code="E_CENS_NO_LIMIT",
    message="The observation is censored, but neither LLOQ nor DV gives its limit.",
    remedy="Write the limit in DV or in a LLOQ column.",
)
CENS_ABOVE_LIMIT = Kind(
    code="E_CENS_ABOVE_LIMIT",
    message="The observation is marked as below the limit {other}, but its value is {cell}.",
    remedy="Write CENS 0 if it was quantified, else the limit or '.' in DV.",
)
LIMIT_NO_CENS = Kind(
    code="E_LIMIT_NO_CENS",
    message="The value {cell} is below the limit {other}, and no CENS column says what that means.",
    remedy="Add a CENS column: 1 where only the limit is known, else 0.",
)
BELOW_LIMIT = Kind(
    code="W_BELOW_LIMIT",
    message="The value {cell} is below the limit {other} but not marked as censored ({count} such"
    " rows, this one first).",
    remedy="Write CENS 1 if only the limit is known.",
)

# Choosing a part

SUBJECT_NOT_THERE = Kind(
    code="E_SUBJECT_NOT_THERE",
    message="The data have no subject {label!r}.",
    remedy="{near}",
)
OUTPUT_NOT_THERE = Kind(
    code="E_OUTPUT_NOT_THERE",
    message="The data have no output {label!r}.",
    remedy="{near}",
)
NOTHING_LEFT = Kind(
    code="E_NOTHING_LEFT",
    message="No observation is left in this part of the data.",
    remedy="Widen the choice of subjects, outputs or observations.",
)
SUBJECT_LEFT_OUT = Kind(
    code="N_SUBJECT_LEFT_OUT",
    message="No observation of this subject is left, so the part holds nothing of it.",
    remedy="Widen the choice if the subject should stay.",
)
FILL_NOT_THERE = Kind(
    code="E_FILL_NOT_THERE",
    message="The data have no covariate {label!r} to fill.",
    remedy="{near}",
)
FILL_RULE = Kind(
    code="E_FILL_RULE",
    message="{rule} is no rule by which {column} can be filled.",
    remedy="Use {wanted}.",
)
FILL_LEFT = Kind(
    code="E_FILL_LEFT",
    message="{column} is still missing after filling by {rule}: the subject has no value at all.",
    remedy="Fill by a value or the median, or leave the subject out.",
)
FILLED = Kind(
    code="N_COVARIATE_FILLED",
    message="{count} missing values of {column} were filled by {rule}: rows {rows} "
    "(subjects {subjects}).",
    remedy="Read on if that is meant.",
)
