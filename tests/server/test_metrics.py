"""Metrics: text that Prometheus can read, with the right numbers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ringback.server.metrics import LoopLag, Metrics
from tests.server.clock import VirtualLoop, run


async def families(metrics: Metrics) -> dict[str, Any]:
    text = (await metrics.render()).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(family: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(sample.name, tuple(sample.labels.items())): sample.value for sample in family.samples}


async def test_every_kind() -> None:
    metrics = Metrics()
    requests = {"INVITE": 3, "other": 0}

    async def waiting() -> float:
        await asyncio.sleep(0)
        return 2.5

    metrics.counter("requests", "Requests, by method.", lambda: requests, "method")
    metrics.counter("crashes", "Crashes.", lambda: 1)
    metrics.gauge("connections", "Connections.", lambda: 7)
    metrics.gauge("waiting", "What has to be waited for.", waiting)
    metrics.gauge("nobody", "Nothing yet.", dict, "who")
    found = await families(metrics)
    assert (found["ringback_requests"].type, found["ringback_requests"].documentation) == (
        "counter",
        "Requests, by method.",
    )
    assert samples(found["ringback_requests"]) == {
        ("ringback_requests_total", (("method", "INVITE"),)): 3.0,
        ("ringback_requests_total", (("method", "other"),)): 0.0,
    }
    assert samples(found["ringback_crashes"]) == {("ringback_crashes_total", ()): 1.0}
    assert found["ringback_connections"].type == "gauge"
    assert samples(found["ringback_connections"]) == {("ringback_connections", ()): 7.0}
    assert samples(found["ringback_waiting"]) == {("ringback_waiting", ()): 2.5}
    assert samples(found["ringback_nobody"]) == {}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= set(found)


async def test_read_at_each_request() -> None:
    metrics = Metrics()
    counted = iter((1, 2, 3))
    metrics.counter("steps", "Steps.", lambda: next(counted))
    for expected in (1.0, 2.0, 3.0):
        assert samples((await families(metrics))["ringback_steps"]) == {("ringback_steps_total", ()): expected}


async def test_values_for_the_status() -> None:
    metrics = Metrics()
    by_side: Mapping[str, float] = {"client": 1, "server": 2}
    metrics.gauge("transactions", "Transactions.", lambda: by_side, "side")
    metrics.counter("crashes", "Crashes.", lambda: 4)
    assert await metrics.values() == {"transactions": {"client": 1, "server": 2}, "crashes": 4}


@pytest.mark.parametrize("label", ['a"b', "a\\b", "a\nb", "ä", "a}b"])
async def test_labels_are_escaped(label: str) -> None:
    metrics = Metrics()
    metrics.gauge("x", "X.", lambda: {label: 1}, "of")
    assert samples((await families(metrics))["ringback_x"]) == {("ringback_x", (("of", label),)): 1.0}


class TestLag:
    async def test_buckets_hold_what_is_below_them(self) -> None:
        metrics = Metrics()
        for seconds in (-0.5, 0.0, 0.001, 0.0011, 0.3, 7.0):
            metrics.lag.record(seconds)
        assert metrics.lag.worst == 7.0
        family = (await families(metrics))["ringback_event_loop_lag_seconds"]
        assert family.type == "histogram"
        buckets = {
            sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")
        }
        assert buckets == {
            "0.001": 3.0,
            "0.005": 4.0,
            "0.01": 4.0,
            "0.025": 4.0,
            "0.05": 4.0,
            "0.1": 4.0,
            "0.25": 4.0,
            "0.5": 5.0,
            "1.0": 5.0,
            "+Inf": 6.0,
        }
        numbers = samples(family)
        assert numbers["ringback_event_loop_lag_seconds_count", ()] == 6.0
        assert numbers["ringback_event_loop_lag_seconds_sum", ()] == pytest.approx(7.3021)

    def test_looks_at_the_loop(self) -> None:
        lag = LoopLag(interval=0.5)

        async def main() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            watching = asyncio.ensure_future(lag.watch())
            await asyncio.sleep(1.25)
            assert (sum(lag.counts), lag.worst) == (2, 0.0)
            # Something runs for 0.4 s without letting others run.
            loop.now += 0.4
            for _ in range(3):
                await asyncio.sleep(0)
            assert (sum(lag.counts), lag.worst) == (3, pytest.approx(0.15))
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

        run(main())
