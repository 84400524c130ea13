"""TLS: who is let in, who is believed, and what happens when certificates change."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ringback.errors import ConfigurationError
from ringback.net.limits import StreamLimits
from ringback.net.tls import ClientTls, ServerTls, TlsFailure, TlsSession, domain_identity, sip_identities
from ringback.sip.transport import Flow
from tests.net.stream_kit import (
    Authority,
    HandClock,
    connections,
    dns,
    ended,
    exactly,
    message,
    settled,
    sip,
    trusting,
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def flow_to(port: int, name: str, host: str = "127.0.0.1") -> Flow:
    return Flow("TLS", "", host, port, 0, name)


class TestIdentity:
    """RFC 5922 section 7."""

    @pytest.mark.parametrize(
        ("name", "identity"),
        [
            ("example.com", "example.com"),
            ("EXAMPLE.Com", "example.com"),
            ("example.com.", "example.com"),
            ("a_b.example", "a_b.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("*.example.com", ""),
            (".example.com", ""),
            ("example..com", ""),
            ("example.com\0.evil.org", ""),
            ("exam ple.com", ""),
            ("-a.example", ""),
            ("", ""),
            (".", ""),
            ("a:b", ""),
            ("[2001:0db8:0:0::1]", "2001:db8::1"),
            ("192.0.2.999", ""),
        ],
    )
    def test_names(self, name: str, identity: str) -> None:
        assert domain_identity(name) == identity

    @pytest.mark.parametrize(
        ("names", "identities"),
        [
            ([("URI", "sip:example.com")], ("example.com",)),
            ([("URI", "SIP:Example.com")], ("example.com",)),
            ([("URI", "sip:example.com:5061;transport=tls?x=y")], ("example.com",)),
            ([("URI", "sip:[2001:db8::1]:5061")], ("2001:db8::1",)),
            (
                [("URI", "sip:a.example"), ("URI", "sip:b.example"), ("URI", "sip:a.example")],
                ("a.example", "b.example"),
            ),
            # "If the scheme of the URI is not "sip", then the implementation MUST NOT accept the value".
            ([("URI", "sips:example.com")], ()),
            ([("URI", "https://example.com")], ()),
            ([("URI", "example.com")], ()),
            # "a value with a userpart identifies an individual user, not a domain".
            ([("URI", "sip:alice@example.com")], ()),
            ([("URI", "sip:*.example.com")], ()),
            ([("URI", "sip:example.com\0.evil.org")], ()),
            ([("DNS", "example.com")], ("example.com",)),
            ([("DNS", "*.example.com")], ()),
            ([("DNS", "example.com"), ("DNS", "www.example.com")], ("example.com", "www.example.com")),
            # A DNS name counts "if and only if no other identity is found that matches the "sip" URI type".
            ([("DNS", "host.example.net"), ("URI", "sip:example.com")], ("example.com",)),
            ([("DNS", "host.example.net"), ("URI", "sip:alice@example.com")], ("host.example.net",)),
            ([("IP Address", "192.0.2.1")], ()),
            ([("email", "a@example.com")], ()),
        ],
    )
    def test_subject_alternative_names(self, names: list[tuple[str, str]], identities: tuple[str, ...]) -> None:
        subject = ((("commonName", "cn.example"),),)
        assert sip_identities({"subject": subject, "subjectAltName": tuple(names)}) == identities

    def test_the_common_name_counts_only_alone(self) -> None:
        subject = ((("countryName", "DE"),), (("commonName", "cn.example"),))
        assert sip_identities({"subject": subject}) == ("cn.example",)
        assert sip_identities({"subject": subject, "subjectAltName": ()}) == ()
        assert sip_identities({"subject": ((("commonName", "Example Company"),),)}) == ()
        assert sip_identities({}) == ()


class TestOutgoing:
    async def refused(self, authority: Authority, pair: tuple[Path, Path], name: str = "example.org") -> str:
        """Connect to a server that shows `pair` and ask for `name`; the reason why that failed."""
        client = ClientTls(authority.file)
        async with connections() as (server, seen), connections(client_tls=client) as (streams, upward):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            flow = flow_to(listener.port, name)
            assert streams.send(message(), flow, "key")
            await upward.until(lambda: upward.failed)
            [(key, failed_flow, reason)] = upward.failed
            assert (key, failed_flow) == ("key", flow)
            await settled(lambda: server.count == 0 and streams.count == 0)
            assert seen.messages == []
            return reason

    async def test_a_proved_name(self, authority: Authority) -> None:
        client = ClientTls(authority.file)
        pair = authority.issue("server", sip("example.org"))
        async with connections() as (server, seen), connections(client_tls=client) as (streams, upward):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            assert listener.id == f"tls:127.0.0.1:{listener.port}"
            seen.answer = lambda data, flow: _is_true(server.send(b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n", flow))
            large = message(b"x" * 1000000)
            assert streams.send(message(), flow_to(listener.port, "Example.ORG"), "one")
            assert streams.send(large, flow_to(listener.port, "example.org"), "two")
            await upward.until(lambda: len(upward.messages) == 2)
            assert seen.bodies == [message(), large]
            flow = upward.messages[0][1]
            assert (flow.transport, flow.host, flow.port, flow.name) == (
                "TLS",
                "127.0.0.1",
                listener.port,
                "example.org",
            )
            assert streams.identities(flow) == ("example.org",)
            # The client showed no certificate, so it proved nothing.
            assert seen.messages[0][1].name == ""
            assert (streams.count, upward.failed) == (1, [])

    async def test_another_name(self, authority: Authority) -> None:
        pair = authority.issue("server", sip("example.net"), common_name="example.org")
        reason = await self.refused(authority, pair)
        assert reason == "the peer's certificate is for example.net, not for example.org"

    async def test_a_subdomain_and_a_wildcard(self, authority: Authority) -> None:
        for names in ([dns("*.example.org")], [dns("www.example.org")], [dns("example.org.evil.net")]):
            pair = authority.issue("server", *names)
            assert "not for sub.example.org" in await self.refused(authority, pair, "sub.example.org")

    async def test_a_nul_in_the_name(self, authority: Authority) -> None:
        for name in (sip("example.org\0.evil.net"), dns("example.org\0.evil.net"), dns("example.org\0")):
            reason = await self.refused(authority, authority.issue("server", name))
            assert reason == "the peer's certificate is for no SIP domain, not for example.org"

    async def test_a_user_is_no_domain(self, authority: Authority) -> None:
        pair = authority.issue("server", x509.UniformResourceIdentifier("sip:alice@example.org"))
        assert "no SIP domain" in await self.refused(authority, pair)

    async def test_expired_and_not_yet_valid(self, authority: Authority) -> None:
        reason = await self.refused(authority, authority.issue("server", sip("example.org"), days=(-9, -1)))
        assert reason == "certificate refused: certificate has expired"
        reason = await self.refused(authority, authority.issue("server", sip("example.org"), days=(1, 9)))
        assert reason == "certificate refused: certificate is not yet valid"

    async def test_an_authority_that_is_not_trusted(self, authority: Authority, tmp_path: Path) -> None:
        pair = Authority(tmp_path, "Another authority").issue("server", sip("example.org"))
        assert (await self.refused(authority, pair)).startswith("certificate refused: unable to get")

    async def test_the_common_name_alone_still_counts(self, authority: Authority) -> None:
        pair = authority.issue("server", common_name="example.org")
        client = ClientTls(authority.file)
        async with connections() as (server, seen), connections(client_tls=client) as (streams, _):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            assert streams.send(message(), flow_to(listener.port, "example.org"))
            await seen.until(lambda: seen.messages)

    async def test_two_names_at_one_address_share_nothing(self, authority: Authority) -> None:
        """RFC 5923 9.3, and attack 2 of the acceptance list: the same address, another name."""
        pair = authority.issue("server", sip("one.example"), sip("two.example"))
        client = ClientTls(authority.file)
        async with connections() as (server, seen), connections(client_tls=client) as (streams, upward):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            assert streams.send(message(b"1"), flow_to(listener.port, "one.example"))
            await seen.until(lambda: seen.messages)
            # 8.1: the second name is among "the identities stored in the alias table row", so it may be used.
            assert streams.send(message(b"2"), flow_to(listener.port, "two.example"))
            await seen.until(lambda: len(seen.messages) == 2)
            assert streams.count == 1
            # The third is not: a new connection is opened, and refused.
            assert streams.send(message(b"3"), flow_to(listener.port, "three.example"), "three")
            await upward.until(lambda: upward.failed)
            assert upward.failed[0][0] == "three"
            assert seen.bodies == [message(b"1"), message(b"2")]
            assert not streams.send(message(), flow_to(listener.port, ""))

    def test_a_server_that_speaks_tls_1_1(self, authority: Authority) -> None:
        """Attack 2. OpenSSL's security level keeps old versions off, so it is lowered for the server of this test."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("server", sip("example.org")))
        with pytest.warns(DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        server = TlsSession(context, server_side=True)
        client = ClientTls(authority.file).session("example.org")
        client.start()
        with pytest.raises(TlsFailure, match="unsupported protocol"):
            server.receive(client.take())
        with pytest.raises(TlsFailure, match="protocol version"):
            client.receive(server.take())

    async def test_a_server_that_says_nothing(self, authority: Authority) -> None:
        clock = HandClock()
        peers: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _, writer: peers.append(writer), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = {"client_tls": ClientTls(authority.file), "clock": clock.time, "call_later": clock.call_later}
        async with connections(**settings) as (streams, upward):
            assert streams.send(message(), flow_to(port, "example.org"), "key")
            await settled(lambda: peers)
            clock.advance(10)
            await upward.until(lambda: upward.failed)
            assert upward.failed[0][2] == "no connection in time"
        peers[0].close()
        server.close()

    async def test_a_laboratory_verifies_nothing(self, authority: Authority, tmp_path: Path) -> None:
        pair = Authority(tmp_path, "Another authority").issue("server", sip("example.net"))
        client = ClientTls(authority.file, verify=False)
        async with connections() as (server, seen), connections(client_tls=client) as (streams, _):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            assert streams.send(message(), flow_to(listener.port, "example.org"))
            await seen.until(lambda: seen.messages)


def _is_true(value: bool) -> None:
    assert value


class TestAccepted:
    async def test_tls_1_1_is_refused_and_1_2_is_not(self, authority: Authority) -> None:
        pair = authority.issue("server", sip("example.org"))
        async with connections() as (streams, upward):
            listener = await streams.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            old = trusting(authority)
            with pytest.warns(DeprecationWarning):
                old.minimum_version = ssl.TLSVersion.TLSv1
                old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises(ssl.SSLError, match=r"(?i)version"):
                await asyncio.open_connection("127.0.0.1", listener.port, ssl=old)
            await settled(lambda: streams.counters.handshake_failed == 1)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = trusting(authority)
                context.maximum_version = version
                _, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
                writer.write(message())
                count = len(upward.messages)
                await upward.until(lambda count=count: len(upward.messages) > count)  # type: ignore[misc]
                writer.close()

    async def test_keep_alives_inside_and_a_clean_end(self, authority: Authority) -> None:
        pair = authority.issue("server", sip("example.org"))
        async with connections() as (streams, upward):
            listener = await streams.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=trusting(authority))
            # RFC 5626 4.4.1: "If sending over TLS, the CRLFs are sent inside the TLS protected channel."
            writer.write(b"\r\n\r\n")
            await exactly(reader, b"\r\n")
            writer.write(message())
            await upward.until(lambda: upward.messages)
            assert streams.send(b"goodbye", upward.messages[0][1])
            streams.disconnect(upward.messages[0][1])
            assert await ended(reader) == b"goodbye"
            writer.close()
            await upward.until(lambda: upward.closed)

    async def test_the_clients_end_is_answered(self, authority: Authority) -> None:
        pair = authority.issue("server", sip("example.org"))
        async with connections() as (streams, upward):
            listener = await streams.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=trusting(authority))
            writer.write(message())
            await upward.until(lambda: upward.messages)
            writer.close()
            await writer.wait_closed()
            await upward.until(lambda: upward.closed)

    async def test_no_tls_at_all(self, authority: Authority) -> None:
        pair = authority.issue("server", sip("example.org"))
        async with connections() as (streams, upward):
            listener = await streams.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message())
            await ended(reader)
            assert (upward.messages, upward.malformed) == ([], [])
            assert streams.counters.handshake_failed == 1
            writer.close()

    async def test_half_handshakes_end_after_their_time(self, authority: Authority) -> None:
        """Attack 9 with TLS."""
        clock = HandClock()
        pair = authority.issue("server", sip("example.org"))
        limits = StreamLimits(connections_per_source=20)
        async with connections(limits=limits, clock=clock.time, call_later=clock.call_later) as (streams, upward):
            listener = await streams.listen("TLS", "127.0.0.1", 0, tls=ServerTls(*pair))
            attackers = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(50)]
            for _, writer in attackers:
                writer.write(b"\x16\x03\x01\x02\x00\x01")
            await settled(lambda: streams.count == 20 and streams.counters.refused_source == 30)
            _, writer = await asyncio.open_connection(
                "127.0.0.1", listener.port, ssl=trusting(authority), local_addr=("127.0.0.2", 0)
            )
            writer.write(message())
            await upward.until(lambda: upward.messages)
            clock.advance(10)
            await settled(lambda: streams.count == 1)
            assert streams.counters.handshake_failed == 20
            for end in (writer, *(ends[1] for ends in attackers)):
                end.close()

    async def test_the_certificate_is_chosen_by_the_name_that_is_asked_for(self, authority: Authority) -> None:
        """RFC 5922 7.8, virtual servers."""
        pair = authority.issue("one", sip("one.example"))
        other = authority.issue("two", sip("two.example"), dns("sip.two.example"))
        tls = ServerTls(*pair, others=[other])
        assert tls.names == ("one.example", "two.example")
        async with connections() as (server, seen), connections(client_tls=ClientTls(authority.file)) as (streams, _):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=tls)
            for number, name in enumerate(("one.example", "two.example")):
                assert streams.send(message(), flow_to(listener.port, name))
                await seen.until(lambda count=number + 1: len(seen.messages) == count)  # type: ignore[misc]
            assert streams.count == 2


