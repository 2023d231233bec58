"""Where results go: folders made in time, and inputs left alone."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path


def prepare(folder: Path) -> None:
    """Make the folder now, so that nobody samples for an hour to learn that it cannot be."""
    if folder.exists() and not folder.is_dir():
        reason = "This is a file, not a folder; choose another -o"
        raise NotADirectoryError(errno.ENOTDIR, reason, str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "No permission to write here", str(folder))


def spare(inputs: Iterable[Path], written: Iterable[Path]) -> None:
    """Refuse to write a result over one of the files that were read."""
    kept = {each.resolve() for each in inputs}
    for path in written:
        if path.resolve() in kept:
            reason = "The result would replace this input; choose another -o"
            raise FileExistsError(errno.EEXIST, reason, str(path))


def leave(path: Path, content: bytes) -> None:
    """Write a file for the user to go on from, unless the user did so with one of that name."""
    if path.exists() and path.read_bytes() != content:
        reason = "This file was changed since and would be replaced; choose another -o"
        raise FileExistsError(errno.EEXIST, reason, str(path))
    path.write_bytes(content)
