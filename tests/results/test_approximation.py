"""The verdict on weights, and who reads it."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

import bayesnlme as bn
from bayesnlme.cli import show
from bayesnlme.results.approximation import Approximation, judge_weights

SOUND = Approximation(
    draws=1000, points=2000, pareto_k=0.31, subject_k={"1": 0.2, "2": 0.42},
    second_mode={"1": 0.0, "2": 0.0}, ess=900.0, failed=0,
    joint_k=1.1, elbo=-190.0, elbo_error=0.05, log_evidence=-187.0, log_evidence_error=0.03,
    fixed_draws=64, fixed_error=0.03,
)  # fmt: skip


@pytest.fixture(scope="module")
def weighted(handmade):
    """Make a fit whose draws say that they come from weights."""
    made = handmade.fit()
    group = xr.Dataset(
        {
            each.name: getattr(SOUND, each.name)
            for each in dataclasses.fields(SOUND)
            if each.name not in {"draws", "subject_k", "second_mode"}
        }
    )
    groups = {name: node.to_dataset() for name, node in made.tree.children.items()}
    groups.pop("sample_stats")
    tree = xr.DataTree.from_dict({**groups, "approximation": group})
    return dataclasses.replace(made, tree=tree, status=bn.Status.CONVERGED)


def test_sound_weights():
    assert SOUND.passed
    assert SOUND.problems == ()
    assert SOUND.verdict == (
        "Converged: 1000 draws from 2000 weighted points, Pareto k 0.31, of subjects at most 0.42 "
        "(limit 0.70), effective sample size 900."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pareto_k": 0.8}, "Pareto k of the population parameters is 0.80"),
        ({"pareto_k": np.nan}, "Pareto k of the population parameters is nan"),
        ({"subject_k": {"1": 0.2, "7": 0.9}}, "random effects of subject 7 is above 0.70"),
        ({"subject_k": {"1": np.nan}}, "random effects of subject 1 is above"),
        ({"second_mode": {"1": 0.3, "2": 0.0}}, "subject 1 have a second mode, with up to 30 %"),
        ({"ess": 399.0}, "effective sample size of the weights is 399, below 400"),
    ],
)
def test_each_problem_refuses(changes, words):
    found = dataclasses.replace(SOUND, **changes)
    assert not found.passed
    assert len(found.problems) == 1
    assert found.verdict.startswith("NOT CONVERGED.")
    assert words in found.verdict
    assert 'use bn.NUTS(start="laplace")' in found.verdict
    assert sum(each.passed is False for each in found.checks) == 1


def test_the_limit_follows_the_number_of_points():
    """1 - 1/log10(S), at most 0.7 [Vehtari2024]."""
    assert dataclasses.replace(SOUND, points=200).good_k == pytest.approx(0.5654, abs=1e-4)
    assert dataclasses.replace(SOUND, points=10_000).good_k == 0.7


def test_points_without_density_are_told():
    assert "3 points had no density" in dataclasses.replace(SOUND, failed=3).verdict


def test_without_subjects_no_word_of_them():
    found = dataclasses.replace(SOUND, subject_k={}, second_mode={})
    assert "of subjects" not in found.verdict
    assert len(found.checks) == len(SOUND.checks) - 2


def test_the_group_holds_the_verdict(weighted):
    draws = weighted.posterior.sizes["draw"]
    found = judge_weights(weighted.tree["approximation"].to_dataset(), draws)
    assert found == dataclasses.replace(SOUND, draws=draws, subject_k={}, second_mode={})
    assert weighted.convergence == found
    assert not weighted.has_chains


def test_the_command_line_shows_the_columns_that_are_there(weighted):
    summary = weighted.summary()
    assert "rhat" not in summary
    table = show.parameter_table(summary, width=200)
    assert [each.header for each in table.columns] == [
        "", "mean", "sd", "median", "lower", "upper", "CV %", "unit",
    ]  # fmt: skip


def test_monte_carlo_error_counts_weights_and_draws(weighted):
    table, draws = weighted.summary(), weighted.posterior["CL_pop"]
    expected = table["sd"] * np.sqrt(1 / SOUND.ess + 1 / draws.size)
    np.testing.assert_allclose(table["mcse_mean"], expected)
