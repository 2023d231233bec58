"""Compare the height of starting points with that of the posterior, for decision 0005."""

import sys

import numpy as np

import bayesnlme as bn
from bayesnlme import names
from bayesnlme.inference.compiled import compile_model
from bayesnlme.inference.starts import starting_points
from bayesnlme.model.examples import theophylline_model

SHOWN = (5, 50, 95)


def heights() -> dict[str, np.ndarray]:
    """Return log densities at starts, without and with conditional modes, and of draws."""
    data, model = bn.datasets.theophylline(), theophylline_model()
    compiled = compile_model(bn.build(model, data))
    density, draw = compiled.density.function, starting_points(compiled)
    (where,) = (each.where for each in compiled.density.free if each.name == names.ETA_STANDARD)
    starts = [draw(seed) for seed in range(200)]
    at_mode = [density(start)[0] for start in starts]
    for start in starts:
        start[where] = 0.0
    fit = bn.fit(model, data, method=bn.NUTS(draws=500, tune=500), seed=1, progress=False)
    return {
        "random effects at zero": np.array([density(start)[0] for start in starts]),
        "random effects at their conditional mode": np.array(at_mode),
        "posterior": fit.tree["sample_stats"]["logp"].values,
    }


def main() -> None:
    """Write the table."""
    for words, values in heights().items():
        cells = " | ".join(f"{value:.0f}" for value in np.percentile(values, SHOWN))
        sys.stdout.write(f"| {words} | {cells} |\n")


if __name__ == "__main__":
    main()
