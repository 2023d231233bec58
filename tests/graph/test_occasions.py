"""Variability between occasions, from the table to the density and through a fit."""

import numpy as np
import pytest
from scipy import special, stats

import bayesnlme as bn
from bayesnlme.graph.grid import at_times
from bayesnlme.inference.density import compile_density
from bayesnlme.marginal.conditional import Conditional
from bayesnlme.reports.content import parameter_groups
from tests.conftest import draw_points, frame
from tests.marginal.points import standard_log_density, theta_of

FAST = "FAST_COMPILE"
COLUMNS = "ID TIME EVID AMT CMT DV OCC"
RECORDS = [
    (1, 0, 1, 100, 1, np.nan, 1),
    (1, 2, 0, 0, 1, 8.0, 1),
    (1, 5, 0, 0, 1, 6.0, 2),
    (1, 8, 1, 50, 1, np.nan, 2),
    (1, 9, 0, 0, 1, 9.0, 2),
    (1, 12, 0, 0, 1, 7.0, 1),
    (2, 0, 1, 80, 1, np.nan, 2),
    (2, 3, 0, 0, 1, 5.0, 2),
    (2, 7, 0, 0, 1, 4.0, 3),
]
"""Subject 1 moves from occasion 1 to 2 and back, subject 2 from 2 to 3."""


def equations():
    return bn.ode(
        lambda t, y, p: {"central": -p.CL / p.V * y.central},
        states=("central",),
        outputs={"conc": lambda t, y, p: y.central / p.V},
        solver=bn.Solver(method="tsit5", rtol=1e-10, atol=1e-10),
    )


def model_of(structure=None, **changes):
    fields = {
        "name": "occasions",
        "parameters": {
            "CL": bn.LogNormal(2.0, iiv=0.3, iov=0.2),
            "V": bn.LogNormal(10.0, iov=bn.Prior("Gamma", alpha=2, beta=10)),
        },
        "structure": structure or bn.pk.one_compartment(),
        "observations": {"conc": bn.additive(0.5)},
        "correlated_occasion": [("V", "CL")],
    }
    return bn.Model(**(fields | changes))


@pytest.fixture(scope="module")
def data():
    return bn.read_data(frame(RECORDS, COLUMNS))


@pytest.fixture(scope="module")
def population(data):
    return bn.build(model_of(), data)


def amounts(CL, V):
    """Follow the drug from record to record; entries of CL and V are those of the records."""
    found, amount = [], 0.0
    for number, (subject, time, _, dose, *_) in enumerate(RECORDS):
        before = RECORDS[number - 1]
        if number == 0 or before[0] != subject:
            amount = 0.0
        else:
            k = CL[number - 1] / V[number - 1]
            amount *= np.exp(-k * (time - before[1]))
        amount += dose
        found.append(amount)
    seen = np.array([evid == 0 for _, _, evid, *_ in RECORDS])
    return (np.array(found) / V)[seen]


def by_hand(point):
    """Return the joint log density with its Jacobians, in NumPy."""
    omega = np.exp(point["omega_log__"])[0]
    sd_CL, sd_V = (np.exp(point[f"omega_iov_{name}_log__"]) for name in ("CL", "V"))
    place = special.expit(point["iov_corr_V_CL_partial_logodds__"])[0]
    r = 2 * place - 1
    eta = omega * point["eta_standard"][:, 0]
    z = point["kappa_standard"]
    kappa_V = sd_V * z[:, 1]
    kappa_CL = sd_CL * (r * z[:, 1] + np.sqrt(1 - r**2) * z[:, 0])
    subject = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    occasion = np.array([0, 0, 1, 1, 1, 0, 2, 2, 3])
    CL = np.exp(point["CL_pop_log__"] + eta[subject] + kappa_CL[occasion])
    V = np.exp(point["V_pop_log__"] + kappa_V[occasion])
    seen = np.array([value for *_, value, _ in RECORDS])
    sd = np.exp(point["conc_additive_log__"])
    total = stats.norm.logpdf(seen[~np.isnan(seen)], amounts(CL, V), sd).sum()
    total += stats.norm.logpdf(point["eta_standard"]).sum() + stats.norm.logpdf(z).sum()
    for name, number in (("CL", 2.0), ("V", 10.0)):
        total += stats.norm.logpdf(point[f"{name}_pop_log__"], np.log(number), 1.0)
    half = np.sqrt(np.pi / 2)
    for value, mean in ((omega, 0.3), (sd_CL, 0.2), (sd, 0.5)):
        total += stats.halfnorm.logpdf(value, scale=mean * half) + np.log(value)
    total += stats.gamma.logpdf(sd_V, 2, scale=0.1) + np.log(sd_V)
    return total + stats.beta.logpdf(place, 2, 2) + np.log(place * (1 - place))


