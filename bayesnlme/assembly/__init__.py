"""Machine code for PyTensor graphs whose shapes are known."""
