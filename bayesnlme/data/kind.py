"""A kind of finding: its code and its words, apart from the place where it was met."""

from dataclasses import dataclass

from bayesnlme.errors import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of finding.

    Attributes
    ----------
    code : str
        Stable name; its first letter says error, warning or note.
    message, remedy : str
        Templates; ``{cell}`` and the like are filled in for each finding.
    """

    code: str
    message: str
    remedy: str

    @property
    def severity(self) -> Severity:
        """Error, warning or note, as the first letter of the code says."""
        return {"E": Severity.ERROR, "W": Severity.WARNING, "N": Severity.NOTE}[self.code[0]]

    def at(
        self,
        *,
        subject: str | None = None,
        row: int | None = None,
        column: str | None = None,
        **words: object,
    ) -> Finding:
        """Make the finding for one place of the table."""
        return Finding(
            code=self.code,
            message=self.message.format(column=column, **words),
            remedy=self.remedy.format(column=column, **words),
            severity=self.severity,
            subject=subject,
            row=row,
            column=column,
        )
