"""Data sets: reading tables, checking them, and laying them out flat."""

from bayesnlme.data.dataset import Dataset
from bayesnlme.data.reading import read_data

__all__ = ["Dataset", "read_data"]
