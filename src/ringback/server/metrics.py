"""Metrics in Prometheus' format, collected when somebody asks.

The parts of the server count in plain integers, as they work. Here it is known where those integers are and what they
mean; Prometheus' own objects are made at the moment of the request and thrown away after it, so that a SIP message
costs nothing more.
"""

from __future__ import annotations

import asyncio
import inspect
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, Literal

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["CONTENT_TYPE", "LoopLag", "Metrics", "Value"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

#: A number, or numbers by the value of the family's label.
Value = float | Mapping[str, float]
Reading = Callable[[], Value | Awaitable[Value]]
Kind = Literal["counter", "gauge"]


class LoopLag:
    """How late the event loop gets round to things: what is due waits behind whatever runs.

    `watch` looks every `interval` seconds. Counts are kept in the buckets of a histogram.
    """

    BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

    def __init__(self, interval: float = 0.5) -> None:
        self.counts = [0] * (len(self.BUCKETS) + 1)
        self.total = 0.0
        self.worst = 0.0
        self._interval = interval

    def record(self, seconds: float) -> None:
        """Count one look that came `seconds` late."""
        late = max(0.0, seconds)
        self.counts[bisect_left(self.BUCKETS, late)] += 1
        self.total += late
        self.worst = max(self.worst, late)

    async def watch(self) -> None:
        """Look for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._interval
            await asyncio.sleep(self._interval)
            self.record(loop.time() - due)

    def family(self) -> HistogramMetricFamily:
        """The counts as Prometheus wants them: each bucket holds those below it, too."""
        buckets: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip((*self.BUCKETS, float("inf")), self.counts, strict=True):
            running += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), running))
        return HistogramMetricFamily(
            "ringback_event_loop_lag_seconds",
            "How late the event loop gets round to what is due.",
            buckets=buckets,
            sum_value=self.total,
        )


class _Family:
    __slots__ = ("help", "kind", "label", "name", "read")

    def __init__(self, kind: Kind, name: str, help: str, read: Reading, label: str) -> None:
        self.kind = kind
        self.name = name
        self.help = help
        self.read = read
        self.label = label

    def metric(self, value: Value) -> Metric:
        """What Prometheus' writer takes."""
        make = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        if isinstance(value, Mapping):
            family = make(self.name, self.help, labels=[self.label])
            for label, number in value.items():
                family.add_metric([label], number)
            return family
        return make(self.name, self.help, value=value)


class Metrics:
    """All that can be asked for; `counter` and `gauge` say where to read it."""

    def __init__(self) -> None:
        self._families: list[_Family] = []
        self.lag = LoopLag()
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)

    def counter(self, name: str, help: str, read: Reading, label: str = "") -> None:
        """Something that only grows. `name` without "ringback_" and "_total"; `label` when `read` gives a mapping."""
        self._families.append(_Family("counter", f"ringback_{name}", help, read, label))

    def gauge(self, name: str, help: str, read: Reading, label: str = "") -> None:
        """Something that is as it is now."""
        self._families.append(_Family("gauge", f"ringback_{name}", help, read, label))

    async def values(self) -> dict[str, Value]:
        """Everything by name, without Prometheus: for `ringback status`."""
        return {family.name.removeprefix("ringback_"): await _read(family) for family in self._families}

    async def render(self) -> bytes:
        """Everything as text for Prometheus."""
        metrics = [family.metric(await _read(family)) for family in self._families]
        metrics.append(self.lag.family())
        registry = CollectorRegistry()
        registry.register(_Fixed(metrics))
        return generate_latest(registry) + generate_latest(self._process)


async def _read(family: _Family) -> Value:
    value = family.read()
    return await value if inspect.isawaitable(value) else value


class _Fixed(Collector):
    """What has been collected already."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The metrics."""
        return self._metrics
