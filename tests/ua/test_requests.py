"""Requests that are waited for."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from ringback.sip.message import build_request
from ringback.sip.profile import Profile
from ringback.sip.session_events import Completed, CoreEvent
from ringback.ua.requests import RequestFailed, Requests, failure
from ringback.ua.wire import Wire, WireOptions
from tests.ua.clock import run
from tests.ua.registrar import registrar

ALICE = Profile("<sip:alice@127.0.0.1>", "sip:alice@127.0.0.1")


async def opened() -> tuple[Wire, Requests, list[CoreEvent]]:
    unclaimed: list[CoreEvent] = []

    def told(event: CoreEvent) -> None:
        assert isinstance(event, Completed)
        if not requests.completed(event):
            unclaimed.append(event)

    wire = await Wire.open(WireOptions(), told, lambda flow: None)
    requests = Requests(wire)
    return wire, requests, unclaimed


def test_answered_and_not() -> None:
    async def main() -> None:
        wire, requests, unclaimed = await opened()
        async with registrar() as server:
            uri = f"sip:127.0.0.1:{server.port}"
            first, second = await asyncio.gather(
                requests.ask(build_request("OPTIONS", uri, []), ALICE),
                requests.ask(build_request("REGISTER", uri, [("Contact", "<sip:a@b>;expires=9")]), ALICE),
            )
            assert (first.status, second.status) == (200, 200)
            assert first.response is not None and first.response.cseq.method == "OPTIONS"
            server.script = [404, None]
            refused = failure(await requests.ask(build_request("REGISTER", uri, []), ALICE))
            assert (refused.status, refused.reason) == (404, "Not Found") and refused.response is not None
            silent = failure(await requests.ask(build_request("REGISTER", uri, []), ALICE))
            assert (silent.status, silent.reason, silent.response) == (408, "no answer", None)
        nobody = failure(await requests.ask(build_request("OPTIONS", f"{uri};transport=tcp", []), ALICE))
        assert (nobody.status, nobody.reason) == (503, "no way to the other side")
        assert unclaimed == []
        await wire.close(0.0)

    run(main())


def test_who_stops_waiting_gives_it_up() -> None:
    async def main() -> None:
        wire, requests, unclaimed = await opened()
        async with registrar() as server:
            server.script = [None]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await requests.ask(build_request("REGISTER", f"sip:127.0.0.1:{server.port}", []), ALICE)
            assert len(server.heard) == 1
            await asyncio.sleep(60)
            # It is over some time; nobody waits for that.
            assert [event.status for event in unclaimed if isinstance(event, Completed)] in ([487], [408], [])
        await wire.close(0.0)

    run(main())


def test_the_error_travels() -> None:
    error = pickle.loads(pickle.dumps(RequestFailed(486, "Busy Here")))
    assert isinstance(error, RequestFailed) and (error.status, error.reason, error.response) == (486, "Busy Here", None)
