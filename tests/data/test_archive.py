import pytest

from bayesnlme.data.archive import dump_data, parse_data
from bayesnlme.data.datasets import theophylline


def test_what_was_written_is_what_is_read():
    data = theophylline()
    again = parse_data(dump_data(data))
    assert again.hash == data.hash
    assert dump_data(again) == dump_data(data)
    for name in ("subject", "time", "output", "scored", "row"):
        assert getattr(again.records, name).dtype == getattr(data.records, name).dtype


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"records": {}}'])
def test_other_text_is_refused(text):
    with pytest.raises((ValueError, TypeError, KeyError)):
        parse_data(text)
