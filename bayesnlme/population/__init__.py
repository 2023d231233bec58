"""From typical values to individual parameters: priors, covariates, random effects."""
