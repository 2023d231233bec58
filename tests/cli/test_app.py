import errno
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesnlme
from bayesnlme.cli.fitting import METHODS
from bayesnlme.cli.methods import ESTIMATORS
from bayesnlme.data import read_data
from bayesnlme.errors import FitError
from bayesnlme.inference import nuts
from bayesnlme.inference.likelihood import FO, FOCE, Laplace, Quadrature
from bayesnlme.inference.mode import Mode
from bayesnlme.inference.nuts import NUTS
from bayesnlme.inference.saem_options import SAEM
from bayesnlme.inference.variational import Variational
from bayesnlme.model.examples import theophylline_model
from bayesnlme.model.toml import read_model, reading_options
from bayesnlme.results.fit import load
from bayesnlme.results.status import Status


def test_help_lists_the_commands_and_the_exit_codes(run):
    result = run("--help")
    assert result.exit_code == 0
    for word in ("demo", "fit", "check", "report", "Examples", "Exit codes", "130", "NOT conv"):
        assert word in result.output


@pytest.mark.parametrize("command", ["demo", "fit", "check", "report"])
def test_every_command_has_examples_in_its_help(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"bayesnlme {command} " in result.output.split("Examples")[1]
    assert "NOT converged" in result.output


def test_version(run):
    assert run("--version").output == f"bayesnlme {bayesnlme.__version__}\n"


def test_help_does_not_wait_for_the_samplers():
    code = (
        "import sys; sys.argv = ['bayesnlme', '--help']\n"
        "from bayesnlme.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "slow = {'pymc', 'pytensor', 'numba', 'numpy', 'pandas'} & set(sys.modules)\n"
        "print('slow:', sorted(slow))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("slow: []\n")


def test_a_table_is_checked_without_the_samplers(files):
    code = (
        f"import sys; sys.argv = ['bayesnlme', 'check', {str(files[1])!r}]\n"
        "from bayesnlme.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('slow:', sorted({'pymc', 'pytensor', 'numba', 'arviz'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.endswith("slow: []\n")


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "bayesnlme", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout == f"bayesnlme {bayesnlme.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fitt"],
        ["fit"],
        ["fit", "m.toml"],
        ["fit", "m.toml", "d.csv", "--chains", "0"],
        ["fit", "m.toml", "d.csv", "--target-accept", "1"],
        ["fit", "m.toml", "d.csv", "--seed", "-1"],
        ["fit", "m.toml", "d.csv", "--draws", "many"],
        ["fit", "m.toml", "d.csv", "--method", "nlme"],
        ["fit", "m.toml", "d.csv", "--method", "saem", "--smoothing", "10"],
        ["check"],
        ["check", "a.csv", "b.csv"],
        ["check", "a.toml", "b.toml"],
        ["report"],
    ],
)
def test_a_wrong_command_line_exits_with_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_defaults_are_those_of_the_sampler(run, calls, files, tmp_path):
    assert run("fit", *files, "-o", tmp_path).exit_code == 0
    assert run("demo", "-o", tmp_path / "demo").exit_code == 0
    for each in calls:
        assert each["method"] == NUTS()
        assert each["seed"] == 1


def test_fit_passes_every_option_on(run, calls, files, tmp_path):
    wanted = NUTS(draws=11, tune=12, chains=3, target_accept=0.95, cores=2)
    options = [
        word
        for each in fields(wanted)
        if each.name != "max_depth"
        for word in (f"--{each.name.replace('_', '-')}", getattr(wanted, each.name))
    ]
    assert run("fit", *files, "-o", tmp_path, "--seed", 9, *options).exit_code == 0
    assert calls[0]["method"] == wanted
    assert calls[0]["seed"] == 9
    assert calls[0]["model"] == theophylline_model()
    assert calls[0]["data"].units["AMT"] == "mg"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("nuts --draws 20", NUTS(draws=20)),
        ("variational --draws 50", Variational(draws=50)),
        ("fo", FO()),
        ("foce --starts 3", FOCE(interaction=False, starts=3)),
        ("focei --priors", FOCE(interaction=True, priors=True)),
        ("laplace", Laplace()),
        ("quadrature --points 5 --starts 2", Quadrature(points=5, starts=2)),
        ("saem --burn-in 30 --smoothing 40 --chains 2", SAEM(burn_in=30, smoothing=40, chains=2)),
        ("mode", Mode()),
    ],
)
def test_every_method_has_its_name_and_options(run, calls, files, tmp_path, words, wanted):
    assert run("fit", *files, "-o", tmp_path, "--method", *words.split()).exit_code == 0
    assert calls[0]["method"] == wanted


