"""Population solving of ordinary differential equations, with sensitivities."""
