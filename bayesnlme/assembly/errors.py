"""What this package leaves to others."""


class NoMachineCode(Exception):  # noqa: N818
    """An operation that is not written here: PyTensor has to say how."""