def test_methods_and_options_are_those_of_the_classes():
    for each in ESTIMATORS.values():
        known = {option.name for option in fields(METHODS[each.called])}
        assert {*each.options, *each.settings} <= known


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("focei --draws 10", "--draws is an option of nuts, variational; focei has --starts, -"),
        ("laplace --points 3", "--points is an option of variational, quadrature; laplace has"),
        ("nuts --starts 3", "--starts is an option of fo, foce, focei, laplace, quadrature; nuts"),
        ("mode --priors", "--priors is an option of fo, foce, focei, laplace, quadrature, saem;"),
        ("saem --start foce", "--start is an option of nuts; saem has --burn-in, --smoothing, --"),
    ],
)
def test_options_of_another_method_are_refused(run, calls, files, words, told):
    result = run("fit", *files, "--method", *words.split())
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert not calls


def test_a_likelihood_is_told_by_estimates_criteria_and_times(
    run, calls, files, tmp_path, foce_fit
):
    calls.made = foce_fit
    result = run("fit", *files, "-o", tmp_path, "--method", "focei")
    assert result.exit_code == 0
    assert load(tmp_path / "theo.nc").ofv == foce_fit.ofv
    table = pd.read_csv(tmp_path / "theo_summary.csv", index_col="parameter")
    np.testing.assert_allclose(table["rse_percent"], foce_fit.summary()["rse_percent"])
    assert f"OFV {foce_fit.ofv:.3f}, OFV without" in result.stdout
    for words in ("Converged: FOCEI", "RSE %", "shrinkage %", "Wald 95%", "s to search, "):
        assert words in result.stdout
    assert "R-hat" not in result.stdout


def test_a_likelihood_at_a_bound_is_a_final_result(run, calls, files, tmp_path, foce_fit):
    calls.made, calls.answer = foce_fit, Status.AT_BOUND
    assert run("fit", *files, "-o", tmp_path, "--method", "foce").exit_code == 0
    assert load(tmp_path / "theo.nc").status is Status.AT_BOUND


def test_fit_writes_the_fit_the_table_and_the_report(run, calls, files, tmp_path, made_fit):
    folder = tmp_path / "new" / "results"
    result = run("fit", *files, "-o", folder)
    assert result.exit_code == 0
    assert sorted(each.name for each in folder.iterdir()) == [
        "theo.html",
        "theo.nc",
        "theo_summary.csv",
    ]
    assert load(folder / "theo.nc").model == theophylline_model()
    table = pd.read_csv(folder / "theo_summary.csv", index_col="parameter")
    np.testing.assert_allclose(table["mean"], made_fit.summary()["mean"])
    for words in ("132, 0 to 11.4", "CL_pop", "omega_corr[CL, V]", "Converged", "R-hat", "in all"):
        assert words in result.stdout
    for name in ("theo.nc", "theo_summary.csv", "theo.html"):
        assert str(folder / name) in result.stdout


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.CONVERGED, 0), (Status.NOT_CONVERGED, 3), (Status.INTERRUPTED, 130)],
)
def test_the_exit_code_says_how_the_fit_ended(run, calls, files, tmp_path, status, code):
    calls.answer = status
    result = run("fit", *files, "-o", tmp_path)
    assert result.exit_code == code
    assert (tmp_path / "theo.html").exists()
    assert load(tmp_path / "theo.nc").status is status
    assert ("INTERRUPTED" in result.stdout) == (status is Status.INTERRUPTED)


def test_an_interruption_with_nothing_to_keep_exits_with_130(run, calls, files, tmp_path):
    calls.answer = _interruption_before_the_first_draw()
    result = run("fit", *files, "-o", tmp_path)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("Error: Interrupted")
    calls.answer = KeyboardInterrupt()
    result = run("fit", *files, "-o", tmp_path)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "Error: Interrupted.")


