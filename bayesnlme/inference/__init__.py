"""Estimators: from a population model to a fit."""
