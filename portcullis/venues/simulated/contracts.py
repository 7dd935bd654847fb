"""Contract table of the simulated venue: roots, tickers, tick sizes and tick values.

The venue's root is not the ticker (ES is EP). A real venue's contract data are read at run time;
this table only serves the simulator. Ticks and values are exact decimal strings.
"""

from __future__ import annotations

from decimal import Decimal

from portcullis.domain.model import MICRO, Instrument
from portcullis.errors import NotFound

EXPIRY = "Z26"

# root, ticker, tick size, value of one tick of one contract
_TABLE = """
EP ES 0.25 12.50          MES MES 0.25 1.25
ENQ NQ 0.25 5.00          MNQ MNQ 0.25 0.50
RTY RTY 0.1 5.00          M2K M2K 0.1 0.50
YM YM 1 5.00              MYM MYM 1 0.50
NKD NKD 5 25.00           EMD EMD 0.1 10.00
CLE CL 0.01 10.00         MCLE MCL 0.01 1.00
NQM QM 0.025 12.50        NQG QG 0.005 12.50
NGE NG 0.001 10.00        MNG MNG 0.001 1.00
RBE RB 0.0001 4.20        HOE HO 0.0001 4.20
GCE GC 0.1 10.00          MGC MGC 0.1 1.00
SIE SI 0.005 25.00        SIL SIL 0.005 5.00
CPE HG 0.0005 12.50       MHG MHG 0.0005 1.25
PLE PL 0.1 5.00           GF GF 0.025 12.50
BP6 6B 0.0001 6.25        M6B M6B 0.0001 0.625
CA6 6C 0.00005 5.00       GMCD MCD 0.0001 1.00
DA6 6A 0.00005 5.00       M6A M6A 0.0001 1.00
EU6 6E 0.00005 6.25       M6E M6E 0.0001 1.25
EEU E7 0.0001 6.25        JY6 6J 0.0000005 6.25
SF6 6S 0.00005 6.25       MX6 6M 0.00001 5.00
NE6 6N 0.00005 5.00       SR3 SR3 0.005 12.50
TUA ZT 0.00390625 7.8125  FVA ZF 0.0078125 7.8125
TYA ZN 0.015625 15.625    TNA TN 0.015625 15.625
USA ZB 0.03125 31.25      ULA UB 0.03125 31.25
ZCE ZC 0.25 12.50         ZWA ZW 0.25 12.50
ZSE ZS 0.25 12.50         ZME ZM 0.1 10.00
ZLE ZL 0.01 6.00          GLE LE 0.025 10.00
HE HE 0.025 10.00         GMET MET 0.5 0.05
MBT MBT 5 0.50
"""

MINI_OF = {
    "MES": "ES",
    "MNQ": "NQ",
    "M2K": "RTY",
    "MYM": "YM",
    "MCL": "CL",
    "MNG": "NG",
    "MGC": "GC",
    "SIL": "SI",
    "MHG": "HG",
    "M6B": "6B",
    "M6A": "6A",
    "M6E": "6E",
    "MCD": "6C",
}
"""Micro ticker -> the ticker of its mini."""

_MICRO_WITHOUT_MINI = frozenset(("MET", "MBT"))


def _read_table() -> dict[str, Instrument]:
    words = _TABLE.split()
    rows = zip(*[iter(words)] * 4, strict=True)
    return {
        ticker: Instrument(
            id=f"CON.F.US.{root}.{EXPIRY}",
            ticker=ticker,
            root=root,
            tick_size=tick_size,
            tick_value=int(Decimal(tick_value) * MICRO),
            is_micro=ticker in MINI_OF or ticker in _MICRO_WITHOUT_MINI,
        )
        for root, ticker, tick_size, tick_value in rows
    }


CONTRACTS: dict[str, Instrument] = _read_table()
"""Ticker -> instrument, in the table's order."""


def instrument(ticker: str) -> Instrument:
    """The instrument people call `ticker`; raises NotFound naming what exists."""
    try:
        return CONTRACTS[ticker]
    except KeyError:
        raise NotFound(
            f"no contract {ticker!r} in the simulator's table",
            remedy="use one of " + ", ".join(CONTRACTS),
        ) from None
