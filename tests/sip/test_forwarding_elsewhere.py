"""Where else a request goes: the contacts of a 3xx, the next destination of a domain, the next flow of an instance."""

import pytest

from ringback.sip.message import Request
from ringback.sip.plan import Plan, Stage
from ringback.sip.stack import Asked
from ringback.sip.transport import Flow
from tests.sip.element import CALL_ID, TCP, UDP, Element, phone, request, target

T64 = 32.0


# redirection (16.7 step 4) -------------------------------------------------------------------------------------------


def redirected(contacts: list[str], recurse: bool = True, uri: str = "sip:bob@example.org") -> Element:
    element = Element()
    element.receive(request("INVITE", uri))
    element.forward([target(phone(1))], recurse=recurse)
    [sent] = element.requests()
    element.answer(sent, 302, *[f"Contact: {contact}" for contact in contacts])
    return element


def test_without_recursion_a_redirection_goes_to_the_caller() -> None:
    element = redirected(["<sip:bob@192.0.2.31>", "<sip:bob@192.0.2.32>"], recurse=False)
    [response] = element.responses()
    assert (response.status, response.split("contact")) == (302, ["<sip:bob@192.0.2.31>", "<sip:bob@192.0.2.32>"])
    assert element.requests("INVITE") == []


def test_recursion_tries_the_contacts_and_forgets_the_redirection() -> None:
    """Step 4: "If the proxy recurses on all of the contacts in a 3xx response, the proxy SHOULD NOT add the resulting
    contactless response to the response context": a 302 would be better than any 486."""
    element = redirected(["<sip:bob@192.0.2.31>, <sip:bob@192.0.2.32;method=REFER?Subject=x>;q=0.5"])
    tried = element.requests("INVITE")
    # 16.6 step 2: "If the URI contains any parameters not allowed in a Request-URI, they MUST be removed."
    assert [sent.uri for sent in tried] == ["sip:bob@192.0.2.31", "sip:bob@192.0.2.32"]
    for sent in tried:
        assert element.statuses() == []
        element.answer(sent, 486)
    assert element.statuses() == [486]
    element.settle()


def test_contacts_that_are_not_tried_stay_in_the_redirection() -> None:
    contacts = ["<sip:bob@192.0.2.31>", "<tel:+15550100>", "<mailto:bob@example.org>", "<>"]
    element = redirected(contacts)
    [sent] = element.requests("INVITE")
    element.answer(sent, 486)
    [response] = element.responses()
    # "it MUST remove them from the response before adding the response to the response context".
    assert (response.status, response.split("contact")) == (302, contacts[1:])


def test_no_contact_is_tried_twice() -> None:
    """16.5: "any given URI MUST NOT be added to the set more than once", "based on the definition of equality"."""
    element = redirected(["<sip:bob@192.0.2.31;x=1>", "<SIP:bob@192.0.2.31>", f"<{phone(1)};unknown>"])
    [sent] = element.requests("INVITE")
    assert sent.uri == "sip:bob@192.0.2.31;x=1"
    element.answer(sent, 301, "Contact: <sip:bob@192.0.2.31>")
    assert element.requests("INVITE") == []
    [response] = element.responses()
    assert (response.status, response.header("contact")) == (301, "<sip:bob@192.0.2.31>")


def test_a_contact_that_leads_here_is_left_to_the_caller() -> None:
    element = Element()
    element.receive(request())
    plan = Plan([Stage([target(phone(1))])], recurse=True, element=element.itself)
    element.forward_by(plan)
    [sent] = element.requests()
    element.answer(sent, 302, "Contact: <sip:carol@example.org>, <sip:bob@192.0.2.31>, <sip:192.0.2.1>")
    [other] = element.requests("INVITE")
    assert other.uri == "sip:bob@192.0.2.31"
    element.answer(other, 486)
    [response] = element.responses()
    assert response.split("contact") == ["<sip:carol@example.org>", "<sip:192.0.2.1>"]


def test_from_sips_there_is_no_recursion_to_sip() -> None:
    """A proxy "SHOULD NOT recurse to a non-SIPS URI if the Request-URI of the original request was a SIPS URI"."""
    element = redirected(["<sip:bob@192.0.2.31>"], uri="sips:bob@example.org")
    assert (element.statuses(), element.requests("INVITE")) == ([302], [])


def test_a_redirection_joins_the_stages_as_the_next() -> None:
    element = Element()
    element.receive(request())
    element.forward([target(phone(1)), target(phone(2))], [target(phone(3))], recurse=True)
    first, second = element.requests()
    element.answer(first, 302, "Contact: <sip:bob@192.0.2.31>")
    assert element.requests("INVITE") == []
    element.answer(second, 486)
    [third] = element.requests("INVITE")
    assert third.uri == "sip:bob@192.0.2.31"
    element.answer(third, 486)
    [fourth] = element.requests("INVITE")
    assert fourth.uri == phone(3)


