"""The rooms as the configuration asks for them, and what they keep when it changes while they work."""

from pathlib import Path
from typing import Any

import pytest

from ringback.server.runtime import Server
from ringback.sip.digest import parse_challenge
from ringback.sip.message import Response
from tests.server.running import DOMAIN, Logs, Phone, configured, make_accounts, started

LOOPBACK = ["127.0.0.0/8"]
BOB = f"sip:bob@{DOMAIN}"
ELSEWHERE = "sip:somebody@192.0.2.77"


def algorithms(response: Response) -> list[str]:
    challenges = [parse_challenge(value) for value in response.all("www-authenticate")]
    return [challenge.algorithm or "MD5" for challenge in challenges if challenge is not None]


async def change(server: Server, **options: Any) -> None:
    """As if the configuration had been changed to these options, and the server told."""
    server._reload = lambda: configured(server.settings.data, **options)
    assert not [line for line in server.reload() if "not reloaded" in line]


class TestAsConfigured:
    @pytest.mark.parametrize(
        ("options", "offered"),
        [
            ({}, ["SHA-512-256", "SHA-256", "MD5"]),
            ({"algorithms": ("MD5", "SHA-256")}, ["MD5", "SHA-256"]),
            ({"minimum": "SHA-256"}, ["SHA-512-256", "SHA-256"]),
            ({"algorithms": ("SHA-256", "MD5"), "minimum": "SHA-256"}, ["SHA-256"]),
        ],
    )
    async def test_algorithms(self, tmp_path: Path, options: dict[str, Any], offered: list[str]) -> None:
        """RFC 8760 2.3: "the server MUST add … header fields … in the order in which it prefers to see them used"."""
        settings = configured(tmp_path, authentication=options)
        async with started(Server(settings)) as server, Phone.of(server, "alice", "TCP") as alice:
            assert algorithms(await alice.ask("REGISTER", f"sip:{DOMAIN}")) == offered

    @pytest.mark.parametrize(
        ("options", "method", "uri", "status"),
        [
            ({}, "REGISTER", f"sip:{DOMAIN}", 401),
            ({"authentication": {"registration": False}}, "REGISTER", f"sip:{DOMAIN}", 200),
            ({"authentication": {"trusted": LOOPBACK}}, "REGISTER", f"sip:{DOMAIN}", 200),
            ({}, "MESSAGE", BOB, 407),
            ({"authentication": {"registration": False}}, "MESSAGE", BOB, 407),
            ({"authentication": {"calls": False}}, "MESSAGE", BOB, 480),
            ({"authentication": {"trusted": LOOPBACK}}, "MESSAGE", BOB, 480),
            # No relay for strangers, however little they have to prove.
            ({"authentication": {"calls": False}}, "MESSAGE", ELSEWHERE, 403),
            ({"setup": {"outsiders": "allow"}}, "MESSAGE", ELSEWHERE, 407),
        ],
    )
    async def test_who_has_to_prove_what(
        self, tmp_path: Path, options: dict[str, Any], method: str, uri: str, status: int
    ) -> None:
        await make_accounts(tmp_path, "alice", "bob")
        async with started(Server(configured(tmp_path, **options))) as server, Phone.of(server) as alice:
            assert (await alice.ask(method, uri)).status == status

    async def test_outsiders(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "bob")
        settings = configured(tmp_path, setup={"outsiders": "allow"})
        async with started(Server(settings)) as server, Phone.of(server) as stranger:
            assert (await stranger.ask("MESSAGE", BOB, sender="sip:x@elsewhere.example")).status == 480
            # Nobody calls himself a user of ours.
            assert (await stranger.ask("MESSAGE", BOB, sender=BOB)).status == 407

    async def test_users_are_relayed_only_where_that_is_wanted(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice")
        settings = configured(tmp_path, setup={"relay": False})
        async with started(Server(settings)) as server, Phone.of(server) as alice:
            alice.send(await alice.proved("MESSAGE", ELSEWHERE))
            assert (await alice.response()).status == 403

    async def test_routes_of_its_own(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice")
        async with (
            started(Server(configured(tmp_path))) as server,
            Phone.of(server, "alice") as alice,
            Phone.of(server, "gateway") as gateway,
        ):
            hop = {"prefix": "0", "uri": f"sip:{gateway.place}"}
            await change(server, setup={"next_hops": [hop]}, limits={"inward": True})
            alice.send(await alice.proved("MESSAGE", f"sip:0301234@{DOMAIN}"))
            request = await gateway.incoming()
            assert request.uri == f"sip:0301234@{DOMAIN}"
            gateway.answer(request, 200)
            assert (await alice.response()).status == 200

    async def test_expiry(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice")
        times = {"minimum_expires": 100, "default_expires": 200, "maximum_expires": 300, "most_contacts": 1}
        async with started(Server(configured(tmp_path, location=times))) as server, Phone.of(server) as alice:
            assert (await alice.register()).header("contact").endswith(";expires=200")
            assert (await alice.register("Expires: 1000")).header("contact").endswith(";expires=300")
            brief = await alice.register("Expires: 50")
            assert (brief.status, brief.header("min-expires")) == (423, "100")
            many = await alice.register(contact="<sip:alice@192.0.2.8>, <sip:alice@192.0.2.9>")
            assert many.status not in (200, 401)


class TestChanging:
    async def test_what_is_not_changed_keeps_what_it_knows(self, tmp_path: Path) -> None:
        """A reload must not be what an attacker waits for."""
        await make_accounts(tmp_path, "alice")
        strict: dict[str, Any] = {"limits": {"exempt": [], "wrong_passwords": 1, "flood_burst": 1000}}
        logs = Logs()
        async with (
            started(Server(configured(tmp_path, **strict), logger=logs.logger)) as server,
            Phone.of(server) as alice,
        ):
            uri = f"sip:{DOMAIN}"
            for number in range(3):
                challenged = await alice.ask("REGISTER", uri)
                wrong = alice.credentials(challenged, "REGISTER", uri, password=f"guess {number}")
                refused = (await alice.ask("REGISTER", uri, wrong)).status
            assert refused == 403
            await change(server, **strict, setup={"relay": False})
            challenged = await alice.ask("REGISTER", uri)
            right = alice.credentials(challenged, "REGISTER", uri)
            assert (await alice.ask("REGISTER", uri, right)).status == 403
            # Other limits begin anew.
            await change(server, limits={"exempt": LOOPBACK})
            assert (await alice.register()).status == 200

    async def test_nonces_stay_good(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice")
        async with started(Server(configured(tmp_path))) as server, Phone.of(server) as alice:
            uri = f"sip:{DOMAIN}"
            challenged = await alice.ask("REGISTER", uri)
            await change(server, location={"default_expires": 600, "synchronous": "NORMAL"})
            assert (
                await alice.ask("REGISTER", uri, alice.credentials(challenged, "REGISTER", uri))
            ).status == 200
            # And what was used stays used.
            used = alice.credentials(challenged, "REGISTER", uri)
            await change(server, location={"default_expires": 700, "synchronous": "NORMAL"})
            assert (await alice.ask("REGISTER", uri, used)).status == 401

    async def test_who_has_to_prove_himself(self, tmp_path: Path) -> None:
        await make_accounts(tmp_path, "alice")
        async with started(Server(configured(tmp_path))) as server, Phone.of(server) as alice:
            assert (await alice.ask("REGISTER", f"sip:{DOMAIN}")).status == 401
            await change(server, authentication={"trusted": LOOPBACK})
            assert (await alice.ask("REGISTER", f"sip:{DOMAIN}")).status == 200
            await change(server)
            assert (await alice.ask("REGISTER", f"sip:{DOMAIN}")).status == 401
