"""From a model and a table to a PyMC model and its densities."""
