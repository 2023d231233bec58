"""The reference lists what there is: every public name, every finding's page, every citation."""

import re
from pathlib import Path

import bayesnlme as bn

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_the_reference_is_the_front_door():
    page = (REFERENCE / "api.md").read_text(encoding="utf-8")
    directives = re.findall(r"^\.\. auto(?:class|exception|function):: (\w+)$", page, re.MULTILINE)
    namespaces = re.findall(r"^### `bn\.(\w+)`$", page, re.MULTILINE)
    listed = [*directives, *namespaces]
    assert sorted(listed) == sorted(bn.__all__)


def test_every_citation_has_its_reference():
    entries = (REFERENCE / "references.bib").read_text(encoding="utf-8")
    known = set(re.findall(r"^@\w+\{(\w+),", entries, re.MULTILINE))
    cited = {
        key
        for path in (ROOT / "bayesnlme").rglob("*.py")
        for key in re.findall(r"\[([A-Z][A-Za-z]+\d{4})\]", path.read_text(encoding="utf-8"))
    }
    assert cited == known


def test_decisions_answer_the_same_questions():
    for page in (ROOT / "docs" / "decisions").glob("0*.md"):
        text = page.read_text(encoding="utf-8")
        for part in ("Question", "Choice", "Measured", "Would change our mind"):
            assert f"**{part}.**" in text, (page.name, part)


def test_every_test_that_validation_names_exists():
    text = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    files = {}
    for row in re.findall(r"`((?:tests/|…::|test_)[^`]+)`", text):
        path, _, name = row.partition("::")
        if path.startswith("tests/"):
            last = path
        elif path.startswith("test_"):
            last = f"{Path(last).parent}/{path}"
        files.setdefault(last, set()).update({name} - {""})
    for path, names in files.items():
        assert (ROOT / path).exists(), path
        for name in names:
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), (path, name)
