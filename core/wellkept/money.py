"""Money: integer minor units beside a lower-case ISO 4217 code, never a float.

The exponent (how many minor units make one unit, as a power of ten) is 2 for most currencies, 0 for some (JPY) and 3 for
a few (KWD). Source of `EXPONENTS`: ISO 4217, list one.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

_TWO = """aed afn all amd aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob bov brl bsd btn bwp byn bzd cad cdf che chf chw cny
cop cou crc cup cve czk dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl htg huf idr ils inr irr jmd
kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mop mru mur mvr mwk mxn mxv myr mzn nad ngn nio nok npr nzd
pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt top try ttd
twd tzs uah usd usn uyu uzs ved ves wst xcd xcg yer zar zmw zwg"""
_NONE = """bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf"""
_THREE = """bhd iqd jod kwd lyd omr tnd"""

EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_NONE.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
    "clf": 4,
    "uyw": 4,
}
"""Every current ISO 4217 currency that has minor units, lower case."""

MONTHS_PER: dict[str, Fraction] = {
    "day": Fraction(12, 365),
    "week": Fraction(12, 52),
    "month": Fraction(1),
    "year": Fraction(12),
}
"""How many months one interval lasts: a year has 365 days and 52 weeks. (Four weeks to a month would be 8 % off.)"""


def exponent(currency: str) -> int:
    """Return the number of decimals of a currency: 0, 2, 3 or 4. Raises `KeyError` for a code that is not ISO 4217."""
    return EXPONENTS[currency.lower()]


def round_half_even(amount: Fraction | Decimal) -> int:
    """Round to an integer of minor units, halves to even, so that sums do not drift."""
    if isinstance(amount, Decimal):
        return int(amount.to_integral_value(rounding=ROUND_HALF_EVEN))
    return round(amount)


def monthly(amount: Fraction | int, interval: str, count: int = 1) -> Fraction:
    """Return what an amount per `count` intervals is worth a month, unrounded. Raises `KeyError` for another interval."""
    return Fraction(amount) / (MONTHS_PER[interval] * count)


def to_decimal(minor: int, currency: str) -> Decimal:
    """Return minor units as a decimal amount: ``(1234, "usd") -> Decimal("12.34")``."""
    return Decimal(minor).scaleb(-exponent(currency))


def to_minor(amount: Decimal | int | str, currency: str) -> int:
    """Return a decimal amount as minor units.

    Raises:
        ValueError: The amount has more decimals than the currency.
    """
    scaled = Fraction(Decimal(amount)) * 10 ** exponent(currency)
    if scaled.denominator != 1:
        msg = f"{amount} has more decimals than {currency.upper()} knows ({exponent(currency)})"
        raise ValueError(msg)
    return int(scaled)


def convert(minor: int, currency: str, rate: Decimal, target: str) -> int:
    """Convert with ``1 unit of currency = rate units of target``, rounding halves to even."""
    return round_half_even(to_decimal(minor, currency) * rate * (Decimal(10) ** exponent(target)))


def show(minor: int, currency: str) -> str:
    """Return an amount for people, independent of locale: ``12.34 USD``."""
    return f"{to_decimal(minor, currency):,f} {currency.upper()}"
