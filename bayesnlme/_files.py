"""Writing a file whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

from bayesnlme.errors import StoreError


def write_whole(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Write beside the target, then put the finished file in its place.

    Parameters
    ----------
    path : str or Path
        The target; an existing file is replaced only by a finished one.
    write : callable
        Writes the file it is given.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(target)
    except OSError as problem:
        reason = problem.strerror or problem
        raise StoreError(
            f"{target}: cannot be written: {reason}. Choose another path."
        ) from problem
    finally:
        part.unlink(missing_ok=True)
    return target
