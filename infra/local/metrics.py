"""``/metrics``: how calls go, as counters since the start, and how the place is right now, for Prometheus.

No person is named: what Prometheus has stored nobody could be taken out of again. Who answers how fast is in
``staffcall report``.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from infra.figures import Leg, Told, mention, tell
from infra.local.history import A_DAY_MS, at_one_moment, further, of_a_day
from shadows.telling import Delivery

OUTCOMES: Final = (Delivery.TOLD, Delivery.FAILED)
LABELLED: Final = re.compile(r'(\w+?)(?:_total)?(?:\{(\w+)="(.*)"\})?')
HELP: Final = {
    "untold": "Changes that Slack has not taken yet.",
    "alarms": "Ends and reminders that are to come.",
    "audit_holes": "What the audit found that other parts should have done.",
    "mqtt_clients": "MQTT clients that are connected.",
    "mqtt_received": "Messages that MQTT clients published.",
    "mqtt_sent": "Messages that went out to MQTT clients.",
    "mqtt_dropped": "Messages that a slow or absent MQTT client did not get.",
    "mqtt_refused": "MQTT connections, publishes and subscriptions that were refused.",
    "webhook_pending": "Transitions that a webhook is still to hear of.",
    "webhook_sent": "Messages that a webhook took.",
    "webhook_failed": "Attempts that a webhook did not take.",
    "last_sign_age_seconds": "How long ago a part, a booth's screen or a button was heard of.",
}
BUCKETS: Final = {
    Leg.MENTION: (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    Leg.RESPONSE: (2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200),
    Leg.DONE: (30, 60, 120, 180, 300, 600, 1200, 1800, 3600),
}
SERIES: Final = {
    Leg.MENTION: ("mention_seconds", "From the press until Slack took the first mention."),
    Leg.RESPONSE: ("response_seconds", "From the press to the first ok."),
    Leg.DONE: ("visit_seconds", 'From the first ok until "done" was said.'),
}


class Tally:
    """Counts how calls go, from the history alone: whatever is on record is counted, once, whoever wrote it.

    It counts from its start on, as Prometheus expects it; a call that was under way then goes on being
    followed. One that began a day ago is over.
    """

    def __init__(self, reader: Callable[[], sqlite3.Connection]) -> None:
        """``reader`` opens a connection that reads the history."""
        self._reader, self._lock = reader, Lock()
        self._calls: dict[str, Told] = {}
        self._counted: dict[str, set[str]] = {}
        self._reached, self._newest = (0, 0), 0
        disable_created_metrics()  # type: ignore[no-untyped-call] # one more series for each, of which nobody asks
        self.registry = CollectorRegistry()
        self._pressed = self._counter("calls", "Calls that a visitor made.", "booth")
        self._missed = self._counter(
            "calls_missed",
            "Calls for which nobody was left to ask; somebody may still have gone by their own will.",
            "booth",
        )
        self._deliveries = self._counter(
            "deliveries", "Attempts to tell somebody, by what became of them.", "outcome"
        )
        self._legs = {
            leg: Histogram(f"staffcall_{name}", what, ["booth"], buckets=BUCKETS[leg], registry=self.registry)
            for leg, (name, what) in SERIES.items()
        }
        for outcome in OUTCOMES:
            self._deliveries.labels(outcome)
        self._take(counts=False)

    def _counter(self, name: str, what: str, label: str) -> Counter:
        return Counter(f"staffcall_{name}", what, [label], registry=self.registry)

    def catch_up(self, booths: Iterable[str]) -> None:
        """Count what was recorded since the last time; a booth has its zeros before its first call."""
        for booth in booths:
            for each in (self._pressed, self._missed, *self._legs.values()):
                each.labels(booth)
        with self._lock:
            self._take(counts=True)

    def _take(self, *, counts: bool) -> None:
        changed: dict[str, None] = {}
        with closing(self._reader()) as db, at_one_moment(db):
            rows, attempts = further(db, self._reached if counts else of_a_day(db))
            row_n, attempt_n = self._reached
            for row in rows:
                tell(self._calls, row)
                changed[row["call"]], row_n, self._newest = None, row["n"], row["at"]
            for attempt in attempts:
                mention(self._calls, attempt)
                changed[attempt["call"]], attempt_n = None, attempt["n"]
                if counts and attempt["outcome"] in OUTCOMES and not attempt["thing"].startswith("button-"):
                    self._deliveries.labels(attempt["outcome"]).inc()
        self._reached = (row_n, attempt_n)
        self._forget()
        for id in changed.keys() & self._calls.keys():
            self._count(self._calls[id], counts=counts)

    def _count(self, call: Told, *, counts: bool) -> None:
        known = self._counted.setdefault(call.id, set())
        legs = {leg: took_s for leg, took_s in call.way.legs.items() if leg in self._legs}
        new = {"pressed", *legs, *(["missed"] if call.left else [])} - known
        known |= new
        if not counts:
            return
        for leg in legs.keys() & new:
            self._legs[leg].labels(call.booth).observe(legs[leg])
        if "pressed" in new:
            self._pressed.labels(call.booth).inc()
        if "missed" in new:
            self._missed.labels(call.booth).inc()

    def _forget(self) -> None:
        """Leave what is so old that it is over."""
        for id in [id for id, call in self._calls.items() if call.at < self._newest - A_DAY_MS]:
            del self._calls[id]
            self._counted.pop(id, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Collector):
    """All numbers, as Prometheus's library takes them.

    Attributes:
        states: how many people are in each.
        counts: how the place is right now, by name; a name may have one label, as it is written out.
        troubles: how many there are of each kind.
    """

    tally: Tally
    states: Mapping[str, int]
    counts: Mapping[str, float]
    troubles: Mapping[str, int]

    def collect(self) -> Iterator[Metric]:
        """Every metric, with its samples."""
        yield from self.tally.registry.collect()
        yield _gauge("staff", "People, by state.", "state", self.states)
        yield _gauge("trouble", "What is wrong right now, by kind.", "what", self.troubles)
        yield from self._counted()

    def _counted(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for written, value in self.counts.items():
            read = LABELLED.fullmatch(written)
            assert read, written
            name, label, labelled = read.groups()
            kind = CounterMetricFamily if "_total" in written else GaugeMetricFamily
            made = kind(
                f"staffcall_{name}", HELP.get(name, name.replace("_", " ")), labels=[label] if label else []
            )
            families.setdefault(name, made).add_metric([labelled] if label else [], value)  # type: ignore[attr-defined]
        return families.values()

    def text(self, accept: str) -> tuple[bytes, str]:
        """The page, and its content type: Prometheus's own, or OpenMetrics for who asks for it."""
        encode, kind = choose_encoder(accept)
        return encode(self), kind


def _gauge(name: str, what: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"staffcall_{name}", what, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family
