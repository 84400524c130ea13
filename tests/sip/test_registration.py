"""One registration on a virtual clock: every state, every answer, and what registrars do that no RFC says."""

import pytest

from ringback.errors import LocalError, ParseError
from ringback.sip.message import Headers, Request, Response, response_to
from ringback.sip.registration import (
    ENDING,
    MOST_CORRECTIONS,
    MOST_MOVES,
    OFF,
    REFRESHING,
    REFUSED,
    REGISTERED,
    REGISTERING,
    WAITING,
    Registration,
    registrar_uri,
)
from ringback.sip.uri import parse_uri

AOR = "sip:alice@example.org"
CONTACT = "sip:alice@192.0.2.4:5062"
URN = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


class Client:
    """A registration, the time, and what was sent."""

    def __init__(self, **options: object) -> None:
        self.now = 1000.0
        given: dict[str, object] = {"registrar": "sip:example.org", "contact": CONTACT, "call_id": "call", "tag": "tag"}
        self.it = Registration(AOR, **{**given, **options})  # type: ignore[arg-type]
        self.sent: list[Request] = []

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.advance()

    def advance(self) -> None:
        request = self.it.advance(self.now)
        if request is not None:
            self.sent.append(request)

    def started(self) -> "Client":
        self.it.start(self.now)
        self.advance()
        return self

    def response(self, status: int, *headers: tuple[str, str], contact: str | None = "", seen: str = "") -> Response:
        request = self.sent[-1].copy()
        request.prepend("Via", f"SIP/2.0/UDP 192.0.2.4:5062;branch=z9hG4bK1{seen or ';rport=5062'}")
        given: Headers = list(headers)
        if status < 300 and contact is not None:
            given.append(("Contact", contact or f"<{self.it.contact}>;expires={request.header('expires')}"))
        return response_to(request, status, "", "registrar", given)

    def answer(self, status: int, *headers: tuple[str, str], chance: float = 1.0, **options: object) -> None:
        others = bool(options.pop("others", False))
        response = self.response(status, *headers, **options)  # type: ignore[arg-type]
        again = self.it.answered(response, self.now, chance, others)
        if again is not None:
            self.sent.append(again)

    def registered(self, **options: object) -> "Client":
        self.started().answer(200, **options)  # type: ignore[arg-type]
        return self

    @property
    def wait(self) -> float | None:
        deadline = self.it.deadline()
        return None if deadline is None else deadline - self.now


def header(request: Request, name: str) -> str:
    value = request.header(name)
    assert value is not None
    return value


# --- What is sent ----------------------------------------------------------------------------------------------------


def test_the_request() -> None:
    client = Client(display='The "A"', expires=600).started()
    [request] = client.sent
    assert request.encode().decode() == (
        "REGISTER sip:example.org SIP/2.0\r\n"
        "Max-Forwards: 70\r\n"
        'From: "The \\"A\\"" <sip:alice@example.org>;tag=tag\r\n'
        "To: <sip:alice@example.org>\r\n"
        "Call-ID: call\r\n"
        "CSeq: 1 REGISTER\r\n"
        "Contact: <sip:alice@192.0.2.4:5062>;expires=600\r\n"
        "Expires: 600\r\n"
        "Supported: path, gruu\r\n"
        "Content-Length: 0\r\n\r\n"
    )


def test_the_request_of_a_flow() -> None:
    [request] = Client(instance=URN, reg_id=2).started().sent
    assert header(request, "contact") == f'<{CONTACT}>;expires=3600;+sip.instance="<{URN}>";reg-id=2'
    assert header(request, "supported") == "path, outbound, gruu"


def test_an_instance_without_outbound_is_for_gruus() -> None:
    [request] = Client(instance=URN).started().sent
    assert header(request, "contact") == f'<{CONTACT}>;expires=3600;+sip.instance="<{URN}>"'
    assert header(request, "supported") == "path, gruu"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("sip:alice@example.org", "sip:example.org"),
        ("sips:alice:pw@example.org:5063;user=phone?x=y", "sips:example.org:5063"),
        ("sip:[2001:db8::1]:5070;transport=tcp;lr", "sip:[2001:db8::1]:5070;transport=tcp"),
        ("sip:example.org;maddr=192.0.2.1", "sip:example.org;maddr=192.0.2.1"),
    ],
)
def test_the_request_uri_has_no_user(given: str, sent: str) -> None:
    assert registrar_uri(parse_uri(given)).text == sent
    assert Client(registrar=given).started().sent[0].uri == sent