def test_log_density_equals_the_one_written_by_hand(population):
    graph = population.pymc
    density = graph.compile_logp(mode=FAST)
    for point in draw_points(graph, 10, seed=2):
        assert density(point) == pytest.approx(by_hand(point), rel=1e-10)


def test_closed_form_and_equations_give_the_same_density_and_gradient(population, data):
    other = bn.build(model_of(equations()), data)
    densities = [compile_density(each.pymc) for each in (population, other)]
    rng = np.random.default_rng(3)
    for _ in range(3):
        x = rng.normal(0, 0.5, densities[0].size)
        (value, gradient), (again, slopes) = (each.function(x) for each in densities)
        assert value == pytest.approx(again, rel=1e-8)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-6)


def test_names_dims_and_labels(population):
    graph = population.pymc
    dims = graph.named_vars_to_dims
    assert dims["kappa"] == dims["kappa_standard"] == ("subject_occasion", "occasion_effect")
    assert dims["omega_iov"] == ("occasion_effect",)
    assert dims["omega_iov_corr"] == ("occasion_effect", "occasion_effect_bis")
    assert dims["CL"] == dims["V"] == ("interval",)
    assert list(graph.coords["subject_occasion"]) == ["1/1", "1/2", "2/2", "2/3"]
    assert list(graph.coords["occasion_effect"]) == ["CL", "V"]
    assert list(graph.coords["interval"]) == ["1@0", "1@5", "1@12", "2@0", "2@7"]
    assert graph["interval_occasion"].get_value().tolist() == [0, 1, 0, 2, 3]


def test_occasions_alone_give_one_value_for_each_subject():
    rows = [(1, 0, 1, 100, 1, np.nan, 1), (1, 2, 0, 0, 1, 8.0, 1), (2, 0, 1, 80, 1, np.nan, 2),
            (2, 3, 0, 0, 1, 5.0, 2)]  # fmt: skip
    data = bn.read_data(frame(rows, COLUMNS))
    assert {each.code for each in bn.check(model_of(), data)} >= {"W_OCCASION_ALONE"}
    graph = bn.build(model_of(), data).pymc
    assert graph.named_vars_to_dims["CL"] == ("subject",)
    kappa, V = graph["kappa"], graph["V"]
    np.testing.assert_allclose(
        V.eval({kappa: np.array([[0, 0.3], [0, -0.2]]), graph["V_pop"]: 10.0}),
        10 * np.exp([0.3, -0.2]),
    )


def test_a_table_without_occasions_is_refused(data):
    table = frame([row[:-1] for row in RECORDS])
    with pytest.raises(bn.DataError, match="CL, V varies between occasions") as refused:
        bn.build(model_of(), bn.read_data(table))
    assert refused.value.findings[0].code == "E_OCCASION_ABSENT"
    assert not {each.code for each in bn.check(model_of(), data)} & {"W_OCCASION_UNUSED"}


def test_a_covariate_may_change_between_occasions(data):
    table = frame(RECORDS, COLUMNS).assign(WT=[50, 50, 50, 60, 60, 60, 70, 70, 70])
    weight = bn.covariates.power("WT", reference=70)
    model = model_of(
        parameters={
            "CL": bn.LogNormal(2.0, iiv=0.3, covariates=[weight]),
            "V": bn.LogNormal(10.0, iov=0.2, covariates=[weight]),
        },
        correlated_occasion=[],
    )
    graph = bn.build(model, bn.read_data(table)).pymc
    assert list(graph.coords["interval"]) == ["1@0", "1@5", "1@8", "1@12", "2@0", "2@7"]
    assert graph["interval_occasion"].get_value().tolist() == [0, 1, 1, 0, 2, 3]
    values = graph["V"].eval(
        {
            graph["kappa"]: np.array([[0.1], [0.2], [0.3], [0.4]]),
            graph["V_pop"]: 10.0,
            graph["V_WT"]: 1.0,
        }
    )
    kappa = np.array([0.1, 0.2, 0.2, 0.1, 0.3, 0.4])
    expected = 10 * np.array([50, 50, 60, 60, 70, 70]) / 70 * np.exp(kappa)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_other_times_and_observations_left_out_keep_the_occasions(data, population):
    grid = at_times(data, {"1": np.array([1.0, 6.0, 20.0]), "2": np.array([7.5])})
    first_two = data.subset(where=lambda row: row["TIME"] in (2, 12, 3))
    assert first_two.n_observations == 3
    for other in (grid, first_two):
        graph = bn.build(model_of(), other).pymc
        for dim in ("interval", "subject_occasion"):
            assert list(graph.coords[dim]) == list(population.pymc.coords[dim])
        assert graph["interval_occasion"].get_value().tolist() == [0, 1, 0, 2, 3]


