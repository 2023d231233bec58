"""What the README shows is run as it stands, but for the number of draws."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIT = "seed=1)"


def example():
    (found,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return found


def run(code, folder):
    script = folder / "readme.py"
    script.write_text(code, encoding="utf-8")
    return runpy.run_path(str(script))


def test_the_model_is_made_and_fits_its_data(tmp_path):
    before, _, _ = example().partition("fit = ")
    found = run(before + "found = bn.check(model, bn.datasets.theophylline())", tmp_path)
    assert found["found"] == ()


@pytest.mark.slow
def test_the_whole_example_runs(tmp_path, monkeypatch):
    code = example()
    assert code.count(FIT) == 1
    few = "seed=1, method=bn.NUTS(draws=200, tune=300), progress=False)"
    monkeypatch.chdir(tmp_path)
    found = run(code.replace(FIT, few), tmp_path)
    assert found["fit"].data.n_observations == 132
    assert (tmp_path / "theophylline.html").is_file()


def test_every_file_it_links_exists():
    linked = re.findall(r"\]\(([^)]+)\)", README)
    assert linked
    assert not [each for each in linked if not (ROOT / each).is_file()]


def test_every_target_it_names_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", README, re.MULTILINE))
    assert {first or second for first, second in named} <= targets
