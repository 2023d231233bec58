"""Traced equations as people read them: LaTeX for pages, one line of text for terminals."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sympy
from sympy.core.alphabets import greeks

from bayesnlme.odes.problem import DOSING, Problem
from bayesnlme.odes.text import parse, symbol, text
from bayesnlme.structural.base import Equation

_LAST = "~"
"""Begins a name that is sorted behind all others."""
_EXTREMES = sympy.Function("maximum"), sympy.Function("minimum")


def written(problem: Problem, shorthand: Mapping[str, sympy.Expr]) -> tuple[Equation, ...]:
    """Write derivatives, initial values that are not zero, what is said of doses, and outputs.

    Parameters
    ----------
    problem : Problem
        The equations.
    shorthand : mapping of str to expression
        What is written as a name of its own: an output, or else a name that the last lines
        define. A name that the equations use is left out.
    """
    taken = {*problem.states, *problem.parameters}
    short = _shortened({n: e for n, e in shorthand.items() if n not in taken})
    own = {name: each for name, each in short.items() if name not in problem.outputs}
    upright = (*problem.states, *problem.outputs)
    equations = (
        equation(latex, plain, _short(expression, own if plain in short else short), upright)
        for latex, plain, expression in _lines(problem)
        if expression is not None
    )
    definitions = (equation(_latex_name(n), n, each, upright) for n, each in own.items())
    return (*equations, *definitions)


def _shortened(shorthand: Mapping[str, sympy.Expr]) -> dict[str, sympy.Expr]:
    """Write each expression with the shorthand before it."""
    done: dict[str, sympy.Expr] = {}
    for name, each in shorthand.items():
        done[name] = _short(parse(text(each), label=name), done)
    return done


def _short(expression: sympy.Expr, shorthand: Mapping[str, sympy.Expr]) -> sympy.Expr:
    for name, each in shorthand.items():
        expression = expression.subs(each, symbol(name))
    return expression


def equation(
    latex: str, plain: str, expression: sympy.Expr, upright: Iterable[str] = ()
) -> Equation:
    """Write what is defined, as LaTeX and plain, and what it equals.

    Parameters
    ----------
    latex, plain : str
        What is defined.
    expression : expression
        What it equals.
    upright : iterable of str
        States and outputs, which come last in a product; other symbols are parameters.
    """
    last = {symbol(name): sympy.Symbol(_LAST + name, real=True) for name in upright}
    ordered = expression.xreplace(last)
    named = {
        each: latex_word(each.name[len(_LAST) :])
        if each.name.startswith(_LAST)
        else _latex_name(each.name)
        for each in ordered.free_symbols
    }
    right = sympy.latex(_with_extremes(ordered, sympy.Max, sympy.Min), symbol_names=named)
    words = text(_with_extremes(ordered, *_EXTREMES)).replace(_LAST, "")
    return Equation(left=latex, right=right, text=f"{plain} = {words}")


def latex_word(name: str) -> str:
    """Write a name upright."""
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


def _lines(problem: Problem) -> Iterator[tuple[str, str, sympy.Expr | None]]:
    for name, flow in zip(problem.states, problem.rhs, strict=True):
        yield rf"\frac{{d\,{latex_word(name)}}}{{dt}}", f"d {name}/dt", flow
    for name, start in zip(problem.states, problem.initial, strict=True):
        yield rf"{latex_word(name)}(t_0)", f"{name}(t0)", start if start != 0 else None
    for what in DOSING:
        for name, said in zip(problem.states, getattr(problem, what), strict=True):
            yield rf"{latex_word(what)}({latex_word(name)})", f"{what}({name})", said
    for name, readout in zip(problem.outputs, problem.readouts, strict=True):
        yield latex_word(name), name, readout


def _with_extremes(expression: sympy.Expr, larger: Any, smaller: Any) -> sympy.Expr:
    """Write choices of the larger or smaller of two as such."""
    return expression.replace(
        lambda node: isinstance(node, sympy.Piecewise),
        lambda choice: _extreme(choice, larger, smaller),
    )


def _extreme(choice: sympy.Piecewise, larger: Any, smaller: Any) -> sympy.Expr:
    """Write the larger or smaller of two, or a power of it, as such."""
    if len(choice.args) != 2:
        return choice
    (value, condition), (other, _) = choice.args
    (one, power), (two, same) = value.as_base_exp(), other.as_base_exp()
    if power != same:
        (one, power), two = (value, sympy.Integer(1)), other
    if (condition.lhs, condition.rhs) != (one, two):
        return choice
    up = isinstance(condition, sympy.GreaterThan | sympy.StrictGreaterThan)
    return (larger if up else smaller)(one, two) ** power


def _latex_name(name: str) -> str:
    """Write a parameter as in a paper: ``ka`` with an index, long names upright."""
    numbered = re.fullmatch(r"([A-Za-z]+?)(\d*)", name)
    if numbered:
        word, index = numbered[1], f"_{{{numbered[2]}}}" if numbered[2] else ""
        if word in greeks:
            return rf"\{word}{index}"
        if index:
            return (word if len(word) == 1 else latex_word(word)) + index
    head, tail = name[0], name[1:]
    if not tail or name.isupper():
        return name if name.isalpha() else latex_word(name)
    if head in "kV" and tail.isalnum() and len(tail) <= 4:
        return rf"{head}_{{\mathrm{{{tail}}}}}"
    return latex_word(name)
