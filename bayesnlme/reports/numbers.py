"""Numbers as people read them."""

import math

MINUS = "\N{MINUS SIGN}"


def number(value: float, digits: int = 3) -> str:
    """Write a number to a few significant digits, without an exponent where that is readable.

    Examples
    --------
    >>> [number(each) for each in (0.28419, 31.92, 1234.5, 0.0, 2.5e-7)]
    ['0.284', '31.9', '1234', '0', '2.50e−07']
    >>> number(float("nan"))
    ''
    """
    if math.isnan(value):
        return ""
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    size = math.floor(math.log10(abs(value)))
    form = f".{max(digits - 1 - size, 0)}f" if -4 < size < 6 else f".{digits - 1}e"
    return format(value, form).replace("-", MINUS)


def whole(value: float) -> str:
    """Write a count: ``"1276"``."""
    return "" if math.isnan(value) else f"{value:.0f}"


def percent(share: float) -> str:
    """Write a probability: ``"95 %"``."""
    return f"{100 * share:.3g} %"


def listing(words: list[str]) -> str:
    """Join words as in a sentence.

    Examples
    --------
    >>> listing(["ka", "CL", "V"])
    'ka, CL and V'
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def several(count: int, thing: str) -> str:
    """Write a count of things: ``"1 subject"``, ``"12 subjects"``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