def test_what_cannot_be() -> None:
    with pytest.raises(LocalError, match="a registrar has a SIP URI, not tel:1"):
        registrar_uri(parse_uri("tel:1"))
    with pytest.raises(LocalError, match="a registration of 0 seconds is none"):
        Client(expires=0)
    with pytest.raises(LocalError, match="a reg-id needs an instance"):
        Client(reg_id=1)
    with pytest.raises(ParseError):
        Client(contact="here")


# --- The life of a registration ---------------------------------------------------------------------------------------


def test_from_start_to_end() -> None:
    client = Client()
    assert (client.it.state, client.wait) == (OFF, None)
    client.advance()
    assert client.sent == []

    client.it.start(client.now)
    assert (client.it.state, client.wait) == (WAITING, 0.0)
    client.advance()
    assert (client.it.state, client.wait) == (REGISTERING, None)

    client.pass_time(2.0)
    client.answer(200, chance=0.0)
    assert client.it.is_registered and (client.it.state, client.it.status, client.it.reason) == (REGISTERED, 200, "OK")
    # From the sending of the request on: 80 % of an hour, less the two seconds that the answer took.
    assert (client.wait, client.it.ends) == (2878.0, 4600.0)

    client.pass_time(2877.0)
    assert len(client.sent) == 1
    client.pass_time(1.0)
    assert (client.it.state, client.wait) == (REFRESHING, None) and client.it.is_registered
    assert header(client.sent[-1], "cseq") == "2 REGISTER" and header(client.sent[-1], "call-id") == "call"
    client.answer(200, chance=1.0)
    assert client.wait == 3240.0

    client.it.stop(client.now)
    client.advance()
    assert (client.it.state, client.wait) == (ENDING, None) and not client.it.is_registered
    assert header(client.sent[-1], "contact") == f"<{CONTACT}>;expires=0"
    assert header(client.sent[-1], "expires") == "0" and header(client.sent[-1], "cseq") == "3 REGISTER"
    client.answer(200, contact=None)
    assert (client.it.state, client.wait) == (OFF, None)
    client.pass_time(100000.0)
    assert len(client.sent) == 3


def test_the_registrar_shortens_the_time() -> None:
    client = Client().registered(contact=f"<{CONTACT}>;expires=60")
    assert (client.wait, client.it.ends - client.now) == (30.0, 60.0)
    client.pass_time(30.0)
    # It is asked for the same again: the registrar decides each time.
    assert header(client.sent[-1], "contact") == f"<{CONTACT}>;expires=3600"


def test_without_a_contact_in_the_answer() -> None:
    assert Client().registered(contact=None).wait == 3240.0
    client = Client().started()
    client.answer(200, ("Expires", "300"), contact=None)
    assert client.wait == 268.0


def test_digests_raise_the_number() -> None:
    client = Client().started()
    client.sent[-1].replace("CSeq", "2 REGISTER")
    client.answer(200)
    client.pass_time(3240.0)
    assert header(client.sent[-1], "cseq") == "3 REGISTER"
    client.it.unanswered(408, client.now, 1.0, cseq=7)
    client.pass_time(60.0)
    assert header(client.sent[-1], "cseq") == "8 REGISTER"


def test_a_2xx_that_takes_it_away() -> None:
    client = Client().registered(contact=f"<{CONTACT}>;expires=0")
    assert (client.it.state, client.wait) == (WAITING, 60.0)
    assert client.it.reason == "the registrar keeps the binding for 0 seconds"


# --- Answers that are corrected --------------------------------------------------------------------------------------


def test_interval_too_brief() -> None:
    client = Client(expires=60).started()
    client.answer(423, ("Min-Expires", "1800"))
    assert (client.it.state, client.wait) == (REGISTERING, None)
    assert header(client.sent[-1], "contact") == f"<{CONTACT}>;expires=1800"
    assert header(client.sent[-1], "expires") == "1800"
    assert header(client.sent[-1], "cseq") == "2 REGISTER"
    client.answer(200)
    client.pass_time(1620.0)
    assert header(client.sent[-1], "expires") == "1800"


