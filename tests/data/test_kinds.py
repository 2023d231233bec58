from pathlib import Path

import pytest

from bayesnlme.data import dose_kinds, observation_kinds, record_kinds, table_kinds
from bayesnlme.data.kind import Kind
from bayesnlme.errors import Severity

MODULES = (table_kinds, record_kinds, dose_kinds, observation_kinds)
KINDS = [each for module in MODULES for each in vars(module).values() if isinstance(each, Kind)]
REFERENCE = Path(__file__).parents[2] / "docs/reference/findings.md"


def test_codes_are_unique_and_say_how_much_they_matter():
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert {kind.severity for kind in KINDS} == set(Severity)


@pytest.mark.skipif(not REFERENCE.exists(), reason="installed without the documentation")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_the_reference_lists_every_kind(kind):
    assert f"`{kind.code}`" in REFERENCE.read_text()
