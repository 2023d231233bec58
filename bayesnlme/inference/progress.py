"""What is shown on standard error while a fit runs: draws and divergences, or steps and OFV."""

import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress


class _Shown:
    """A bar that is there while its context lasts."""

    def __init__(
        self, words: str, columns: tuple[ProgressColumn, ...], *, shown: bool, **fields: Any
    ) -> None:
        self._bar = RichProgress(*columns, console=Console(file=sys.stderr), disable=not shown)
        self._task = self._bar.add_task(words, total=None, **fields)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


class Progress(_Shown):
    """Show how far the chains are, on standard error; a context manager.

    Parameters
    ----------
    chains, draws : int
        Number of chains, and of draws of each with the warm-up.
    shown : bool
        False keeps it silent.
    """

    def __init__(self, chains: int, draws: int, *, shown: bool) -> None:
        self._total, self._before, self._completed = chains * draws, 0, 0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[divergences]} divergences"),
            TimeRemainingColumn(),
        )
        words = f"Sampling {chains} chain{'s' * (chains > 1)}"
        super().__init__(words, columns, divergences=0, shown=shown)

    def next_part(self) -> None:
        """Take what nutpie reports from now on as what follows."""
        self._before = self._completed

    def update(self, chains: list[Any]) -> None:
        """Take nutpie's report on its chains; called from its thread."""
        self._completed = self._before + sum(each.finished_draws for each in chains)
        self._bar.update(
            self._task,
            completed=self._completed,
            total=self._total,
            divergences=sum(each.divergences for each in chains),
        )


class SearchProgress(_Shown):
    """Show how far a search for the largest likelihood is, on standard error.

    Parameters
    ----------
    title : str
        The method.
    shown : bool
        False keeps it silent.
    """

    def __init__(self, title: str, *, shown: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            TextColumn("step {task.completed}"),
            TextColumn("OFV {task.fields[ofv]}"),
        )
        super().__init__(title, columns, ofv="", shown=shown)

    def update(self, step: int, value: float) -> None:
        """Show a step's number and minus the log likelihood there."""
        self._bar.update(self._task, completed=step, ofv=f"{2 * value:.3f}")


class IterationProgress(_Shown):
    """Show how many of a known number of iterations are done, on standard error.

    Parameters
    ----------
    title : str
        The method.
    shown : bool
        False keeps it silent.
    """

    def __init__(self, title: str, *, shown: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        super().__init__(title, columns, shown=shown)

    def update(self, done: int, total: int) -> None:
        """Show how many iterations of how many are done."""
        self._bar.update(self._task, completed=done, total=total)
