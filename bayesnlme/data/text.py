"""Read a delimited text file into a table of cells."""

import codecs
import csv
import io
from collections.abc import Collection
from pathlib import Path

from bayesnlme.data import table_kinds as kinds
from bayesnlme.data.table import Table, make_table
from bayesnlme.errors import DataError, Finding, did_you_mean

FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or another zip archive",
    b"\x1f\x8b": "compressed by gzip",
    b"PAR1": "a Parquet file",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF document",
}
MARKS = {
    codecs.BOM_UTF32_LE: ("UTF-32", "utf-32"),
    codecs.BOM_UTF32_BE: ("UTF-32", "utf-32"),
    codecs.BOM_UTF16_LE: ("UTF-16", "utf-16"),
    codecs.BOM_UTF16_BE: ("UTF-16", "utf-16"),
}
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "spaces"}


def read_text(path: Path, missing: Collection[str], encoding: str) -> Table:
    """Read a text file with a header line and one record per line.

    Commas, tabs, semicolons and runs of spaces are told apart by the header.

    Parameters
    ----------
    path : Path
        The file.
    missing : collection of str
        Cells that stand for a missing value.
    encoding : str
        Name of the character encoding.

    Returns
    -------
    Table
        The cells as text.

    Raises
    ------
    DataError
        If the file cannot be read, decoded, or cut into equal rows.
    """
    source = path.name or str(path)
    try:
        text = _decode(_bytes(path), encoding)
        delimiter = _delimiter(text)
        rows = _split(text, delimiter)
    except DataError as error:
        raise DataError(error.findings, source) from None
    problems = _ragged(rows, delimiter)
    if problems:
        raise DataError(problems, source)
    note = kinds.DELIMITER.at(delimiter=DELIMITERS[delimiter])
    columns = list(zip(*rows[1:], strict=True)) or [() for _ in rows[0]]
    findings = [] if delimiter == "," else [note]
    return make_table(rows[0], columns, missing, source=source, findings=findings)


def _refuse(finding: Finding) -> DataError:
    return DataError([finding])


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise _refuse(kinds.FILE_IS_FOLDER.at(path=str(path), files=_tables_in(path)))
    if not path.is_file():
        folder = path.parent
        names = sorted(each.name for each in folder.glob("*.*")) if folder.is_dir() else []
        raise _refuse(kinds.FILE_MISSING.at(path=str(path), near=did_you_mean(path.name, names)))
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"a file that cannot be opened ({error.strerror})"
        raise _refuse(kinds.FILE_NOT_TEXT.at(what=reason)) from error


def _tables_in(folder: Path) -> str:
    names = sorted(each.name for each in folder.glob("*.csv"))
    return f"There are {', '.join(map(repr, names[:8]))} in it." if names else ""


def _decode(content: bytes, encoding: str) -> str:
    codec = _codec(encoding)
    problem = _foreign(content) or _mark(content, codec)
    if problem:
        raise _refuse(problem)
    try:
        text = content.decode(codec)
    except (UnicodeDecodeError, UnicodeError) as error:
        raise _refuse(_undecodable(content, encoding, error)) from error
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n")
        raise _refuse(kinds.NUL.at(row=line or None))
    return text


def _codec(encoding: str) -> str:
    try:
        info = codecs.lookup(encoding)
    except (LookupError, TypeError, ValueError) as error:
        reason = "no such encoding is known"
        raise _refuse(kinds.ENCODING.at(encoding=repr(encoding), reason=reason)) from error
    return info.name


def _foreign(content: bytes) -> Finding | None:
    for magic, what in FOREIGN.items():
        if content.startswith(magic):
            return kinds.FILE_NOT_TEXT.at(what=what)
    return None


def _mark(content: bytes, codec: str) -> Finding | None:
    """Refuse a byte-order mark that the encoding does not expect."""
    if codec.startswith(("utf-16", "utf-32")):
        return None
    for mark, (what, name) in MARKS.items():
        if content.startswith(mark):
            return kinds.UTF16.at(what=what, codec=name)
    if _looks_wide(content):
        return kinds.UTF16.at(what="UTF-16 without a mark", codec="utf-16-le")
    if content.startswith(codecs.BOM_UTF8) and codec != "utf-8-sig":
        return kinds.BOM.at()
    return None


def _looks_wide(content: bytes) -> bool:
    """Say whether every other byte is NUL, as in UTF-16 text without a mark."""
    head = content[:200]
    half = len(head) // 2
    return half > 4 and max(head[0::2].count(0), head[1::2].count(0)) > 0.9 * half


def _undecodable(content: bytes, encoding: str, error: UnicodeError) -> Finding:
    if not isinstance(error, UnicodeDecodeError):
        return kinds.ENCODING.at(encoding=encoding, reason=str(error))
    row = content[: error.start].count(b"\n")
    byte = f"byte 0x{content[error.start]:02x} does not fit"
    return kinds.ENCODING.at(row=row or None, encoding=encoding, reason=byte)


def _delimiter(text: str) -> str:
    """Pick the delimiter that cuts the header into the most cells."""
    lines = text.splitlines()
    header = lines[0] if lines else ""
    counts = {each: header.count(each) for each in (",", "\t", ";")}
    best = max(counts, key=lambda each: counts[each])
    return best if counts[best] or " " not in header.strip() else " "


def _split(text: str, delimiter: str) -> list[list[str]]:
    lines = io.StringIO(text.rstrip("\r\n\x1a"), newline="")
    trimmed = (line.strip() for line in lines) if delimiter == " " else lines
    reader = csv.reader(
        trimmed, delimiter=delimiter, strict=True, skipinitialspace=delimiter == " "
    )
    try:
        rows = list(reader)
    except csv.Error as error:
        row = max(reader.line_num - 1, 0)
        raise _refuse(kinds.QUOTE.at(row=row or None, reason=str(error))) from error
    if not rows:
        raise _refuse(kinds.EMPTY.at(what="nothing in it"))
    return rows


def _ragged(rows: list[list[str]], delimiter: str) -> list[Finding]:
    expected = len(rows[0])
    word = DELIMITERS[delimiter].removesuffix("s")
    ragged = [(i, row) for i, row in enumerate(rows) if len(row) != expected]
    return [
        kinds.RAGGED.at(row=i, found=len(row), expected=expected, delimiter=word)
        if row
        else kinds.ROW_BLANK.at(row=i)
        for i, row in ragged
    ]
