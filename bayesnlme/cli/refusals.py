"""From errors to exit codes, and to words that a person can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.text import Text

from bayesnlme.cli import show
from bayesnlme.errors import BayesNLMEError, DataError, InterruptedFitError

FINE, BAD_INPUT, USAGE, NOT_CONVERGED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; 2 is the shell's and typer's own for a wrong command line."""

SHOWN = 20


@contextmanager
def refusals() -> Iterator[None]:
    """Turn an expected error into a message on standard error and an exit code."""
    try:
        yield
    except DataError as problem:
        _tell_findings(problem)
        raise typer.Exit(BAD_INPUT) from None
    except InterruptedFitError as problem:
        _tell(problem)
        raise typer.Exit(INTERRUPTED) from None
    except BayesNLMEError as problem:
        _tell(problem)
        raise typer.Exit(BAD_INPUT) from None
    except BrokenPipeError:
        raise
    except OSError as problem:
        _tell(f"{problem.filename}: {problem.strerror}." if problem.filename else problem)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        _tell("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None


def _tell(problem: object) -> None:
    line = Text("Error: ", style="bold red").append(show.one_line(problem), style="default")
    show.messages().print(line, soft_wrap=True)


def _tell_findings(problem: DataError) -> None:
    count = len(problem.findings)
    _tell(f"{problem.source}: {count} problem{'' if count == 1 else 's'}")
    console = show.messages()
    console.print(show.findings_table(problem.findings[:SHOWN], width=console.width))
    if count > SHOWN:
        console.print(f"... and {count - SHOWN} more; bayesnlme check lists them all.")