def test_densities_of_subjects_given_their_occasions(population):
    conditional = Conditional(population)
    values = {"CL_pop": 2.0, "V_pop": 10.0, "omega": [0.3], "omega_iov_CL": 0.2}
    values |= {"omega_iov_V": 0.2, "iov_corr_V_CL_partial": [0.5], "conc_additive": 0.5}
    theta = theta_of(conditional, values)
    z = np.random.default_rng(1).normal(0, 1, (2, 5))
    effects = conditional.individual(theta, z)
    eta, kappa = effects["eta"].values, effects["kappa"].values
    occasion = np.array([0, 0, 1, 1, 1, 0, 2, 2, 3])
    subject = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    CL = 2.0 * np.exp(eta[subject, 0] + kappa[occasion, 0])
    f = amounts(CL, 10 * np.exp(kappa[occasion, 1]))
    seen = np.array([value for *_, value, _ in RECORDS])
    each = stats.norm.logpdf(seen[~np.isnan(seen)], f, 0.5)
    expected = np.array([each[:4].sum(), each[4:].sum()]) + standard_log_density(z)
    np.testing.assert_allclose(conditional.density(theta, z)[0], expected, rtol=1e-10)


N_SUBJECTS, N_OCCASIONS, N_SEEN = 20, 3, 2
TRUTH = (1.5, 1.0, 1.0)


def two_levels():
    """Make a level for each occasion of each subject, around which observations lie."""
    rng = np.random.default_rng(4)
    rows = []
    for subject in range(1, N_SUBJECTS + 1):
        level = 10.0 + TRUTH[0] * rng.normal()
        for occasion in range(1, N_OCCASIONS + 1):
            here = level + TRUTH[1] * rng.normal()
            for turn in range(N_SEEN):
                seen = here + TRUTH[2] * rng.normal()
                rows.append((subject, 10.0 * occasion + turn, 0, 0, 1, seen, occasion))
    model = bn.Model(
        name="levels",
        parameters={"a": bn.Normal(10.0, iiv=1.5, iov=1.5)},
        structure=bn.curve(lambda t, p: p.a, output="level"),
        observations={"level": bn.additive(1.0)},
    )
    return model, bn.read_data(frame(rows, COLUMNS))


@pytest.fixture(scope="module")
def fit():
    model, data = two_levels()
    method = bn.NUTS(draws=1000, tune=500, chains=4)
    return bn.fit(model, data, method=method, seed=3, progress=False)


def from_mean_squares(data):
    """Estimate the SDs of a balanced nested design from its mean squares."""
    values = data.observations.value.reshape(N_SUBJECTS, N_OCCASIONS, N_SEEN)
    cells, means = values.mean(axis=2), values.mean(axis=(1, 2))
    within = values.var(axis=2, ddof=1).mean()
    of_cells = cells.var(axis=1, ddof=1).mean()
    of_means = means.var(ddof=1)
    return np.sqrt([of_means - of_cells / N_OCCASIONS, of_cells - within / N_SEEN, within])


def test_the_layers_of_variability_are_told_apart(fit):
    table = fit.summary().loc[["omega[a]", "omega_iov[a]", "level_additive"]]
    np.testing.assert_allclose(table["median"], from_mean_squares(fit.data), rtol=0.06)
    truth = np.array(TRUTH)
    assert ((table["lower"] < truth) & (table["upper"] > truth)).all()
    assert fit.converged, fit.verdict


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_what_follows_a_fit_knows_occasions(fit, tmp_path):
    assert np.isfinite(bn.loo(fit).elpd)
    assert fit.posterior["kappa"].sizes["subject_occasion"] == 60
    again = bn.load(fit.save(tmp_path / "fit.nc"))
    assert again.summary().equals(fit.summary())
    new = bn.posterior_predictive(fit, seed=1, new_subjects=True)["level"]
    assert float(new.std()) == pytest.approx(np.linalg.norm(TRUTH), rel=0.1)
    table = bn.diagnostics.observed_vs_predicted(fit)
    assert np.ptp(table["typical"]) < 1e-9
    headings = [heading for heading, _ in parameter_groups(fit, fit.summary())]
    assert "Standard deviations of the occasion effects" in headings