def _interruption_before_the_first_draw():
    stats = xr.Dataset({"energy": (("chain", "draw"), np.full((2, 5), np.nan))})
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(), "sample_stats": stats})
    with pytest.raises(FitError) as raised:
        nuts._finite(tree, NUTS())
    return raised.value


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (FitError("The sampler stopped:\n  why"), "Error: The sampler stopped: why"),
        (OSError(errno.ENOSPC, "No space left", "x.nc"), "Error: x.nc: No space left."),
    ],
)
def test_a_failure_is_one_line(run, calls, files, tmp_path, problem, words):
    calls.answer = problem
    result = run("fit", *files, "-o", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == words
    assert isinstance(result.exception, SystemExit)


def test_a_bad_model_is_one_line_that_says_where(run, calls, files):
    model, table = files
    model.write_text(model.read_text().replace("iiv = 0.6", 'iiv = "abc"'))
    result = run("fit", model, table)
    assert result.exit_code == 1
    assert f"{model}: parameters.ka.iiv: 'abc' is not a number" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not calls


def test_a_missing_file_is_one_line(run, files, tmp_path):
    model, table = files
    result = run("fit", tmp_path / "no.toml", table)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "no.toml: there is no such file" in result.stderr
    result = run("fit", model, tmp_path / "no.csv")
    assert result.exit_code == 1
    assert "E_FILE_MISSING" in result.stderr
    result = run("report", tmp_path / "no.nc")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "no.nc: There is no such file" in result.stderr


def test_a_bad_table_is_a_head_line_and_its_findings(run, calls, files):
    model, table = files
    table.write_text(table.read_text().replace("0.74", "<LLOQ").replace("2.84", "0,5"))
    table.write_text("ID,TIME,DV\n1,0,<LLOQ\n1,0,2\n1,-inf,3\n")
    result = run("fit", model, table)
    assert result.exit_code == 1
    head, *lines = result.stderr.splitlines()
    assert head.startswith("Error: theo.csv: ")
    assert "problems" in head
    assert any("E_" in line and "DV" in line for line in lines)
    assert not calls


def test_many_findings_are_cut_short_in_an_error_but_not_in_a_check(run, files):
    model, table = files
    rows = "".join(f"1,{time},x\n" for time in range(50)) + "1,50,1\n"
    table.write_text(f"ID,TIME,DV\n{rows}")
    result = run("fit", model, table)
    assert "... and 32 more; bayesnlme check lists them all." in result.stderr
    assert run("check", table).stdout.count("E_NUMBER") == 50


def test_units_at_odds_stop_a_fit(run, calls, files):
    model, table = files
    model.write_text(model.read_text().replace('AMT = "mg"', 'AMT = "g"'))
    result = run("fit", model, table)
    assert result.exit_code == 1
    assert "E_UNITS" in result.stderr
    assert not calls


def test_the_output_must_be_a_folder(run, calls, files):
    result = run("fit", *files, "-o", files[1])
    assert result.exit_code == 1
    assert "This is a file, not a folder; choose another -o." in result.stderr
    assert not calls


def test_no_input_is_replaced(run, calls, files, tmp_path):
    model, table = files
    same = table.rename(tmp_path / "theo_summary.csv")
    before = same.read_bytes()
    result = run("fit", model, same, "-o", tmp_path)
    assert result.exit_code == 1
    assert "would replace this input" in result.stderr
    assert same.read_bytes() == before
    assert not calls


def test_check_of_a_sound_model_and_table(run, files):
    result = run("check", *files)
    assert result.exit_code == 0
    assert result.stdout.startswith("theo.csv with theo.toml: no errors, ")


def test_check_draws_from_the_priors(run, files):
    model, table = files
    result = run("check", "--prior", "--seed", "3", model, table)
    assert result.exit_code == 0
    assert "conc, 95 % quantile" in result.stdout
    assert "500 studies drawn from the prior" in result.stdout
    model.write_text(model.read_text().replace("typical = 32.0", "typical = {fixed = 0.32}"))
    result = run("check", "--prior", model, table)
    assert result.exit_code == 0
    assert "W_PRIOR_CONFLICT" in result.stdout
    model.write_text(model.read_text().replace('"WT"', '"WEIGHT"'))
    result = run("check", "--prior", model, table)
    assert result.exit_code == 1
    assert "drawn from the prior" not in result.stdout
    assert run("check", "--prior", model).exit_code == 2


def test_check_lists_every_finding(run, files):
    model, table = files
    text = model.read_text().replace('"WT"', '"WEIGHT"')
    model.write_text(text)
    result = run("check", model, table)
    assert result.exit_code == 1
    for word in ("severity", "code", "subject", "row", "column", "what was seen", "what to do"):
        assert word in result.stdout
    assert "E_COVARIATE" in result.stdout
    assert "WEIGHT" in result.stdout


def test_check_of_a_table_alone(run, files):
    _, table = files
    assert run("check", table).exit_code == 0
    table.write_text("ID,TIME,DV\n1,0,abc\n")
    result = run("check", table)
    assert result.exit_code == 1
    assert "1 error, " in result.stdout
    assert "'abc'" in result.stdout


def test_check_of_a_model_alone_writes_its_equations(run, files):
    result = run("check", files[0])
    assert result.exit_code == 0
    assert "CL = CL_pop * (WT/70)^0.75 * exp(eta_CL)" in result.stdout


def test_text_of_a_file_cannot_steer_the_terminal(run, files):
    _, table = files
    table.write_text("ID,TIME,DV\n[red]\x1b[2J,0,abc\n[bold],0,abc\n")
    result = run("check", table)
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "[bold]" in result.output


def test_report_writes_the_page_beside_the_fit(run, calls, files, tmp_path):
    run("fit", *files, "-o", tmp_path)
    (tmp_path / "theo.html").unlink()
    result = run("report", tmp_path / "theo.nc")
    assert result.exit_code == 0
    assert (tmp_path / "theo.html").exists()
    assert "Converged" in result.stdout
    run("report", tmp_path / "theo.nc", "-o", tmp_path / "other.html")
    assert (tmp_path / "other.html").exists()


def test_report_does_not_replace_the_fit(run, calls, files, tmp_path):
    run("fit", *files, "-o", tmp_path)
    result = run("report", tmp_path / "theo.nc", "-o", tmp_path / "theo.nc")
    assert result.exit_code == 1
    assert load(tmp_path / "theo.nc").converged


def test_report_of_another_file_is_refused(run, calls, files):
    result = run("report", files[1])
    assert result.exit_code == 1
    assert "not a bayesnlme fit" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_demo_leaves_all_that_is_needed_to_go_on(run, calls, tmp_path):
    folder = tmp_path / "demo"
    result = run("demo", "-o", folder, "--draws", 20, "--chains", 2, "--tune", 30, "--seed", 7)
    assert result.exit_code == 0
    assert calls[0]["method"] == NUTS(draws=20, chains=2, tune=30)
    assert calls[0]["seed"] == 7
    names = ["theophylline.csv", "theophylline.html", "theophylline.nc", "theophylline.toml"]
    assert sorted(each.name for each in folder.iterdir()) == [*names, "theophylline_summary.csv"]
    assert read_model(folder / "theophylline.toml") == theophylline_model()
    options = reading_options(folder / "theophylline.toml")
    again = read_data(folder / "theophylline.csv", **options)
    assert again.hash == calls[0]["data"].hash
    assert f"bayesnlme fit {folder / 'theophylline.toml'}" in result.stdout


def test_demo_does_not_replace_what_the_user_changed(run, calls, tmp_path):
    assert run("demo", "-o", tmp_path).exit_code == 0
    assert run("demo", "-o", tmp_path).exit_code == 0
    model = tmp_path / "theophylline.toml"
    model.write_text(model.read_text() + "\n# mine")
    result = run("demo", "-o", tmp_path)
    assert result.exit_code == 1
    assert "This file was changed since" in result.stderr
    assert model.read_text().endswith("# mine")
    assert len(calls) == 2


def test_a_bug_is_not_taken_for_bad_input(run, calls, files, tmp_path):
    calls.answer = ZeroDivisionError("a bug")
    result = run("fit", *files, "-o", tmp_path)
    assert isinstance(result.exception, ZeroDivisionError)


def test_the_draws_are_kept_whatever_fails_after_them(run, calls, files, tmp_path, monkeypatch):
    def fail(*_):
        raise FitError("No table can be made of this.")

    monkeypatch.setattr("bayesnlme.results.fit.Fit.summary", fail)
    result = run("fit", *files, "-o", tmp_path)
    assert (result.exit_code, "No table can be made" in result.stderr) == (1, True)
    assert load(tmp_path / "theo.nc").model == theophylline_model()


def test_a_folder_is_no_input(run, tmp_path):
    result = run("check", "/")
    assert result.exit_code == 1
    assert result.stdout.startswith("/: 1 error")
    assert "E_FILE_IS_FOLDER" in result.stdout
    result = run("report", tmp_path)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "This is a folder, not a fit" in result.stderr