def test_a_redirection_after_the_caller_has_cancelled_is_not_followed() -> None:
    element = Element()
    element.receive(request())
    element.forward([target(phone(1))], recurse=True)
    [sent] = element.requests()
    element.receive(request("CANCEL"))
    element.answer(sent, 302, "Contact: <sip:bob@192.0.2.31>")
    assert element.requests("INVITE") == []
    cancelled, final = element.responses()
    assert (cancelled.status, final.status, final.header("contact")) == (200, 302, "<sip:bob@192.0.2.31>")


# failover (16.6 step 7, RFC 3263 4.3, RFC 5626 7) --------------------------------------------------------------------

HOPS = [Flow("UDP", "", f"198.51.100.{number}", 5060) for number in (1, 2)]


def located(method: str = "INVITE", hops: list[Flow] = HOPS) -> tuple[Element, Request]:
    element = Element()
    element.receive(request(method))
    element.forward([target("sip:bob@sip.example.net")])
    [asked] = [event for event in element.events if isinstance(event, Asked)]
    assert (asked.uri.text, element.requests()) == ("sip:bob@sip.example.net", [])
    element.located(asked.token, *hops)
    assert [flow.host for message, flow, _ in element.sent if isinstance(message, Request)] == [
        hop.host for hop in hops[:1]
    ]
    return element, element.requests()[0] if hops else Request(method, "", [], [], b"")


def respond_from(element: Element, sent: Request, status: int, host: str) -> None:
    lines = [f"SIP/2.0 {status} X", *[f"Via: {via}" for via in sent.all("via")], f"From: {sent.header('from')}"]
    lines += [f"To: {sent.header('to')};tag=b", f"Call-ID: {CALL_ID}", f"CSeq: {sent.header('cseq')}", "", ""]
    element.receive("\r\n".join(lines).encode(), Flow("UDP", UDP.id, host, 5060))


def test_after_a_503_the_next_destination_is_tried() -> None:
    element, first = located()
    respond_from(element, first, 503, HOPS[0].host)
    assert (element.flow_of("ACK").host, element.flow_of("INVITE").host) == (HOPS[0].host, HOPS[1].host)
    ack, second = element.requests()
    # "a new request, which is identical to the previous, but has a different value of the Via branch ID".
    assert ack.via.branch == first.via.branch
    assert second.via.branch != first.via.branch
    old, new = first.encode().split(b"\r\n"), second.encode().split(b"\r\n")
    assert [line for line in old if not line.startswith(b"Via")] == [
        line for line in new if not line.startswith(b"Via")
    ]
    respond_from(element, second, 503, HOPS[1].host)
    assert element.statuses() == [500]
    element.settle()


def test_after_a_timeout_the_next_destination_is_tried() -> None:
    element, _ = located()
    element.advance(T64)
    assert element.flow_of("INVITE", -1).host == HOPS[1].host
    second = element.requests("INVITE")[-1]
    respond_from(element, second, 200, HOPS[1].host)
    assert element.statuses() == [100, 200]
    element.settle()


def test_after_a_sign_of_life_a_timeout_is_final() -> None:
    """RFC 3263 4.3: failure is a timeout "without ever having received any response, provisional or final"."""
    element, first = located("MESSAGE")
    respond_from(element, first, 100, HOPS[0].host)
    element.advance(T64)
    assert {sent.via.branch for sent in element.requests("MESSAGE")} == {first.via.branch}
    element.settle()


def test_what_cannot_be_delivered_goes_to_the_next_destination() -> None:
    element, first = located()
    key = f"{first.via.branch}|INVITE"
    element.undelivered(key)
    assert element.flow_of("INVITE").host == HOPS[1].host
    [second] = element.requests()
    element.undelivered(key)
    assert element.sent == []
    element.undelivered(f"{second.via.branch}|INVITE")
    # 16.9: "the proxy MUST behave as if the forwarded request received a 503".
    assert element.statuses() == [500]
    element.settle()


def test_after_a_cancel_no_other_destination_is_tried() -> None:
    element, first = located()
    element.receive(request("CANCEL"))
    respond_from(element, first, 503, HOPS[0].host)
    assert element.requests("INVITE") == []
    assert element.statuses() == [200, 500]
    element.settle()


def test_a_sign_of_life_counts_for_the_destination_that_gave_it() -> None:
    """9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent"."""
    element, first = located()
    respond_from(element, first, 180, HOPS[0].host)
    respond_from(element, first, 503, HOPS[0].host)
    [second] = element.requests("INVITE")
    element.receive(request("CANCEL"))
    assert element.requests("CANCEL") == []
    respond_from(element, second, 180, HOPS[1].host)
    assert element.flow_of("CANCEL").host == HOPS[1].host
    [cancel] = element.requests("CANCEL")
    assert cancel.via.branch == second.via.branch


def test_a_domain_that_leads_nowhere() -> None:
    element, _ = located(hops=[])
    assert element.statuses() == [404]
    element.settle()


def test_cancelled_while_the_domain_is_asked_for() -> None:
    element = Element()
    element.receive(request())
    element.forward([target("sip:bob@sip.example.net")])
    element.receive(request("CANCEL"))
    [asked] = [event for event in element.events if isinstance(event, Asked)]
    element.located(asked.token, *HOPS)
    assert (element.statuses(), element.requests()) == ([200, 487], [])
    element.settle()
    element.responses()
    # The answer again: it is too late.
    element.located(asked.token, *HOPS)
    assert element.sent == []


