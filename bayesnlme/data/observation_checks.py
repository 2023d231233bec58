"""Rules that observations keep: values, outputs, occasions, censoring."""

from collections.abc import Iterator, Mapping

import numpy as np

from bayesnlme.data import observation_kinds as kinds
from bayesnlme.data.checks import evids, first_only, meant_as_scored
from bayesnlme.data.entries import Entries
from bayesnlme.errors import Finding, did_you_mean


def check_observations(entries: Entries, outputs: Mapping[str, str]) -> Iterator[Finding]:
    """Check what is scored, what it is called, and how it is censored.

    Parameters
    ----------
    entries : Entries
        The table by roles.
    outputs : mapping of str to str
        New names of the outputs, by label.

    Yields
    ------
    Finding
        Errors and warnings.
    """
    yield from _anything_scored(entries)
    yield from _values(entries)
    yield from _outputs(entries)
    yield from _names(entries, outputs)
    yield from _occasions(entries)
    yield from _censoring(entries)
    yield from _limits(entries)
    yield from _upper_limits(entries)
    yield from _intervals(entries)


def output_labels(entries: Entries) -> tuple[str, ...]:
    """List the labels of what was measured: numbers in order, then words."""
    dvid = entries["DVID"]
    if not dvid.present:
        return ("1",)
    scored = np.flatnonzero(meant_as_scored(entries) & ~dvid.missing).tolist()
    return sorted_labels({dvid.cells[i] or "" for i in scored})


def sorted_labels(labels: set[str]) -> tuple[str, ...]:
    """Sort labels: whole numbers by size, then words."""
    return tuple(sorted(labels, key=_rank))


def _rank(text: str) -> tuple[int, int, str]:
    is_number = text.isascii() and text.lstrip("-").isdigit()
    return (0, int(text), text) if is_number else (1, 0, text)


def _anything_scored(entries: Entries) -> Iterator[Finding]:
    scored = meant_as_scored(entries)
    if not scored.any():
        yield kinds.NO_OBSERVATIONS.at()
        return
    rows = np.arange(len(entries))
    first = np.full(len(entries.subjects), len(entries))
    np.minimum.at(first, entries.subject, rows)
    seen = np.zeros(len(entries.subjects), dtype=np.bool_)
    seen[entries.subject[scored]] = True
    at_first = (first[entries.subject] == rows) & ~seen[entries.subject]
    yield from entries.flag(kinds.SUBJECT_UNOBSERVED, at_first, "ID")


def _values(entries: Entries) -> Iterator[Finding]:
    exact = ~np.isin(entries["CENS"].numbers, (-1, 1))
    wanting = meant_as_scored(entries) & entries["DV"].missing & exact
    yield from entries.flag(kinds.VALUE_MISSING, wanting, "DV")


def _outputs(entries: Entries) -> Iterator[Finding]:
    scored, dvid, cmt = meant_as_scored(entries), entries["DVID"], entries["CMT"]
    if dvid.present:
        yield from entries.flag(kinds.OUTPUT_MISSING, scored & dvid.missing, "DVID")
        return
    labels = [cmt.cells[i] for i in np.flatnonzero(scored & ~cmt.missing).tolist()]
    if len(set(labels)) > 1:
        other = np.array([cell not in (None, labels[0]) for cell in cmt.cells])
        names = ", ".join(sorted_labels({each for each in labels if each}))
        yield from first_only(entries, kinds.OUTPUT_AMBIGUOUS, scored & other, "CMT", labels=names)


def _names(entries: Entries, outputs: Mapping[str, str]) -> Iterator[Finding]:
    known = output_labels(entries)
    for old in outputs:
        if old not in known:
            yield kinds.OUTPUT_UNKNOWN.at(label=old, near=did_you_mean(old, known))
    new = [renamed(each, outputs) for each in known]
    for name in dict.fromkeys(new):
        if new.count(name) > 1:
            yield kinds.OUTPUT_TWICE.at(label=name)


def renamed(output: str, outputs: Mapping[str, str]) -> str:
    """Give an output its new name, if there is one."""
    return outputs.get(output, output)


def _occasions(entries: Entries) -> Iterator[Finding]:
    occ = entries["OCC"]
    if occ.present:
        yield from entries.flag(kinds.OCCASION_MISSING, occ.missing, "OCC")


def _censoring(entries: Entries) -> Iterator[Finding]:
    cens, scored = entries["CENS"], meant_as_scored(entries)
    if not cens.present:
        return
    known = np.isnan(cens.numbers) | np.isin(cens.numbers, (-1, 0, 1))
    yield from entries.flag(kinds.CENS_UNKNOWN, ~known, "CENS")
    yield from entries.flag(kinds.CENS_MISSING, scored & cens.missing, "CENS")
    readable = evids(entries) >= 0
    readable &= entries["MDV"].missing | ~np.isnan(entries["MDV"].numbers)
    elsewhere = np.isin(cens.numbers, (-1, 1)) & ~scored & readable
    yield from entries.flag(kinds.CENS_ELSEWHERE, elsewhere, "CENS")


def _limits(entries: Entries) -> Iterator[Finding]:
    dv, lloq, cens = entries["DV"], entries["LLOQ"], entries["CENS"]
    scored = meant_as_scored(entries)
    censored = scored & (cens.numbers == 1)
    role = "LLOQ" if lloq.present else "DV"
    yield from entries.flag(kinds.CENS_NO_LIMIT, censored & lloq.missing & dv.missing, role)
    limits = lloq.cells
    above = censored & (dv.numbers > lloq.numbers)
    yield from entries.flag(kinds.CENS_ABOVE_LIMIT, above, "DV", other=limits)
    below = scored & (dv.numbers < lloq.numbers)
    if not cens.present:
        yield from entries.flag(kinds.LIMIT_NO_CENS, below, "DV", other=limits)
        return
    unmarked = below & (cens.numbers == 0)
    first = int(np.argmax(unmarked))
    yield from first_only(entries, kinds.BELOW_LIMIT, unmarked, "DV", other=limits[first])


def _upper_limits(entries: Entries) -> Iterator[Finding]:
    dv, lloq = entries["DV"], entries["LLOQ"]
    above = meant_as_scored(entries) & (entries["CENS"].numbers == -1)
    yield from entries.flag(kinds.CENS_NO_UPPER_LIMIT, above & dv.missing, "DV")
    contrary = above & (dv.numbers < lloq.numbers)
    yield from entries.flag(kinds.CENS_BELOW_LIMIT, contrary, "DV", other=lloq.cells)


def _intervals(entries: Entries) -> Iterator[Finding]:
    """Check the far end of intervals: below the limit with CENS 1, above DV with CENS -1."""
    cens, dv, lloq, far = (entries[each] for each in ("CENS", "DV", "LLOQ", "LIMIT"))
    if far.present and not cens.present:
        yield kinds.INTERVAL_NO_CENS.at(column=far.column)
        return
    scored = meant_as_scored(entries)
    near = np.where((cens.numbers == 1) & ~lloq.missing, lloq.numbers, dv.numbers)
    wrong = (cens.numbers == 1) & (far.numbers >= near)
    wrong |= (cens.numbers == -1) & (far.numbers <= near)
    side = np.where(cens.numbers == 1, "below", "above")
    yield from entries.flag(
        kinds.INTERVAL_EMPTY, scored & wrong, "LIMIT", cens=cens.cells, near=near, side=side
    )
