"""Whatever is done to a valid table, it is read or refused with a `DataError`."""

from importlib.resources import files

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from bayesnlme.data import read_data
from bayesnlme.errors import DataError

LINES = (files("bayesnlme.data") / "theophylline.csv").read_text().splitlines()[:25]
CELLS = st.sampled_from(
    ["", ".", "-1", "0", "1", "2", "3", "4", "1e5", "inf", "nan", "<1", "1,5", "x", "12:00", '"']
) | st.text(max_size=4)
COLUMNS = [
    "ID",
    "TIME",
    "EVID",
    "AMT",
    "CMT",
    "DV",
    "MDV",
    "WT",
    "DOSE",
    "RATE",
    "II",
    "ADDL",
    "SS",
    "DVID",
    "OCC",
    "CENS",
    "LLOQ",
    "LIMIT",
]


def _change_cell(text, data):
    lines = text.split("\n")
    row = data.draw(st.integers(0, len(lines) - 1))
    cells = lines[row].split(",")
    cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(CELLS)
    lines[row] = ",".join(cells)
    return "\n".join(lines)


def _rename_column(text, data):
    header, rest = text.split("\n", 1)
    names = header.split(",")
    names[data.draw(st.integers(0, len(names) - 1))] = data.draw(st.sampled_from(COLUMNS))
    return ",".join(names) + "\n" + rest


def _drop_lines(text, data):
    lines = text.split("\n")
    start = data.draw(st.integers(0, len(lines) - 1))
    return "\n".join(lines[:start] + lines[start + data.draw(st.integers(1, 12)) :]) + "\n"


def _swap_lines(text, data):
    lines = text.split("\n")
    i, j = data.draw(st.tuples(*[st.integers(0, len(lines) - 1)] * 2))
    lines[i], lines[j] = lines[j], lines[i]
    return "\n".join(lines)


def _insert_bytes(text, data):
    place = data.draw(st.integers(0, len(text)))
    return text[:place] + data.draw(st.text(max_size=6)) + text[place:]


CHANGES = st.sampled_from([_change_cell, _rename_column, _drop_lines, _swap_lines, _insert_bytes])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_changed_table_is_read_or_refused(data, tmp_path_factory):
    text = "\n".join(LINES)
    for change in data.draw(st.lists(CHANGES, min_size=1, max_size=4)):
        text = change(text, data)
        if "\n" not in text:
            break
    _read_or_refuse(text.encode("utf-8", "surrogatepass"), tmp_path_factory)


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=60))
@example(content=b'"')
@example(content=b"\xff\xfe")
@example(content=b"ID,TIME,DV\n" + b"9" * 5000 + b",1,2\n")
def test_any_bytes_are_read_or_refused(content, tmp_path_factory):
    _read_or_refuse(content, tmp_path_factory)
    _read_or_refuse(b"ID,TIME,DV\n1,0," + content, tmp_path_factory)


def _read_or_refuse(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "mutated.csv"
    path.write_bytes(content)
    try:
        dataset = read_data(path)
    except DataError as error:
        _must_be_useful(error.findings)
        return
    assert dataset.n_observations > 0
    assert read_data(dataset.to_frame()).hash == dataset.hash
    assert repr(dataset)


def _must_be_useful(findings):
    assert findings
    assert all(found.code.startswith("E_") and found.remedy for found in findings)


def test_the_unchanged_table_is_read(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(LINES))
    assert read_data(path).n_subjects == 2
    with pytest.raises(DataError):
        read_data(tmp_path)
