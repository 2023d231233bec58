"""Machine code of this process: compiled by LLVM, kept on disk, found by its symbol."""

import contextlib
import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite  # type: ignore[import-untyped]
import llvmlite.binding  # type: ignore[import-untyped]
import pytensor

from bayesnlme._files import write_whole
from bayesnlme.errors import StoreError

_llvm: Any = llvmlite.binding

LINE = 64
"""Bytes of a cache line. Memory to work in begins with one, so a vector lies in one."""


def link(symbol: str, write: Callable[[], str]) -> Any:
    """Register the function `symbol` of an LLVM text; return the engine that holds it.

    The text is written and compiled thoroughly the first time; later processes read the machine
    code from PyTensor's cache, where its name tells the symbol and the machine.
    """
    machine = _machine()
    place = Path(pytensor.config.base_compiledir) / "bayesnlme" / f"{symbol}-{_host()}.o"
    code = _kept(place)
    if code is None:
        code = _thorough(write(), machine)
        with contextlib.suppress(OSError, StoreError):  # a cache that cannot be written is none
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, lambda part: part.write_bytes(_seal(code) + code))
    engine = _llvm.create_mcjit_compiler(_llvm.parse_assembly(""), machine)
    engine.add_object_file(_llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _llvm.add_symbol(symbol, engine.get_function_address(symbol))
    return engine


def _kept(place: Path) -> bytes | None:
    """Return machine code from the disk; none where it is missing or damaged."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    seal, code = content[:_SEAL], content[_SEAL:]
    return code if seal == _seal(code) else None


def _seal(code: bytes) -> bytes:
    return hashlib.sha256(code).digest()


_SEAL = 32
"""Length of the digest that stands before the code."""


def _thorough(text: str, machine: Any) -> bytes:
    """Optimise a module and return its machine code."""
    module = _module(text, machine)
    options = _llvm.create_pipeline_tuning_options(speed_level=2)
    builder = _llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    code: bytes = machine.emit_object(module)
    return code


@lru_cache(maxsize=1)
def _host() -> str:
    """Identify the machine code that this machine runs."""
    features = _llvm.get_host_cpu_features().flatten()
    said = (_llvm.get_process_triple(), _llvm.get_host_cpu_name(), features, llvmlite.__version__)
    return hashlib.sha256(" ".join(said).encode()).hexdigest()[:16]


def engine_of(text: str) -> Any:
    """Compile an LLVM text for this process alone; return the engine that holds it."""
    machine = _machine()
    engine = _llvm.create_mcjit_compiler(_module(text, machine), machine)
    engine.finalize_object()
    return engine


def fuses() -> bool:
    """Whether this machine multiplies and adds at once, with one rounding."""
    arm = _llvm.get_process_triple().startswith(("aarch64", "arm64"))
    return bool(arm or _llvm.get_host_cpu_features().get("fma", False))


def _module(text: str, machine: Any) -> Any:
    module = _llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return module


def _machine() -> Any:
    """Return a new description of this machine; an engine keeps the one it is given."""
    _llvm.initialize_native_target()
    _llvm.initialize_native_asmprinter()
    target = _llvm.Target.from_triple(_llvm.get_process_triple())
    return target.create_target_machine(
        cpu=_llvm.get_host_cpu_name(),
        features=_llvm.get_host_cpu_features().flatten(),
        opt=2,
        jit=True,
    )
