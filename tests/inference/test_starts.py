"""The source of starting points, and the end of a process whose chains found none."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from bayesnlme.inference.starts import QUIET, StartingPoints

REFUSED = """
import numpy as np, pandas as pd
import bayesnlme as bn
from bayesnlme.inference import nuts

nuts._starts = lambda density, start, effects, scale: lambda seed: np.full_like(start, np.nan)
model = bn.Model(
    name="line",
    parameters={"a": bn.Normal(5.0, iiv=1.0), "b": bn.Normal(0.5)},
    structure=bn.curve(lambda t, p: p.a + p.b * t),
    observations={"value": bn.additive(0.3)},
)
table = pd.DataFrame({"ID": np.repeat(range(4), 4), "TIME": np.tile(np.arange(4.0), 4), "DV": 1.0})
try:
    bn.fit(model, bn.read_data(table), method=bn.NUTS(chains=4, cores=4), seed=1, progress=False)
except bn.FitError as problem:
    print("refused:", "initialization points failed" in str(problem))
"""


def test_a_point_is_that_of_the_seed():
    points = StartingPoints(lambda seed: np.array([float(seed)]))
    assert points(3) == 3.0


def test_closing_ends_every_chain_that_asks():
    ended = []

    def find(seed):
        time.sleep(0.02)
        return np.zeros(1)

    points = StartingPoints(find)

    def chain():
        try:
            while True:
                points(1)
        except RuntimeError:
            ended.append(time.monotonic())

    threads = [threading.Thread(target=chain) for _ in range(3)]
    for each in threads:
        each.start()
    time.sleep(0.05)
    points.close()
    assert len(ended) == 3
    assert time.monotonic() - max(ended) >= QUIET
    with pytest.raises(RuntimeError, match="found no start"):
        points(1)
    for each in threads:
        each.join()


@pytest.mark.slow
def test_a_process_whose_chains_found_no_start_ends_in_order():
    """Chains that were still asking brought the interpreter down at its end, every time."""
    for _ in range(3):
        command = [sys.executable, "-c", REFUSED]
        shown = subprocess.run(command, check=False, capture_output=True, text=True)
        assert (shown.returncode, shown.stdout) == (0, "refused: True\n")
