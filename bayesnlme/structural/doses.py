"""Dose records that no structural model can express yet."""

import numpy as np

from bayesnlme.data import Dataset
from bayesnlme.errors import DataError, Finding


def refuse_beyond_bolus_and_infusion(data: Dataset) -> None:
    """Refuse dose records whose meaning needs more than a bolus or a known infusion.

    Raises
    ------
    DataError
        Naming every record with a modelled rate or duration or a steady state.
    """
    doses = data.doses
    kinds = (
        (doses.rate < 0, "E_RATE_UNMODELLED", "RATE", "a modelled rate or duration (RATE -1, -2)"),
        (doses.steady_state != 0, "E_STEADY_STATE", "SS", "a steady-state dose"),
    )
    findings = [
        Finding(
            code=code,
            message=f"This record asks for {words}, which the structural model cannot express.",
            remedy="Write the doses out as boluses (RATE 0) or infusions of known rate.",
            subject=data.subjects[doses.subject[i]],
            row=int(doses.row[i]),
            column=column,
        )
        for mask, code, column, words in kinds
        for i in np.flatnonzero(mask)
    ]
    if findings:
        raise DataError(findings, data.source)
