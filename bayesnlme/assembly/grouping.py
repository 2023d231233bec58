"""Sums by group, for groups that are known when the program is written."""

import numpy as np

from bayesnlme._types import Integers
from bayesnlme.assembly.program import Places, Program


def grouped_sum(program: Program, terms: Places, group: Integers, n_groups: int) -> Places:
    """Add up terms by group: shape (..., terms) gives (..., groups)."""
    wide = side_by_side(program, terms, group, n_groups)
    if wide.shape[-1] == 1:
        return wide[..., 0]
    return program.fold("add", wide.reshape(-1, wide.shape[-1])).reshape(wide.shape[:-1])


def side_by_side(program: Program, terms: Places, group: Integers, n_groups: int) -> Places:
    """Arrange terms by group, filled up with zeros; shape (..., groups, largest group)."""
    width = max(1, int(np.bincount(group, minlength=n_groups).max(initial=0)))
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    column = np.arange(group.size) - np.searchsorted(ordered, ordered)
    wide = np.empty((*terms.shape[:-1], n_groups, width), dtype=np.int64)
    wide[...] = program.constants(np.zeros(()))
    wide[..., ordered, column] = terms[..., order]
    return wide
