import numba
import numpy as np

from bayesnlme.odes.memory import address, contiguous, keep, note, number


@numba.njit
def noted(arrays):
    kept = contiguous(arrays)
    found = np.zeros(2 * len(arrays), np.int64)
    note(address(found), kept)
    first, last = kept[0][0], kept[1][-1]
    same = found[0] == number(address(kept[0])) and found[1] == number(address(kept[1]))
    keep(kept)
    return same, found[len(arrays) :], first, last


def test_addresses_and_lengths_are_noted_whatever_the_strides():
    numbers = np.arange(10.0)
    whole = np.array([7, 8, 9])
    for array, last in ((numbers, 9.0), (numbers[::2], 8.0), (numbers[::-1], 0.0)):
        same, counts, first, found = noted((whole, array))
        assert same
        np.testing.assert_array_equal(counts, [3, array.size])
        assert (first, found) == (7, last)


@numba.njit
def behind(array, step):
    kept = contiguous(array)
    value = address(kept)[step]
    keep(kept)
    return value


def test_memory_is_read_in_order_whatever_the_strides():
    numbers = np.arange(10.0)
    for array in (numbers, numbers[::2], numbers[::-1]):
        assert [behind(array, step) for step in range(array.size)] == array.tolist()


def test_matrices_in_either_order():
    matrix = np.arange(6.0).reshape(2, 3)
    for each in (matrix, np.asfortranarray(matrix), np.repeat(matrix, 2, axis=1)[:, ::2]):
        assert [behind(each, step) for step in range(6)] == list(range(6))


def test_what_is_contiguous_is_not_copied():
    @numba.njit
    def place(array):
        kept = contiguous(array)
        start = number(address(kept))
        keep(kept)
        return start

    numbers = np.arange(4.0)
    assert place(numbers) == numbers.ctypes.data
    assert place(numbers[::2]) != numbers.ctypes.data
