import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def handmade():
    found = runpy.run_path(str(Path(__file__).parents[1] / "diagnostics" / "handmade.py"))
    return SimpleNamespace(**found)


@pytest.fixture(scope="session")
def fit(handmade):
    return handmade.fit()
