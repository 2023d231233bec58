"""Machine code of straight-line formulas, for several subjects at once.

Formulas become LLVM text and then machine code without an optimiser and without numba:
what SymPy's common subexpressions left over, `Block` finds. No operation is reordered and
none is fused but where it says so, hence the same bits come from every build on a machine.

A product is written as one division of products. A sum or parameter that divides several
times is inverted once, which costs its quotients up to a unit in the last place.
"""

import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite.binding  # type: ignore[import-untyped]
import sympy

from bayesnlme.errors import ModelError
from bayesnlme.odes.block import Block, Registers
from bayesnlme.odes.linking import engine_of, fuses
from bayesnlme.odes.vector_math import definition

type Code = tuple[Sequence[tuple[sympy.Symbol, sympy.Expr]], Sequence[sympy.Expr]]
"""Shared subexpressions in the order of their use, and results, as `sympy.cse` gives them."""

WIDTH = 8
"""Lanes, that is subjects solved at once: two registers of AVX2 or one of AVX-512."""

_INPUTS = ("t", "y", "c", "r", "v")
_PLACE = re.compile(r"(?:(t)|([ycrv])\[(\d+)\])\Z")
_llvm: Any = llvmlite.binding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compiled:
    """Functions in machine code, valid for the life of the process.

    Each has the C signature ``void f(double *t, double *y, double *c, double *r, double *v,
    double *out)``. Every block is laid out ``[component][lane]`` with `WIDTH` numbers for a
    component; ``out`` overlaps none of the others.

    Attributes
    ----------
    addresses : mapping of str to int
        Address of every function.
    ir : str
        Their LLVM text.
    table : int
        Address of an array of 64-bit addresses, in the order of the mapping.
    """

    addresses: Mapping[str, int]
    ir: str
    table: int


def slot(block: str, index: int) -> sympy.Symbol:
    """Return the symbol of a number in one of the blocks ``y``, ``c``, ``r`` and ``v``."""
    return sympy.Symbol(f"{block}[{index}]", real=True)


def compile_functions(functions: Mapping[str, Code], *, symbol: str) -> Compiled:
    """Compile formulas and make them known to LLVM.

    Afterwards code of numba, also code loaded from its cache, finds the addresses through
    the C function ``int64 {symbol}_table()``.

    Parameters
    ----------
    functions : mapping of str to Code
        Symbols are called ``t``, ``y[3]``, ``c[12]``, ``r[0]`` or ``v[2]`` after the
        argument and component they stand for, or are shared ones. Result ``k`` is stored as
        component ``k`` of ``out``.
    symbol : str
        Prefix that no other formulas of this process have.

    Raises
    ------
    ModelError
        If a formula holds anything that has no code here.
    """
    text = _module(functions, symbol)
    with _LOCK:
        if symbol not in _COMPILED:
            _COMPILED[symbol] = _compile(text, list(functions), symbol)
        compiled, _ = _COMPILED[symbol]
    if compiled.ir != text:
        raise AssertionError(f"{symbol} stands for other formulas already.")
    return compiled


_LOCK = threading.Lock()
_COMPILED: dict[str, tuple[Compiled, Any]] = {}
"""What was compiled, by symbol, with the engines whose memory the machine code lies in."""


def _compile(text: str, names: Sequence[str], symbol: str) -> tuple[Compiled, Any]:
    engine = engine_of(text)
    address = engine.get_function_address
    _llvm.add_symbol(f"{symbol}_table", address(f"{symbol}_table"))
    compiled = Compiled(
        addresses={name: address(f"{symbol}_{name}") for name in names},
        ir=text,
        table=engine.get_global_value_address(f"{symbol}_addresses"),
    )
    return compiled, engine


@lru_cache(maxsize=1)
def _registers() -> Registers:
    """Return the vector unit of this machine."""
    wide = _llvm.get_host_cpu_features().get("avx512f")
    return Registers(lanes=8 if wide else 4, fma=fuses())


def _module(functions: Mapping[str, Code], symbol: str) -> str:
    blocks = {f"{symbol}_{name}": _block(code) for name, code in functions.items()}
    texts = [_function(name, block) for name, block in blocks.items()]
    declared = {line for block in blocks.values() for line in block.declared}
    needed = {each for block in blocks.values() for each in block.functions}
    for name, registers in sorted(needed, key=lambda each: each[0]):
        text, block = definition(name, registers)
        texts.append(text)
        declared |= block.declared
    array = f"@{symbol}_addresses"
    pointers = ", ".join(f"ptr @{name}" for name in blocks)
    texts += [
        f"{array} = constant [{len(blocks)} x ptr] [{pointers}]",
        f"define i64 @{symbol}_table() {{\n  ret i64 ptrtoint (ptr {array} to i64)\n}}",
    ]
    return "\n\n".join([*sorted(declared), *texts, ""])


def _block(code: Code) -> Block:
    """Return the instructions of one function.

    They fill one register after the other, which needs the fewest registers, unless they
    call functions: those wait for themselves, so all lanes had better wait together.
    """
    registers = _registers()
    one_by_one = replace(registers, lanes=min(registers.lanes, WIDTH))
    block = _Body(code, one_by_one).write()
    return _Body(code, replace(registers, lanes=WIDTH)).write() if block.functions else block


