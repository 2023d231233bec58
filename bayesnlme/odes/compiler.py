"""A small compiler: from functions of the subset of Python in `machine` to LLVM.

All functions become one module, so that thousands of lines compile in seconds (numba took over a
minute for the same code, see the decisions in the documentation). What is not in the subset is an
error of ours, found when the package is tested.
"""

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bayesnlme.odes.machine import INTEGER, REAL, TRUTH, Operation, Routine, ir


def compile_to_ir(entry: Any, *, name: str) -> str:
    """Return the LLVM text of a routine, under a name of its own, with all it calls."""
    module = ir.Module(name=name)
    writer = _Module(module)
    function = writer.function(entry)
    outer = ir.Function(module, entry.kind, name=name)
    builder = ir.IRBuilder(outer.append_basic_block())
    result = builder.call(function, outer.args)
    builder.ret(result)
    return str(module)


class _Module:
    """All functions of a module, each written when it is first called."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self._known: dict[str, Any] = {}

    def function(self, routine_: Any) -> Any:
        if routine_.name not in self._known:
            function = ir.Function(self.module, routine_.kind, name=routine_.name)
            function.linkage = "internal"
            self._known[routine_.name] = function
            _Function(self, routine_, function).write()
        return self._known[routine_.name]

    def intrinsic(self, name: str, value: Any, count: int = 1) -> Any:
        return self.module.declare_intrinsic(name, [value], ir.FunctionType(value, [value] * count))


class _Function:
    """Writes the instructions of one function."""

    def __init__(self, module: _Module, routine_: Any, function: Any) -> None:
        self.module = module
        self.routine = routine_
        self.llvm = function
        self.entry = function.append_basic_block("entry")
        self.builder = ir.IRBuilder(function.append_basic_block("body"))
        self.names = routine_.function.__globals__ | _closure(routine_.function)
        self.variables: dict[str, Any] = {}
        self.loops: list[tuple[Any, Any]] = []

    def write(self) -> None:
        source = textwrap.dedent(inspect.getsource(self.routine.function))
        tree: Any = ast.parse(source).body[0]
        body = self.builder.block
        for argument, value in zip(tree.args.args, self.llvm.args, strict=True):
            self._assign_name(argument.arg, value)
        self._block(tree.body)
        if not self.builder.block.is_terminated:
            if isinstance(self.llvm.function_type.return_type, ir.VoidType):
                self.builder.ret_void()
            else:
                self.builder.unreachable()
        ir.IRBuilder(self.entry).branch(body)

    def _block(self, statements: Sequence[ast.stmt]) -> None:
        for each in statements:
            if self.builder.block.is_terminated:
                return
            try:
                self._statement(each)
            except AssertionError:
                raise
            except Exception as error:
                place = f"{self.routine.name}: {ast.unparse(each).splitlines()[0]}"
                raise AssertionError(f"{place}: {error!r}") from error

    def _statement(self, node: Any) -> None:  # noqa: C901, PLR0912  one case for each kind
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Expr(value=value):
                self._value(value)
            case ast.Assign(targets=targets, value=value):
                result = self._value(value)
                for target in targets:
                    self._assign(target, result)
            case ast.AugAssign(target=target, op=op, value=value):
                result = self._arithmetic(op, self._value(target), self._value(value))
                self._assign(target, result)
            case ast.Return(value=None):
                self.builder.ret_void()
            case ast.Return(value=value):
                self._return(self._value(value))
            case ast.If(test=test, body=body, orelse=orelse):
                self._if(test, body, orelse)
            case ast.While(test=test, body=body, orelse=[]):
                self._while(test, body)
            case ast.For(
                target=ast.Name(id=name),
                iter=ast.Call(
                    func=ast.Name(id="range"), args=[_] | [_, _], keywords=[]
                ) as iterated,
                body=body,
                orelse=[],
            ):
                self._for(name, iterated, body)
            case ast.Break():
                self.builder.branch(self.loops[-1][1])
            case ast.Continue():
                self.builder.branch(self.loops[-1][0])
            case _:
                raise NotImplementedError(ast.dump(node))

    def _assign(self, target: Any, value: Any) -> None:
        match target:
            case ast.Name(id="_"):
                pass
            case ast.Name(id=name):
                self._assign_name(name, value)
            case ast.Tuple(elts=targets):
                values = value if isinstance(value, tuple) else self._parts(value)
                for each, part in zip(targets, values, strict=True):
                    self._assign(each, part)
            case ast.Subscript(value=base, slice=index):
                address = self._value(base)
                place = self.builder.gep(address, [self._as(INTEGER, self._value(index))])
                self.builder.store(self._as(address.type.pointee, value), place)
            case _:
                raise NotImplementedError(ast.dump(target))

    def _assign_name(self, name: str, value: Any) -> None:
        if name not in self.variables:
            value = self._runtime(value)
            with self.builder.goto_block(self.entry):
                self.variables[name] = self.builder.alloca(value.type, name=name)
        slot = self.variables[name]
        self.builder.store(self._as(slot.type.pointee, value), slot)

    def _parts(self, value: Any) -> list[Any]:
        return [self.builder.extract_value(value, i) for i in range(len(value.type.elements))]

    def _return(self, value: Any) -> None:
        result = self.llvm.function_type.return_type
        if isinstance(value, tuple):
            whole: Any = ir.Constant(result, ir.Undefined)
            for i, part in enumerate(value):
                converted = self._as(result.elements[i], part)
                whole = self.builder.insert_value(whole, converted, i)
            self.builder.ret(whole)
        else:
            self.builder.ret(self._as(result, value))

    def _if(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        yes, no = self._new("then"), self._new("else")
        after = self._new("after") if orelse else no
        self.builder.cbranch(self._truth(test), yes, no)
        for block, statements in ((yes, body), (no, orelse)):
            if block is after:
                continue
            self.builder.position_at_end(block)
            self._block(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(after)
        self.builder.position_at_end(after)
        if orelse and not _reached(after):
            self.builder.unreachable()

    def _while(self, test: ast.expr, body: list[ast.stmt]) -> None:
        check, inside, after = self._new("check"), self._new("while"), self._new("after")
        self.builder.branch(check)
        self.builder.position_at_end(check)
        self.builder.cbranch(self._truth(test), inside, after)
        with self._loop(check, after):
            self.builder.position_at_end(inside)
            self._block(body)
            if not self.builder.block.is_terminated:
                self.builder.branch(check)
        self.builder.position_at_end(after)

    def _for(self, name: str, iterated: Any, body: list[ast.stmt]) -> None:
        given = [self._as(INTEGER, self._value(each)) for each in iterated.args]
        start, stop = given if len(given) == 2 else (ir.Constant(INTEGER, 0), given[0])
        counter = self._slot(INTEGER)
        self.builder.store(start, counter)
        check, inside = self._new("check"), self._new("for")
        step, after = self._new("next"), self._new("after")
        self.builder.branch(check)
        self.builder.position_at_end(check)
        more = self.builder.icmp_signed("<", self.builder.load(counter), stop)
        self.builder.cbranch(more, inside, after)
        with self._loop(step, after):
            self.builder.position_at_end(inside)
            self._assign_name(name, self.builder.load(counter))
            self._block(body)
            if not self.builder.block.is_terminated:
                self.builder.branch(step)
        self.builder.position_at_end(step)
        one = ir.Constant(INTEGER, 1)
        self.builder.store(self.builder.add(self.builder.load(counter), one), counter)
        self.builder.branch(check)
        self.builder.position_at_end(after)

    @contextmanager
    def _loop(self, again: Any, after: Any) -> Iterator[None]:
        self.loops.append((again, after))
        yield
        self.loops.pop()

    def _new(self, name: str) -> Any:
        return self.llvm.append_basic_block(name)

    def _slot(self, kind: Any) -> Any:
        with self.builder.goto_block(self.entry):
            return self.builder.alloca(kind)

    def _value(self, node: Any) -> Any:  # noqa: C901, PLR0911, PLR0912  one case for each kind
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                if name in self.variables:
                    return self.builder.load(self.variables[name])
                return self.names[name] if name in self.names else _BUILTINS[name]
            case ast.Attribute(value=base, attr=name):
                return getattr(self._value(base), name)
            case ast.Tuple(elts=parts):
                return tuple(self._value(each) for each in parts)
            case ast.Subscript(value=base, slice=index):
                return self._item(self._value(base), self._value(index))
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(op, self._value(left), self._value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self._value(operand)
                if isinstance(value, int | float):
                    return -value
                real = value.type == REAL
                return self.builder.fneg(value) if real else self.builder.neg(value)
            case ast.UnaryOp(op=ast.Not()) | ast.BoolOp():
                return self._logic(node)
            case ast.Compare(left=left, ops=ops, comparators=rest):
                return self._compare(left, ops, rest)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._choice(test, body, orelse)
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._call(self._value(function), [self._value(a) for a in arguments])
        raise NotImplementedError(ast.dump(node))

    def _item(self, base: Any, index: Any) -> Any:
        if isinstance(base, tuple):
            if isinstance(index, int):
                return base[index]
            values = [self._runtime(each) for each in base]
            kind = ir.ArrayType(values[0].type, len(values))
            table = ir.GlobalVariable(
                self.module.module, kind, name=self.module.module.get_unique_name("table")
            )
            table.linkage, table.global_constant = "internal", True
            table.initializer = ir.Constant(kind, values)
            place = self.builder.gep(table, [ir.Constant(INTEGER, 0), index])
            return self.builder.load(place)
        return self.builder.load(self.builder.gep(base, [self._as(INTEGER, index)]))

    def _runtime(self, value: Any) -> Any:
        """Return a number of Python as one of the machine."""
        if isinstance(value, bool):
            return ir.Constant(TRUTH, int(value))
        if isinstance(value, int):
            return ir.Constant(INTEGER, value)
        return ir.Constant(REAL, value) if isinstance(value, float) else value

    def _as(self, kind: Any, value: Any) -> Any:
        value = self._runtime(value)
        if value.type == kind:
            return value
        if kind == REAL and value.type == INTEGER:
            return self.builder.sitofp(value, REAL)
        if kind == REAL and value.type == TRUTH:
            return self.builder.uitofp(value, REAL)
        if kind == INTEGER and value.type == TRUTH:
            return self.builder.zext(value, INTEGER)
        raise TypeError(f"{value.type} where {kind} is needed")

    def _common(self, left: Any, right: Any) -> tuple[Any, Any]:
        left, right = self._runtime(left), self._runtime(right)
        kind = REAL if REAL in (left.type, right.type) else INTEGER
        return self._as(kind, left), self._as(kind, right)

    def _arithmetic(self, op: ast.operator, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if numbers:
            return _ON_NUMBERS[type(op)](left, right)
        if isinstance(op, ast.Div | ast.Pow):
            left, right = self._as(REAL, left), self._as(REAL, right)
        left, right = self._common(left, right)
        if isinstance(op, ast.Pow):
            return self.builder.call(self.module.intrinsic("llvm.pow", REAL, 2), [left, right])
        names = _ON_REALS if left.type == REAL else _ON_INTEGERS
        return getattr(self.builder, names[type(op)])(left, right)

    def _truth(self, node: ast.expr) -> Any:
        value = self._runtime(self._value(node))
        if value.type == TRUTH:
            return value
        if value.type == REAL:
            return self.builder.fcmp_unordered("!=", value, ir.Constant(REAL, 0.0))
        return self.builder.icmp_signed("!=", value, ir.Constant(INTEGER, 0))

    def _logic(self, node: Any) -> Any:
        if isinstance(node, ast.UnaryOp):
            return self.builder.not_(self._truth(node.operand))
        slot, after = self._slot(TRUTH), self._new("known")
        conjunction = isinstance(node.op, ast.And)
        for each in node.values:
            value = self._truth(each)
            self.builder.store(value, slot)
            more = self._new("more")
            self.builder.cbranch(value, *((more, after) if conjunction else (after, more)))
            self.builder.position_at_end(more)
        self.builder.branch(after)
        self.builder.position_at_end(after)
        return self.builder.load(slot)

    def _compare(self, left: Any, ops: Any, rest: Any) -> Any:
        result: Any = None
        value = self._value(left)
        for op, node in zip(ops, rest, strict=True):
            other = self._value(node)
            a, b = self._common(value, other)
            sign = _COMPARISONS[type(op)]
            if a.type == INTEGER:
                found = self.builder.icmp_signed(sign, a, b)
            elif sign == "!=":
                found = self.builder.fcmp_unordered(sign, a, b)
            else:
                found = self.builder.fcmp_ordered(sign, a, b)
            result = found if result is None else self.builder.and_(result, found)
            value = other
        return result

    def _choice(self, test: Any, body: Any, orelse: Any) -> Any:
        yes, no, after = self._new("if"), self._new("else"), self._new("chosen")
        self.builder.cbranch(self._truth(test), yes, no)
        ends = []
        for block, node in ((yes, body), (no, orelse)):
            self.builder.position_at_end(block)
            ends.append((self._runtime(self._value(node)), self.builder.block))
        kinds = {value.type for value, _ in ends}
        kind = ends[0][0].type if len(kinds) == 1 else (REAL if REAL in kinds else INTEGER)
        slot = self._slot(kind)
        for value, block in ends:
            self.builder.position_at_end(block)
            self.builder.store(self._as(kind, value), slot)
            self.builder.branch(after)
        self.builder.position_at_end(after)
        return self.builder.load(slot)

    def _call(self, function: Any, arguments: list[Any]) -> Any:  # noqa: PLR0911  one for each kind
        if isinstance(function, Routine):
            kinds = function.kind.args
            given = [self._as(k, a) for k, a in zip(kinds, arguments, strict=True)]
            return self.builder.call(self.module.function(function), given)
        if isinstance(function, Operation):
            pairs = zip(function.arguments, arguments, strict=True)
            given = [self._runtime(a) if k is None else self._as(k, a) for k, a in pairs]
            return function.write(self.builder, given)
        if function in (min, max):
            return self._extreme(function, arguments)
        value = self._runtime(arguments[0])
        if function is int:
            real = value.type == REAL
            return self.builder.fptosi(value, INTEGER) if real else self._as(INTEGER, value)
        if function is abs and value.type == INTEGER:
            negative = self.builder.icmp_signed("<", value, ir.Constant(INTEGER, 0))
            return self.builder.select(negative, self.builder.neg(value), value)
        name = _MATHS[function]
        if name.startswith("llvm"):
            return self.builder.call(self.module.intrinsic(name, REAL), [self._as(REAL, value)])
        kind = ir.FunctionType(REAL, [REAL])
        known = self.module.module.globals
        foreign = known[name] if name in known else ir.Function(self.module.module, kind, name=name)
        return self.builder.call(foreign, [self._as(REAL, value)])

    def _extreme(self, function: Any, arguments: list[Any]) -> Any:
        best = arguments[0]
        for each in arguments[1:]:
            a, b = self._common(best, each)
            sign = ">" if function is max else "<"
            real = a.type == REAL
            compare = self.builder.fcmp_ordered if real else self.builder.icmp_signed
            best = self.builder.select(compare(sign, b, a), b, a)
        return best


def _reached(block: Any) -> bool:
    """Whether any branch leads to a block."""
    return any(
        block in getattr(last, "operands", ())
        for other in block.parent.blocks
        if (last := other.terminator) is not None
    )


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    return dict(inspect.getclosurevars(function).nonlocals)


_BUILTINS: dict[str, Any] = {"min": min, "max": max, "abs": abs, "int": int, "range": range}
_MATHS: dict[Any, str] = {
    abs: "llvm.fabs",
    math.sqrt: "llvm.sqrt",
    math.floor: "llvm.floor",
    math.ceil: "llvm.ceil",
    math.log: "llvm.log",
    math.exp: "llvm.exp",
    math.cos: "llvm.cos",
    math.acos: "acos",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ON_REALS: dict[type[ast.operator], str] = {
    ast.Add: "fadd",
    ast.Sub: "fsub",
    ast.Mult: "fmul",
    ast.Div: "fdiv",
}
_ON_INTEGERS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.FloorDiv: "sdiv",
    ast.Mod: "srem",
    ast.RShift: "ashr",
    ast.BitAnd: "and_",
}
_ON_NUMBERS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: lambda a, b: a**b,
}
