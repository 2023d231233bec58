"""A sequence of loops over numbers in one workspace, as LLVM text.

A variable is an array of *places*, one for each of its numbers: the position in the workspace
where the number will stand or, below zero, ``-1 - k`` for constant number k. What only moves
numbers around (a column of a table, a transpose, a join) is done on the places while the program
is written and costs nothing when it runs. Every place is written once, before it is read.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayesnlme._types import Floats, Integers
from bayesnlme.odes.block import Block, Registers, hexadecimal

type Places = Integers
type Shape = tuple[int, ...]
type Writer = Callable[[Block, Sequence[str]], Sequence[str]]
"""Writes an operation of registers, and returns the registers of its results."""

_SHORT = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreign:
    """A C function ``void f(double *in_0, ..., double *out_0, ...)``.

    Attributes
    ----------
    address : int
        Its address.
    keep : object
        What must live as long as the address is used.
    """

    address: int
    keep: object = None


class Program:
    """Write loops one after the other.

    Parameters
    ----------
    registers : Registers
        The vector unit.

    Attributes
    ----------
    lines : list of str
        Instructions so far. They expect the workspace at ``%w`` and the constants at ``%c``.
    declared, functions : set
        As in `Block`.
    numbers : list of float
        The constants.
    copies : list of (int, int, int)
        Constants that the workspace must hold from the start: their first number, the first
        place and how many.
    size : int
        Numbers in the workspace.
    keep : list
        What must live as long as the program.
    """

    def __init__(self, registers: Registers) -> None:
        self.registers = registers
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.functions: set[tuple[str, Registers]] = set()
        self.numbers: list[float] = []
        self.copies: list[tuple[int, int, int]] = []
        self.size = 0
        self.keep: list[object] = []
        self._single: dict[str, int] = {}
        self._copied: dict[int, int] = {}
        self._label = "entry"
        self._names = 0

    def fresh(self, shape: Shape) -> Places:
        """Return unused places, with room behind them for whole registers."""
        size = math.prod(shape)
        first, self.size = self.size, self.size + self._padded(size)
        return np.arange(first, first + size).reshape(shape)

    def constants(self, values: Floats) -> Places:
        """Return places of known numbers: one place where all are equal."""
        values = np.asarray(values, dtype=np.float64)
        flat = values.ravel()
        if flat.size and (flat.view(np.int64) == flat[:1].view(np.int64)).all():
            return np.full(values.shape, self._single_place(float(flat[0])))
        first = len(self.numbers)
        self.numbers.extend(flat.tolist())
        return -1 - np.arange(first, first + flat.size).reshape(values.shape)

    def elementwise(
        self, write: Writer, operands: Sequence[Places], shape: Shape, count: int = 1
    ) -> list[Places]:
        """Apply an operation with `count` results to every element of broadcast operands."""
        results = [self.fresh(shape) for _ in range(count)]
        if size := math.prod(shape):
            block = Block(self.registers)
            flat = (np.broadcast_to(each, shape).ravel() for each in operands)
            written = write(block, [self._read(block, each) for each in flat])
            for register, places in zip(written, results, strict=True):
                block.store(register, "%w.at", int(places.flat[0]))
            self._loop(block, size)
        return results

    def fold(self, operation: str, places: Places) -> Places:
        """Reduce the last axis by ``add`` or ``mul``; shape ``(n, m)`` gives ``(n,)``."""
        outer, inner = places.shape
        if not places.size:
            return self.constants(np.full(outer, 0.0 if operation == "add" else 1.0))
        if outer == 1:
            return self._fold_across(operation, places[0])
        rows = places.T
        if not _in_rows(rows):
            pitch = self._padded(outer)
            wide = np.concatenate([rows, np.repeat(rows[:, -1:], pitch - outer, axis=1)], axis=1)
            first = self.gathered(wide)
            rows = first + pitch * np.arange(inner)[:, None] + np.arange(outer)
        return self._fold_rows(operation, rows)

    def call(
        self, foreign: Foreign, inputs: Iterable[Places | int], shapes: Iterable[Shape]
    ) -> list[Places]:
        """Call a C function. An input is its places, or the address of its numbers."""
        self.keep.append(foreign)
        results = [self.fresh(shape) for shape in shapes]
        taken = [
            _address(each) if isinstance(each, int) else self._at(self.gathered(each))
            for each in inputs
        ]
        given = [self._at(int(each.flat[0])) if each.size else "null" for each in results]
        arguments = ", ".join(f"ptr {each}" for each in (*taken, *given))
        self.lines.append(f"  call void {_address(foreign.address)}({arguments})")
        return results

    def cleared(self, size: int) -> int:
        """Return the place of `size` words that are made zero here."""
        first = int(self.fresh((size,)).flat[0])
        self.declared.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        self.lines.append(
            f"  call void @llvm.memset.p0.i64(ptr align 8 {self._at(first)}, i8 0, "
            f"i64 {8 * size}, i1 false)"
        )
        return first

    def record(self, words: Integers, places: Mapping[int, int]) -> int:
        """Return the place of a copy of some words, addresses of `places` put into it."""
        self.keep.append(words)
        first = int(self.fresh((words.size,)).flat[0])
        self.lines.append(self.copy(self._at(first), _address(words.ctypes.data), words.size))
        for word, place in places.items():
            number = self._name(f"ptrtoint ptr {self._at(place)} to i64")
            self._save("i64", number, first + word)
        return first

    def enter(self, address: int, place: int) -> None:
        """Call a C function ``int64 f(void *)`` with the address of a place."""
        self._name(f"call i64 {_address(address)}(ptr {self._at(place)})")

    def gathered(self, places: Places) -> int:
        """Return the first of places that follow each other and hold the numbers of these."""
        flat = self._in_workspace(places.ravel())
        if not _in_sequence(flat):
            (flat,) = self.elementwise(lambda _, values: values, [flat], flat.shape)
        return int(flat[0]) if flat.size else 0

    def give(self, places: Places, target: str, offset: int) -> None:
        """Copy numbers to where an argument of the function points."""
        first = self._at(self.gathered(places))
        there = self._name(f"getelementptr double, ptr {target}, i64 {offset}")
        self.lines.append(self.copy(there, first, places.size))

    def copy(self, target: str, source: str, size: int) -> str:
        """Return the instruction that copies numbers."""
        self.declared.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        return (
            f"  call void @llvm.memcpy.p0.p0.i64(ptr align 8 {target}, ptr align 8 {source}, "
            f"i64 {8 * size}, i1 false)"
        )

    def not_finite(self, places: Places) -> str:
        """Return the register that says whether a number is infinite or not a number.

        x - x is 0 or not a number, and so is the sum.
        """
        (gap,) = self.elementwise(
            lambda block, values: [block.sub(values[0], values[0])], [places], places.shape
        )
        total = self._at(int(self._fold_across("add", gap.ravel())[0]))
        number = self._name(f"load double, ptr {total}, align 8")
        return self._name(f"fcmp uno double {number}, {number}")

    def choose(self, condition: str, a: int, b: str) -> str:
        """Return a register with a where the condition holds and b elsewhere."""
        return self._name(f"select i1 {condition}, i64 {a}, i64 {b}")

    def _fold_rows(self, operation: str, rows: Places) -> Places:
        """Reduce rows of numbers that follow each other, element by element."""
        inner, outer = rows.shape
        result = self.fresh((outer,))
        pitch = int(rows[1, 0] - rows[0, 0]) if inner > 1 else 0
        first, lanes, real = int(rows[0, 0]), self.registers.lanes, self.registers.real
        k, before = self._next(), self._label
        head = len(self.lines)
        self._label = f"loop{k}"
        self.lines.append(f"  %w{k} = getelementptr double, ptr %w, i64 %i{k}")
        total = self._accumulated(operation, f"%w{k}", first, pitch, inner)
        self._save(real, total, int(result[0]), f"%w{k}")
        begin = f"  %i{k} = phi i64 [ 0, %{before} ], [ %n{k}, %{self._label} ]"
        self.lines[head:head] = [f"  br label %loop{k}", f"loop{k}:", begin]
        self.lines += self._again(k, lanes, outer)
        return result

    def _fold_across(self, operation: str, places: Places) -> Places:
        """Reduce numbers that follow each other to one."""
        lanes, real = self.registers.lanes, self.registers.real
        neutral = hexadecimal(0.0 if operation == "add" else 1.0)
        first, (full, rest) = self.gathered(places), divmod(places.size, lanes)
        total = f"splat (double {neutral})"
        if full:
            total = self._accumulated(operation, "%w", first, lanes, full)
        if rest:
            tail = self._load(first + full * lanes)
            inside = ", ".join(f"i1 {int(lane < rest)}" for lane in range(lanes))
            tail = self._name(
                f"select <{lanes} x i1> <{inside}>, {real} {tail}, {real} splat (double {neutral})"
            )
            total = self._name(f"f{operation} {real} {total}, {tail}")
        function = f"@llvm.vector.reduce.f{operation}.v{lanes}f64"
        self.declared.add(f"declare double {function}(double, {real})")
        number = self._name(f"call reassoc double {function}(double {neutral}, {real} {total})")
        result = self.fresh((1,))
        self._save("double", number, int(result[0]))
        return result

    def _accumulated(self, operation: str, base: str, first: int, step: int, count: int) -> str:
        """Return the register that combines `count` vectors, `step` numbers apart."""
        real, total = self.registers.real, self._load(first, base)
        if count <= _SHORT:
            for index in range(1, count):
                value = self._load(first + index * step, base)
                total = self._name(f"f{operation} {real} {total}, {value}")
            return total
        k = self._next()
        self.lines += [
            f"  br label %loop{k}",
            f"loop{k}:",
            f"  %i{k} = phi i64 [ {step}, %{self._label} ], [ %n{k}, %loop{k} ]",
            f"  %t{k} = phi {real} [ {total}, %{self._label} ], [ %s{k}, %loop{k} ]",
            f"  %b{k} = getelementptr double, ptr {base}, i64 %i{k}",
            f"  %p{k} = getelementptr double, ptr %b{k}, i64 {first}",
            f"  %v{k} = load {real}, ptr %p{k}, align 8",
            f"  %s{k} = f{operation} {real} %t{k}, %v{k}",
            *self._again(k, step, step * count),
        ]
        return f"%s{k}"

    def _read(self, block: Block, flat: Places) -> str:
        """Return the register of an operand: one number, a sequence, or numbers by a table."""
        first = int(flat[0])
        if first < 0 and (flat == first).all():
            return block.constant(self.numbers[-1 - first])
        if first < 0 and _in_sequence(flat, -1):
            return block.load("%c.at", -1 - first)
        flat = self._in_workspace(flat)
        first = int(flat[0])
        if _in_sequence(flat):
            return block.load("%w.at", first)
        if (flat == first).all():
            return self._joined(block, [self._number(block, str(first))] * self.registers.lanes)
        rest = np.repeat(flat[-1:], self._padded(flat.size) - flat.size)
        table = np.concatenate([flat, rest])
        self.keep.append(table)
        row = block.pure(f"getelementptr i64, ptr {_address(table.ctypes.data)}, i64 %i.at")
        places = [
            block.pure(f"load i64, ptr {block.pure(f'getelementptr i64, ptr {row}, i64 {lane}')}")
            for lane in range(self.registers.lanes)
        ]
        return self._joined(block, [self._number(block, each) for each in places])

    def _number(self, block: Block, place: str) -> str:
        return block.pure(
            f"load double, ptr {block.pure(f'getelementptr double, ptr %w, i64 {place}')}"
        )

    def _joined(self, block: Block, numbers: Sequence[str]) -> str:
        real, result = self.registers.real, "poison"
        for lane, number in enumerate(numbers):
            result = block.pure(f"insertelement {real} {result}, double {number}, i32 {lane}")
        return result

    def _in_workspace(self, flat: Places) -> Places:
        """Replace constants by copies of them in the workspace."""
        constant = flat < 0
        if not constant.any():
            return flat
        wanted = np.unique(-1 - flat[constant]).tolist()
        for run in _runs(each for each in wanted if each not in self._copied):
            places = self.fresh((len(run),)).tolist()
            self.copies.append((run[0], places[0], len(run)))
            self._copied.update(zip(run, places, strict=True))
        moved = flat.copy()
        moved[constant] = [self._copied[-1 - each] for each in flat[constant].tolist()]
        return moved

    def _single_place(self, value: float) -> int:
        key = hexadecimal(value)
        if key not in self._single:
            self._single[key] = -1 - len(self.numbers)
            self.numbers.append(value)
        return self._single[key]

    def _loop(self, block: Block, size: int) -> None:
        """Write a block for as many registers as hold `size` numbers."""
        self.declared |= block.declared
        self.functions |= block.functions
        k, lanes = self._next(), self.registers.lanes
        lines = [line.replace("%x", f"%x{k}.") for line in block.lines]
        if size <= lanes:
            self.lines += [_without_index(line) for line in lines]
            return
        self.lines += [
            f"  br label %loop{k}",
            f"loop{k}:",
            f"  %i.at{k} = phi i64 [ 0, %{self._label} ], [ %n{k}, %loop{k} ]",
            f"  %w.at{k} = getelementptr double, ptr %w, i64 %i.at{k}",
            f"  %c.at{k} = getelementptr double, ptr %c, i64 %i.at{k}",
            *(line.replace(".at", f".at{k}") for line in lines),
            *self._again(k, lanes, size, f"%i.at{k}"),
        ]

    def _again(self, k: int, step: int, end: int, index: str = "") -> list[str]:
        """Return the end of a loop."""
        self._label = f"after{k}"
        return [
            f"  %n{k} = add i64 {index or f'%i{k}'}, {step}",
            f"  %m{k} = icmp ult i64 %n{k}, {end}",
            f"  br i1 %m{k}, label %loop{k}, label %after{k}",
            f"after{k}:",
        ]

    def _load(self, place: int, base: str = "%w") -> str:
        return self._name(f"load {self.registers.real}, ptr {self._at(place, base)}, align 8")

    def _save(self, kind: str, register: str, place: int, base: str = "%w") -> None:
        self.lines.append(f"  store {kind} {register}, ptr {self._at(place, base)}, align 8")

    def _at(self, place: int, base: str = "%w") -> str:
        return self._name(f"getelementptr double, ptr {base}, i64 {place}")

    def _name(self, instruction: str) -> str:
        register = f"%y{self._next()}"
        self.lines.append(f"  {register} = {instruction}")
        return register

    def _next(self) -> int:
        self._names += 1
        return self._names

    def _padded(self, size: int) -> int:
        return -(-size // self.registers.lanes) * self.registers.lanes


def _in_sequence(flat: Places, step: int = 1) -> bool:
    return bool((np.diff(flat) == step).all())


def _in_rows(rows: Places) -> bool:
    """Whether the numbers of each row follow each other, and the rows are equally far apart."""
    if (np.diff(rows, axis=1) != 1).any():
        return False
    apart = np.diff(rows[:, 0])
    return bool((apart == apart[:1]).all() and (apart > 0).all())


def _runs(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Split ascending numbers where one is left out."""
    run: list[int] = []
    for each in numbers:
        if run and each != run[-1] + 1:
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _address(number: int) -> str:
    return f"inttoptr (i64 {number} to ptr)"


def _without_index(line: str) -> str:
    return line.replace("%i.at", "0").replace(".at", "")
