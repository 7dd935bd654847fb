"""The pre-trade gate: approve or deny a proposal, with every reason and the largest order now.

Two lanes. An order that only makes the projected position smaller is an exit: no lock, halt,
throttle or missing figure stops it. Everything else is an entry and needs everything to be known,
fresh and allowed; what is unknown denies and says what is unknown.
"""

from __future__ import annotations

from typing import Literal

from portcullis.domain import capital, exposure, mode, strategies
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.breach import UNLIMITED
from portcullis.domain.events import ProposalAnswered, ProposalReceived
from portcullis.domain.model import BUY, SELL, OrderRequest, Reason
from portcullis.domain.money import duration
from portcullis.domain.plan import Plan
from portcullis.domain.state import AccountState, Reservation, State
from portcullis.domain.watch import AccountWatch

Lane = Literal["entry", "exit"]
PROPOSALS_MAX = 20_000
PRICED: dict[str, tuple[str, ...]] = {
    "market": (),
    "limit": ("limit_price",),
    "stop": ("stop_price",),
    "stop_limit": ("limit_price", "stop_price"),
    "trailing": ("trail",),
}

LARGEST = 1_000_000
"""Contracts of the largest order that is told: no rule limits it."""


def judge(
    proposal: ProposalReceived, world: State, plan: Plan, watches: dict[str, AccountWatch]
) -> ProposalAnswered:
    """The answer to a proposal; an approval holds its room until the order shows up."""
    order = proposal.order
    malformed = _repeated(proposal, world) + _malformed(order)
    account, watch = world.accounts.get(order.account), watches.get(order.account)
    if account is None or watch is None:
        malformed += (_unknown("account", order.account),)
    if malformed or account is None or watch is None:
        return _answer(proposal, world, False, malformed, 0, "entry")
    reducible = exposure.reducible(account, order.instrument, order.side, order.type)
    if order.size <= reducible:
        return _reserved(proposal, account, world, plan, reducible, "exit")
    if order.instrument not in world.instruments:
        unknown = (_unknown("instrument", order.instrument),)
        return _answer(proposal, world, False, unknown, reducible, "entry")
    reasons = _closed(world, plan) + _unfit(account, order, watch, world)
    reasons += _locked(account, order.instrument, world)
    if account.pool:
        reasons += capital.denials(account, world)
    largest, denials = _room(account, order, watch, world)
    if proposal.strategy:
        reasons += strategies.denials(proposal, world)
        largest, smaller = strategies.limited(proposal, world, largest)
        denials += smaller
    reasons += denials
    if reasons:
        if reducible:
            reasons += (_would_flip(account, order, reducible),)
        return _answer(
            proposal,
            world,
            False,
            reasons,
            reducible or (0 if len(reasons) > len(denials) else largest),
            "entry",
        )
    return _reserved(proposal, account, world, plan, largest, "entry")


def largest_order(
    account: AccountState,
    instrument: str,
    side: int,
    world: State,
    plan: Plan,
    watch: AccountWatch,
) -> int:
    """The largest order of a side that would be approved now (N11)."""
    reducible = exposure.reducible(account, instrument, side)
    order = OrderRequest(account.id, instrument, side, 1, "market")
    if _closed(world, plan) or _unfit(account, order, watch, world):
        return reducible
    if _locked(account, instrument, world) or capital.denials(account, world):
        return reducible
    return max(reducible, _room(account, order, watch, world)[0])


def _reserved(
    proposal: ProposalReceived,
    account: AccountState,
    world: State,
    plan: Plan,
    largest: int,
    lane: Lane,
) -> ProposalAnswered:
    order = proposal.order
    account.reservations[proposal.proposal_id] = Reservation(
        proposal.proposal_id,
        order.instrument,
        order.side,
        order.size,
        world.now + plan.reservation,
    )
    return _answer(proposal, world, True, (), largest, lane)


def _answer(
    proposal: ProposalReceived,
    world: State,
    approved: bool,
    reasons: tuple[Reason, ...],
    largest: int,
    lane: Lane,
) -> ProposalAnswered:
    largest = min(largest, LARGEST)
    return ProposalAnswered(
        proposal.proposal_id,
        proposal.order.account,
        approved,
        reasons,
        largest,
        lane,
        world.system.mode,
    )


def _repeated(proposal: ProposalReceived, world: State) -> tuple[Reason, ...]:
    """An id is answered once: a repeated request must not open a second position."""
    proposals = world.system.proposals
    first = proposals.setdefault(proposal.proposal_id, world.position)
    forget_oldest(proposals, PROPOSALS_MAX)
    if first == world.position:
        return ()
    return (
        Reason(
            "duplicate",
            f"proposal {proposal.proposal_id} was answered at event {first}",
            measured=proposal.proposal_id,
            limit="one answer an id",
            allowed="0",
        ),
    )


