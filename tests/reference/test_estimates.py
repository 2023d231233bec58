"""Our estimates beside those that other programs printed; see SOURCE.md."""

import re

import pytest

from tests.reference import estimates

QUICK = {"NONMEM 7.4.2, FOCEI", "nlme, fm2Oran.nlme", "nlmixr2, FOCEi"}
RESULTS = [
    pytest.param(
        each, id=each["program"], marks=() if each["program"] in QUICK else pytest.mark.slow
    )
    for each in estimates.results()
]


@pytest.mark.parametrize("result", RESULTS)
def test_estimates_are_those_of_other_programs(result):
    for name, printed in result["values"].items():
        if not result["units"] or name in result.get("not_held", ()):
            continue
        found = estimates.ours(result["model"], result["method"], name)
        unit = 10.0 ** -estimates.decimals(printed)
        assert found == pytest.approx(float(printed), abs=result["units"] * unit), name


@pytest.mark.slow
@pytest.mark.parametrize("result", [each for each in RESULTS if "there" in each.values[0]])
def test_other_estimates_are_not_those_of_the_maximum(result):
    """Our method gives less there, and what the program printed, if it printed an objective."""
    (name, expected), (_, within) = result["there"].items()
    fit = estimates.at_printed(result)
    constant = fit.ofv - fit.likelihood.ofv_without_constant if name != "ofv" else 0.0
    found = estimates.objective_at(result["model"], result["method"], fit) - constant
    assert found == pytest.approx(expected, abs=within)
    assert found > estimates.ours(result["model"], result["method"], name) + 0.1


@pytest.mark.slow
def test_the_page_is_what_the_fits_give():
    """The same words, and numbers within one unit of their last digit."""
    made = "\n".join(estimates.beside_others())
    written = estimates.PAGE.read_text()
    start = written.index("### Theophylline")
    written = written[start : written.index(estimates.TRUTH)].strip()
    number = r"-?\d+\.?\d*"
    assert re.sub(number, "#", made.strip()) == re.sub(number, "#", written)
    for one, other in zip(re.findall(number, made), re.findall(number, written), strict=True):
        unit = 10.0 ** -estimates.decimals(one)
        assert float(one) == pytest.approx(float(other), abs=1.01 * unit)
