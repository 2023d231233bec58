"""The pharmacokinetic catalogue, as users name it: ``bn.pk.one_compartment(...)``."""

from bayesnlme.structural.one_compartment import one_compartment

__all__ = ["one_compartment"]
