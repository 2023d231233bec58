"""The command line: ``bayesnlme demo | fit | check | report``."""

from bayesnlme.cli.app import main

__all__ = ["main"]
