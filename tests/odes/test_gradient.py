"""The product of cotangents with sensitivities, in every mode, against numpy."""

import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key

from bayesnlme.odes.gradient import RowGradient

MODES = ["NUMBA", "FAST_COMPILE"]


@pytest.fixture(scope="module", params=MODES)
def gradient(request):
    inputs = [pt.dvector(), pt.dmatrix(), pt.lvector(), pt.lvector(), pt.dmatrix()]
    return pytensor.function(inputs, RowGradient()(*inputs), mode=request.param)


def by_numpy(cotangents, sensitivities, offsets, rows, parameters):
    expected = np.zeros(parameters.shape)
    each = np.repeat(cotangents, np.diff(offsets))[:, None] * sensitivities
    np.add.at(expected, rows, each)
    return expected


def case(counts, n_rows, n_parameters, seed=0):
    """Observations that depend on so many rows each."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return (
        rng.normal(size=len(counts)),
        rng.normal(size=(offsets[-1], n_parameters)),
        offsets,
        rng.integers(0, max(n_rows, 1), offsets[-1]),
        np.full((n_rows, n_parameters), np.nan),
    )


@pytest.mark.parametrize(
    ("counts", "n_rows", "n_parameters"),
    [
        ([1, 1, 1], 2, 3),
        ([1, 2, 3, 1, 5], 5, 4),
        ([1] * 200, 1, 1),
        ([3, 1], 40, 2),
        ([], 3, 2),
    ],
)
def test_sums_by_row(gradient, counts, n_rows, n_parameters):
    """Rows nothing depends on are 0; the values of the parameters do not matter."""
    given = case(np.array(counts, np.int64), n_rows, n_parameters)
    np.testing.assert_allclose(gradient(*given), by_numpy(*given), rtol=1e-13, atol=1e-14)


def test_arrays_of_any_layout(gradient):
    cotangents, sensitivities, offsets, rows, parameters = case(np.array([2, 1, 4]), 4, 3)
    given = (
        np.repeat(cotangents, 2)[::2],
        np.asfortranarray(sensitivities),
        offsets,
        np.repeat(rows, 3)[::3],
        np.asfortranarray(parameters),
    )
    expected = by_numpy(cotangents, sensitivities, offsets, rows, parameters)
    np.testing.assert_allclose(gradient(*given), expected, rtol=1e-13)


def test_not_a_number_stays_in_its_row(gradient):
    """A failed subject spoils its own gradient alone."""
    given = case(np.array([1, 1, 1]), 3, 2)
    given[3][:] = [0, 1, 2]
    given[1][1] = np.nan
    found = gradient(*given)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()


def test_the_shape_is_known_without_the_sum():
    inputs = [pt.dvector(), pt.dmatrix(), pt.lvector(), pt.lvector(), pt.dmatrix()]
    shape = pytensor.function(
        inputs, RowGradient()(*inputs).shape, mode="FAST_RUN", on_unused_input="ignore"
    )
    assert not any(isinstance(each.op, RowGradient) for each in shape.maker.fgraph.apply_nodes)
    np.testing.assert_array_equal(shape(*case(np.array([1, 2]), 7, 3)), [7, 3])


def test_all_are_one_operation_that_can_be_kept_on_disk():
    op = RowGradient()
    again = pickle.loads(pickle.dumps(op))  # noqa: S301
    assert again == op == RowGradient()
    assert hash(again) == hash(op)
    inputs = [pt.dvector(), pt.dmatrix(), pt.lvector(), pt.lvector(), pt.dmatrix()]
    _, key = numba_funcify_and_cache_key(op, node=op(*inputs).owner)
    assert key is not None
