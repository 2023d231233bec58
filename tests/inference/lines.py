"""Mixed models that are linear and normal, and their exact likelihood."""

import numpy as np
from scipy import stats

import bayesnlme as bn
from tests.tables import orthodont, sleepstudy


def straight(name, a, b, error, effects, **changes):
    """Make a model of lines; `effects` are covariate effects on the intercept."""
    return bn.Model(
        name=name,
        parameters={
            "a": bn.Normal(a[0], iiv=a[1], covariates=effects),
            "b": bn.Normal(b[0], iiv=b[1]),
        },
        correlated=[("a", "b")],
        structure=bn.curve(lambda t, p: p.a + p.b * t, output="seen"),
        observations={"seen": bn.additive(error)},
        **changes,
    )


def sleep():
    return straight("sleep", (250.0, 20.0), (10.0, 5.0), 25.0, []), sleepstudy()


def jaws():
    effects = [bn.covariates.categorical("SEX", reference="Male")]
    return straight("jaws", (24.0, 1.5), (0.7, 0.2), 1.3, effects), orthodont()


def exact_log_likelihood(fit, estimates):
    """Log density of all subjects, multivariate normal, at estimates by name."""
    sd = np.array([estimates["omega[a]"], estimates["omega[b]"]])
    corr = np.array([[1.0, estimates["omega_corr[a, b]"]], [estimates["omega_corr[a, b]"], 1.0]])
    seen, total = fit.data.observations, 0.0
    for subject in range(fit.data.n_subjects):
        at = seen.subject == subject
        X = np.stack([np.ones(at.sum()), seen.time[at]], axis=1)
        mean = X @ [estimates["a_pop"], estimates["b_pop"]]
        if "SEX" in fit.data.covariates:
            record = np.flatnonzero(fit.data.records.subject == subject)[0]
            level = fit.data.covariates["SEX"].values[record]
            mean = mean + estimates["a_SEX[Female]"] * (level == "Female")
        covariance = X @ (np.outer(sd, sd) * corr) @ X.T
        covariance += estimates["seen_additive"] ** 2 * np.eye(at.sum())
        total += stats.multivariate_normal(mean, covariance).logpdf(seen.value[at])
    return total
