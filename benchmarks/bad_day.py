"""A bad day's alerts: what the ledger says, what a person would get of it, and what they do get.

Thirteen half hours (a session of six and a half hours) of the simulated venue under faults, kills
and broken limits on ten accounts, one after the other, folded by the sender's policy in virtual
time. The reference in the same run: every signal sent as it comes, to whoever subscribed to it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from portcullis.alerts.alert import Alert, Subscription, Terms, alert_of
from portcullis.alerts.policy import Book, Policy
from portcullis.alerts.signals import Memory, Place, elapsed, observe
from portcullis.domain.events import decode
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.ports import StoredEvent
from portcullis.proof import swarm
from portcullis.proof.play import play

SEEDS = range(101, 114)
HALF_HOUR = 1_800
ACCOUNTS = 10
SEEN_AFTER = 5 * MINUTE
"""A person acknowledges what has a reminder so long after the message."""

PEOPLE = {
    "trader, phone": Subscription("phone", "critical", (), None),
    "trader, mail": Subscription("mail", "warning", (), None),
    "partner, phone": Subscription("partner", "critical", (), None, after=15 * MINUTE),
}


def main() -> None:
    began = time.perf_counter()
    rows = list(_rows())
    print(f"{len(rows):,} events of {len(SEEDS) / 2} hours, {ACCOUNTS} accounts a half hour "
          f"(simulated in {time.perf_counter() - began:.0f} s)")  # fmt: skip
    for seen in (True, False):
        _report(rows, seen=seen)


def _rows() -> Iterator[StoredEvent]:
    start = 0
    for seed in SEEDS:
        found = play(swarm.draw(seed, HALF_HOUR, ACCOUNTS)).rows
        first, start = found[0].at, start or found[0].at
        for row in found:
            yield row._replace(at=start + row.at - first)
        start += found[-1].at - first + SECOND


class Followed:
    """The policy over a day, and a person who acknowledges or does not."""

    def __init__(self, *, seen: bool) -> None:
        self.policy = Policy(Book(), Terms(tuple(PEOPLE.values())))
        self.memory, self.seen = Memory(), seen
        self.plain, self.got, self.kinds = Counter[str](), Counter[str](), Counter[str]()
        self.alerts: dict[str, Alert] = {}
        self.taken_at: dict[str, int] = {}
        self.late = 0
        self.folded = 0.0
        self._acknowledge: dict[str, int] = {}
        self._due = 0

    def take(self, position: int, row: StoredEvent) -> None:
        if row.at >= self._due:
            self.tell(row.at)
        at = time.perf_counter()
        signals = observe(self.memory, Place(position, row.at, row.trace), decode(row.payload))
        signals += elapsed(self.memory, row.at)
        taken = [(signal, self.policy.take(signal, row.at)) for signal in signals]
        self.folded += time.perf_counter() - at
        for signal, alert in taken:
            if signal.state == "firing":
                made = alert_of(signal)
                self.kinds[signal.kind] += 1
                self.plain.update(each.channel for each in PEOPLE.values() if each.wants(made))
            if alert is not None and alert.id not in self.alerts:
                self.alerts[alert.id], self.taken_at[alert.id] = alert, row.at
        if signals:
            self.tell(row.at)

    def tell(self, until: int) -> None:
        """Everything that is to be told or acknowledged up to a time, in its order."""
        while True:
            told_at = self.policy.next_due()
            seen_at = min(self._acknowledge.values(), default=None)
            times = [at for at in (told_at, seen_at) if at is not None]
            self._due = min(times, default=until + 24 * HOUR)
            if self._due > until:
                return
            if seen_at == self._due:
                self._see(seen_at)
            else:
                self._tell(max(self._due, 0))

    def _see(self, at: int) -> None:
        for name in [name for name, due in self._acknowledge.items() if due <= at]:
            del self._acknowledge[name]
            if name in self.policy.book.alerts:
                self.policy.acknowledge(name, "a person", "seen", at)

    def _tell(self, at: int) -> None:
        for telling in self.policy.due(at):
            self.got[telling.channel] += 1
            for alert in telling.alerts:
                if telling.channel == "phone" and telling.why == "new":
                    self.late += at - self.taken_at[alert.id] > SECOND and alert.count == 1
                if self.seen and alert.state == "firing":
                    self._acknowledge.setdefault(alert.id, at + SEEN_AFTER)


def _report(rows: list[StoredEvent], *, seen: bool) -> None:
    day = Followed(seen=seen)
    for position, row in enumerate(rows, start=1):
        day.take(position, row)
    day.tell(rows[-1].at + 8 * HOUR)
    critical = [alert for alert in day.alerts.values() if alert.severity == "critical"]
    untold = Counter(alert.kind for alert in critical if "phone" not in alert.told)
    how = "acknowledged five minutes after a message" if seen else "never acknowledged"
    print(f"\n{how}: {sum(day.kinds.values()):,} signals, {len(day.alerts):,} alerts, "
          f"{len(critical)} of them critical")  # fmt: skip
    print("| person | a message for each signal | messages | fewer by |\n|---|---|---|---|")
    for name, each in PEOPLE.items():
        before, after = day.plain[each.channel], day.got[each.channel]
        print(f"| {name} | {before:,} | {after:,} | {before / max(after, 1):.1f} |")
    print(f"critical alerts not told by phone: {dict(untold) or 0} (a shut gate named them); "
          f"told later than a second: {day.late}")  # fmt: skip
    print(f"folding and deciding: {day.folded / len(rows) * 1e6:.1f} us an event")
    print("signals: " + ", ".join(f"{kind} {n}" for kind, n in day.kinds.most_common()))


if __name__ == "__main__":
    main()
