"""The engine: one fact in, decisions out. Synchronous, deterministic, no I/O.

Time arrives with the facts. Deadlines that a fact's time has passed are met first, in order, so
that a replay of the same facts meets them at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portcullis.domain import (
    balance,
    book,
    capital,
    enforcement,
    gate,
    locks,
    mode,
    outcomes,
    requests,
    strategies,
)
from portcullis.domain.commands import Submit
from portcullis.domain.deadlines import Deadlines, due_of, has_grown_stale, stale_at
from portcullis.domain.events import (
    AccountReported,
    AnyDecision,
    AnyFact,
    AuthorizationLost,
    BoundReached,
    ClockStepped,
    CommandConcluded,
    CommandSent,
    DataFault,
    DayRolled,
    HostStated,
    InstrumentListed,
    LedgerCreated,
    LedgerRestored,
    LedgerRetired,
    LooseningDropped,
    LooseningHeld,
    OrderGone,
    OrderReported,
    PositionReported,
    ProposalReceived,
    Quote,
    Reconciled,
    RequestReceived,
    RulesLoaded,
    TimePassed,
    TradeReported,
    VenueLinked,
    VerdictRecorded,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from portcullis.domain.holders import Holders
from portcullis.domain.judge import Judge
from portcullis.domain.model import FAILED_COMPARES_MAX, SECOND, STOP_TYPES
from portcullis.domain.plan import AccountPlan, Plan, decode_plan
from portcullis.domain.session import trading_day
from portcullis.domain.state import AccountState, State
from portcullis.domain.system_facts import SystemFacts
from portcullis.domain.watch import AccountWatch, RuleWatch

ROLLS_MAX = 400
AHEAD_MAX = 5 * SECOND


class Engine:
    """Folds facts into a state and answers with decisions. The only writer of its state."""

    def __init__(self, state: State | None = None, *, restless: bool = False) -> None:
        """`restless`: ask every rule at every price, as the bands must never make a difference."""
        self.world = state or State()
        self.plan = decode_plan(self.world.plan) if self.world.plan else Plan(())
        self.watches = {each.account: AccountWatch(each) for each in self.plan.accounts}
        self._restless = restless
        self._touched: list[AccountState] = []
        self.judge = Judge(self.world, self.plan)
        self._system = SystemFacts(self.judge, self._arm_system)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Quote: self._on_quote,
            PositionReported: self._on_position,
            OrderReported: self._on_order,
            OrderGone: self._on_order_gone,
            TradeReported: self._on_trade,
            AccountReported: self._on_account,
            InstrumentListed: self._on_instrument,
            Reconciled: self._on_reconciled,
            VenueLinked: self._on_venue,
            AuthorizationLost: self._on_authorization,
            VerdictRecorded: self._system.on_verdict,
            ProposalReceived: self._on_proposal,
            RequestReceived: self._on_request,
            CommandConcluded: self._on_concluded,
            RulesLoaded: self._on_rules,
            LooseningHeld: self._system.on_loosening_held,
            LooseningDropped: self._system.on_loosening_dropped,
            WorkerStarted: self._system.on_started,
            LedgerCreated: self._system.on_created,
            ClockStepped: self._system.on_clock,
            BoundReached: self._system.on_bound,
            TimePassed: self._on_nothing,
            CommandSent: self._on_nothing,
            DataFault: self._on_nothing,
            WorkerStopped: self._on_nothing,
            HostStated: self._on_nothing,
            LedgerRetired: self._on_nothing,
            LedgerRestored: self._system.on_restored,
            WorkerFailed: self._system.on_failed,
        }
        self._index_all()
        self._rest()

    # --- the one entry ------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state, every mark at the newest price.

        `world` is the same without that: cheaper, for whoever wants no figure that prices move.
        """
        self._holders.catch_up_all()
        return self.world

    def apply(self, position: int, at: int, fact: AnyFact) -> Sequence[AnyDecision]:
        """Fold one fact that stands at a ledger position; the decisions it leads to, in order."""
        state = self.world
        self.judge.out = []
        state.position = position
        last, state.now = state.now, max(state.now, at)
        if type(fact) is WorkerStarted:
            self._start(fact, last)
        due = self._deadlines.next()
        if due is not None and due <= state.now:
            self._meet_deadlines()
        self._handlers[type(fact)](fact)
        if self._touched:
            self._rest()
        return self.judge.out

    def next_deadline(self) -> int | None:
        """When something changes by time alone; the worker then enters a `TimePassed`."""
        return self._deadlines.next()

    # --- facts of the venue -------------------------------------------------------------------

    def _on_quote(self, quote: Quote) -> None:
        state = self.world
        known = state.quotes.get(quote.instrument)
        if known is not None and quote.quoted_at < known.quoted_at:
            return
        if quote.quoted_at > state.now + AHEAD_MAX:
            return  # a price from the future would count as fresh for ever
        state.quotes[quote.instrument] = quote
        age = state.now - quote.quoted_at
        if age > self._oldest:
            return  # nobody may judge by it, nor by the older one that it follows
        for holding in self._holders.concerned(quote):
            account, watch = holding.account, holding.watch
            self._touch(account)
            if account.unjudged or age > watch.plan.quote_max_age:
                self.judge.judge_quotes(account, watch)
                book.raise_peak(account)
                self._arm(account)
            if watch.trails_intraday:
                book.raise_high(account)
            rearm = watch.needs_stops and book.watch_cover(account, state, any_stop=watch.any_stop)
            decided = len(self.judge.out)
            self.judge.judge_price(account, watch, holding.position)
            if rearm or len(self.judge.out) > decided:
                self._arm(account)

    def _on_position(self, fact: PositionReported) -> None:
        account = self._account(fact.account)
        if account is None:
            return
        max_age = self.watches[account.id].plan.quote_max_age
        if book.fold_position(account, fact, self.world, max_age):
            self._position_changed(account)

    def _position_changed(self, account: AccountState) -> None:
        self._touched.append(account)
        watch = self.watches[account.id]
        locks.shrink_kept(account)
        concerned = self._concerned(account, "position")
        book.watch_cover(account, self.world, any_stop=watch.any_stop)
        self.judge.judge_quotes(account, watch)
        book.raise_peak(account)
        self.judge.judge(account, concerned, lockout=True)
        account.taken_up = {}
        self._arm(account)

    def _on_order(self, fact: OrderReported) -> None:
        account = self._account(fact.account)
        if account is None:
            return
        known = account.orders.get(fact.order_id)
        if book.fold_order(account, fact):
            is_stop = fact.type in STOP_TYPES or (known is not None and known.type in STOP_TYPES)
            self._orders_changed(account, is_stop=is_stop)

    def _on_order_gone(self, fact: OrderGone) -> None:
        account = self._account(fact.account)
        if account is not None and book.drop_order(account, fact.order_id):
            self._orders_changed(account, is_stop=True)

    def _concerned(self, account: AccountState, trigger: str) -> tuple[RuleWatch, ...]:
        """The rules a change concerns: all, where what the venue refused may work now."""
        watch = self.watches[account.id]
        if not account.refused:
            return watch.by_trigger[trigger]
        outcomes.retry(account)
        return watch.everything

    def _orders_changed(self, account: AccountState, *, is_stop: bool) -> None:
        """Judge the orders anew; of them, only stops and what is decided can move a band."""
        watch, decided = self.watches[account.id], len(self.judge.out)
        book.watch_cover(account, self.world, any_stop=watch.any_stop)
        self.judge.judge(account, watch.by_trigger["order"], lockout=True)
        if is_stop or len(self.judge.out) > decided:
            self._touched.append(account)
        self._arm(account)

    def _on_trade(self, fact: TradeReported) -> None:
        account = self._account(fact.account)
        if account is None:
            return
        watch = self.watches[account.id]
        before = {name: p.size for name, p in account.positions.items()}
        capital.count(self.world, account, fact)
        if not book.fold_trade(account, fact, self.world, watch.plan.quote_max_age):
            return
        self._touched.append(account)
        if before != {name: p.size for name, p in account.positions.items()}:
            self._position_changed(account)
        if watch.trails_intraday:
            book.raise_high(account)
        self.judge.judge(account, watch.by_trigger["trade"])
        self._arm(account)

    def _on_account(self, fact: AccountReported) -> None:
        account = self._changing(fact.account)
        if account is None:
            return
        before = account.can_trade
        if not book.fold_account(account, fact, self.world):
            return
        concerned = self.watches[account.id].by_trigger["account"]
        if fact.can_trade and not before:
            concerned = self._concerned(account, "account")
            self.judge.out += locks.end(account, locks.of_kind(account, "venue"), "venue")
        self.judge.judge(account, concerned, lockout=True)
        account.taken_up = {}
        self._arm(account)

    def _on_instrument(self, fact: InstrumentListed) -> None:
        if self.world.instruments.get(fact.instrument.id) == fact.instrument:
            return
        for name in self.watches:
            self._touch(self.world.accounts[name])
        self.world.instruments[fact.instrument.id] = fact.instrument

    def _on_reconciled(self, fact: Reconciled) -> None:
        account = self._changing(fact.account)
        if account is None:
            return
        if not fact.ok:
            account.failed_compares += 1
            if account.failed_compares >= FAILED_COMPARES_MAX:
                account.reconciled_at = 0
            return
        account.failed_compares = 0
        account.missed_fills += fact.missed
        account.reconciled_at = self.world.now
        balance.settle(account, self.judge)
        self._system.watch_capital(account)
        self.judge.judge(account, self.watches[account.id].everything, lockout=True)
        self._arm(account)

    def _on_venue(self, fact: VenueLinked) -> None:
        system = self.world.system
        if system.venues.get(fact.venue) != fact.connected:
            system.venue_since[fact.venue] = self.world.now
        system.venues[fact.venue] = fact.connected
        system.venue_reasons[fact.venue] = fact.reason
        if fact.connected:
            for name, watch in self.watches.items():
                account = self.world.accounts[name]
                if account.refused:
                    self._touch(account)
                    outcomes.retry(account)
                    self.judge.judge(account, watch.everything, lockout=True)
                    account.taken_up = {}
                    self._arm(account)

    def _on_authorization(self, _fact: AuthorizationLost) -> None:
        for name, watch in self.watches.items():
            account = self.world.accounts[name]
            self._touch(account)
            account.can_trade = False
            self.judge.judge(account, watch.by_trigger["account"], lockout=True)
            self._arm(account)

    # --- facts of this system -----------------------------------------------------------------

    def _start(self, fact: WorkerStarted, last_at: int) -> None:
        """A start is settled before any deadline, so that an expiry does not hide a silence."""
        self._system.start(fact, last_at)
        for account in self.world.accounts.values():
            account.reconciled_at = 0
        self._arm_system()

    def _on_nothing(self, fact: AnyFact) -> None:
        """Facts that are only kept: they change no state."""

    def _on_rules(self, fact: RulesLoaded) -> None:
        state = self.world
        self._holders.catch_up_all()
        state.plan, state.plan_digest = fact.plan, fact.digest
        self.plan = self.judge.plan = decode_plan(fact.plan)
        self._system.on_rules(fact)
        self.watches = {each.account: AccountWatch(each) for each in self.plan.accounts}
        for each in self.plan.accounts:
            if each.account not in state.accounts:
                state.accounts[each.account] = AccountState(each.account, self._day(each))
        for account in state.accounts.values():
            account.unjudged = {}
            if account.id in self.watches:
                watch = self.watches[account.id]
                self.judge.judge_quotes(account, watch)
                book.watch_cover(account, state, any_stop=watch.any_stop)
            gone = locks.unasked(account, self.watches.get(account.id), state)
            self.judge.out += locks.end(account, gone, "config")
        capital.take_up(state, self.plan)
        self.judge.out += strategies.take_up(state, self.plan)
        self._index_all()
        for account in state.accounts.values():
            if account.id in self.watches and account.reconciled_at:
                self.judge.judge(account, self.watches[account.id].everything, lockout=True)
                self._arm(account)
        self._settle_mode()

    def _on_proposal(self, fact: ProposalReceived) -> None:
        self._account(fact.order.account)
        answer = gate.judge(fact, self.world, self.plan, self.watches)
        self.judge.out.append(answer)
        if answer.approved:
            account = self.world.accounts[answer.account]
            if fact.submit:
                command = Submit(account.id, fact.order, answer.lane == "exit")
                issued = enforcement.issue(account, command, ("gate",), self.world)
                account.reservations[issued.key] = account.reservations.pop(fact.proposal_id)
                self.judge.out.append(issued)
            self._arm(account)

    def _on_request(self, fact: RequestReceived) -> None:
        account = self._changing(fact.account or "")
        self.judge.out += requests.carry_out(fact, self.world, self.plan)
        if account is not None:
            self.judge.judge(account, (), lockout=True)
            self._arm(account)
        self._settle_mode()

    def _on_concluded(self, fact: CommandConcluded) -> None:
        account = self._changing(fact.account)
        if account is None:
            self._forget_pending(fact)
        else:
            outcomes.conclude(self.judge, account, fact)
            self.judge.judge(account, self.watches[account.id].everything, lockout=True)
            self._arm(account)

    def _forget_pending(self, fact: CommandConcluded) -> None:
        """A command of an account that no plan names any more has ended all the same."""
        left = self.world.accounts.get(fact.account)
        if left is not None:
            left.pending.pop(fact.key, None)

    # --- time ---------------------------------------------------------------------------------

    def _meet_deadlines(self) -> None:
        while due := self._deadlines.take(self.world.now):
            for name, kind in due:
                if not name:
                    self._settle_mode()
                    continue
                account = self._changing(name)
                if account is None:
                    continue
                if kind == "time" or has_grown_stale(account, self.watches[name], self.world.now):
                    self._pass_time(account)
                else:
                    self._arm(account)
        self._rest()

    def _pass_time(self, account: AccountState) -> None:
        now, watch = self.world.now, self.watches[account.id]
        rolled = now >= account.day.end
        for _ in range(ROLLS_MAX):
            if now < account.day.end:
                break
            self._roll(account, watch.plan)
        self.judge.out += locks.end(account, locks.expired(account, now), "expired")
        for key in [k for k, held in account.reservations.items() if held.until <= now]:
            del account.reservations[key]
        if account.retry_at is not None and account.retry_at <= now:
            outcomes.retry(account)
            self.judge.judge(account, watch.everything, lockout=True)
            account.taken_up = {}
            account.is_paced = account.retry_at is not None
        self.judge.judge_quotes(account, watch)
        concerned = watch.everything if rolled else watch.by_trigger["time"]
        self.judge.judge(account, concerned, lockout=True)
        self._arm(account)

    def _roll(self, account: AccountState, plan: AccountPlan) -> None:
        """End the trading day: once, whatever restarts happened, and only its own locks."""
        ended, trades, realized = account.day, len(account.exits), account.realized
        following = trading_day(ended.end, plan.zone, plan.reset_minute, plan.days, plan.calendar)
        book.roll_day(account, following)
        capital.forget_past(self.world, account)
        balance = account.opening_balance or 0
        if account.opening_balance is not None:
            account.high = max(account.high or balance, balance)
        account.failures = account.stop_failures = account.missed_fills = 0
        self.judge.out.append(DayRolled(account.id, ended.label, realized, balance, trades))
        self.judge.out += locks.end(account, locks.of_kind(account, "next_session"), "session")
        for key in [k for k, b in account.breaches.items() if not b.level or b.lock_ids]:
            breach = account.breaches[key]
            if not any(lock_id in account.locks for lock_id in breach.lock_ids):
                del account.breaches[key]

    def _settle_mode(self) -> None:
        self._system.settle()

    def _arm(self, account: AccountState) -> None:
        watch = self.watches.get(account.id)
        if watch is not None:
            self._deadlines.arm((account.id, "time"), due_of(account, watch, self.world))
            self._deadlines.arm((account.id, "price"), stale_at(account, watch, self.world.now))

    def _arm_system(self) -> None:
        when = mode.next_expiry(self.world.system, self.plan, self.world.now)
        self._deadlines.arm(("", "time"), when)

    # --- helpers ------------------------------------------------------------------------------

    def _account(self, name: str) -> AccountState | None:
        """The account's state, its marks at the newest prices; None for one without a plan: seen,
        recorded, not enforced.

        Whoever changes what a band depends on puts the account among the touched.
        """
        account = self.world.accounts.get(name) if name in self.watches else None
        if account is not None:
            self._holders.catch_up(account)
        return account

    def _changing(self, name: str) -> AccountState | None:
        """As `_account`, for one that is about to change."""
        account = self._account(name)
        if account is not None:
            self._touched.append(account)
        return account

    def _touch(self, account: AccountState) -> None:
        self._holders.catch_up(account)
        self._touched.append(account)

    def _rest(self) -> None:
        """Let what the touched accounts hold rest within bands of what they are now."""
        for account in self._touched:
            self._holders.rest(account)
        self._touched.clear()

    def _day(self, plan: AccountPlan) -> Any:
        return trading_day(self.world.now, plan.zone, plan.reset_minute, plan.days, plan.calendar)

    def _index_all(self) -> None:
        ages = [watch.plan.quote_max_age for watch in self.watches.values()]
        self._oldest = max(ages, default=0)
        self._holders = Holders(self.world, self.watches, restless=self._restless)
        self._deadlines = Deadlines()
        for name in self.watches:
            if name in self.world.accounts:
                self._touched.append(self.world.accounts[name])
                self._arm(self.world.accounts[name])
        if self.world.plan:
            self._arm_system()
