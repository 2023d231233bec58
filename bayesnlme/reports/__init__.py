"""The posterior report, one HTML page."""
