"""From predictions to densities of what was seen."""
