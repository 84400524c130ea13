"""The HTTP application, without a socket."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from ringback.server.metrics import Metrics
from ringback.web import make_app


class State:
    healthy = True


@pytest.fixture
def state() -> State:
    return State()


@pytest_asyncio.fixture
async def client(state: State) -> AsyncIterator[httpx.AsyncClient]:
    metrics = Metrics()
    metrics.gauge("connections", "Connections.", lambda: 3)
    names = {True: "serving", False: "draining"}
    app = make_app(metrics, lambda: (state.healthy, {"state": names[state.healthy], "seconds": 7}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as opened:
        yield opened


async def test_metrics(client: httpx.AsyncClient) -> None:
    response = await client.get("/metrics")
    assert response.status_code == 200
    # What Prometheus asks of its text format, version 0.0.4.
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    [sample] = families["ringback_connections"].samples
    assert (sample.name, sample.value) == ("ringback_connections", 3.0)


async def test_health(client: httpx.AsyncClient, state: State) -> None:
    response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"state": "serving", "seconds": 7})
    state.healthy = False
    response = await client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"state": "draining", "seconds": 7})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/healthz", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("DELETE", "/healthz", 405),
        ("GET", "/", 404),
        ("GET", "/metrics/x", 404),
    ],
)
async def test_nothing_else(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    assert (await client.request(method, path)).status_code == status
