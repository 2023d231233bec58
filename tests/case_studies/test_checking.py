"""The comparison of case studies with what they are expected to find."""

import math
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUDIES = sorted(path.parent for path in ROOT.glob("case_studies/*/expected.json"))


@pytest.fixture(scope="module", autouse=True)
def _root_on_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield


@pytest.fixture(scope="module")
def checking(_root_on_path):
    return import_module("case_studies.checking")


def test_a_value_within_its_tolerance_passes(checking):
    expected = {"a": {"value": 1.0, "tolerance": 0.1}}
    (near,) = checking.compare({"a": 1.05}, expected)
    (far,) = checking.compare({"a": 1.2}, expected)
    assert near.passed
    assert not far.passed


def test_what_is_on_one_side_alone_fails(checking):
    expected = {"a": {"value": 1.0, "tolerance": 0.1}}
    lost, added = checking.compare({"b": 1.0}, expected)
    assert (lost.name, added.name) == ("a", "b")
    assert not lost.passed
    assert not added.passed


def test_not_a_number_fails(checking):
    (check,) = checking.compare({"a": math.nan}, {"a": {"value": 1.0, "tolerance": 9.0}})
    assert not check.passed


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_a_study_is_whole(checking, study):
    assert study in checking.studies(ROOT / "case_studies")
    text = (study / "README.md").read_text(encoding="utf-8")
    assert all(f"**{part}.**" in text for part in ("Question", "Data", "Finding"))
    notebook = checking.notebook_of(study).read_text(encoding="utf-8")
    _, _, results = notebook.partition("\nresults = {")
    assert set(re.findall(r'^    "(\w+)":', results, re.MULTILINE)) == set(
        checking.expected_of(study)
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_a_study_finds_what_is_expected(checking, study):
    pytest.importorskip("jupytext")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    found = import_module("case_studies.__main__").run(study)
    checks = checking.compare(found, checking.expected_of(study))
    assert not [each for each in checks if not each.passed]