class TestClientCertificates:
    """RFC 5922 7.4 and RFC 5923: what a client proves, and what that allows."""

    async def test_a_proved_client_can_be_called_back(self, authority: Authority) -> None:
        pair = authority.issue("server", sip("example.org"))
        mine = authority.issue("client", sip("partner.example"), sip("second.example"))
        client = ClientTls(authority.file, certificate=mine[0], key=mine[1])
        tls = ServerTls(*pair, client_authorities=authority.file)
        async with connections() as (server, seen), connections(client_tls=client) as (streams, upward):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=tls)
            assert streams.send(message(), flow_to(listener.port, "example.org"))
            await seen.until(lambda: seen.messages)
            flow = seen.messages[0][1]
            assert flow.name == "partner.example"
            assert server.identities(flow) == ("partner.example", "second.example")
            # Nothing leads to the port that it listens on until it asked for that, by the Via parameter "alias".
            back = flow_to(5061, "second.example")
            assert server.connection_for(back) is None
            assert server.alias(flow, 5061)
            assert server.send(message(b"back"), back)
            await upward.until(lambda: upward.messages)
            assert upward.bodies == [message(b"back")]
            assert server.connection_for(flow_to(5061, "third.example")) is None
            # 9.1 holds for the direction back as well: it goes by the name that was proved.
            assert server.connection_for(flow_to(5061, "")) is None
            streams.disconnect(upward.messages[0][1])
            await seen.until(lambda: seen.closed)
            assert server.connection_for(back) is None
            assert server._by_peer == {} and server._more_keys == {}

    async def test_a_client_without_certificate_proves_nothing(self, authority: Authority) -> None:
        tls = ServerTls(*authority.issue("server", sip("example.org")), client_authorities=authority.file)
        async with connections() as (server, seen), connections(client_tls=ClientTls(authority.file)) as (streams, _):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=tls)
            assert streams.send(message(), flow_to(listener.port, "example.org"))
            await seen.until(lambda: seen.messages)
            flow = seen.messages[0][1]
            assert flow.name == ""
            assert not server.alias(flow, 5061)
            assert server.connection_for(flow_to(5061, "example.org")) is None
            # It is found where it came from, when only that was asked for.
            by_address = Flow("TLS", "", flow.host, flow.port, 0, flow.host)
            assert server.connection_for(by_address) is server.connection_for(flow)
            assert server.connection_for(Flow("TLS", "", flow.host, flow.port, 0, "example.org")) is None

    async def test_a_client_must_have_one_where_that_is_required(self, authority: Authority, tmp_path: Path) -> None:
        pair = authority.issue("server", sip("example.org"))
        tls = ServerTls(*pair, client_authorities=authority.file, require_client=True)
        stranger = Authority(tmp_path, "Another authority").issue("client", sip("partner.example"))
        expired = authority.issue("expired", sip("partner.example"), days=(-9, -1))
        for client in (
            ClientTls(authority.file),
            ClientTls(authority.file, certificate=stranger[0], key=stranger[1]),
            ClientTls(authority.file, certificate=expired[0], key=expired[1]),
        ):
            async with connections() as (server, seen), connections(client_tls=client) as (streams, upward):
                listener = await server.listen("TLS", "127.0.0.1", 0, tls=tls)
                assert streams.send(message(), flow_to(listener.port, "example.org"), "key")
                # In TLS 1.3 the client has sent its message before it learns that it is refused.
                await upward.until(lambda: upward.failed)
                assert upward.failed[0][0] == "key"
                assert seen.messages == []
                assert server.counters.handshake_failed == 1

    async def test_browsers_are_not_asked(self, authority: Authority) -> None:
        tls = ServerTls(
            *authority.issue("server", sip("example.org")), client_authorities=authority.file, require_client=True
        )
        assert tls.session(ask=True)._tls.context.verify_mode == ssl.CERT_REQUIRED
        assert tls.session(ask=False)._tls.context.verify_mode == ssl.CERT_NONE


