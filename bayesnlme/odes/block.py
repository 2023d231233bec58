"""A basic block of LLVM text on vectors of lanes.

Text is quicker to write than a tree of instructions. An instruction written twice gives the
same register, so what is emitted needs no optimiser: the code generator alone turns it into
machine code within milliseconds.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """The vector unit to write for.

    Attributes
    ----------
    lanes : int
        Numbers in one register.
    fma : bool
        Whether a multiplication and an addition are done at once, with one rounding.
    """

    lanes: int
    fma: bool

    @property
    def real(self) -> str:
        """Type of a vector of numbers."""
        return f"<{self.lanes} x double>"

    @property
    def pair(self) -> str:
        """Type of two vectors of numbers."""
        return f"{{ {self.real}, {self.real} }}"

    @property
    def integer(self) -> str:
        """Type of a vector of 64-bit integers."""
        return f"<{self.lanes} x i64>"

    @property
    def boolean(self) -> str:
        """Type of a vector of conditions."""
        return f"<{self.lanes} x i1>"

    def function(self, name: str) -> str:
        """Return what a function of `vector_math` is called in LLVM text."""
        return f"@{name}_{self.lanes}"


class Block:
    """Instructions of one basic block; every method writes one and returns its register.

    Parameters
    ----------
    registers : Registers
        The vector unit to write for.

    Attributes
    ----------
    lines : list of str
        The instructions so far.
    declared : set of str
        Declarations of the functions they call.
    functions : set of (str, Registers)
        The functions of `vector_math` they call.
    """

    def __init__(self, registers: Registers) -> None:
        self.registers = registers
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.functions: set[tuple[str, Registers]] = set()
        self._known: dict[str, str] = {}

    def constant(self, value: float) -> str:
        """Return a number in every lane."""
        return f"splat (double {hexadecimal(value)})"

    def pure(self, instruction: str) -> str:
        """Write an instruction without side effects, unless it is there already."""
        if instruction not in self._known:
            self._known[instruction] = register = f"%x{len(self._known)}"
            self.lines.append(f"  {register} = {instruction}")
        return self._known[instruction]

    def load(self, pointer: str, offset: int) -> str:
        """Read a vector, `offset` numbers behind an address."""
        place = self.pure(f"getelementptr double, ptr {pointer}, i64 {offset}")
        return self.pure(f"load {self.registers.real}, ptr {place}, align 8")

    def store(self, value: str, pointer: str, offset: int) -> None:
        """Write a vector, `offset` numbers behind an address."""
        place = self.pure(f"getelementptr double, ptr {pointer}, i64 {offset}")
        self.lines.append(f"  store {self.registers.real} {value}, ptr {place}, align 8")

    def add(self, a: str, b: str) -> str:
        """Return a + b."""
        return self._real("fadd", a, b)

    def sub(self, a: str, b: str) -> str:
        """Return a - b."""
        return self._real("fsub", a, b)

    def mul(self, a: str, b: str) -> str:
        """Return a b."""
        return self._real("fmul", a, b)

    def div(self, a: str, b: str) -> str:
        """Return a / b."""
        return self._real("fdiv", a, b)

    def neg(self, a: str) -> str:
        """Return -a."""
        return self.pure(f"fneg {self.registers.real} {a}")

    def fma(self, a: str, b: str, c: str) -> str:
        """Return a b + c, rounded once where the machine can, else twice."""
        if not self.registers.fma:
            return self.add(self.mul(a, b), c)
        return self.intrinsic("fma", a, b, c)

    def intrinsic(self, name: str, *values: str) -> str:
        """Call a function that LLVM knows by itself, such as ``sqrt``."""
        real = self.registers.real
        full = f"@llvm.{name}.v{self.registers.lanes}f64"
        self.declared.add(f"declare {real} {full}({', '.join([real] * len(values))})")
        return self._call(full, values, real)

    def call(self, name: str, *values: str) -> str:
        """Call a function of `vector_math`."""
        return self._function(name, values, self.registers.real)

    def call_pair(self, name: str, *values: str) -> tuple[str, str]:
        """Call a function of `vector_math` that returns two values."""
        kind = self.registers.pair
        result = self._function(name, values, kind)
        high, low = (self.pure(f"extractvalue {kind} {result}, {part}") for part in range(2))
        return high, low

    def pair(self, a: str, b: str) -> str:
        """Join two values, to be returned together."""
        kind, real = self.registers.pair, self.registers.real
        first = self.pure(f"insertvalue {kind} poison, {real} {a}, 0")
        return self.pure(f"insertvalue {kind} {first}, {real} {b}, 1")

    def per_lane(self, name: str, value: str) -> str:
        """Call a function of the C library, lane after lane."""
        real = self.registers.real
        self.declared.add(f"declare double @{name}(double)")
        result = "poison"
        for lane in range(self.registers.lanes):
            number = self.pure(f"extractelement {real} {value}, i32 {lane}")
            image = self.pure(f"call double @{name}(double {number})")
            result = self.pure(f"insertelement {real} {result}, double {image}, i32 {lane}")
        return result

    def compare(self, relation: str, a: str, b: str) -> str:
        """Return where two numbers are related by ``olt``, ``ole``, ``oeq``, ``une``, ..."""
        return self.pure(f"fcmp {relation} {self.registers.real} {a}, {b}")

    def logic(self, operation: str, a: str, b: str) -> str:
        """Return ``and``, ``or`` or ``xor`` of two conditions."""
        return self.pure(f"{operation} {self.registers.boolean} {a}, {b}")

    def select(self, condition: str, a: str, b: str) -> str:
        """Return a where the condition holds and b elsewhere."""
        boolean, real = self.registers.boolean, self.registers.real
        return self.pure(f"select {boolean} {condition}, {real} {a}, {real} {b}")

    def bits(self, a: str) -> str:
        """Return the bits of numbers as integers."""
        return self.pure(f"bitcast {self.registers.real} {a} to {self.registers.integer}")

    def number(self, a: str) -> str:
        """Return the numbers that integers are the bits of."""
        return self.pure(f"bitcast {self.registers.integer} {a} to {self.registers.real}")

    def integer(self, operation: str, a: str, b: int | str) -> str:
        """Return an operation such as ``add``, ``shl``, ``and`` on integers."""
        other = f"splat (i64 {b})" if isinstance(b, int) else b
        return self.pure(f"{operation} {self.registers.integer} {a}, {other}")

    def _real(self, operation: str, a: str, b: str) -> str:
        return self.pure(f"{operation} {self.registers.real} {a}, {b}")

    def _function(self, name: str, values: Sequence[str], kind: str) -> str:
        self.functions.add((name, self.registers))
        return self._call(self.registers.function(name), values, kind)

    def _call(self, name: str, values: Sequence[str], kind: str) -> str:
        arguments = ", ".join(f"{self.registers.real} {each}" for each in values)
        return self.pure(f"call {kind} {name}({arguments})")


def hexadecimal(value: float) -> str:
    """Write a number as LLVM does, by its bits.

    Examples
    --------
    >>> hexadecimal(1.0)
    '0x3FF0000000000000'
    """
    if math.isnan(value):
        return "0x7FF8000000000000"
    (bits,) = struct.unpack(">Q", struct.pack(">d", value))
    return f"0x{bits:016X}"