def test_interval_too_brief_without_an_end() -> None:
    client = Client(expires=60).started()
    for _ in range(MOST_CORRECTIONS):
        client.answer(423)
    assert [header(request, "expires") for request in client.sent] == ["60", "120", "240", "480", "960"]
    client.answer(423)
    assert (client.it.state, client.it.status, client.wait) == (REFUSED, 423, 1800.0)


@pytest.mark.parametrize("least", ["60", "59", "0"])
def test_interval_too_brief_that_asks_for_no_more(least: str) -> None:
    client = Client(expires=60).started()
    client.answer(423, ("Min-Expires", least))
    assert client.it.state == (REGISTERING if least == "0" else REFUSED)


def test_the_first_hop_lacks_outbound() -> None:
    client = Client(instance=URN, reg_id=1).started()
    client.answer(439)
    assert header(client.sent[-1], "contact") == f'<{CONTACT}>;expires=3600;+sip.instance="<{URN}>"'
    assert header(client.sent[-1], "supported") == "path, gruu"
    client.answer(439)
    assert client.it.state == REFUSED


@pytest.mark.parametrize("status", [301, 302])
def test_redirected(status: int) -> None:
    client = Client().started()
    client.answer(status, ("Contact", "<sip:alice@two.example.org:5070;transport=tcp>, <sip:three.example.org>"))
    assert client.sent[-1].uri == "sip:two.example.org:5070;transport=tcp"
    client.answer(200)
    client.pass_time(3240.0)
    # "Registration refreshes SHOULD be sent to the same network address as the original registration, unless
    # redirected" (10.2.4); but when that fails, back to where it began.
    assert client.sent[-1].uri == "sip:two.example.org:5070;transport=tcp"
    client.it.unanswered(408, client.now, 1.0)
    client.pass_time(60.0)
    assert client.sent[-1].uri == "sip:example.org"


@pytest.mark.parametrize(
    "contact", ["<sip:example.org>", "<tel:+4930>", "<mailto:a@example.org>", "not a contact", "<sip:bad host>"]
)
def test_redirections_that_lead_nowhere(contact: str) -> None:
    client = Client().started()
    client.answer(302, ("Contact", contact))
    assert (client.it.state, client.it.status, len(client.sent)) == (REFUSED, 302, 1)


def test_a_redirection_does_not_take_protection_away() -> None:
    client = Client(registrar="sips:example.org").started()
    client.answer(302, ("Contact", "<sip:two.example.org>, <sips:three.example.org>"))
    assert client.sent[-1].uri == "sips:three.example.org"


def test_redirected_in_circles() -> None:
    client = Client().started()
    for turn in range(MOST_CORRECTIONS + 1):
        client.answer(302, ("Contact", f"<sip:{turn % 2}.example.org>"))
    assert (client.it.state, len(client.sent)) == (REFUSED, MOST_CORRECTIONS + 1)


# --- Failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 430, 480, 500, 502, 503, 504, 600])
def test_failures_that_pass(status: int) -> None:
    client = Client().started()
    waits = []
    for _ in range(8):
        client.answer(status, chance=0.0)
        assert (client.it.state, client.it.status) == (WAITING, status)
        assert client.wait is not None
        waits.append(client.wait)
        client.pass_time(client.wait)
    assert waits == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]
    client.answer(200)
    assert client.it.failures == 0


@pytest.mark.parametrize("status", [408, 503])
def test_no_answer(status: int) -> None:
    client = Client().started()
    assert client.it.unanswered(status, client.now, 0.5) is None
    assert (client.it.state, client.it.status, client.wait) == (WAITING, status, 45.0)
    assert client.it.reason == {408: "no answer", 503: "no way to the registrar"}[status]
    client.pass_time(44.9)
    assert len(client.sent) == 1
    client.pass_time(0.2)
    assert len(client.sent) == 2


def test_longer_while_another_flow_works() -> None:
    client = Client(instance=URN, reg_id=2).started()
    client.it.unanswered(408, client.now, 0.0, others=True)
    assert client.wait == 90.0
    client.pass_time(90.0)
    client.answer(503, chance=0.0, others=True)
    assert client.wait == 180.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 420, 484, 501, 505, 603, 604])
