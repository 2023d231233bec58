from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from bayesnlme.data.filling import Filled
from bayesnlme.errors import StoreError
from bayesnlme.model.toml import parse_model
from bayesnlme.reports import content, figures, likelihood, page
from bayesnlme.reports.numbers import MINUS, number
from bayesnlme.results.status import Status

EVIL = "<script>alert(1)</script>"


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.words, self.missing_alt = [], [], 0

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.missing_alt += tag == "img" and not attrs.get("alt")

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def written(fit, tmp_path_factory):
    return page.report(fit, tmp_path_factory.mktemp("report") / "page.html")


@pytest.fixture(scope="module")
def text(written):
    return written.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bad(handmade):
    return handmade.fit(shift=1.0, subjects=(EVIL, "2", "3"), status=Status.NOT_CONVERGED)


@pytest.fixture(scope="module")
def bad_text(bad):
    return page.render(bad, f"about {EVIL}")


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def test_has_every_section_and_figure(text):
    reader = read(text)
    sections = [attrs["id"] for tag, attrs in reader.tags if tag == "section"]
    assert sections == [
        "model", "priors", "data", "convergence", "parameters",
        "individual", "predictive", "loo", "provenance",
    ]  # fmt: skip
    assert sum(tag == "img" for tag, _ in reader.tags) == 5
    assert reader.missing_alt == 0


def test_loads_nothing_and_runs_nothing(text):
    for tag, attrs in read(text).tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "action", "data"):
            value = attrs.get(name) or "#"
            assert value.startswith(("data:image/svg+xml;base64,", "#"))
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text


def test_is_small(text):
    assert len(text) < 1_500_000


def test_says_how_it_ended(text):
    reader = read(text)
    assert ("body", {"class": "sound"}) in reader.tags
    assert "The typical value of CL is" in text
    assert "Not converged" not in text


def test_a_fit_that_did_not_converge_cannot_look_final(bad_text):
    reader = read(bad_text)
    assert ("body", {"class": "unsound"}) in reader.tags
    assert "<title>[Not converged]" in bad_text
    assert "the chains disagree" in bad_text
    assert "✗ failed" in bad_text
    assert "The typical value of" not in bad_text
    assert bad_text.count('class="tag"') >= 8


def test_text_from_the_data_is_only_text(bad_text):
    assert EVIL not in bad_text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in bad_text


def test_equations_are_mathml(text):
    maths = [attrs for tag, attrs in read(text).tags if tag == "math"]
    assert len(maths) == 2 * 6
    assert '<mi mathvariant="normal">CL</mi>' in text


def test_lists_priors_with_who_chose_them(text, fit):
    for row in fit.model.priors:
        assert row.text.replace("'", "&#39;") in text
    assert 'class="origin default"' in text
    assert "CL_WT = 0.75 (fixed)" in text


def test_says_where_priors_and_filled_values_are_from(fit):
    row = {"parameter": "CL", "kind": "typical", "value": 2.0, "se": 0.4}
    model = fit.model.with_priors([row], source="an earlier study")
    filled = Filled(covariate="WT", rule="median", rows=(1, 2))
    changed = replace(fit, model=model, data=replace(fit.data, filled=(filled,)))
    shown = page.render(changed, "sources")
    assert "stated, from an earlier study</td>" in shown
    assert "2 rows filled by &#x27;median&#x27; (subject 1)" in shown
    assert ".fill(**{'WT': 'median'})" in "".join(read(shown).words)


def test_gives_what_repeats_the_fit(text, fit):
    words = "".join(read(text).words)
    assert f"assert fit.data.hash == '{fit.data.hash}'" in words
    assert "seed=3)" in words
    model = words[words.index('name = "handmade"') :]
    assert parse_model(model.strip()) == fit.model


def test_without_likelihood_says_so(fit):
    tree = fit.tree.copy()
    del tree["log_likelihood"]
    assert "LOO needs the log-likelihood" in content.loo_summary(replace(fit, tree=tree))["missing"]


