"""Run the case studies and compare their numbers with the expected ones.

    python -m case_studies [NAME ...]

Exit code 1 where a notebook fails or a number differs by more than its tolerance.
"""

import json
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from rich.console import Console
from rich.table import Table

from case_studies.checking import Check, compare, expected_of, notebook_of, studies

HERE = Path(__file__).parent
MARK = "case study results: "
ASK = f"import json; print({MARK!r} + json.dumps({{k: float(v) for k, v in results.items()}}))"
"""Appended to a notebook, which leaves what it found in a dict `results`."""


def main() -> int:
    """Run the studies named on the command line, or all; return the exit code."""
    console = Console()
    chosen = [each for each in studies(HERE) if not sys.argv[1:] or each.name in sys.argv[1:]]
    unknown = set(sys.argv[1:]) - {each.name for each in chosen}
    if unknown:
        console.print(f"no such case study: {', '.join(sorted(unknown))}")
        return 2
    return max((_judge(study, console) for study in chosen), default=0)


def run(study: Path) -> dict[str, float]:
    """Execute a study's notebook in a folder that is thrown away; return its results."""
    notebook = jupytext.read(notebook_of(study))
    notebook.cells.append(nbformat.v4.new_code_cell(ASK))
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}}).execute()
    printed = "".join(each.get("text", "") for each in notebook.cells[-1].outputs)
    return json.loads(printed.partition(MARK)[2])


def _judge(study: Path, console: Console) -> int:
    with console.status(f"{study.name}: running"):
        try:
            found = run(study)
        except CellExecutionError as problem:
            console.print(f"{study.name}: {problem}", markup=False)
            return 1
    checks = compare(found, expected_of(study))
    console.print(_table(study.name, checks))
    return 0 if all(each.passed for each in checks) else 1


def _table(title: str, checks: tuple[Check, ...]) -> Table:
    table = Table(title=title)
    for column in ("result", "found", "expected", "tolerance"):
        table.add_column(column, justify="left" if column == "result" else "right")
    table.add_column("")
    for each in checks:
        numbers = (f"{value:.4g}" for value in (each.found, each.expected, each.tolerance))
        table.add_row(each.name, *numbers, "ok" if each.passed else "DIFFERS")
    return table


if __name__ == "__main__":
    sys.exit(main())
