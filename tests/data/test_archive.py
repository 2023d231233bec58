import json
from dataclasses import replace

import pytest

from bayesnlme.data.archive import dump_data, parse_data
from bayesnlme.data.datasets import theophylline
from bayesnlme.errors import DataError


def test_what_was_written_is_what_is_read():
    data = theophylline()
    again = parse_data(dump_data(data))
    assert again.hash == data.hash
    assert dump_data(again) == dump_data(data)
    for name in ("subject", "time", "output", "scored", "row"):
        assert getattr(again.records, name).dtype == getattr(data.records, name).dtype


def test_how_covariates_are_carried_is_kept():
    data = replace(theophylline(), covariate_interpolation="nocb")
    again = parse_data(dump_data(data))
    assert again.covariate_interpolation == "nocb"
    assert again.hash == data.hash
    content = json.loads(dump_data(data))
    with pytest.raises(DataError, match="covariate_interpolation"):
        parse_data(json.dumps(content | {"covariate_interpolation": "linear"}))
    del content["covariate_interpolation"]  # as written before there was a choice
    assert parse_data(json.dumps(content)).hash == theophylline().hash


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"records": {}}'])
def test_other_text_is_refused(text):
    with pytest.raises((ValueError, TypeError, KeyError)):
        parse_data(text)
