import numba
import numpy as np

from bayesnlme.odes.memory import address, contiguous, keep, lengths, shift


@numba.njit
def third(arrays):
    kept = contiguous(arrays)
    value = shift(address(kept[1]), 1)[1]
    keep(kept)
    return value, lengths(kept)


def test_memory_is_read_in_order_whatever_the_strides():
    numbers = np.arange(10.0)
    for array, expected in ((numbers, 2.0), (numbers[::2], 4.0), (numbers[::-1], 7.0)):
        value, counts = third((np.zeros(3, np.int64), array))
        assert value == expected
        assert counts == (3, array.size)


def test_matrices_in_either_order():
    @numba.njit
    def second(matrix):
        return contiguous(matrix).ravel()[1]

    matrix = np.arange(6.0).reshape(2, 3)
    assert second(matrix) == second(np.asfortranarray(matrix)) == 1.0