LONG = b"x" * 1400


def test_a_long_request_goes_by_tcp_and_by_udp_where_tcp_is_refused() -> None:
    """18.1.1: over 1300 bytes "the request MUST be sent using" a transport such as TCP; "if the attempt to establish
    the connection … results in a TCP reset, the element SHOULD retry the request, using UDP"."""
    element = Element()
    element.receive(request(body=LONG))
    element.forward([target(phone(1))])
    assert element.flow_of("INVITE").transport == "TCP"
    key = element.key_of("INVITE")
    [first] = element.requests()
    assert first.via.transport == "TCP"
    element.undelivered(key)
    assert element.flow_of("INVITE").transport == "UDP"
    key = element.key_of("INVITE")
    [second] = element.requests()
    assert (second.via.transport, second.body) == ("UDP", LONG)
    assert second.via.branch != first.via.branch
    element.undelivered(key)
    # It ends here: neither way is tried again.
    assert element.requests() == []
    assert element.statuses() == [500]
    element.settle()


@pytest.mark.parametrize("status", [503, 486])
def test_a_refusal_over_tcp_is_not_asked_for_again_by_udp(status: int) -> None:
    element = Element()
    element.receive(request(body=LONG))
    element.forward([target(phone(1))])
    [sent] = element.requests()
    element.answer(sent, status)
    assert element.requests("INVITE") == []
    assert element.statuses() == [500 if status == 503 else 486]


def test_a_failed_flow_does_not_fall_back_to_the_datagram_of_another_binding() -> None:
    element = Element()
    element.receive(request(body=LONG))
    element.forward([target(phone(1), None, (), target(phone(2), OTHER))])
    [first] = element.requests()
    element.answer(first, 408)
    key = element.key_of("INVITE")
    assert element.flow_of("INVITE").connection == 6
    element.requests()
    element.undelivered(key)
    assert (element.requests("INVITE"), element.statuses()) == ([], [480])


FLOW = Flow("TCP", TCP.id, "192.0.2.21", 41000, 5)
OTHER = Flow("TCP", TCP.id, "192.0.2.21", 42000, 6)


def test_a_flow_that_has_failed_is_replaced_by_the_next_of_its_instance() -> None:
    element = Element()
    element.receive(request())
    element.forward([target(phone(1), FLOW, (), target(phone(2), OTHER))])
    assert element.flow_of("INVITE").connection == 5
    key = element.key_of("INVITE")
    element.requests()
    element.undelivered(key)
    assert element.flow_of("INVITE").connection == 6
    [sent] = element.requests()
    assert sent.uri == phone(2)
    element.answer(sent, 200)
    assert element.statuses() == [200]


@pytest.mark.parametrize(("status", "again"), [(408, True), (430, True), (503, False), (480, False), (486, False)])
def test_another_flow_is_tried_only_for_an_instance_that_was_not_reached(status: int, again: bool) -> None:
    """RFC 5626 7: "If the proxy receives a final response from a branch other than a 408 … or a 430 …, the proxy MUST
    NOT forward the same request to another target representing the same AOR and instance-id"."""
    element = Element()
    element.receive(request())
    element.forward([target(phone(1), FLOW, (), target(phone(2), OTHER))])
    [sent] = element.requests()
    element.answer(sent, status)
    assert [sent.uri for sent in element.requests("INVITE")] == ([phone(2)] if again else [])
    assert element.statuses() == ([] if again else [500 if status == 503 else status])


def test_the_destinations_of_one_binding_are_not_those_of_the_next() -> None:
    element = Element()
    element.receive(request())
    element.forward([target("sip:bob@sip.example.net", None, (), target(phone(2), OTHER))])
    [asked] = [event for event in element.events if isinstance(event, Asked)]
    element.located(asked.token, *HOPS)
    [first] = element.requests()
    respond_from(element, first, 408, HOPS[0].host)
    assert element.flow_of("INVITE").connection == 6


def test_an_alternative_takes_the_place_of_a_target_that_cannot_be_reached_at_all() -> None:
    element = Element()
    element.receive(request())
    element.forward([target("sip:bob@192.0.2.21;transport=ws", None, (), target(phone(2)))])
    [sent] = element.requests()
    assert sent.uri == phone(2)


@pytest.mark.parametrize(("uri", "seen"), [(phone(1), 480), ("sip:bob@example.org", 430)])
def test_430_is_for_the_proxy_that_chose_the_flow(uri: str, seen: int) -> None:
    """RFC 5626 11.5: "Endpoints should never receive a 430 response"; 5.3.1: "If the flow no longer exists, the proxy
    SHOULD send a 430 (Flow Failed) response to the request", to whoever has put its token into the Route."""
    element = Element()
    element.receive(request())
    element.forward([target(uri, FLOW)])
    element.undelivered(element.key_of("INVITE"))
    assert element.statuses() == [seen]
