"""Errors and findings: what was seen, where, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing noticed about a table or about a model next to its table.

    Attributes
    ----------
    code : str
        Stable name of the kind of finding, such as ``"E_DOSE_NO_AMOUNT"``.
    message : str
        What was seen.
    remedy : str
        What to do about it.
    severity : Severity
        An error stops the work, a warning should be read, a note informs.
    subject : str or None
        Identifier of the subject, as written in the table.
    row : int or None
        Row of the table, counted from 1 below the header.
    column : str or None
        Column, as written in the table.
    """

    code: str
    message: str
    remedy: str
    severity: Severity = Severity.ERROR
    subject: str | None = None
    row: int | None = None
    column: str | None = None

    @property
    def place(self) -> str:
        """Where it was seen, in words: ``"subject 3, row 14, column AMT"``."""
        parts = (
            ("subject", self.subject),
            ("row", self.row),
            ("column", self.column),
        )
        return ", ".join(f"{word} {value}" for word, value in parts if value is not None)

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        return f"{self.code}{where}: {self.message} {self.remedy}"


class BayesNLMEError(Exception):
    """Base of every error this package raises on purpose."""


class DataError(BayesNLMEError):
    """A table that cannot be used as it is; carries every problem found in it.

    Parameters
    ----------
    findings : iterable of Finding
        All problems, in the order of the table.
    source : str
        The file, or a word for the frame, that was read.
    """

    def __init__(self, findings: Iterable[Finding], source: str = "table") -> None:
        self.findings = tuple(findings)
        self.source = source
        super().__init__(self._message())

    def __reduce__(self) -> tuple[type["DataError"], tuple[tuple[Finding, ...], str]]:
        """Say how another process makes the same error: from what it was made of."""
        return type(self), (self.findings, self.source)

    def _message(self) -> str:
        count = len(self.findings)
        head = f"{self.source}: {count} problem{'' if count == 1 else 's'}"
        shown = [f"  {finding}" for finding in self.findings[:20]]
        if count > 20:
            shown.append(f"  ... and {count - 20} more (see the error's .findings)")
        return "\n".join([head, *shown])


class ModelError(BayesNLMEError):
    """A model that contradicts itself, refused when it is made."""


class FitError(BayesNLMEError):
    """A fit that could not start or could not go on."""


class InterruptedFitError(FitError):
    """A fit stopped by the user before there was anything to keep."""


class StoreError(BayesNLMEError):
    """A stored file that is not what it claims to be."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which of the known names is nearest to an unknown one.

    Examples
    --------
    >>> did_you_mean("KA", ["ka", "CL", "V"])
    "Did you mean 'ka'? Known: 'ka', 'CL', 'V'."
    >>> did_you_mean("x", [])
    'Nothing is known here.'
    """
    names = list(known)
    if not names:
        return "Nothing is known here."
    listing = "Known: " + ", ".join(repr(each) for each in names) + "."
    folded = {each.casefold(): each for each in reversed(names)}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"Did you mean {folded[near[0]]!r}? {listing}" if near else listing