def test_refusals(status: int) -> None:
    client = Client().started()
    client.answer(status, chance=0.0)
    assert (client.it.state, client.it.status, client.wait) == (REFUSED, status, 900.0)
    client.pass_time(900.0)
    assert client.it.state == REGISTERING
    client.answer(200)
    assert client.it.state == REGISTERED


def test_after_a_refusal_it_may_be_asked_for_again() -> None:
    client = Client().started()
    client.answer(403)
    client.it.start(client.now)
    assert (client.it.state, client.wait) == (WAITING, 0.0)


@pytest.mark.parametrize(
    ("value", "expected"), [("300", 300.0), ("10", 10.0), ("0", 0.0), ("10000000", 86400.0), ("soon", 60.0)]
)
def test_retry_after(value: str, expected: float) -> None:
    client = Client().started()
    client.answer(503, ("Retry-After", value))
    assert (client.it.state, client.wait) == (WAITING, expected)


def test_retry_after_0_is_believed_once() -> None:
    client = Client().started()
    client.answer(503, ("Retry-After", "0"))
    client.pass_time(0.0)
    client.answer(503, ("Retry-After", "0"))
    assert client.wait == 120.0


def test_a_refusal_with_retry_after_passes_where_20_33_lets_it_stand() -> None:
    client = Client().started()
    client.answer(404, ("Retry-After", "20"))
    assert (client.it.state, client.wait) == (WAITING, 20.0)
    client = Client().started()
    client.answer(403, ("Retry-After", "20"))
    assert (client.it.state, client.wait) == (REFUSED, 1800.0)


def test_a_refresh_that_fails_leaves_the_binding_until_its_end() -> None:
    client = Client().registered(contact=f"<{CONTACT}>;expires=600")
    client.pass_time(540.0)
    client.it.unanswered(408, client.now, 0.0)
    assert client.it.is_registered and (client.it.state, client.wait) == (REGISTERED, 30.0)
    client.pass_time(30.0)
    client.it.unanswered(408, client.now, 0.0)
    # The end of the binding comes before the next try.
    assert client.it.is_registered and client.wait == 30.0
    client.pass_time(30.0)
    assert (client.it.state, client.wait, len(client.sent)) == (WAITING, 30.0, 3)
    client.pass_time(30.0)
    assert client.it.state == REGISTERING
    client.answer(200)
    assert (client.it.state, client.it.failures) == (REGISTERED, 0)


def test_a_refresh_that_is_refused() -> None:
    client = Client().registered(contact=f"<{CONTACT}>;expires=600")
    client.pass_time(540.0)
    client.answer(403)
    assert (client.it.state, client.it.status, client.wait) == (REGISTERED, 403, 60.0)
    client.pass_time(60.0)
    assert (client.it.state, client.wait) == (WAITING, 1740.0)


# --- Commands at the wrong time --------------------------------------------------------------------------------------


def test_stopped_while_the_first_request_is_on_its_way() -> None:
    client = Client().started()
    client.it.stop(client.now)
    client.advance()
    assert len(client.sent) == 1 and client.wait is None
    client.answer(200)
    assert client.it.state == ENDING and header(client.sent[-1], "expires") == "0"
    client.answer(500)
    assert (client.it.state, client.wait) == (OFF, None)


@pytest.mark.parametrize("status", [403, 423, 302, 503])
def test_stopped_and_then_refused(status: int) -> None:
    client = Client().started()
    client.it.stop(client.now)
    client.answer(status, ("Min-Expires", "7200"), ("Contact", "<sip:two.example.org>"))
    assert (client.it.state, client.wait, len(client.sent)) == (OFF, None, 1)


def test_stopped_and_then_unanswered() -> None:
    client = Client().started()
    client.it.stop(client.now)
    client.it.unanswered(408, client.now, 1.0)
    assert (client.it.state, client.wait) == (OFF, None)


