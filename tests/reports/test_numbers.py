import pytest

from bayesnlme.reports.numbers import MINUS, listing, number, several, whole


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0, "1.00"),
        (-0.1564, f"{MINUS}0.156"),
        (123456.7, "123457"),
        (1.5e6, "1.50e+06"),
        (float("nan"), ""),
        (float("inf"), "inf"),
    ],
)
def test_numbers(value, written):
    assert number(value) == written


def test_words():
    assert whole(870.4) == "870"
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert several(1, "draw") == "1 draw"
