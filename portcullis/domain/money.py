"""Writing exact amounts for people, and reading them from people. No binary floats."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation, Overflow

from portcullis.domain.model import MICRO, Instrument

DIGITS_MAX = 20
"""Of a whole number of units: writing out one like 1e999999 keeps whoever reads it for long."""


def money(micros: int, currency: str = "USD") -> str:
    """`-512.50 USD`; more than two digits only where the amount has them."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICRO)
    digits = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole:,}.{digits} {currency}"


def micros(text: str | int | Decimal) -> int:
    """Micro-units of a decimal amount; raises ValueError when it is finer than a micro-unit."""
    try:
        scaled = Decimal(str(text)) * MICRO
    except (InvalidOperation, Overflow) as error:
        raise ValueError(f"{text!r} is not an amount") from error
    if not _is_whole(scaled):
        raise ValueError(f"{text!r} is not a finite amount of at most six decimals")
    return int(scaled)


def ticks(price: str | int | Decimal, tick_size: str) -> int:
    """Whole ticks of a price; raises ValueError when the price is off its tick."""
    try:
        count = Decimal(str(price)) / Decimal(tick_size)
    except (InvalidOperation, Overflow) as error:
        raise ValueError(f"{price!r} is not a price") from error
    if not _is_whole(count):
        raise ValueError(f"price {price} is off its tick of {tick_size}")
    return int(count)


def _is_whole(count: Decimal) -> bool:
    """Whether it is a whole number of at most so many digits."""
    return (
        count.is_finite() and count.adjusted() < DIGITS_MAX and count == count.to_integral_value()
    )


def price(count: int, instrument: Instrument) -> str:
    """A price in the instrument's own decimals."""
    return format(Decimal(count) * Decimal(instrument.tick_size), "f")


def open_pnl(mark: int, average: int, size: int, tick_value: int) -> int:
    """Open profit of a position in micro-units: mark in ticks, average in micro-ticks.

    Averages are rounded to a micro-tick, by venues too, so that a loss of exactly a limit may come
    out a hair below it: the profit is therefore that of the nearest thousandth of a tick.
    """
    return ((mark * MICRO - average) * size + 500) // 1000 * tick_value // 1000


def duration(us: int) -> str:
    """`1 h 05 min`, `4 min 10 s`, `250 ms`."""
    if us < MICRO:
        return f"{us / 1000:.0f} ms"
    seconds = us // MICRO
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"
