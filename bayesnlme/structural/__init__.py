"""Structural models: individual parameters and a schedule give predictions."""
