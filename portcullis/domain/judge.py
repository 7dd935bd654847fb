"""Judging: the rules are asked, every breach is kept, and what is new is acted on once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from portcullis.domain import enforcement, exposure, locks
from portcullis.domain.breach import Breach, Response
from portcullis.domain.events import AlertRaised, AnyDecision, AutomationPlanned, BreachFound
from portcullis.domain.model import SECOND, Reason
from portcullis.domain.plan import Plan
from portcullis.domain.state import AccountState, OpenBreach, Position, State
from portcullis.domain.watch import AccountWatch, RuleWatch

RETRY_AFTER = 30 * SECOND
LOCKOUT = "lockout"
Severity = Literal["critical", "warning", "info"]


class Judge:
    """Asks rules about accounts and turns their breaches into decisions, collected in `out`."""

    def __init__(self, state: State, plan: Plan) -> None:
        self.state = state
        self.plan = plan
        self.out: list[AnyDecision] = []

    def judge(
        self, account: AccountState, rules: Sequence[RuleWatch], *, lockout: bool = False
    ) -> None:
        """Ask rules, keep every breach, and act on those that are new."""
        state, standing = self.state, account.breaches
        fresh: list[Breach] = []
        for name, evaluate, params in rules:
            found = evaluate(account, params, state)
            if found:
                fresh += [breach for breach in found if self._is_new(account, breach)]
            if standing:
                self._drop_ended(account, name, found)
        if lockout and account.locks:
            fresh += self._lockout_breaches(account)
        if fresh:
            fresh = [breach for breach in fresh if not self._is_moot(account, breach)]
        if fresh:
            self._act(account, fresh)

    def judge_price(self, account: AccountState, watch: AccountWatch, position: Position) -> None:
        """As `judge`, for a new price of one position: asks nothing the price cannot change."""
        state, fresh = self.state, []
        for name, judge_position, params in watch.on_position_price:
            breach = judge_position(account, position, params, state)
            if breach is not None:
                if self._is_new(account, breach) and not self._is_moot(account, breach):
                    fresh.append(breach)
            elif account.breaches:
                self._drop_ended(account, name, (), position.instrument)
        for name, evaluate, params in watch.on_account_price:
            found = evaluate(account, params, state)
            if found:
                fresh += [breach for breach in found if self._is_new(account, breach)]
            if account.breaches:
                self._drop_ended(account, name, found)
        if fresh:
            self._act(account, fresh)

    def _is_moot(self, account: AccountState, breach: Breach) -> bool:
        """What only follows from something else is not worth a word while that is mended."""
        if not account.pending or not (breach.automation or breach.rule == LOCKOUT):
            return False
        wanted = enforcement.merge(account, [breach])
        return all(
            any(enforcement.covers(p.command, command) for p in account.pending.values())
            for command, _ in wanted
        )

    def _is_new(self, account: AccountState, breach: Breach) -> bool:
        standing = account.breaches.get(breach.id)
        if standing is None:
            return not self._is_locked_by(account, breach)
        if not breach.response.locks or not breach.level:
            return False
        # Released by a person and worse since: the lock is set anew.
        return breach.measure > standing.measure and not self._is_locked_by(account, breach)

    def _is_locked_by(self, account: AccountState, breach: Breach) -> bool:
        """Whether the rule's own lock already stands, so that its breach is being answered."""
        return (
            bool(breach.response.locks)
            and breach.level
            and any(
                row.rule == breach.rule and row.instrument == spec.instrument
                for row in account.locks.values()
                for spec in breach.response.locks
            )
        )

    def _drop_ended(
        self,
        account: AccountState,
        rule: str,
        found: tuple[Breach, ...],
        instrument: str | None = None,
    ) -> None:
        """Forget level breaches of a rule (in one instrument, or all) that no longer hold."""
        if not any(breach.rule == rule for breach in account.breaches.values()):
            return
        still = [breach.id for breach in found]
        start = f"{rule}|" if instrument is None else f"{rule}|{instrument}|"
        for key, breach in list(account.breaches.items()):
            if breach.level and key not in still and key.startswith(start):
                del account.breaches[key]

    def _lockout_breaches(self, account: AccountState) -> list[Breach]:
        """Positions that appeared or grew, and resting orders that could, under a lock."""
        found = []
        for name in locks.overruns(account):
            reason = Reason(
                LOCKOUT,
                f"position in {name} while locked",
                measured=f"{account.positions[name].size:+d}",
                limit="0 while locked",
            )
            found.append(Breach(LOCKOUT, "LOCKOUT", name, reason, Response(close=name)))
        for order in exposure.opening_orders(account):
            if account.is_locked(order.instrument):
                reason = Reason(
                    LOCKOUT,
                    f"resting order {order.order_id} while locked",
                    measured=f"{order.remaining} {order.type}",
                    limit="none",
                )
                found.append(
                    Breach(
                        LOCKOUT,
                        "LOCKOUT",
                        order.instrument,
                        reason,
                        Response(cancel_in=order.instrument),
                        episode=order.order_id,
                    )
                )
        fresh = [breach for breach in found if breach.id not in account.breaches]
        self._drop_ended(account, LOCKOUT, tuple(found))
        return fresh

    def _act(self, account: AccountState, breaches: list[Breach]) -> None:
        """Record the breaches, set every lock, and issue the merged commands once."""
        state = self.state
        set_ids: dict[str, tuple[int, ...]] = {}
        for breach in breaches:
            self._say(account, breach)
            rows = locks.set_for(account, breach, state)
            self.out += rows
            set_ids[breach.id] = tuple(row.lock.id for row in rows)
            account.breaches[breach.id] = OpenBreach(
                breach.rule, breach.measure, state.now, set_ids[breach.id], level=breach.level
            )
        issued = self._issue(account, enforcement.merge(account, breaches))
        for breach in breaches:
            account.breaches[breach.id].commands = issued
        if any(set_ids.values()):
            self.judge(account, (), lockout=True)

    def _say(self, account: AccountState, breach: Breach) -> None:
        if breach.warning:
            self.alert(
                f"{breach.rule}_near",
                "warning",
                account.id,
                breach.reason.message,
                "reduce the risk, or stop for the day",
            )
        elif account.taken_up.pop(breach.id, None) is not None:
            return  # the same breach as before, whose command was held back or failed
        elif breach.automation:
            self.out.append(
                AutomationPlanned(
                    account.id, breach.rule, breach.code, breach.instrument or "", breach.reason
                )
            )
        else:
            self.out.append(
                BreachFound(account.id, breach.rule, breach.code, breach.instrument, breach.reason)
            )

    def _issue(self, account: AccountState, wanted: enforcement.Wanted) -> tuple[str, ...]:
        keys: list[str] = []
        for command, rules in wanted:
            under_way = [
                p for p in account.pending.values() if enforcement.covers(p.command, command)
            ]
            if under_way:
                keys.append(under_way[0].key)
                continue
            if enforcement.is_held(account, command):
                continue
            bound, now = self.plan.commands_per_minute, self.state.now
            if enforcement.is_bound_reached(account, rules, bound, now):
                if rules != enforcement.AUTOMATION:
                    self._hold_back(account)
                continue
            issued = enforcement.issue(account, command, rules, self.state)
            self.out.append(issued)
            keys.append(issued.key)
            if rules == enforcement.AUTOMATION:
                account.last_stop_change[getattr(command, "order_id", "")] = self.state.now
        return tuple(keys)

    def _hold_back(self, account: AccountState) -> None:
        """The bound on commands is reached: wait a little, and tell a person once."""
        if account.retry_at is None:
            account.retry_at = self.state.now + enforcement.PACE + 1
        if not account.is_paced:
            account.is_paced = True
            self.alert(
                "command_bound",
                "critical",
                account.id,
                f"more than {self.plan.commands_per_minute} commands in a minute",
                "look at the account at the venue now; from here on one command goes out every 3 s",
            )

    def judge_quotes(self, account: AccountState, watch: AccountWatch) -> None:
        """Note which positions cannot be judged for want of a fresh price."""
        account.unjudged = {}
        if not watch.needs_quotes:
            return
        for name in account.positions:
            marked_at = account.positions[name].marked_at
            if not marked_at:
                account.unjudged[name] = "no price is known for an open position"
            elif self.state.now - marked_at > watch.plan.quote_max_age:
                account.unjudged[name] = "the price of an open position is stale"

    def alert(
        self, name: str, severity: Severity, account: str | None, message: str, remedy: str
    ) -> None:
        """Tell people; the sender takes it from the ledger."""
        self.out.append(AlertRaised(name, severity, account, message, remedy))
