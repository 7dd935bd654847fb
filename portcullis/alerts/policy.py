"""Who is told what, and when: de-duplication, windows, silences, quiet hours, storms, reminders.

Pure: time is an argument, in microseconds. What is critical is told at once, whatever the hour or
the storm; only a silence that says so, or another alert that says the same, keeps it back.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from portcullis.alerts import sparing
from portcullis.alerts.alert import (
    TEXTS,
    Alert,
    Checkpoint,
    Signal,
    Silence,
    Subscription,
    Terms,
    Told,
    alert_of,
    as_shown,
    rank,
    worse,
)
from portcullis.alerts.book import Book, Telling, Unknown, Why
from portcullis.alerts.kinds import BY_NAME, GATE_KINDS
from portcullis.alerts.subscribed import without
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.model import DAY, HOUR, MINUTE, SECOND

CRITICAL_SILENCE_MAX = 4 * HOUR
OVER_WINDOW = 10 * SECOND
CALM = 5 * MINUTE
"""What was mended by itself counts as over after so long; what comes back before is the same alert,
and its channels, which believe that it stands, are not told anew.
"""

GATES = tuple(Signal(kind=kind, at=0).fingerprint for kind in GATE_KINDS)
LOOK_AGAIN = 30 * SECOND
ENDED_MAX = 2_000
LOOK_EVERY = 64
"""So many alerts between two looks for what can leave the book: a look passes all of them."""

SILENCES_MAX = 1_000
NOTE_MAX = 2_000
"""Letters of what people said to an alert; the newest are kept."""

LATELY_MAX = 2_000


class Policy:
    """The policy over a book; it tells nobody. What is raised gets the newest `checkpoint`."""

    def __init__(self, book: Book, terms: Terms) -> None:
        self.book, self.terms = book, terms
        self.checkpoint: Checkpoint | None = None

    @property
    def subscriptions(self) -> list[Subscription]:
        return [*self.terms.subscriptions, *self.book.subscriptions]

    # --- what happened --------------------------------------------------------------------------

    def take(self, signal: Signal, now: int) -> Alert | None:
        """Let a signal begin, renew or end an alert; the alert, None where there is none."""
        signal = as_shown(signal)
        known = self.book.open.get(signal.fingerprint)
        alert = self.book.alerts.get(known) if known else None
        if alert is None:
            if signal.state != "firing":
                return None
            back = self._back(signal, now)
            return self._reopen(back, signal, now) if back else self._begin(signal, now)
        self.book.changed[alert.id] = None
        if signal.state == "resolved":
            self._over(alert, signal, now)
        elif signal.state == "replaced":
            self._end(alert, now)
            _tell_nobody(alert)
        else:
            self._renew(alert, signal, now)
        return alert

    def _begin(self, signal: Signal, now: int) -> Alert:
        alert = alert_of(signal, self.checkpoint)
        self.book.alerts[alert.id] = alert
        self.book.changed[alert.id] = None
        self._announce(alert, now)
        if BY_NAME[alert.kind].ends == "itself":
            self._end(alert, now)
        else:
            self.book.open[alert.fingerprint] = alert.id
        self._forget()
        return alert

    def _back(self, signal: Signal, now: int) -> Alert | None:
        """The alert that this signal shows not to be over after all."""
        alert = self.book.alerts.get(self.book.lately.get(signal.fingerprint, ""))
        if alert is None or alert.is_open or now - alert.resolved_at >= CALM:
            return None
        if alert.kind in GATE_KINDS:  # a person opened it: it fell anew, which says it all
            _tell_nobody(alert)
            return None
        return alert

    def _reopen(self, alert: Alert, signal: Signal, now: int) -> Alert:
        del self.book.lately[alert.fingerprint]
        self.book.open[alert.fingerprint] = alert.id
        seen = alert.acknowledged_at > 0
        alert.state, alert.resolved_at = ("acknowledged" if seen else "firing"), 0
        before, alert.due = alert.due, {}
        if not seen:
            self._announce(alert, now)
        terms = self.terms.of(alert.severity)
        for channel, told in alert.told.items():
            if told.over:
                alert.due[channel] = max(alert.due.get(channel, now), told.last_at + CALM)
            elif seen or not terms.repeat or told.times >= terms.most:
                alert.due.pop(channel, None)
            else:
                alert.due[channel] = max(now, told.last_at + terms.repeat)
        for channel, at in before.items():
            if channel in alert.held_back:
                alert.due.setdefault(channel, at)
        self._renew(alert, signal, now)
        self.book.changed[alert.id] = None
        return alert

    def _announce(self, alert: Alert, now: int) -> None:
        """Note when each channel is to be told: the earliest of its subscriptions counts."""
        if alert.only:
            alert.due[alert.only] = now
            return
        window = self.terms.of(alert.severity).window
        for each in self.subscriptions:
            if each.wants(alert):
                at = now + each.after + window
                alert.due[each.channel] = min(at, alert.due.get(each.channel, at))

    def _renew(self, alert: Alert, signal: Signal, now: int) -> None:
        for field in (*TEXTS, "flat"):
            value = getattr(signal, field)
            if value:
                setattr(alert, field, value)
        if signal.state == "more":
            return
        alert.count, alert.last_at = alert.count + 1, signal.at
        alert.subjects = signal.subjects or alert.subjects
        severity = signal.severity or BY_NAME[alert.kind].severity
        if worse(severity, alert.severity):  # the only thing that speaks again after a person has
            alert.severity, alert.state, alert.acknowledged_at = severity, "firing", 0
            self._announce(alert, now)

    def _over(self, alert: Alert, signal: Signal, now: int) -> None:
        alert.message = f"{alert.message} - {signal.message}" if signal.message else alert.message
        alert.flat = signal.flat or alert.flat
        self._end(alert, now)
        self.book.lately[alert.fingerprint] = alert.id
        forget_oldest(self.book.lately, LATELY_MAX)
        by_itself = alert.kind not in GATE_KINDS
        alert.due = {
            channel: at
            for channel, at in alert.due.items()
            if self._is_told_all_the_same(alert, channel, at, now)
        }
        alert.held_back = {channel: None for channel in alert.held_back if channel in alert.due}
        for channel, told in alert.told.items():
            if not told.over:
                alert.due[channel] = now + (CALM if by_itself else OVER_WINDOW)

    def _is_told_all_the_same(self, alert: Alert, channel: str, at: int, now: int) -> bool:
        """Of what is over already: what was kept back, and what is told in any case, but nobody
        who was to be told only if it lasted.
        """
        told, always = alert.told.get(channel), BY_NAME[alert.kind].always
        if told is not None:  # again, after that it was over: soon enough
            return told.over and always
        matters = always or (alert.severity == "critical" and not alert.told)
        return channel in alert.held_back or (
            matters and at <= now + self.terms.of(alert.severity).window
        )

    def _end(self, alert: Alert, now: int) -> None:
        alert.state, alert.resolved_at = "resolved", now
        self.book.open.pop(alert.fingerprint, None)

    def _forget(self) -> None:
        """Alerts that are over and told leave the book; they stay in the store."""
        many = len(self.book.alerts)
        if many > ENDED_MAX + len(self.book.open) and many % LOOK_EVERY == 0:
            over = {k: a for k, a in self.book.alerts.items() if not a.is_open and not a.due}
            kept = dict(over)
            forget_oldest(kept, ENDED_MAX // 2)
            for name in over.keys() - kept.keys():
                del self.book.alerts[name]

    # --- what people ask ------------------------------------------------------------------------

    def acknowledge(self, name: str, by: str, note: str, now: int, *, over: bool = False) -> Alert:
        """Somebody has seen it: no reminder, no further channel. Raises Unknown.

        What is over stays over; what ends by a person, or is said to be `over`, ends here.
        """
        alert = self._alert(name)
        if not alert.is_open:
            return alert
        self.book.changed[name] = None
        if alert.state == "acknowledged":  # what was said before stays readable
            note = f"{alert.note}; {by}: {note}"[-NOTE_MAX:]
        alert.acknowledged_by, alert.acknowledged_at, alert.note = by, now, note
        alert.state = "acknowledged"
        _tell_nobody(alert)
        if over or BY_NAME[alert.kind].ends == "person":
            self._end(alert, now)
        return alert

    def silence(self, silence: Silence) -> None:
        """Keep alerts back; one of critical alerts for `CRITICAL_SILENCE_MAX` at most."""
        if silence.critical and silence.end - silence.start > CRITICAL_SILENCE_MAX:
            silence.end = silence.start + CRITICAL_SILENCE_MAX
        self.book.silences[silence.id] = silence
        forget_oldest(self.book.silences, SILENCES_MAX)

    def end_silence(self, name: str, now: int) -> None:
        """End a silence before its time; what it kept back is told. Raises Unknown."""
        silence = self.book.silences.get(name)
        if silence is None:
            known = ", ".join(self.book.silences) or "none"
            raise Unknown(f"there is no silence {name!r}; there are: {known}")
        silence.end = min(silence.end, now)
        for each in silence.kept_back:
            alert = self.book.alerts.get(each)
            if alert is not None:
                held = alert.held_back
                alert.due |= {c: min(at, now) for c, at in alert.due.items() if c in held}
                self.book.changed[each] = None

    def subscribe(self, subscription: Subscription) -> None:
        """Add a subscription; the same again changes nothing."""
        if subscription not in self.book.subscriptions:
            self.book.subscriptions.append(subscription)

    def unsubscribe(self, channel: str, account: str | None) -> int:
        """Drop what was subscribed by request, of one account or all; how many rows change."""
        self.book.subscriptions, touched = without(self.book.subscriptions, channel, account)
        return touched

    def _alert(self, name: str) -> Alert:
        alert = self.book.alerts.get(name)
        if alert is None:
            raise Unknown(f"there is no alert {name!r} that is open or lately was")
        return alert

    # --- what is due ----------------------------------------------------------------------------

    def due(self, now: int) -> list[Telling]:
        """The messages that are due, each alert of them marked as told."""
        self._lapse(now)
        for name in [n for n, each in self.book.silences.items() if each.end + DAY <= now]:
            del self.book.silences[name]
        by_channel: dict[str, list[Alert]] = {}
        for alert in self.book.alerts.values():
            for channel, at in list(alert.due.items()):
                if at <= now and self._may_tell(alert, channel, now):
                    by_channel.setdefault(channel, []).append(alert)
        tellings: list[Telling] = []
        for channel, alerts in by_channel.items():
            tellings += self._messages(channel, alerts, now)
        return tellings

    def next_due(self) -> int | None:
        """When `due` may next return something, None: never without a signal."""
        times = [at for alert in self.book.alerts.values() for at in alert.due.values()]
        times += [at for alert in self.book.alerts.values() if (at := self._lapses_at(alert))]
        return min(times, default=None)

    def _lapses_at(self, alert: Alert) -> int:
        lasts = self.terms.of(alert.severity).acknowledged_for
        return alert.acknowledged_at + lasts if alert.state == "acknowledged" and lasts else 0

    def _lapse(self, now: int) -> None:
        """An acknowledgement that nothing came of does not last for ever."""
        for alert in self.book.alerts.values():
            lapses = self._lapses_at(alert)
            if lapses and lapses <= now:
                alert.state, alert.acknowledged_at = "firing", 0
                for told in alert.told.values():
                    told.times = 0
                self._announce(alert, now)
                self.book.changed[alert.id] = None

    def _may_tell(self, alert: Alert, channel: str, now: int) -> bool:
        """Whether a channel may be told now; what may not is put off or dropped."""
        self.book.changed[alert.id] = None
        if alert.only:  # whoever asked for it waits
            return True
        if not self._is_for(alert, channel):  # what was subscribed is so no longer
            alert.due.pop(channel)
            alert.held_back.pop(channel, None)
            return False
        if alert.is_open and self._is_said_by_another(alert, channel):
            alert.due[channel] = now + LOOK_AGAIN
            return False
        until = self._silent_until(alert, now)
        if until is None and alert.severity != "critical":
            until = sparing.quiet_until(self.subscriptions, alert, channel, now)
            until = until or sparing.storm_until(self.book, self.terms, channel, now)
        if until is None:
            return True
        alert.due[channel], alert.held_back[channel] = until, None
        return False

    def _is_for(self, alert: Alert, channel: str) -> bool:
        return any(each.channel == channel and each.wants(alert) for each in self.subscriptions)

    def _is_said_by_another(self, alert: Alert, channel: str) -> bool:
        """Whether the channel is told of a gate that was shut for it."""
        if not alert.subject:
            return False
        names = (self.book.open.get(fingerprint) for fingerprint in GATES)
        gates = (self.book.alerts[name] for name in names if name)
        return any(
            alert.subject in gate.subjects
            and gate.kind != alert.kind
            and self._is_for(gate, channel)
            for gate in gates
        )

    def _silent_until(self, alert: Alert, now: int) -> int | None:
        ends = []
        for silence in self.book.silences.values():
            if silence.covers(alert, now):
                ends.append(silence.end)
                if alert.id not in silence.kept_back:
                    silence.kept_back.append(alert.id)
        return max(ends, default=None)

    def _messages(self, channel: str, alerts: list[Alert], now: int) -> Iterator[Telling]:
        groups: dict[tuple[Why, str], list[Alert]] = {}
        for alert in alerts:
            why = self._why(alert, channel)
            topic = "" if why == "digest" else alert.topic
            groups.setdefault((why, topic), []).append(alert)
            self._note_told(alert, channel, now)
        for (why, topic), due in groups.items():
            group = due + (self._along(channel, topic, now) if why == "new" else [])
            worst = sorted(group, key=lambda a: (not a.is_open, -rank(a.severity), a.first_at))
            if any(alert.severity != "critical" for alert in group):
                self.book.sent.setdefault(channel, []).append(now)
            # As they are now: what comes later must not change what was told.
            yield Telling(channel, why, tuple(msgspec.structs.replace(a) for a in worst))

    def _along(self, channel: str, topic: str, now: int) -> list[Alert]:
        """What waits for the end of its window goes with the first of its topic."""
        found = []
        for alert in self.book.alerts.values():
            waits = alert.due.get(channel, 0) - now
            fresh = channel not in alert.told and channel not in alert.held_back
            if (
                fresh
                and alert.topic == topic
                and 0 < waits <= self.terms.of(alert.severity).window
                and self._is_for(alert, channel)
                and not self._is_said_by_another(alert, channel)
                and self._silent_until(alert, now) is None
            ):
                self._note_told(alert, channel, now)
                found.append(alert)
        return found

    def _why(self, alert: Alert, channel: str) -> Why:
        told = alert.told.get(channel)
        by_itself = BY_NAME[alert.kind].ends == "itself"
        if told is not None and not told.over and not alert.is_open and not by_itself:
            return "over"
        if channel in alert.held_back:
            return "digest"
        again = told is not None and told.times and not told.over
        return "reminder" if again else "new"

    def _note_told(self, alert: Alert, channel: str, now: int) -> None:
        terms = self.terms.of(alert.severity)
        told = alert.told.setdefault(channel, Told())
        told.times, told.last_at = told.times + 1, now
        told.over = not alert.is_open
        self.book.changed[alert.id] = None
        if alert.state == "firing" and terms.repeat and told.times < terms.most:
            alert.due[channel] = now + terms.repeat
        else:
            alert.due.pop(channel, None)
        alert.held_back.pop(channel, None)


def _tell_nobody(alert: Alert) -> None:
    alert.due.clear()
    alert.held_back.clear()
