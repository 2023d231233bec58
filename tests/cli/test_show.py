from io import StringIO

import pytest
from rich.console import Console

from bayesnlme.cli import show
from bayesnlme.errors import Finding, Severity

FINDINGS = [
    Finding(
        code="E_DOSE_NO_AMOUNT",
        message="The dose has no amount.",
        remedy="Give AMT.",
        subject="7",
        row=14,
        column="AMT",
    ),
    Finding(code="N_DELIMITER", message="Semicolons.", remedy="Nothing.", severity=Severity.NOTE),
]


@pytest.mark.parametrize("width", [40, 80, 119, 120, 200])
def test_every_word_of_a_finding_is_shown_at_every_width(width):
    console = Console(width=width, record=True, file=StringIO())
    console.print(show.findings_table(FINDINGS, width=width))
    text = console.export_text()
    words = " ".join(text.split())
    for word in ("E_DOSE_NO_AMOUNT", "N_DELIMITER", "7", "14", "AMT", "amount.", "Semicolons."):
        assert word in words
    assert max(map(len, text.splitlines())) <= width


def test_counts_of_findings():
    assert show.count_words(FINDINGS) == "1 error, no warnings, 1 note"


def test_numbers_keep_three_digits(made_fit):
    table = show.parameter_table(made_fit.summary(), width=160)
    assert [column.header for column in table.columns[1:4]] == ["mean", "sd", "median"]
    cells = list(table.columns[1].cells)
    assert all(len(cell.replace(".", "").lstrip("0")) >= 3 for cell in cells)
    assert "95%" in table.caption


def test_the_table_of_parameters_fits_a_small_terminal(made_fit):
    console = Console(width=80, record=True, file=StringIO())
    console.print(show.parameter_table(made_fit.summary(), width=80))
    text = console.export_text()
    assert "…" not in text
    assert "R-hat" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("status", "colour"),
    [
        ("converged", "green"),
        ("converged at a bound", "yellow"),
        ("not converged", "red"),
        ("interrupted", "red"),
    ],
)
def test_only_a_converged_fit_is_green(status, colour):
    assert colour in str(show.verdict("words", status).style)
