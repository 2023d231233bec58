"""Digests of sources, so that nothing compiled from older ones is used."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path


def digest(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of some parts, told apart by their lengths."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.hexdigest()


def sources_digest(files: Iterable[Path]) -> str:
    """Return the SHA-256 of the contents of some files."""
    return digest(each.read_bytes() for each in files)


@lru_cache(maxsize=1)
def solver_sources() -> str:
    """Return the digest of everything that turns equations into a solve."""
    return sources_digest(sorted(Path(__file__).parent.glob("*.py")))
