"""Commands, arguments and help; the work itself is imported when a command runs."""

from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from bayesnlme import __version__
from bayesnlme.cli.methods import MethodName, foreign
from bayesnlme.cli.refusals import refusals

app = typer.Typer(
    name="bayesnlme",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EXIT_CODES = (
    "[bold]Exit codes[/bold]",
    "  0    fine",
    "  1    bad input: table, model or file",
    "  2    wrong command line",
    "  3    the fit has NOT converged; its files are written",
    "  130  interrupted by Ctrl-C; the draws so far, if any, are written",
)


def _epilog(*examples: str) -> str:
    """Write examples and exit codes, each on a line of its own."""
    lines = [
        "[bold]Examples[/bold]",
        *(f"  {escape(each)}" for each in examples),
        " ",
        *_EXIT_CODES,
    ]
    return "\n".join(lines)


def _task(name: str) -> Any:
    """Import what a command does and needs; help and usage errors need not wait for it."""
    return import_module(f"bayesnlme.cli.{name}")


def _show_version(value: bool) -> None:  # noqa: FBT001  typer calls it so
    if value:
        typer.echo(f"bayesnlme {__version__}")
        raise typer.Exit


def _inside(value: float | None) -> float | None:
    if value is not None and not 0 < value < 1:
        raise typer.BadParameter(f"{value} must lie between 0 and 1.")
    return value


Seed = Annotated[
    int, typer.Option(min=0, metavar="N", help="Seed: the same seed gives the same draws.")
]
NUTS_PANEL = "Options of nuts"
LIKELIHOOD_PANEL = "Options of the other methods"

Draws = Annotated[int, typer.Option(min=1, metavar="N", help="Draws kept in each chain.")]
Tune = Annotated[
    int, typer.Option(min=1, metavar="N", help="Warm-up draws before them, in each chain.")
]
Chains = Annotated[
    int, typer.Option(min=1, metavar="N", help="Independent chains; use at least 2.")
]
Method = Annotated[
    MethodName,
    typer.Option(
        metavar="NAME",
        help="Draws from the posterior (nuts, variational), estimates of the largest likelihood "
        "(fo, foce, focei, laplace, quadrature, saem), or the joint posterior mode (mode).",
    ),
]
AskedDraws = Annotated[
    int | None,
    typer.Option(
        "--draws", min=1, metavar="N", rich_help_panel=NUTS_PANEL,
        help="Draws kept in each chain; 1000 unless stated.",
    ),
]  # fmt: skip
AskedTune = Annotated[
    int | None,
    typer.Option(
        "--tune", min=1, metavar="N", rich_help_panel=NUTS_PANEL,
        help="Warm-up draws before them, in each chain; 1000 unless stated.",
    ),
]  # fmt: skip
AskedChains = Annotated[
    int | None,
    typer.Option(
        "--chains", min=1, metavar="N", rich_help_panel=NUTS_PANEL,
        help="Independent chains: 4 unless stated, use at least 2. Of saem: Markov chains of each "
        "subject, unless stated as many as give 120 in all.",
    ),
]  # fmt: skip
Accept = Annotated[
    float | None,
    typer.Option(
        callback=_inside, metavar="X", rich_help_panel=NUTS_PANEL,
        help="Target acceptance; higher is slower and safer; 0.95 unless stated.",
    ),
]  # fmt: skip
Centred = Annotated[
    Literal["noncentered", "centered", "auto"] | None,
    typer.Option(
        rich_help_panel=NUTS_PANEL,
        help="How the random effects are sampled, noncentered unless stated; the posterior is "
        "the same.",
    ),
]
Start = Annotated[
    Literal["stated", "foce", "laplace"] | None,
    typer.Option(
        rich_help_panel=NUTS_PANEL,
        help="Where chains start: around the numbers of the model (unless stated), or at a mode.",
    ),
]
Cores = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", rich_help_panel=NUTS_PANEL,
        help="Chains at once; as many as there are cores unless stated.",
    ),
]  # fmt: skip
Starts = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", rich_help_panel=LIKELIHOOD_PANEL,
        help="Starting points of a search (fo to quadrature); 1 unless stated, the model's "
        "numbers.",
    ),
]  # fmt: skip
Points = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", rich_help_panel=LIKELIHOOD_PANEL,
        help="Nodes of quadrature for each random effect, 7 unless stated; of variational: points "
        "that are weighed, 2000 unless stated.",
    ),
]  # fmt: skip
BurnIn = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", rich_help_panel=LIKELIHOOD_PANEL,
        help="Iterations of saem before it averages; 200 unless stated.",
    ),
]  # fmt: skip
Smoothing = Annotated[
    int | None,
    typer.Option(
        min=20, metavar="N", rich_help_panel=LIKELIHOOD_PANEL,
        help="Iterations that saem averages over; 200 unless stated.",
    ),
]  # fmt: skip
Priors = Annotated[
    bool | None,
    typer.Option(
        "--priors", rich_help_panel=LIKELIHOOD_PANEL,
        help="Count the priors of the population parameters (fo to saem): a penalised likelihood.",
    ),
]  # fmt: skip


