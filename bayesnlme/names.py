"""Names of variables and dimensions, minted once; everything else asks here."""

SUBJECT = "subject"
INTERVAL = "interval"
INTERVAL_SUBJECT = "interval_subject"
OBSERVATION = "observation"
EFFECT = "effect"
EFFECT_BIS = "effect_bis"

OMEGA = "omega"
OMEGA_CORR = "omega_corr"
ETA = "eta"
ETA_STANDARD = "eta_standard"
PREDICTION = "prediction"


def typical(parameter: str) -> str:
    """Name the typical value of a parameter: ``"CL_pop"``."""
    return f"{parameter}_pop"


def coefficient(parameter: str, covariate: str) -> str:
    """Name a covariate's coefficient: ``"CL_WT"``."""
    return f"{parameter}_{covariate}"


def levels(parameter: str, covariate: str) -> str:
    """Name the dimension of a categorical covariate's coefficients: ``"CL_SEX_level"``."""
    return f"{parameter}_{covariate}_level"


def random_effect_sd(parameter: str) -> str:
    """Name one random effect's SD where it is a variable of its own: ``"omega_CL"``."""
    return f"{OMEGA}_{parameter}"


def correlation(block: tuple[str, ...]) -> str:
    """Name the correlations of one block: ``"omega_corr[CL, V]"``."""
    return f"{OMEGA_CORR}[{', '.join(block)}]"


def partial(block: tuple[str, ...]) -> str:
    """Name the partial correlations of one block, moved to (0, 1): ``"corr_CL_V_partial"``."""
    return f"corr_{'_'.join(block)}_partial"


def magnitude(output: str, name: str) -> str:
    """Name a residual magnitude: ``"conc_additive"``."""
    return f"{output}_{name}"


def observation_dim(output: str, outputs: tuple[str, ...]) -> str:
    """Name the dimension of one output's observations; with one output it is all of them."""
    return OBSERVATION if len(outputs) == 1 else f"{output}_{OBSERVATION}"


def logit(variable: str) -> str:
    """Name the logit of a variable, where the logit is what has a prior: ``"F_pop_logit"``."""
    return f"{variable}_logit"


def position(output: str) -> str:
    """Name the positions of one output's observations among all."""
    return f"{output}_position"


def observed(output: str) -> str:
    """Name the data container of one output's observed values."""
    return f"{output}_observed"


def schedule(name: str) -> str:
    """Name the data container of one array of doses and observations: ``"schedule_amount"``."""
    return f"schedule_{name}"


def interval(subject: str, start: float, number: int) -> str:
    """Name the stretch of a subject's time from a start on, the how manieth from then: ``"7@24"``.

    Several begin at one time where covariates change twice there: ``"7@24"``, ``"7@24#2"``.
    """
    label = f"{subject}@{start:.15g}"
    return label if number == 1 else f"{label}#{number}"


def level_codes(parameter: str, covariate: str) -> str:
    """Name the data container of the level codes that one parameter's effect uses."""
    return f"covariate_{covariate}_for_{parameter}"


def covariate(name: str) -> str:
    """Name the data container of a covariate."""
    return f"covariate_{name}"


RESERVED = frozenset(
    {SUBJECT, INTERVAL, INTERVAL_SUBJECT, OBSERVATION, EFFECT, EFFECT_BIS}
    | {OMEGA, OMEGA_CORR, ETA, ETA_STANDARD, PREDICTION}
    | {"t", "y", "p", "chain", "draw", "occasion", "output"}
)
"""Names that a parameter or an output may not take."""
