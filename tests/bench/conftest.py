"""Keep the benchmark scripts, which need the extra `bench`, out of test collection."""

collect_ignore_glob = ["*.py"]