def test_stopped_during_a_refresh_that_fails() -> None:
    client = Client().registered(contact=f"<{CONTACT}>;expires=600")
    client.pass_time(540.0)
    client.it.stop(client.now)
    again = client.it.unanswered(408, client.now, 1.0)
    assert again is not None and header(again, "expires") == "0"
    assert client.it.unanswered(408, client.now, 1.0) is None
    assert client.it.state == OFF


def test_stopped_while_it_waits() -> None:
    client = Client().started()
    client.answer(503)
    client.it.stop(client.now)
    assert (client.it.state, client.wait) == (OFF, None)


def test_started_again_while_it_ends() -> None:
    client = Client().registered()
    client.it.stop(client.now)
    client.advance()
    client.it.start(client.now)
    assert client.wait is None
    client.answer(200, contact=None)
    assert (client.it.state, client.wait) == (WAITING, 0.0)
    client.advance()
    assert header(client.sent[-1], "expires") == "3600"


def test_started_again_while_registered_refreshes() -> None:
    client = Client().registered()
    client.it.start(client.now)
    client.advance()
    assert (client.it.state, len(client.sent)) == (REFRESHING, 2)
    client.it.start(client.now)
    client.advance()
    assert len(client.sent) == 2


# --- Other addresses -------------------------------------------------------------------------------------------------

NAT = ";received=203.0.113.9;rport=40000"
SEEN = "sip:alice@203.0.113.9:40000"


def test_behind_a_nat_the_address_that_is_seen_is_registered() -> None:
    client = Client().registered(seen=NAT)
    assert (client.it.contact.text, client.wait) == (SEEN, 0.0)
    client.advance()
    assert header(client.sent[-1], "contact") == f"<{SEEN}>;expires=3600, <{CONTACT}>;expires=0"
    client.answer(200, seen=NAT)
    assert client.wait == 3240.0
    client.pass_time(3240.0)
    assert header(client.sent[-1], "contact") == f"<{SEEN}>;expires=3600"


def test_a_nat_that_never_comes_to_rest() -> None:
    client = Client().started()
    for turn in range(MOST_MOVES):
        client.answer(200, seen=f";received=203.0.113.9;rport={40000 + turn}")
        assert client.wait == 0.0
        client.advance()
    client.answer(200, seen=";received=203.0.113.9;rport=50000")
    assert client.wait == 3240.0
    client.pass_time(3240.0)
    assert header(client.sent[-1], "contact").startswith("<sip:alice@203.0.113.9:50000>;expires=3600, <")


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"rewrite": False}, ()),
        ({"instance": URN, "reg_id": 1}, (("Require", "outbound"),)),
        ({"contact": "sip:alice@phone.example.org:5062"}, ()),
    ],
)
def test_where_the_contact_stays(options: dict[str, object], headers: tuple[tuple[str, str], ...]) -> None:
    client = Client(**options).started()
    before = client.it.contact.text
    client.answer(200, *headers, seen=NAT)
    assert (client.it.contact.text, client.wait) == (before, 3240.0)


@pytest.mark.parametrize("contact", [f"{CONTACT};transport=tcp", "sips:alice@192.0.2.4:5062"])
def test_a_connection_comes_from_another_port_without_any_nat(contact: str) -> None:
    client = Client(contact=contact).registered(seen=";received=192.0.2.4;rport=40000")
    assert (client.it.contact.text, client.wait) == (contact, 3240.0)
    client = Client(contact=contact).registered(seen=NAT)
    assert client.it.contact.host == "203.0.113.9" and client.it.contact.port == 40000


def test_moved() -> None:
    client = Client().registered()
    client.it.move(CONTACT, client.now)
    assert client.wait == 3240.0
    for place in ("192.0.2.5:5062", "192.0.2.6:5062"):
        client.it.move(f"sip:alice@{place}", client.now)
    assert client.wait == 0.0
    client.advance()
    # What the registrar has is taken back; what it never had is not.
    assert header(client.sent[-1], "contact") == f"<sip:alice@192.0.2.6:5062>;expires=3600, <{CONTACT}>;expires=0"


def test_moved_while_a_request_is_on_its_way() -> None:
    client = Client().started()
    client.it.move("sip:alice@192.0.2.5:5062", client.now)
    client.answer(200, contact=f"<{CONTACT}>;expires=100")
    assert (client.it.ends - client.now, client.wait) == (100.0, 0.0)
    client.advance()
    assert header(client.sent[-1], "contact") == f"<sip:alice@192.0.2.5:5062>;expires=3600, <{CONTACT}>;expires=0"


