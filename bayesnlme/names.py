"""Names of variables and dimensions, minted once; everything else asks here."""

from dataclasses import dataclass, fields

SUBJECT = "subject"
SUBJECT_OCCASION = "subject_occasion"
INTERVAL = "interval"
INTERVAL_SUBJECT = "interval_subject"
INTERVAL_OCCASION = "interval_occasion"
OBSERVATION = "observation"
EVENT_NUMBER = "event_number"
EFFECT = "effect"
EFFECT_BIS = "effect_bis"

OMEGA = "omega"
OMEGA_CORR = "omega_corr"
ETA = "eta"
ETA_STANDARD = "eta_standard"
CENTRING = "eta_centring"
PREDICTION = "prediction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variability:
    """Names of one layer of random effects.

    Attributes
    ----------
    unit : str
        Dim of what has the effects.
    effect, effect_bis : str
        Dims of the parameters that have one.
    sd, corr : str
        SDs of the effects and their correlation matrix.
    effects, standard : str
        The effects, and the same at SD 1 without correlation.
    """

    unit: str
    effect: str
    effect_bis: str
    sd: str
    corr: str
    effects: str
    standard: str

    def sd_of(self, parameter: str) -> str:
        """Name one effect's SD where it is a variable of its own: ``"omega_CL"``."""
        return f"{self.sd}_{parameter}"

    def sd_entry(self, parameter: str) -> str:
        """Name one effect's SD in tables: ``"omega[CL]"``."""
        return f"{self.sd}[{parameter}]"

    def sampled(self, parameter: str) -> str:
        """Name one effect where it is a variable of its own: ``"eta_sampled_CL"``."""
        return f"{self.effects}_sampled_{parameter}"

    def scale_of(self, parameter: str) -> str:
        """Name what multiplies an effect that a parameter shares: ``"Q_eta_scale"``."""
        return f"{parameter}_{self.effects}_scale"

    def of_parameter(self, parameter: str) -> str:
        """Name one effect in equations: ``"eta_CL"``."""
        return f"{self.effects}_{parameter}"

    def correlation(self, block: tuple[str, ...]) -> str:
        """Name the correlations of one block: ``"omega_corr[CL, V]"``."""
        return f"{self.corr}[{', '.join(block)}]"

    def partial(self, block: tuple[str, ...]) -> str:
        """Name a block's partial correlations, moved to (0, 1): ``"corr_CL_V_partial"``."""
        return f"{self.corr.removeprefix('omega_')}_{'_'.join(block)}_partial"


SUBJECTS = Variability(
    unit=SUBJECT,
    effect=EFFECT,
    effect_bis=EFFECT_BIS,
    sd=OMEGA,
    corr=OMEGA_CORR,
    effects=ETA,
    standard=ETA_STANDARD,
)
"""Between subjects."""

OCCASIONS = Variability(
    unit=SUBJECT_OCCASION,
    effect="occasion_effect",
    effect_bis="occasion_effect_bis",
    sd="omega_iov",
    corr="omega_iov_corr",
    effects="kappa",
    standard="kappa_standard",
)
"""Between the occasions of a subject."""

LAYERS = (SUBJECTS, OCCASIONS)


def typical(parameter: str) -> str:
    """Name the typical value of a parameter: ``"CL_pop"``."""
    return f"{parameter}_pop"


def coefficient(parameter: str, covariate: str, which: str = "") -> str:
    """Name a covariate's coefficient: ``"CL_WT"``, of several ``"CL_PMA_half"``."""
    return f"{parameter}_{covariate}_{which}" if which else f"{parameter}_{covariate}"


def levels(parameter: str, covariate: str) -> str:
    """Name the dimension of a categorical covariate's coefficients: ``"CL_SEX_level"``."""
    return f"{parameter}_{covariate}_level"


def shape(parameter: str, variable: str) -> str:
    """Name what a random effect's distribution has besides its SD: ``"CL_boxcox"``."""
    return f"{parameter}_{variable}"


def magnitude(output: str, name: str) -> str:
    """Name a residual magnitude: ``"conc_additive"``."""
    return f"{output}_{name}"


def observation_dim(output: str, outputs: tuple[str, ...]) -> str:
    """Name the dimension of one output's observations; with one output it is all of them."""
    return OBSERVATION if len(outputs) == 1 else f"{output}_{OBSERVATION}"


def of_observations(dim: str) -> bool:
    """Say whether a dimension is that of observations, all or one output's."""
    return dim == OBSERVATION or dim.endswith(f"_{OBSERVATION}")


def logit(variable: str) -> str:
    """Name the logit of a variable, where the logit is what has a prior: ``"F_pop_logit"``."""
    return f"{variable}_logit"


def position(output: str) -> str:
    """Name the positions of one output's observations among all."""
    return f"{output}_position"


def hazard(output: str) -> str:
    """Name the hazard of one output's events, at the rows that say when one happened."""
    return f"{output}_hazard"


def cumulative(output: str) -> str:
    """Name the integral of an output over time, one more state and output of the equations."""
    return f"{output}_cumulative"


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


def subject_occasion(subject: str, occasion: str) -> str:
    """Name an occasion of a subject: ``"7/2"``."""
    return f"{subject}/{occasion}"


def level_codes(parameter: str, covariate: str) -> str:
    """Name the data container of the level codes that one parameter's effect uses."""
    return f"covariate_{covariate}_for_{parameter}"


def covariate(name: str) -> str:
    """Name the data container of a covariate."""
    return f"covariate_{name}"


RESERVED = frozenset(
    {SUBJECT, SUBJECT_OCCASION, INTERVAL, INTERVAL_SUBJECT, INTERVAL_OCCASION, OBSERVATION}
    | {getattr(each, field.name) for each in LAYERS for field in fields(each)}
    | {"t", "y", "p", "chain", "draw", "occasion", "output", CENTRING, PREDICTION, EVENT_NUMBER}
)
"""Names that a parameter or an output may not take."""
