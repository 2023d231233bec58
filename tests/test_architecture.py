"""The shape of the package: layers, imports, sizes, and what may not be called."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "bayesnlme"
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = (
    ("errors", "_types", "_files", "math", "names"),
    ("data", "odes", "population", "observation"),
    ("assembly",),
    ("structural",),
    ("model",),
    ("graph",),
    ("marginal",),
    ("results",),
    ("inference", "simulate", "design"),
    ("diagnostics", "dosing"),
    ("plots",),
    ("reports",),
    ("cli", "__main__"),
)
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def part_of(module):
    return module.split(".")[1] if "." in module else ""


def imported(tree):
    """Yield the modules that a tree imports from, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import at line {node.lineno}"
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                yield (deeper if deeper in MODULES else node.module), node.lineno


OWN = {
    name: [(each, line) for each, line in imported(tree) if each.split(".")[0] == "bayesnlme"]
    for name, tree in TREES.items()
}


def test_every_module_has_a_place_in_the_layers():
    assert {part_of(name) for name in MODULES if "." in name} <= set(HEIGHT)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "bayesnlme"])
def test_imports_point_down(name):
    for target, line in OWN[name]:
        assert target in MODULES, f"line {line}: {target} is no module"
        if target == "bayesnlme":
            continue  # the version alone; see the next test
        height, other = HEIGHT[part_of(name)], HEIGHT[part_of(target)]
        assert other <= height, f"line {line}: {part_of(name)} may not import {target}"


@pytest.mark.parametrize("name", [name for name in MODULES if name != "bayesnlme"])
def test_only_the_version_comes_from_the_front_door(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            assert all(alias.name != "bayesnlme" for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module == "bayesnlme":
            taken = {alias.name for alias in node.names if f"bayesnlme.{alias.name}" not in MODULES}
            assert taken <= {"__version__"}


def test_no_module_imports_itself_by_a_detour():
    below = {
        name: {target for target, _ in OWN[name] if target not in (name, "bayesnlme")}
        for name in MODULES
    }
    while below:
        free = {name for name, targets in below.items() if not targets & set(below)}
        assert free, f"a cycle among {sorted(below)}"
        below = {name: targets for name, targets in below.items() if name not in free}


@pytest.mark.parametrize("name", list(MODULES))
def test_files_are_short(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("name", list(MODULES))
def test_no_import_is_hidden_from_the_layers(name):
    """Let functions import other people's packages alone, and nothing for type checkers only."""
    hidden = {id(n) for n in ast.walk(TREES[name]) if isinstance(n, ast.Name | ast.Attribute)
              and getattr(n, "id", getattr(n, "attr", None)) == "TYPE_CHECKING"}  # fmt: skip
    assert not hidden
    if name == "bayesnlme":
        return  # the front door loads each name on first use
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [target for each in node.body for target, _ in imported(each)]
            assert not [each for each in inner if each.split(".")[0] == "bayesnlme"]


@pytest.mark.parametrize("name", list(MODULES))
def test_no_text_is_run_and_nothing_is_pickled(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"line {node.lineno}: {node.func.id}"
    for target, line in imported(TREES[name]):
        assert target.split(".")[0] not in FORBIDDEN_MODULES, f"line {line}: {target}"


@pytest.mark.parametrize("name", list(MODULES))
def test_no_prints_and_no_star_imports(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names), f"line {node.lineno}"


@pytest.mark.parametrize("name", list(MODULES))
def test_every_module_says_what_it_is(name):
    assert ast.get_docstring(TREES[name])
