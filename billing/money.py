"""Rounding, in one place: half up, once per line, to the currency's minor unit."""

from decimal import ROUND_HALF_UP, Decimal

# ISO 4217: the currencies whose minor unit is not two digits.
_DIGITS = dict.fromkeys(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ],
    0,
)
_DIGITS |= dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)
_DIGITS |= {"CLF": 4, "UYW": 4}

ROUNDING_RULE = (
    "Each line is quantity × unit price, rounded once, half up, to the minor unit of the currency; "
    "tax is computed once per category and rate on the sum of the lines; the total is the sum of what is printed."
)


def minor_digits(currency: str) -> int:
    """Digits behind the point of `currency`."""
    return _DIGITS.get(currency, 2)


def round_amount(amount: Decimal, currency: str) -> Decimal:
    """Half up (away from zero on a tie), to the minor unit: 2.345 EUR is 2.35, −2.345 is −2.35."""
    return amount.quantize(Decimal(1).scaleb(-minor_digits(currency)), rounding=ROUND_HALF_UP)
