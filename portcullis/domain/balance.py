"""The day's opening balance: taken from the venue once, and again where a difference stays."""

from __future__ import annotations

from portcullis.domain import book, capital
from portcullis.domain.judge import Judge
from portcullis.domain.state import AccountState


def settle(account: AccountState, judge: Judge) -> None:
    """Take the day's opening balance from the venue; later, a difference that stays."""
    if not account.reported_at:
        return  # when it was that, nobody knows: what it contains cannot be told
    opening = account.balance - book.realized_at(account, account.reported_at)
    if account.opening_balance is None:
        account.opening_balance = opening
        account.high = max(account.high or opening, opening)
        capital.join(judge.state, account)
        return
    gap = opening - account.opening_balance
    if gap and gap == account.balance_gap:
        account.opening_balance = opening
        capital.move(judge.state, account, gap)
        judge.alert(
            "balance_changed",
            "warning",
            account.id,
            "the balance changed by something that is not a trade of the day",
            "compare the account's statement with `account show`",
        )
        gap = 0
    account.balance_gap = gap
