"""The likelihood of a subject, its random effects integrated out: exactly or nearly."""
