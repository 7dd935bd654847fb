"""Tickers a setting may name. A venue's own contract data decide their ticks and values."""

_NAMES = """
ES MES NQ MNQ RTY M2K YM MYM NKD EMD CL MCL QM QG NG MNG RB HO GC MGC SI SIL HG MHG PL GF
6B M6B 6C MCD 6A M6A 6E M6E E7 6J 6S 6M 6N SR3 ZT ZF ZN TN ZB UB ZC ZW ZS ZM ZL LE HE MET MBT
"""
TICKERS: tuple[str, ...] = tuple(_NAMES.split())