def test_is_replaced_whole_or_not_at_all(fit, tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("before")
    monkeypatch.setattr(page, "render", lambda fit, title: f"page of {title}")
    assert page.report(fit, target, title="mine") == target
    assert target.read_text() == "page of mine"
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        page.report(fit, tmp_path / "nowhere" / "page.html")
    monkeypatch.setattr(page, "render", lambda fit, title: "\udc80")
    with pytest.raises(UnicodeEncodeError):
        page.report(fit, target)
    assert target.read_text() == "page of mine"
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


def test_figures_are_the_same_every_time(fit, text):
    for each in figures.predictive_pictures(fit):
        assert each.source in text


@pytest.fixture(scope="module")
def estimated_text(foce_fit):
    return page.render(foce_fit, "estimates")


def test_a_likelihood_has_every_section_and_figure(estimated_text):
    reader = read(estimated_text)
    sections = [attrs["id"] for tag, attrs in reader.tags if tag == "section"]
    assert sections == [
        "model", "priors", "data", "convergence", "parameters", "likelihood",
        "individual", "residuals", "predictive", "provenance",
    ]  # fmt: skip
    assert sum(tag == "img" for tag, _ in reader.tags) == 5
    assert reader.missing_alt == 0
    targets = {attrs["href"] for tag, attrs in reader.tags if tag == "a"}
    assert targets == {f"#{each}" for each in sections}
    test_loads_nothing_and_runs_nothing(estimated_text)


def test_a_likelihood_is_told_in_numbers_and_words(estimated_text, foce_fit):
    words = " ".join("".join(read(estimated_text).words).split())
    table = foce_fit.summary()
    row = table.loc["CL_pop"]
    for told in (
        "FOCEI maximised the likelihood of the model made linear around each subject's mode.",
        f"CL is {number(row['estimate'])} L/h ({number(row['lower'])} to {number(row['upper'])})",
        f"{number(row['rse_percent'], 2)} %",
        f"OFV {foce_fit.ofv:.3f}",
        f"AIC{foce_fit.aic:.3f}",
        f"{table.loc['omega[V]', 'shrinkage_percent']:.0f} %",
        f"{foce_fit.likelihood.condition_number():.2f}",
        "Priors take no part in this fit",
        "All are drawn at the estimates",
        "method=bn.FOCE(starts=1, priors=False,",
    ):
        assert told in words
    for foreign in ("R-hat", "posterior median", "Cross-validation", "another posterior draw"):
        assert foreign not in words


def test_correlations_of_estimates_are_a_triangle(foce_fit):
    found = likelihood.correlation_table(foce_fit)
    expected = foce_fit.likelihood.correlation()
    assert found["names"] == list(expected.columns[:-1])
    name, values = found["rows"][-1]
    assert name == "conc_proportional"
    told = [float(each["text"].replace(MINUS, "-")) for each in values]
    np.testing.assert_allclose(told, expected.iloc[-1, :-1], atol=0.005)
    assert [each["text"] for each in found["rows"][0][1][1:]] == [""] * 7


def test_a_likelihood_at_a_bound_is_final_and_says_so(bound_fit):
    shown = page.render(bound_fit, "bound")
    assert ("body", {"class": "sound"}) in read(shown).tags
    assert "Converged at a bound" in shown
    assert "no standard errors there" in shown
    groups = likelihood.parameter_groups(bound_fit, bound_fit.summary())
    rows = {each["name"]: each for _, group in groups for each in group}
    assert rows["omega[a]"]["se"] == rows["omega[a]"]["interval"] == ""
    assert "omega[a]" not in likelihood.correlation_table(bound_fit)["names"]


def test_a_joint_mode_counts_its_priors_and_cannot_look_final(mode_fit):
    shown = page.render(mode_fit, "mode")
    assert ("body", {"class": "unsound"}) in read(shown).tags
    assert "omega[ka] is" in content.verdict(mode_fit.verdict)
    assert 'class="origin default"' in shown
    assert "No standard errors belong to these estimates" in shown
    assert "The typical value of" not in shown


def test_a_likelihood_at_given_estimates_has_its_monte_carlo_error(weighed_fit):
    words = "".join(read(page.render(weighed_fit, "weighed")).words)
    assert "evaluated at given estimates, by importance sampling" in words
    assert f"± {number(weighed_fit.likelihood.ofv_error, 2)}" in words
    assert f"{float(weighed_fit.likelihood.pareto_k.max()):.2f}" in words


def test_without_normal_outcomes_there_are_no_residuals(foce_fit):
    tree = foce_fit.tree.copy()
    tree["residuals"] = tree["residuals"].to_dataset()[["PRED", "IPRED"]]
    bare = replace(foce_fit, tree=tree)
    assert figures.residual_pictures(bare) == []
    assert likelihood.unweighted(bare).startswith("No weighted residuals: the residual error")
