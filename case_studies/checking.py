"""Compare what a case study found with what it is expected to find."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One expected value beside the one found; ``found`` is not-a-number where there is none."""

    name: str
    found: float
    expected: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether it lies within the tolerance."""
        return abs(self.found - self.expected) <= self.tolerance


def studies(folder: Path) -> list[Path]:
    """Return the folders of all case studies, in order."""
    return sorted(path.parent for path in folder.glob("*/expected.json"))


def notebook_of(study: Path) -> Path:
    """Return the one notebook of a case study."""
    (notebook,) = study.glob("*.py")
    return notebook


def expected_of(study: Path) -> dict[str, dict[str, float]]:
    """Return value and tolerance of every expected result."""
    return json.loads((study / "expected.json").read_text(encoding="utf-8"))


def compare(
    found: Mapping[str, float], expected: Mapping[str, Mapping[str, float]]
) -> tuple[Check, ...]:
    """Return a check for every name on either side; a name on one side alone fails."""
    nothing = {"value": math.nan, "tolerance": 0.0}
    names = [*expected, *(name for name in found if name not in expected)]
    return tuple(
        Check(
            name=name,
            found=float(found.get(name, math.nan)),
            expected=float(expected.get(name, nothing)["value"]),
            tolerance=float(expected.get(name, nothing)["tolerance"]),
        )
        for name in names
    )
