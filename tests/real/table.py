"""Print a table of fits by the default options: ``python -m tests.real.table [NAME ...]``."""

import sys

import bayesnlme as bn
from tests.real.cases import CASES


def main(names: list[str], seeds: tuple[int, ...] = (1,)) -> None:
    """Write a row for each fit by the default options."""
    for name in names or list(CASES):
        read, model = CASES[name]
        data = read()
        for seed in seeds:
            fit = bn.fit(model, data, seed=seed, progress=False)
            found = fit.convergence
            cells = (
                name,
                data.n_subjects,
                data.n_observations,
                found.divergences,
                f"{found.rhat_max:.4f}",
                f"{min(found.ess_bulk_min, found.ess_tail_min):.0f}",
                int(fit.tree["sample_stats"]["n_steps"].sum()),
            )
            sys.stdout.write("| " + " | ".join(map(str, cells)) + " |\n")


if __name__ == "__main__":
    main(sys.argv[1:])
