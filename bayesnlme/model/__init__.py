"""The model as a value: its parts, its equations, its file."""
