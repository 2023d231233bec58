"""From a rewritten graph to the address of a C function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesnlme.assembly.operations import write_graph
from bayesnlme.assembly.program import Places, Program, Shape
from bayesnlme.odes.block import Registers
from bayesnlme.odes.linking import LINE, engine_of, fuses
from bayesnlme.odes.vector_math import definition

LANES = 8
"""Lanes of a loop: two registers of AVX2, one of AVX-512, four of NEON."""

STACK = 1 << 15
"""The largest workspace, in numbers, that is kept on the stack."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compiled:
    """A function in machine code, safe to call from several threads at once.

    Attributes
    ----------
    address : int
        Its address.
    shapes : tuple of tuple of int
        Shapes of the graph's outputs.
    reads : mapping of str to int
        How many numbers it reads from an argument.
    text : str
        Its LLVM text.
    """

    address: int
    shapes: tuple[Shape, ...]
    reads: Mapping[str, int]
    text: str
    _keep: Any = field(repr=False)


def compile_graph(
    graph: Any, *, arguments: Sequence[str], outputs: Sequence[str], checked: Mapping[int, int]
) -> Compiled:
    """Compile a graph of vectors, all of whose shapes are known.

    The function returns 0, or the code of the first output that holds a number that is not finite.

    Parameters
    ----------
    graph : FunctionGraph
        After rewriting.
    arguments : sequence of str
        Names of the function's arguments, all addresses. The graph's inputs are called as the
        arguments are that they are read from.
    outputs : sequence of str
        For each output of the graph the argument it is written to, one after the other.
    checked : mapping of int to int
        Codes by the number of the output.
    """
    program = Program(Registers(lanes=LANES, fma=fuses()))
    taken = {each: program.fresh(each.type.shape) for each in graph.inputs}
    given = write_graph(program, graph, taken)
    written = dict.fromkeys(outputs, 0)
    for places, target in zip(given, outputs, strict=True):
        program.give(places, f"%{target}", written[target])
        written[target] += places.size
    status = "0"
    for number, code in sorted(checked.items(), reverse=True):
        status = program.choose(program.not_finite(given[number]), code, status)
    numbers = np.array([*program.numbers, *[0.0] * LANES])
    read = {each.name: places for each, places in taken.items()}
    text = _text(program, read, arguments, numbers.ctypes.data, status)
    engine = engine_of(text)
    return Compiled(
        address=engine.get_function_address("evaluate"),
        shapes=tuple(each.shape for each in given),
        reads={name: places.size for name, places in read.items()},
        text=text,
        _keep=(engine, numbers, program.keep),
    )


def _text(
    program: Program,
    taken: Mapping[str, Places],
    arguments: Sequence[str],
    numbers: int,
    status: str,
) -> str:
    size = program.size + LANES
    on_stack = size <= STACK
    start = [
        f"  %c = inttoptr i64 {numbers} to ptr",
        *([f"  %w = alloca double, i64 {size}, align {LINE}"] if on_stack else _on_heap(size)),
    ]
    for name, places in taken.items():
        if places.size:
            start += [
                f"  %begin_{name} = getelementptr double, ptr %w, i64 {int(places.flat[0])}",
                program.copy(f"%begin_{name}", f"%{name}", places.size),
            ]
    for number, (first, place, count) in enumerate(program.copies):
        start += [
            f"  %from{number} = getelementptr double, ptr %c, i64 {first}",
            f"  %to{number} = getelementptr double, ptr %w, i64 {place}",
            program.copy(f"%to{number}", f"%from{number}", count),
        ]
    texts = _functions(program)
    if not on_stack:
        program.declared |= {"declare ptr @malloc(i64)", "declare void @free(ptr)"}
    return "\n".join(
        [
            *sorted(program.declared),
            *texts,
            f"define i64 @evaluate({', '.join(f'ptr noalias %{each}' for each in arguments)}) {{",
            "entry:",
            *start,
            *program.lines,
            *([] if on_stack else ["  call void @free(ptr %heap)"]),
            f"  ret i64 {status}",
            "}",
            "",
        ]
    )


def _on_heap(size: int) -> list[str]:
    """Take memory that begins where a cache line does."""
    return [
        f"  %heap = call ptr @malloc(i64 {8 * size + LINE})",
        "  %found = ptrtoint ptr %heap to i64",
        f"  %next = add i64 %found, {LINE - 1}",
        f"  %begin = and i64 %next, {-LINE}",
        "  %w = inttoptr i64 %begin to ptr",
    ]


def _functions(program: Program) -> list[str]:
    """Return the functions of several lanes that a program calls, and those that they call."""
    texts: dict[Any, str] = {}
    waiting = set(program.functions)
    while waiting:
        function = waiting.pop()
        texts[function], block = definition(*function)
        program.declared |= block.declared
        waiting |= block.functions - texts.keys()
    return sorted(texts.values())