def _function(name: str, block: Block) -> str:
    """Return one function as LLVM text: its block, repeated until all lanes are done."""
    pointers = [f"%{each}" for each in (*_INPUTS, "out")]
    lines = [
        f"define void @{name}({', '.join(f'ptr noalias {each}' for each in pointers)}) nounwind {{",
        "entry:",
        "  br label %body",
        "body:",
        "  %lane = phi i64 [ 0, %entry ], [ %next, %body ]",
        *(f"  {each}.lane = getelementptr double, ptr {each}, i64 %lane" for each in pointers),
        *block.lines,
        f"  %next = add i64 %lane, {block.registers.lanes}",
        f"  %more = icmp ult i64 %next, {WIDTH}",
        "  br i1 %more, label %body, label %done",
        "done:",
        "  ret void",
        "}",
    ]
    return "\n".join(lines)


class _Term(NamedTuple):
    """``factors / divisor``, negated or not."""

    negative: bool
    factors: tuple[str, ...]
    divisor: str | None


class _Body:
    """Writes the instructions of one function, each where it is first needed."""

    def __init__(self, code: Code, registers: Registers) -> None:
        shared, self._results = code
        self.block = Block(registers)
        self._shared = dict(shared)
        self._values: dict[sympy.Symbol, str] = {}
        divisors: Counter[sympy.Expr] = Counter()
        self._bases: set[sympy.Expr] = set()
        for expression in (*self._shared.values(), *self._results):
            for node in sympy.preorder_traversal(expression):
                base, exponent = self._base_and_exponent(node)
                if exponent is not None and exponent.is_integer and exponent < 0:
                    divisors[base] += 1
                elif exponent is None and isinstance(node, sympy.Pow):
                    self._bases.add(node.base)
        self._reciprocals = {
            each for each, count in divisors.items() if count > 1 and self._invertible(each)
        }
        self._write: dict[type, Callable[[Any], str]] = {
            sympy.Add: self._sum,
            sympy.Mul: lambda node: self._product(self._term(node)),
            sympy.Pow: self._raised,
            sympy.Abs: lambda node: self.block.intrinsic("fabs", self._value(node.args[0])),
            sympy.sign: self._sign,
            sympy.Piecewise: self._choice,
            sympy.log: self._log,
        } | dict.fromkeys((sympy.exp, sympy.sin, sympy.cos, sympy.tan, sympy.tanh), self._call)

    def _invertible(self, divisor: sympy.Expr) -> bool:
        """Whether it is a sum or a parameter: a state may decay until 1 / state is infinite."""
        parameter = isinstance(divisor, sympy.Symbol) and divisor.name.startswith("c[")
        return parameter or isinstance(self._shared.get(divisor, divisor), sympy.Add)

    def write(self) -> Block:
        for index, result in enumerate(self._results):
            self.block.store(self._value(result), "%out.lane", index * WIDTH)
        return self.block

    def _value(self, node: sympy.Basic) -> str:
        """Return the register of an expression."""
        if isinstance(node, sympy.Symbol):
            return self._symbol(node)
        if isinstance(node, sympy.Number | sympy.NumberSymbol):
            return self.block.constant(_number(node))
        if type(node) not in self._write:
            raise ModelError(f"{type(node).__name__} has no machine code, in {node}.")
        if not isinstance(node, sympy.Piecewise) and not node.free_symbols:
            return self.block.constant(_number(node))
        return self._write[type(node)](node)

    def _symbol(self, node: sympy.Symbol) -> str:
        if node not in self._values:
            self._values[node] = (
                self._value(self._shared[node]) if node in self._shared else self._load(node)
            )
        return self._values[node]

    def _load(self, node: sympy.Symbol) -> str:
        place = _PLACE.match(node.name)
        if place is None:
            raise ModelError(f"{node.name} has no value where machine code needs it.")
        time, pointer, index = place.groups()
        return self.block.load(f"%{time or pointer}.lane", int(index or 0) * WIDTH)

    def _sum(self, node: sympy.Add) -> str:
        """Add up, with every product of two factors fused into the sum it goes to."""
        terms = [self._term(each) for each in node.args]
        first = min(terms, key=lambda term: (term.negative, _fusible(term)))
        terms.remove(first)
        total = self._product(first)
        for term in terms:
            total = self._accumulate(total, term)
        return total

    def _accumulate(self, total: str, term: _Term) -> str:
        block = self.block
        if not _fusible(term):
            value = self._product(term._replace(negative=False))
            return block.sub(total, value) if term.negative else block.add(total, value)
        *others, last = term.factors
        head = self._multiply(others)
        if not block.registers.fma and term.negative:
            return block.sub(total, block.mul(head, last))
        return block.fma(block.neg(head) if term.negative else head, last, total)

    def _term(self, node: sympy.Expr) -> _Term:
        """Split a product into factors and one divisor."""
        negative = False
        above: list[str] = []
        below: list[str] = []
        for factor in sympy.Mul.make_args(node):
            base, exponent = self._base_and_exponent(factor)
            if isinstance(factor, sympy.Number) and factor.is_finite:
                number = _number(factor)
                negative ^= number < 0.0
                above += [self.block.constant(abs(number))] if abs(number) != 1.0 else []
            elif exponent is None:
                above.append(self._value(factor))
            elif exponent > 0:
                above.append(self._power(self._value(base), exponent))
            elif base in self._reciprocals:
                one = self.block.constant(1.0)
                above.append(self._power(self.block.div(one, self._value(base)), -exponent))
            else:
                below.append(self._power(self._value(base), -exponent))
        divisor = self._multiply(below) if below else None
        return _Term(negative, tuple(above), divisor)

    def _product(self, term: _Term) -> str:
        value = self._multiply(term.factors)
        if term.divisor is not None:
            value = self.block.div(value, term.divisor)
        return self.block.neg(value) if term.negative else value

    def _multiply(self, factors: Sequence[str]) -> str:
        if not factors:
            return self.block.constant(1.0)
        value = factors[0]
        for factor in factors[1:]:
            value = self.block.mul(value, factor)
        return value

    def _power(self, base: str, exponent: sympy.Rational) -> str:
        """Return a power of whole or half order, by squaring and at most one root."""
        whole, half = divmod(int(2 * exponent), 2)
        factors = [self.block.intrinsic("sqrt", base)] if half else []
        while whole:
            if whole % 2:
                factors.append(base)
            whole //= 2
            if whole:
                base = self.block.mul(base, base)
        return self._multiply(factors)

    def _call(self, node: sympy.Function) -> str:
        return self.block.call(type(node).__name__, self._value(node.args[0]))

    def _log(self, node: sympy.log) -> str:
        """Return a logarithm, that of a power's base as a by-product of the power."""
        block, inner = self.block, self._value(node.args[0])
        if node.args[0] not in self._bases:
            return block.call("log", inner)
        high, _ = block.call_pair("split_log", inner)
        negative = block.compare("olt", inner, block.constant(0.0))
        return block.select(negative, block.constant(math.nan), high)

    def _raised(self, node: sympy.Pow) -> str:
        _, exponent = self._base_and_exponent(node)
        if exponent is not None:
            return self._product(self._term(node))
        base, order = self._value(node.base), self._value(node.exp)
        return self.block.call("power", base, order, *self.block.call_pair("split_log", base))

    def _sign(self, node: sympy.sign) -> str:
        block, inner = self.block, self._value(node.args[0])
        zero, one = block.constant(0.0), block.constant(1.0)
        below = block.select(block.compare("olt", inner, zero), block.constant(-1.0), inner)
        return block.select(block.compare("ogt", inner, zero), one, below)

    def _choice(self, node: sympy.Piecewise) -> str:
        value = self.block.constant(math.nan)
        for branch, condition in reversed(node.args):
            chosen = self._value(branch)
            if condition == sympy.true:
                value = chosen
            else:
                value = self.block.select(self._condition(condition), chosen, value)
        return value

    def _condition(self, node: sympy.Basic) -> str:
        if node in self._shared:
            return self._condition(self._shared[node])
        if type(node) in _RELATIONS:
            left, right = (self._value(each) for each in node.args)
            return self.block.compare(_RELATIONS[type(node)], left, right)
        if isinstance(node, sympy.And | sympy.Or):
            operation = "and" if isinstance(node, sympy.And) else "or"
            first, *others = (self._condition(each) for each in node.args)
            for each in others:
                first = self.block.logic(operation, first, each)
            return first
        raise ModelError(f"{type(node).__name__} is no condition with machine code, in {node}.")

    def _base_and_exponent(self, node: sympy.Expr) -> tuple[sympy.Expr, sympy.Rational | None]:
        """Return an exponent of whole or half order, or none.

        A divisor that is a power itself, under a name of its own, counts as one power.
        """
        if not isinstance(node, sympy.Pow) or not node.exp.is_number:
            return node, None
        base, exponent = node.args
        if not (2 * exponent).is_integer:
            return node, None
        exponent = sympy.Rational(int(2 * exponent), 2)
        inner = self._shared.get(base)
        if exponent < 0 and exponent.is_integer and isinstance(inner, sympy.Pow):
            below, power = self._base_and_exponent(inner)
            if power is not None and power > 0 and power.is_integer:
                return below, exponent * power
        return base, exponent


_RELATIONS = {
    sympy.StrictLessThan: "olt",
    sympy.LessThan: "ole",
    sympy.StrictGreaterThan: "ogt",
    sympy.GreaterThan: "oge",
    sympy.Equality: "oeq",
    sympy.Unequality: "une",
}


def _fusible(term: _Term) -> bool:
    return term.divisor is None and len(term.factors) > 1


def _number(node: sympy.Expr) -> float:
    """Return the nearest floating-point number of a constant."""
    try:
        value = float(node if isinstance(node, sympy.Number) else node.evalf(30))
    except (TypeError, OverflowError):
        value = math.inf
    if not math.isfinite(value):
        raise ModelError(f"{node} is not a finite real number.")
    return value
