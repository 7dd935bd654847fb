"""The endpoints that read: accounts, contracts, positions, trades, orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portcullis.venues.projectx.facts import microseconds
from portcullis.venues.simulated.orders import Order
from portcullis.venues.simulated_gateway import rows
from portcullis.venues.simulated_gateway.bodies import (
    Accounts,
    Live,
    OfAccount,
    OfContract,
    OfOrder,
    Period,
    Query,
    Search,
)
from portcullis.venues.simulated_gateway.books import Books, refused

CONTRACTS_SHOWN = 20


def accounts(on: Books, ask: Accounts) -> dict[str, Any]:
    told = [
        rows.account(each, on.number(each.account), simulated=True)
        for each in on.exchange.accounts()
        if each.can_trade or not ask.only_active_accounts
    ]
    return {"accounts": told}


def available(on: Books, _: Live) -> dict[str, Any]:
    return {"contracts": [rows.contract(each) for each in on.exchange.instruments()]}


def search(on: Books, ask: Search) -> dict[str, Any]:
    text = (ask.search_text or "").upper()
    found = [rows.contract(each) for each in on.exchange.instruments()]
    matching = [row for row in found if text in row["name"] or text in row["id"]]
    return {"contracts": matching[:CONTRACTS_SHOWN]}


def by_id(on: Books, ask: OfContract) -> dict[str, Any]:
    return {"contract": rows.contract(on.listed(ask.contract_id))}


def positions(on: Books, ask: OfAccount) -> dict[str, Any]:
    held = on.exchange.positions(on.account(ask.account_id))
    return {
        "positions": [
            rows.position(each, ask.account_id, on.listed(each.instrument)) for each in held
        ]
    }


def trades(on: Books, ask: Period) -> dict[str, Any]:
    told = on.exchange.trades(on.account(ask.account_id), microseconds(ask.start_timestamp))
    end = microseconds(ask.end_timestamp) if ask.end_timestamp else None
    kept = [each for each in told if end is None or each.executed_at <= end]
    return {
        "trades": [
            rows.trade(each, ask.account_id, on.listed(each.instrument)) for each in reversed(kept)
        ]
    }


def _order_rows(on: Books, account: int, keep: Callable[[Order], bool]) -> list[rows.Row]:
    held = sorted(on.exchange.every_order(on.account(account)), key=lambda order: int(order.id))
    return [rows.order(each, account, on.listed(each.instrument)) for each in held if keep(each)]


def orders(on: Books, ask: Period) -> dict[str, Any]:
    start = microseconds(ask.start_timestamp)
    end = microseconds(ask.end_timestamp) if ask.end_timestamp else None
    return {
        "orders": _order_rows(
            on,
            ask.account_id,
            lambda each: each.created_at >= start and (end is None or each.created_at <= end),
        )
    }


def open_orders(on: Books, ask: OfAccount) -> dict[str, Any]:
    """Suspended legs are not among them."""
    return {"orders": _order_rows(on, ask.account_id, lambda each: each.status == "working")}


def one_order(on: Books, ask: OfOrder) -> dict[str, Any]:
    found = _order_rows(on, ask.account_id, lambda each: each.id == str(ask.order_id))
    if not found:
        raise refused("OrderNotFound", None)
    return {"order": found[0]}


def query(on: Books, ask: Query) -> dict[str, Any]:
    wanted = ask.filter
    found = _order_rows(
        on,
        wanted.account_id,
        lambda each: (
            (wanted.statuses is None or rows.STATUSES[each.status] in wanted.statuses)
            and wanted.contract_id in (None, each.instrument)
        ),
    )
    if ask.sort_direction:
        found.reverse()
    page: dict[str, Any] = {"orders": found[ask.page_offset : ask.page_offset + ask.page_size]}
    if ask.include_total_count:
        page["totalCount"] = len(found)
    return page
