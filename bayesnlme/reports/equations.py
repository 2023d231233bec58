"""Equations for the page: MathML that browsers draw without help, with the plain text beside it."""

import re
from contextlib import suppress
from dataclasses import dataclass

from latex2mathml import exceptions
from latex2mathml.converter import convert
from markupsafe import Markup

from bayesnlme.model.display import sections
from bayesnlme.model.model import Model
from bayesnlme.structural.base import Equation

_UNREADABLE: tuple[type[Exception], ...] = tuple(
    each for each in vars(exceptions).values() if isinstance(each, type)
)
_WORDS = re.compile(
    r"\\(?:mathrm|text|operatorname|mathcal|begin|end)\{[^{}]*\}|\\[A-Za-z]+|\bdt\b"
    r"|(?P<word>[A-Za-z]{2,}[0-9]*|[A-Za-z][0-9]+)"
)
_PRODUCT = re.compile(r"(?<=[}\w])\s+(?=\\?[A-Za-z])")
_LETTERS = re.compile(r'(?:<mi mathvariant="normal">[^<]*</mi>){2,}')
_CONVERTED = '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">'
_RELATION = re.compile(r"^\\sim\b\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An equation as the page shows it; the sides are None where only the text can be shown."""

    left: Markup | None
    relation: str
    right: Markup | None
    text: str


def shown_sections(model: Model) -> list[tuple[str, list[Shown]]]:
    """Return the model's equations under their headings, empty ones left out."""
    return [
        (heading, [shown(each) for each in group]) for heading, group in sections(model) if group
    ]


def shown(equation: Equation) -> Shown:
    """Turn an equation into MathML, cut at its relation so that a list of them can be aligned."""
    right, distributed = _RELATION.subn("", equation.right)
    sides: tuple[Markup | None, Markup | None] = None, None
    with suppress(*_UNREADABLE):
        sides = mathml(equation.left), mathml(right)
    relation = "∼" if distributed else "="
    return Shown(left=sides[0], relation=relation, right=sides[1], text=equation.text)


def mathml(latex: str) -> Markup:
    r"""Turn LaTeX into MathML.

    A word of several letters is one upright symbol; factors side by side stand a little apart.

    Examples
    --------
    >>> print(mathml(r"ka_i"))  # doctest: +ELLIPSIS
    <math displaystyle="true"><mrow><msub><mrow><mi mathvariant="normal">ka</mi></mrow>...
    """
    drawn = convert(_WORDS.sub(_upright, _PRODUCT.sub(r"\\, ", latex)))
    drawn = drawn.replace(_CONVERTED, '<math displaystyle="true">')
    drawn = drawn.replace("<mi>&#x0007E;</mi>", "<mo>∼</mo>")
    return Markup(_LETTERS.sub(_joined, drawn))  # noqa: S704  the converter escapes what it is given


def _upright(found: re.Match[str]) -> str:
    word = found["word"]
    return rf"\mathrm{{{word}}}" if word else found.group()


def _joined(letters: re.Match[str]) -> str:
    word = re.sub(r"<[^>]*>", "", letters.group())
    return f'<mi mathvariant="normal">{word}</mi>'
