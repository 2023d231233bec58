"""The front door: what it names, how it loads, and that the reference lists all of it."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bayesnlme as bn

REFERENCE = Path(__file__).parents[1] / "docs/reference/api.md"
PROMISED = {
    "Dataset", "Fit", "Model", "LogNormal", "LogitNormal", "Normal", "NUTS", "Prior", "Solver",
    "additive", "build", "check", "combined", "covariates", "curve", "datasets", "disease", "fit",
    "growth", "load", "log_normal", "loo", "math", "ode", "pd", "pk", "posterior_predictive",
    "proportional", "read_data", "report", "typical",
}  # fmt: skip


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize("name", bn.__all__)
def test_every_public_name_is_there_and_documented(name):
    found = getattr(bn, name)
    assert inspect.getdoc(found)
    assert getattr(bn, name) is found


def test_all_is_complete_sorted_and_has_no_doubles():
    assert set(bn.__all__) >= PROMISED
    assert bn.__all__ == sorted(set(bn.__all__))
    assert all(not name.startswith("_") for name in bn.__all__)


def test_no_module_takes_the_place_of_a_public_function():
    """Importing ``bayesnlme.fit`` would rebind ``bn.fit`` if there were such a module."""
    modules = {each.stem for each in Path(bn.__file__).parent.iterdir()}
    for name in modules & set(bn.__all__):
        assert inspect.ismodule(getattr(bn, name))
        assert getattr(bn, name).__name__ == f"bayesnlme.{name}"


def test_dir_lists_the_front_door():
    assert set(dir(bn)) >= {*bn.__all__, "__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", bn.__version__)


@pytest.mark.parametrize(
    ("wrong", "right"), [("Lognormal", "LogNormal"), ("read_dat", "read_data"), ("nuts", "NUTS")]
)
def test_an_unknown_name_says_what_was_meant(wrong, right):
    with pytest.raises(AttributeError, match=f"bayesnlme has no '{wrong}'. Did you mean '{right}'"):
        getattr(bn, wrong)
    assert not hasattr(bn, "nothing_like_it")


def test_the_package_alone_imports_no_sampler():
    heavy = "{'pymc', 'pytensor', 'numba', 'nutpie', 'arviz', 'matplotlib'}"
    assert run(f"import sys, bayesnlme; print(*{heavy} & set(sys.modules))") == []


def test_reading_a_table_imports_no_sampler():
    code = (
        "import sys, bayesnlme as bn; bn.datasets.theophylline(); "
        "print(*{'pymc', 'pytensor', 'numba', 'nutpie', 'arviz'} & set(sys.modules))"
    )
    assert run(code) == []


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference is not written yet")
@pytest.mark.parametrize("name", bn.__all__)
def test_every_public_name_stands_in_the_reference(name):
    assert re.search(rf"\b{name}\b", REFERENCE.read_text(encoding="utf-8"))
