"""What ``bayesnlme report`` does, once its arguments are known."""

import errno
from pathlib import Path

from bayesnlme.cli import folders, show
from bayesnlme.reports.page import report
from bayesnlme.results.fit import load


def write_report(path: Path, page: Path) -> None:
    """Write the report of a stored fit."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "This is a folder, not a fit", str(path))
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "There is no such file", str(path))
    folders.spare([path], [page])
    stored = load(path)
    written = report(stored, page)
    show.output().print(show.verdict(stored.verdict, stored.status), soft_wrap=True)
    show.say_places({"report": written})
