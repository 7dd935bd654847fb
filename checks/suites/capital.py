"""The suite over pools and accounts: sums that must agree, from both sides' own figures."""

from __future__ import annotations

from typing import Any

from checks.suites.expectations import between, findings, present, unique
from checks.suites.running import Suite

POOLS = {
    "pool": "TEXT", "currency": "TEXT", "capital": "INTEGER", "allocated": "INTEGER",
    "brought": "INTEGER", "result": "INTEGER", "moved": "INTEGER", "total": "INTEGER",
}  # fmt: skip
ACCOUNTS = {
    "pool": "TEXT", "account": "TEXT", "currency": "TEXT", "account_currency": "TEXT",
    "allocated": "INTEGER", "booked": "INTEGER", "joined": "INTEGER",
}  # fmt: skip

_SUMS = """
SELECT b.pool, b.total, a.booked AS accounts_total, b.total - a.booked AS difference
FROM b JOIN (
    SELECT pool, sum(booked) AS booked, min(booked IS NOT NULL) AS known
    FROM pool_accounts WHERE joined = 1 GROUP BY pool
) a ON a.pool = b.pool
WHERE a.known = 0 OR a.booked <> b.total
"""
_TOTALS = (
    "SELECT pool, brought, result, moved, total FROM b WHERE total <> brought + result + moved"
)
_ALLOCATED = """
SELECT b.pool, b.allocated, a.allocated AS accounts_allocated
FROM b LEFT JOIN (SELECT pool, sum(allocated) AS allocated FROM pool_accounts GROUP BY pool) a
ON a.pool = b.pool WHERE b.allocated <> coalesce(a.allocated, 0)
"""
_INSIDE = "SELECT pool, capital, allocated FROM b WHERE allocated > capital"
_TWICE = """
SELECT account, count(*) AS pools FROM pool_accounts GROUP BY account HAVING count(*) > 1
"""
_NEGATIVE = "SELECT pool, account, allocated FROM pool_accounts WHERE allocated < 0"
_CURRENCIES = """
SELECT pool, account, currency, account_currency FROM pool_accounts
WHERE joined = 1 AND account_currency IS NOT currency
"""
_WAITING = "SELECT pool, account FROM pool_accounts WHERE joined = 0"


def expectations() -> list[Any]:
    """What must hold of pools and of what they give to accounts. Money in micro-units."""
    return [
        unique("pool.unique", "no pool is there twice", "pool"),
        present("capital.known", "every pool has a capital", "capital"),
        between("capital.positive", "a pool's capital is positive", "capital", 1),
        findings("accounts_vs_pools.equal", "accounts sum to their pool", _SUMS),
        findings("total.equal", "a pool's total is the sum of its parts", _TOTALS),
        findings("allocated.equal", "the parts of accounts sum to what is allocated", _ALLOCATED),
        findings("allocated.inside_capital", "no more is allocated than there is", _INSIDE),
        findings("allocated.not_negative", "no part is negative", _NEGATIVE),
        findings("account.one_pool", "an account belongs to one pool", _TWICE),
        findings("currency.agrees", "an account has its pool's currency", _CURRENCIES),
        findings("account.joined", "every account is in its pool's book", _WAITING, "warning"),
    ]


SUITE = Suite("capital", "SELECT * FROM pools", ("pool",), expectations)