def _malformed(order: OrderRequest) -> tuple[Reason, ...]:
    faults: tuple[Reason, ...] = ()
    if order.size < 1:
        faults += (Reason("bad_size", "the size must be at least 1", str(order.size), "1"),)
    if order.side not in (BUY, SELL):
        faults += (Reason("bad_side", "the side must be buy or sell", str(order.side)),)
    for field in PRICED[order.type]:
        value = getattr(order, field)
        if value is None or value < 1:
            faults += (
                Reason(
                    "bad_price",
                    f"a {order.type} order needs a positive {field}",
                    str(value),
                    "1 tick",
                ),
            )
    return faults


def _unknown(what: str, name: str) -> Reason:
    return Reason(
        f"unknown_{what}",
        f"{what} {name!r} is not known here, so its limit is zero",
        measured=name,
        limit="0",
        allowed="0",
    )


def _closed(world: State, plan: Plan) -> tuple[Reason, ...]:
    """Why nobody may open risk now: the mode and the evidence behind it."""
    system = world.system
    if system.mode == "ACTIVE":
        gone = mode.lacking(system, plan.required, world.now)
        return tuple(Reason("evidence", text, allowed="0") for text in gone)
    return (
        Reason(
            "mode",
            f"the gate is shut: {system.mode} because {system.why}",
            measured=system.mode,
            limit="ACTIVE",
            allowed="0",
        ),
    )


def _unfit(
    account: AccountState, order: OrderRequest, watch: AccountWatch, world: State
) -> tuple[Reason, ...]:
    """What is not known, or known to be too old, about this account and instrument."""
    faults: tuple[Reason, ...] = ()
    if not account.reconciled_at:
        faults += (
            Reason("unreconciled", "the account was not compared with the venue yet", allowed="0"),
        )
    if account.can_trade is not True:
        said = "forbids" if account.can_trade is False else "does not say whether it allows"
        why = f"the venue {said} trading on this account"
        faults += (Reason("not_allowed_to_trade", why, limit="a yes of the venue", allowed="0"),)
    for venue, connected in world.system.venues.items():
        if not connected:
            age = duration(world.now - world.system.venue_since.get(venue, world.now))
            faults += (
                Reason(
                    "venue_down",
                    f"venue {venue} has been disconnected for {age}",
                    measured=age,
                    allowed="0",
                ),
            )
    for rule, why in account.unjudged.items():
        faults += (Reason("cannot_judge", f"{rule}: {why}", allowed="0"),)
    if account.pending:
        faults += _enforcing(account)
    return faults + _quote_fault(order.instrument, watch, world)


def _enforcing(account: AccountState) -> tuple[Reason, ...]:
    protective = [p for p in account.pending.values() if p.rules != ("trade_management",)]
    if not protective:
        return ()
    return (
        Reason(
            "enforcing",
            f"enforcement of {', '.join(protective[0].rules)} is under way",
            allowed="0",
        ),
    )


def _quote_fault(instrument: str, watch: AccountWatch, world: State) -> tuple[Reason, ...]:
    quote = world.quotes.get(instrument)
    limit = watch.plan.quote_max_age
    if quote is None:
        return (Reason("no_price", f"no price of {instrument} is known", allowed="0"),)
    age = world.now - quote.quoted_at
    if age <= limit:
        return ()
    return (
        Reason(
            "stale_price",
            f"the newest price of {instrument} is {duration(age)} old",
            measured=duration(age),
            limit=duration(limit),
            allowed="0",
        ),
    )


def _locked(account: AccountState, instrument: str, world: State) -> tuple[Reason, ...]:
    reasons = []
    for lock in account.locks.values():
        if lock.instrument is None or lock.instrument == instrument:
            ends = lock.ends if lock.until is None else f"in {duration(lock.until - world.now)}"
            reasons.append(
                Reason(
                    "locked",
                    f"locked by {lock.rule} (row {lock.id}): {lock.cause}",
                    measured=f"lock {lock.id}",
                    limit=f"ends: {ends}",
                    allowed="0",
                )
            )
    return tuple(reasons)


def _room(
    account: AccountState, order: OrderRequest, watch: AccountWatch, world: State
) -> tuple[int, tuple[Reason, ...]]:
    """The largest order every rule allows, and the reasons of the rules this order exceeds."""
    instrument, side = order.instrument, order.side
    allowed = [
        allowance(account, params, world, instrument, side)
        for _, allowance, params in watch.allowances
    ]
    largest = min(allowed, default=UNLIMITED)
    if largest >= order.size:
        return largest, ()
    return largest, tuple(
        rule.explain(account, params, world, instrument, side)
        for (rule, _, params), size in zip(watch.allowances, allowed, strict=True)
        if size < order.size
    )


def _would_flip(account: AccountState, order: OrderRequest, reducible: int) -> Reason:
    held = exposure.size_of(account, order.instrument)
    resting = exposure.working(account, order.instrument, order.side)
    return Reason(
        "would_flip",
        f"as an exit at most {reducible} would reduce {held:+d} with {resting} "
        "resting; cancel resting exits first, or use flatten, which does",
        measured=str(order.size),
        limit=str(reducible),
        allowed=str(reducible),
        formula="|position| - resting orders of the same side",
    )
