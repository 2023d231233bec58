"""Same seed, same draws: in fresh processes, from a cold and a warm cache, on one core and two."""

import hashlib
import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, sys
import pandas as pd
import bayesnlme as bn

table = bn.datasets.theophylline().subset(subjects=[1, 2, 3]).to_frame()
model = bn.Model(
    name="small",
    parameters={"CL": bn.LogNormal(2.8, iiv=0.3), "V": bn.LogNormal(32.0)},
    structure=bn.pk.one_compartment(),
    observations={"conc": bn.additive(2.0)},
)
fit = bn.fit(
    model,
    bn.read_data(table),
    method=bn.NUTS(draws=60, tune=60, chains=2, cores=int(sys.argv[1])),
    seed=9,
    progress=False,
)
posterior, drawn = fit.posterior, fit.tree["posterior_predictive"]["conc"].values
draws = b"".join(posterior[name].values.tobytes() for name in sorted(posterior))
print(hashlib.sha256(draws + drawn.tobytes()).hexdigest())
"""


def draws_of(cache, cores, hash_seed):
    environment = os.environ | {
        "PYTENSOR_FLAGS": f"base_compiledir={cache}",
        "PYTHONHASHSEED": str(hash_seed),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(cores)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_same_seed_same_draws(tmp_path):
    cold = draws_of(tmp_path / "cache", cores=2, hash_seed=1)
    warm = draws_of(tmp_path / "cache", cores=1, hash_seed=2)
    assert len(cold) == hashlib.sha256().digest_size * 2
    assert warm == cold


@pytest.mark.slow
def test_same_seed_same_draws_from_another_cold_cache(tmp_path):
    first = draws_of(tmp_path / "one", cores=1, hash_seed=3)
    second = draws_of(tmp_path / "two", cores=2, hash_seed=4)
    assert first == second