def test_moved_with_outbound_replaces_by_itself() -> None:
    client = Client(instance=URN, reg_id=1).started()
    client.answer(200, ("Require", "outbound"))
    client.it.move("sip:alice@192.0.2.5:5062", client.now)
    client.advance()
    assert header(client.sent[-1], "contact") == (
        f'<sip:alice@192.0.2.5:5062>;expires=3600;+sip.instance="<{URN}>";reg-id=1'
    )


def test_the_same_request_for_another_destination() -> None:
    client = Client(rewrite=False).started()
    request = client.it.elsewhere("sip:alice@[2001:db8::4]:5062", client.now + 1.0, cseq=2)
    assert header(request, "cseq") == "3 REGISTER"
    assert header(request, "contact") == "<sip:alice@[2001:db8::4]:5062>;expires=3600"
    assert (client.it.state, client.wait) == (REGISTERING, None)
    client.sent.append(request)
    client.answer(200, chance=0.0)
    # Counted from when it was sent last.
    assert client.wait == 2881.0


# --- Flows -----------------------------------------------------------------------------------------------------------


def outbound(client: Client, timer: str = "120") -> None:
    client.answer(200, ("Require", "outbound"), ("Flow-Timer", timer))


def test_a_good_flow_that_fails_is_replaced_at_once() -> None:
    client = Client(instance=URN, reg_id=1).started()
    outbound(client)
    client.it.proved()
    client.it.lost(client.now, 1.0)
    assert (client.it.state, client.it.status, client.wait) == (WAITING, 430, 0.0) and not client.it.is_registered
    client.advance()
    assert header(client.sent[-1], "contact").endswith(";reg-id=1")


def test_a_flow_that_was_never_proved_waits() -> None:
    """Else a first hop that drops each connection after the 200 would get a REGISTER each second."""
    client = Client(instance=URN, reg_id=1).started()
    for expected in (60.0, 120.0, 240.0):
        outbound(client)
        client.it.lost(client.now, 1.0)
        assert client.wait == expected
        client.pass_time(expected)
    outbound(client)
    client.it.proved()
    client.it.lost(client.now, 1.0)
    assert client.wait == 0.0


def test_without_outbound_the_registration_is_proof_enough() -> None:
    client = Client().registered()
    client.it.lost(client.now, 1.0)
    assert client.wait == 0.0


def test_lost_while_a_request_is_on_its_way() -> None:
    client = Client().started()
    client.it.lost(client.now, 1.0, others=True)
    assert (client.it.state, client.wait) == (WAITING, 180.0)
    client.it.lost(client.now, 1.0)
    assert client.wait == 180.0


def test_lost_while_it_ends() -> None:
    client = Client().registered()
    client.it.stop(client.now)
    client.advance()
    client.it.lost(client.now, 1.0)
    assert (client.it.state, client.wait) == (OFF, None)


def test_a_lost_connection_with_another_contact_takes_the_old_one_back() -> None:
    client = Client(contact=f"{CONTACT};transport=tcp").registered()
    client.it.lost(client.now, 1.0)
    client.it.move("sip:alice@192.0.2.4:5999;transport=tcp", client.now)
    client.advance()
    assert header(client.sent[-1], "contact") == (
        f"<sip:alice@192.0.2.4:5999;transport=tcp>;expires=3600, <{CONTACT};transport=tcp>;expires=0"
    )


def test_keep_alives() -> None:
    client = Client(instance=URN, reg_id=1).started()
    assert client.it.keep_alive(True, 0.0) == 95.0
    outbound(client, "60")
    assert (client.it.keep_alive(True, 1.0), client.it.keep_alive(False, 0.0)) == (60.0, 24.0)


def test_a_refresh_on_a_proved_flow_forgets_failures() -> None:
    client = Client(instance=URN, reg_id=1).started()
    outbound(client)
    client.it.proved()
    client.pass_time(3240.0)
    client.answer(503, chance=0.0)
    client.pass_time(30.0)
    outbound(client)
    assert client.it.failures == 0
