"""What a fit found: draws, verdict, tables, files."""
