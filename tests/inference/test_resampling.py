"""The bootstrap and profiles of the likelihood."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import bayesnlme as bn
from bayesnlme.inference import resampling
from tests.inference.lines import exact_log_likelihood, sleep


@pytest.fixture(scope="module")
def sleep_fit():
    return bn.fit(*sleep(), method=bn.FO(), seed=1, progress=False)


@pytest.fixture(scope="module")
def plain_fit():
    """Lines of subjects whose differences are hardly more than chance."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"ID": np.repeat(np.arange(12), 4), "TIME": np.tile(np.arange(4.0), 12)})
    table["DV"] = 5.0 + table["TIME"] + rng.normal(0, 1, 48) + np.repeat(rng.normal(0, 0.5, 12), 4)
    model = bn.Model(
        name="line",
        parameters={"a": bn.Normal(5.0, iiv=0.3), "b": bn.Normal(1.0)},
        structure=bn.curve(lambda t, p: p.a + p.b * t),
        observations={"value": bn.additive(1.0)},
    )
    return bn.fit(model, bn.read_data(table), method=bn.FO(), seed=1, progress=False)


def test_a_profile_is_that_of_the_exact_likelihood(sleep_fit):
    """At each end the rest maximised by a general optimiser leaves the OFV 3.84 higher."""
    found = bn.profile(sleep_fit, "b_pop")
    assert found.table["ofv"].min() == pytest.approx(sleep_fit.ofv, abs=1e-6)
    others = sleep_fit.estimates.drop("b_pop")
    for end in (found.lower, found.upper):

        def objective(x, at=end):
            values = others.copy()
            values[:] = x
            return -2 * exact_log_likelihood(sleep_fit, {**values.to_dict(), "b_pop": at})

        options = {"maxiter": 3000, "maxfev": 3000, "fatol": 1e-7}
        best = optimize.minimize(
            objective, others.to_numpy(), method="Nelder-Mead", options=options
        )
        assert best.fun - sleep_fit.ofv == pytest.approx(3.8414588, abs=0.02)


def test_a_profile_says_where_it_has_no_limit(plain_fit):
    """An SD that may be zero, where the likelihood is that of least squares."""
    found = bn.profile(plain_fit, "omega[a]")
    seen = plain_fit.data.observations
    _, (squares,), *_ = np.polyfit(seen.time, seen.value, 1, full=True)
    rise = len(seen) * (np.log(2 * np.pi * squares / len(seen)) + 1) - plain_fit.ofv
    assert 0 < rise < 3.84
    assert (found.lower, found.unlimited) == (0.0, ("lower",))
    assert np.isfinite(found.upper)
    assert f"There is no lower limit: towards 0 the OFV rises by {rise:.2f} and" in repr(found)
    assert f"{found.upper:.4g} by its profile likelihood (95 %)" in found.verdict


def test_a_profile_is_told_in_words(sleep_fit):
    found = bn.profile(sleep_fit, "a_pop", interval=0.9)
    assert found.verdict == (
        f"a_pop: {found.lower:.4g} to {found.upper:.4g} by its profile likelihood (90 %)."
    )
    assert f"{found.table['ofv'].iloc[0]:.4f}" in repr(found)


def test_a_profile_is_refused_before_anything_is_compiled(sleep_fit, bound_fit, monkeypatch):
    monkeypatch.setattr(resampling.Refitter, "of", None)
    with pytest.raises(bn.FitError, match="no estimate 'b_popp'"):
        bn.profile(sleep_fit, "b_popp")
    with pytest.raises(bn.FitError, match=r"omega\[a\] is at a bound"):
        bn.profile(bound_fit, "omega[a]")


def test_a_profile_needs_one_parameter(sleep_fit, fit):
    with pytest.raises(bn.FitError, match=r"no estimate 'b_popp'\. Did you mean 'b_pop'"):
        bn.profile(sleep_fit, "b_popp")
    with pytest.raises(bn.FitError, match="maximised a likelihood"):
        bn.profile(fit, "CL_pop")
    with pytest.raises(bn.ModelError, match="interval=2"):
        bn.profile(sleep_fit, "b_pop", interval=2)


def test_the_bootstrap_of_a_linear_model(sleep_fit):
    found = bn.bootstrap(sleep_fit, n=60, seed=3)
    table = found.summary()
    assert found.replicates["converged"].mean() > 0.9
    errors = sleep_fit.likelihood.standard_errors()
    ratio = table["se"] / errors
    assert 0.6 < ratio["b_pop"] < 1.5
    assert (table["lower"] < table["upper"]).all()
    assert table.attrs["converged"].endswith("of 60")
    assert f"{table.attrs['converged']} replicates converged" in repr(found)
    assert f"{table.loc['b_pop', 'upper']:.4g}" in repr(found)


def test_the_bootstrap_does_not_depend_on_the_executor(sleep_fit):
    alone = bn.bootstrap(sleep_fit, n=6, seed=3)
    with ThreadPoolExecutor(2) as executor:
        shared = bn.bootstrap(sleep_fit, n=6, seed=3, executor=executor)
    assert alone.replicates.equals(shared.replicates)


def test_weights_count_subjects(sleep_fit):
    """A replicate by weights equals a fit to a table in which subjects stand twice."""
    found = bn.bootstrap(sleep_fit, n=1, seed=8).replicates.iloc[0]
    rng = np.random.default_rng(8)
    weights = rng.multinomial(18, np.full(18, 1 / 18), size=1)[0]
    table = sleep_fit.data.to_frame()
    parts = []
    for subject, times in zip(sleep_fit.data.subjects, weights, strict=True):
        for copy in range(times):
            rows = table[table["ID"].astype(str) == subject]
            parts.append(rows.assign(ID=f"{subject}-{copy}"))

    doubled = bn.read_data(pd.concat(parts))
    fit = bn.fit(sleep()[0], doubled, method=bn.FO(), seed=1, progress=False)
    for name in ("a_pop", "b_pop", "seen_additive"):
        assert found[name] == pytest.approx(fit.estimates[name], rel=1e-4)


def test_replicates_of_a_fit_at_a_bound_may_lie_inside(bound_fit):
    """Where subjects hardly differ some samples of them do: the search starts inside again."""
    assert bound_fit.status is bn.Status.AT_BOUND
    found = bn.bootstrap(bound_fit, n=12, seed=1).replicates["omega[a]"]
    assert ((found < 1e-3) | (found > 1e-2)).all()


def test_a_seed_must_be_a_whole_number(sleep_fit):
    with pytest.raises(bn.ModelError, match="seed='a'"):
        bn.bootstrap(sleep_fit, n=2, seed="a")