class TestReload:
    """Acceptance list, fault 18."""

    async def test_new_connections_see_the_new_certificate(self, authority: Authority) -> None:
        certificate, key = authority.issue("server", sip("example.org"), sip("old.example"))
        tls = ServerTls(certificate, key)
        client = ClientTls(authority.file)
        async with connections() as (server, seen), connections(client_tls=client) as (streams, upward):
            listener = await server.listen("TLS", "127.0.0.1", 0, tls=tls)
            assert streams.send(message(b"1"), flow_to(listener.port, "old.example"))
            await seen.until(lambda: seen.messages)
            authority.issue("server", sip("example.org"), sip("new.example"))
            tls.reload()
            assert tls.names == ("example.org", "new.example")
            # The open connection lives on.
            assert streams.send(message(b"2"), flow_to(listener.port, "old.example"))
            assert streams.send(message(b"3"), flow_to(listener.port, "new.example"))
            await seen.until(lambda: len(seen.messages) == 3)
            assert (streams.count, upward.failed) == (2, [])
            assert server.send(message(b"back"), seen.messages[0][1])
            await upward.until(lambda: upward.messages)

    def test_what_fails_changes_nothing_and_names_the_file(self, authority: Authority, tmp_path: Path) -> None:
        certificate, key = authority.issue("server", sip("example.org"))
        tls = ServerTls(certificate, key)
        before = (tls._asking, tls._plain, tls.not_after, tls.names)
        sound = {path: path.read_bytes() for path in (certificate, key)}

        def broken(path: Path, content: bytes | None) -> str:
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
            with pytest.raises(ConfigurationError) as caught:
                tls.reload()
            for file, octets in sound.items():
                file.write_bytes(octets)
            assert (tls._asking, tls._plain, tls.not_after, tls.names) == before
            return str(caught.value)

        other_key = authority.issue("other", sip("example.org"))[1].read_bytes()
        assert broken(certificate, None) == f"{certificate}: can not be read: No such file or directory"
        assert broken(key, None) == f"{key}: can not be read: No such file or directory"
        assert broken(certificate, b"nonsense").startswith(f"{certificate}: no certificate in PEM")
        assert broken(certificate, b"").startswith(f"{certificate}: no certificate in PEM")
        assert broken(key, b"nonsense").startswith(f"{key}: no private key")
        assert broken(key, other_key).startswith(f"{key}: no private key, without passphrase, for {certificate}")
        locked = serialization.load_pem_private_key(other_key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        assert broken(key, locked).startswith(f"{key}: no private key, without passphrase")
        expired = authority.issue("expired", sip("example.org"), days=(-9, -1))
        sound_key = sound[key]
        key.write_bytes(expired[1].read_bytes())
        assert f"{certificate}: a certificate that expired at" in broken(certificate, expired[0].read_bytes())
        assert key.read_bytes() == sound_key
        tls.reload()

    def test_the_end_of_a_certificate_is_known_early(self, authority: Authority) -> None:
        first = authority.issue("first", sip("example.org"), days=(-1, 90))
        second = authority.issue("second", sip("example.net"), days=(-1, 20))
        tls = ServerTls(*first, others=[second])
        assert timedelta(days=19) < tls.not_after - datetime.now(UTC) < timedelta(days=21)
        with pytest.raises(ConfigurationError, match="expired"):
            tls.reload(now=datetime.now(UTC) + timedelta(days=30))
        # A server starts with what it has: its other transports work, and somebody will be told.
        assert ServerTls(*authority.issue("third", days=(-9, -1))).not_after < datetime.now(UTC)

    def test_the_client_reloads_too(self, authority: Authority, tmp_path: Path) -> None:
        certificate, key = authority.issue("client", sip("example.org"))
        client = ClientTls(authority.file, certificate=certificate, key=key)
        before = client._context
        key.write_bytes(b"nonsense")
        with pytest.raises(ConfigurationError, match=str(key)):
            client.reload()
        assert client._context is before
        authority.issue("client", sip("example.org"))
        client.reload()
        assert client._context is not before

    def test_what_does_not_fit_together(self, authority: Authority, tmp_path: Path) -> None:
        pair = authority.issue("server", sip("example.org"))
        with pytest.raises(ConfigurationError, match="no authorities"):
            ServerTls(*pair, require_client=True)
        with pytest.raises(ConfigurationError, match="go together"):
            ClientTls(certificate=pair[0])
        with pytest.raises(ConfigurationError, match=r"missing\.pem: can not be read"):
            ClientTls(tmp_path / "missing.pem")
        with pytest.raises(ConfigurationError, match=r"server\.key: no certificates in PEM"):
            ClientTls(pair[1])


class TestSession:
    """TLS without any socket."""

    def pair(self, authority: Authority) -> tuple[TlsSession, TlsSession]:
        server = ServerTls(*authority.issue("server", sip("example.org"))).session()
        client = ClientTls(authority.file).session("example.org")
        client.start()
        return server, client

    def shake(self, server: TlsSession, client: TlsSession) -> None:
        while data := client.take():
            assert server.receive(data) == b""
            assert client.receive(server.take()) == b""

    def test_octet_by_octet(self, authority: Authority) -> None:
        server, client = self.pair(authority)
        waiting = [client.take(), b""]
        while not (server.established and client.established):
            for octet in waiting[0]:
                assert server.receive(bytes([octet])) == b""
            waiting = [b"", server.take()]
            for octet in waiting[1]:
                assert client.receive(bytes([octet])) == b""
            waiting = [client.take(), b""]
        large = bytes(range(256)) * 300
        client.encrypt(large)
        assert b"".join(server.receive(bytes([octet])) for octet in client.take()) == large

    def test_the_end(self, authority: Authority) -> None:
        server, client = self.pair(authority)
        self.shake(server, client)
        client.encrypt(b"last")
        client.shutdown()
        assert server.receive(client.take()) == b"last"
        assert server.closed
        server.shutdown()
        assert client.receive(server.take()) == b""
        assert client.closed

    def test_changed_octets(self, authority: Authority) -> None:
        server, client = self.pair(authority)
        self.shake(server, client)
        client.encrypt(b"message")
        data = bytearray(client.take())
        data[-1] ^= 1
        with pytest.raises(TlsFailure) as caught:
            server.receive(bytes(data))
        assert caught.value.status == 503
        assert server.take() != b""

    def test_an_end_before_the_beginning(self, authority: Authority) -> None:
        server, client = self.pair(authority)
        server.shutdown()
        client.shutdown()
        assert not server.established