@app.callback(
    epilog=_epilog(
        "bayesnlme demo",
        "bayesnlme check model.toml data.csv",
        "bayesnlme fit model.toml data.csv -o results",
        "bayesnlme report results/model.nc",
    )
)
def _common(
    version: Annotated[  # noqa: FBT002  a flag is off unless given
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Bayesian nonlinear mixed-effects modelling, from a data table to a report."""


@app.command(
    epilog=_epilog("bayesnlme demo", "bayesnlme demo -o try --draws 200 --chains 2 --seed 7")
)
def demo(
    folder: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files.")
    ] = Path("bayesnlme-demo"),
    seed: Seed = 1,
    draws: Draws = 1000,
    tune: Tune = 1000,
    chains: Chains = 4,
) -> None:
    """Fit real data in one go: theophylline in 12 subjects.

    Writes the fit, its report, the model as TOML and the table, to go on from there.
    """
    began = perf_counter()
    options = {"draws": draws, "tune": tune, "chains": chains}
    with refusals():
        raise typer.Exit(_task("fitting").demo(folder, seed=seed, options=options, began=began))


@app.command(
    epilog=_epilog(
        "bayesnlme fit warfarin.toml warfarin.csv -o results",
        "bayesnlme fit warfarin.toml warfarin.csv -o results --draws 2000 --target-accept 0.95",
        "bayesnlme fit warfarin.toml warfarin.csv -o results --method focei --starts 3",
    )
)
def fit(  # noqa: PLR0913, PLR0917  one argument for each option
    model: Annotated[Path, typer.Argument(metavar="MODEL.toml", help="The model.")],
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="The table.")],
    folder: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files.")
    ] = Path(),
    method: Method = MethodName.NUTS,
    seed: Seed = 1,
    draws: AskedDraws = None,
    tune: AskedTune = None,
    chains: AskedChains = None,
    target_accept: Accept = None,
    cores: Cores = None,
    parametrization: Centred = None,
    start: Start = None,
    starts: Starts = None,
    points: Points = None,
    burn_in: BurnIn = None,
    smoothing: Smoothing = None,
    priors: Priors = None,
) -> None:
    """Fit a model to a table, by the No-U-Turn sampler or another method.

    Writes NAME.nc (the fit), NAME_summary.csv (the parameters) and
    NAME.html (the report), where NAME is that of MODEL.toml; files of
    these names are replaced.
    """
    began = perf_counter()
    options = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "target_accept": target_accept,
        "cores": cores,
        "parametrization": parametrization,
        "start": start,
        "starts": starts,
        "points": points,
        "burn_in": burn_in,
        "smoothing": smoothing,
        "priors": priors,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if problem := foreign(method, given):
        raise typer.BadParameter(problem)
    with refusals():
        chosen = (method, given)
        code = _task("fitting").fit_table(
            (model, data), folder, method=chosen, seed=seed, began=began
        )
        raise typer.Exit(code)


@app.command(
    epilog=_epilog(
        "bayesnlme check data.csv",
        "bayesnlme check model.toml data.csv",
        "bayesnlme check model.toml",
        "bayesnlme check --prior model.toml data.csv",
    )
)
def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="DATA.csv, MODEL.toml, or a model and the table it is for.",
            show_default=False,
        ),
    ],
    prior: Annotated[  # noqa: FBT002  a flag is off unless given
        bool,
        typer.Option("--prior", help="Draw from the priors too, and say where they conflict."),
    ] = False,
    seed: Seed = 1,
) -> None:
    """List everything that stands between a table, a model and a fit.

    Each finding says what was seen, where, and what to do. The exit code
    is 0 where there is no error. A model alone is written as equations.
    With --prior, studies drawn from the priors stand beside the observed
    one.
    """
    model, data = _model_and_data(files)
    if prior and (model is None or data is None):
        raise typer.BadParameter("--prior needs a model, ending in .toml, and a table.")
    with refusals():
        if prior:
            raise typer.Exit(_task("models").look_at_prior(model, data, seed=seed))
        raise typer.Exit(_look(model, data))


@app.command(
    epilog=_epilog("bayesnlme report results/model.nc", "bayesnlme report model.nc -o model.html")
)
def report(
    fit: Annotated[Path, typer.Argument(metavar="FIT.nc", help="A fit, as written by fit.")],
    page: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE.html", help="The page; FIT.html unless stated."
        ),
    ] = None,
) -> None:
    """Write the report of a stored fit again, as one self-contained HTML page."""
    with refusals():
        _task("reporting").write_report(fit, fit.with_suffix(".html") if page is None else page)


def main() -> None:
    """Run the command line."""
    app(prog_name="bayesnlme")


def _model_and_data(files: list[Path]) -> tuple[Path | None, Path | None]:
    """Tell the model from the table: the one that ends in ``.toml`` is the model."""
    models = [each for each in files if each.suffix.lower() == ".toml"]
    tables = [each for each in files if each not in models]
    if len(models) > 1 or len(tables) > 1:
        raise typer.BadParameter("Give at most one model, ending in .toml, and one table.")
    return next(iter(models), None), next(iter(tables), None)


def _look(model: Path | None, data: Path | None) -> int:
    if model is None:
        return _task("tables").look(data)
    if data is None:
        return _task("models").look(model)
    return _task("models").look_with_table(model, data)
