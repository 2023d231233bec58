"""90 % intervals cover at the nominal rate, for every feature of a model."""

import pytest

from tests.recovery.features import FEATURES
from tests.recovery.study import coverage


@pytest.mark.parametrize("feature", ["iiv log-normal"])
def test_intervals_cover(feature):
    found = coverage(feature, replicates=20, seed=1)
    assert not found.outside, (found.outside, found.band)


@pytest.mark.slow
@pytest.mark.parametrize("feature", FEATURES)
def test_intervals_cover_at_the_nominal_rate(feature):
    found = coverage(feature, replicates=60, seed=2)
    assert not found.outside, (found.outside, found.band)
