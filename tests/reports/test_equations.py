import pytest

from bayesnlme.reports.equations import mathml, shown
from bayesnlme.structural.base import Equation


def test_cuts_at_the_relation():
    equal = shown(Equation(left="y", right="a + b", text="y = a + b"))
    drawn = shown(Equation(left="y", right=r"\sim \mathcal{N}(0, 1)", text="y ~ N(0, 1)"))
    assert (equal.relation, drawn.relation) == ("=", "∼")
    assert "sim" not in drawn.right


def test_a_word_is_one_symbol():
    assert '<mi mathvariant="normal">CL</mi>' in mathml(r"\frac{CL}{V}")
    assert '<mi mathvariant="normal">IC</mi><mn>50</mn>' in mathml("IC50_i")
    assert '<mi mathvariant="normal">pop</mi>' in mathml(r"ka_{\mathrm{pop}}")
    assert mathml(r"\frac{dy}{dt}").count("<mi>t</mi>") == 1


def test_factors_stand_apart():
    assert mathml(r"CL \mathrm{central}").count("<mspace") == 1
    assert mathml(r"k_{a} \, e^{x}").count("<mspace") == 1
    assert "<mspace" not in mathml(r"a + b - \frac{c}{d}")


def test_what_cannot_be_drawn_is_shown_as_text():
    found = shown(Equation(left="y", right="a_b_c", text="y = a_b_c"))
    assert found.left is None
    assert found.right is None
    assert found.text == "y = a_b_c"


@pytest.mark.parametrize("word", ["<b>", "a&b"])
def test_text_is_escaped(word):
    assert "<b>" not in mathml(rf"\mathrm{{{word}}}")
