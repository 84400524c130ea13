"""Dialogs (RFC 3261 12): made on both sides, route sets, CSeq, target refresh, secure dialogs."""

import pytest

from ringback.errors import ParseError
from ringback.sip.dialog import bare_address, dialog_from_request, dialog_from_response, dialog_key, key_of_request
from ringback.sip.headers import parse_name_addrs
from ringback.sip.message import Request, Response, build_request, response_to

BASE = [
    ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"),
    ("From", '"Alice" <sip:alice@a.example>;tag=from-tag;x=y'),
    ("To", "Bob <sip:bob@b.example>"),
    ("Call-ID", "call"),
]


def invite(uri: str = "sip:bob@b.example", cseq: int = 7, *headers: tuple[str, str]) -> Request:
    return build_request(
        "INVITE", uri, [*BASE, ("CSeq", f"{cseq} INVITE"), ("Contact", "<sip:alice@192.0.2.1>"), *headers]
    )


def answer(request: Request, status: int, *headers: tuple[str, str], tag: str = "to-tag") -> Response:
    return response_to(request, status, "", tag, list(headers))


ROUTES = [("Record-Route", "<sip:p1.example;lr>, <sip:p2.example;lr;x=1>"), ("Record-Route", "<sip:p3.example;lr>")]


# made on both sides --------------------------------------------------------------------------------------------------


def test_the_callers_side() -> None:
    """12.1.2: the route set is the Record-Route "taken in reverse order and preserving all URI parameters"."""
    request = invite()
    response = Response(180, "Ringing", [], [], b"")
    for name, value in [*BASE, ("CSeq", "7 INVITE"), ("Contact", "<sip:bob@192.0.2.9>;q=1"), *ROUTES]:
        response.append(name, value + ";tag=to-tag" if name == "To" else value)
    dialog = dialog_from_response(request, response)
    assert (dialog.call_id, dialog.local_tag, dialog.remote_tag) == ("call", "from-tag", "to-tag")
    assert (dialog.local, dialog.remote) == (BASE[1][1], "Bob <sip:bob@b.example>;tag=to-tag")
    assert (dialog.remote_target, dialog.local_cseq, dialog.remote_cseq) == ("sip:bob@192.0.2.9", 7, -1)
    assert dialog.routes == ["<sip:p3.example;lr>", "<sip:p2.example;lr;x=1>", "<sip:p1.example;lr>"]
    assert (dialog.early, dialog.secure, dialog.caller, dialog.by_flow) == (True, False, True, False)
    assert dialog.key == dialog_key("call", "from-tag", "to-tag")
    assert dialog.remote_party.uri.text == "sip:bob@b.example"


def test_the_callees_side() -> None:
    """12.1.1: the route set is the Record-Route "taken in order"."""
    dialog = dialog_from_request(invite("sip:bob@192.0.2.9", 7, *ROUTES), "mine")
    assert (dialog.call_id, dialog.local_tag, dialog.remote_tag) == ("call", "mine", "from-tag")
    assert (dialog.local, dialog.remote) == ("Bob <sip:bob@b.example>;tag=mine", BASE[1][1])
    assert (dialog.remote_target, dialog.local_cseq, dialog.remote_cseq) == ("sip:alice@192.0.2.1", 0, 7)
    assert dialog.routes == ["<sip:p1.example;lr>", "<sip:p2.example;lr;x=1>", "<sip:p3.example;lr>"]
    assert (dialog.caller, dialog.early) == (False, True)


def test_both_sides_find_each_other() -> None:
    request = invite()
    callee = dialog_from_request(request, "mine")
    caller = dialog_from_response(request, answer(request, 200, ("Contact", "<sip:bob@192.0.2.9>"), tag="mine"))
    sent = caller.request("BYE")
    assert key_of_request(sent) == callee.key
    assert key_of_request(callee.request("BYE")) == caller.key
    assert not caller.early


@pytest.mark.parametrize("contact", ["", "<sip:a@b>, <sip:c@d>", "<mailto:a@b>", "*", "<sip:oops"])
def test_a_request_that_makes_no_dialog(contact: str) -> None:
    """8.1.1.8: exactly one SIP or SIPS URI in Contact."""
    request = invite()
    request.remove("contact")
    if contact:
        request.append("Contact", contact)
    with pytest.raises(ParseError):
        dialog_from_request(request, "mine")


def test_a_request_whose_route_cannot_be_read_makes_none_either() -> None:
    with pytest.raises(ParseError):
        dialog_from_request(invite("sip:b@c", 1, ("Record-Route", "<sip:p1.example;lr>, oops<")), "mine")


def test_a_response_that_breaks_the_rules_makes_one_all_the_same() -> None:
    """Somebody has to end what it has begun."""
    request = invite()
    response = answer(request, 200, ("Record-Route", "<sip:oops"))
    dialog = dialog_from_response(request, response)
    assert (dialog.remote_target, dialog.routes) == ("sip:bob@b.example", [])
    response = answer(request, 200, ("Contact", "<oops"))
    assert dialog_from_response(request, response).remote_target == "sip:bob@b.example"


def test_peers_of_rfc_2543_have_no_tag() -> None:
    """12.1.2: "A UAC MUST be prepared to receive a response without a tag in the To field"; 12.1.1 the like of From."""
    request = invite()
    assert dialog_from_response(request, answer(request, 200, tag="")).remote_tag == ""
    request.replace("From", "<sip:alice@a.example>")
    dialog = dialog_from_request(request, "mine")
    assert (dialog.remote_tag, dialog.remote) == ("", "<sip:alice@a.example>")


@pytest.mark.parametrize(("uri", "secure"), [("sip:b@c", False), ("sips:b@c", True), ("SIPS:b@c", True)])
def test_secure_dialogs(uri: str, secure: bool) -> None:
    request = invite(uri)
    assert dialog_from_request(request, "mine").secure is secure
    assert dialog_from_response(request, answer(request, 200)).secure is secure


# requests ------------------------------------------------------------------------------------------------------------


def test_a_request_within() -> None:
    """12.2.1.1."""
    dialog = dialog_from_request(invite("sip:bob@192.0.2.9", 7, *ROUTES), "mine")
    request = dialog.request("BYE")
    assert (request.method, request.uri) == ("BYE", "sip:alice@192.0.2.1")
    assert request.lines == [
        "Route: <sip:p1.example;lr>, <sip:p2.example;lr;x=1>, <sip:p3.example;lr>",
        "From: Bob <sip:bob@b.example>;tag=mine",
        f"To: {BASE[1][1]}",
        "Call-ID: call",
        "CSeq: 1 BYE",
        "Max-Forwards: 70",
    ]
    dialog.routes = []
    assert [dialog.request("INFO").cseq.number for _ in range(3)] == [2, 3, 4]
    assert "route" not in dialog.request("INFO").names


def test_an_ack_has_the_number_of_its_invite_and_counts_nothing() -> None:
    request = invite()
    dialog = dialog_from_response(request, answer(request, 200))
    assert dialog.request("ACK", 7).cseq.number == 7
    assert dialog.request("BYE").cseq.number == 8


def test_what_came_from_the_network_goes_out_as_it_came() -> None:
    request = invite()
    request.lines[request.names.index("from")] = 'From: "\\\0 \udcff" <sip:a@b>;tag=t'
    dialog = dialog_from_request(request, "mine")
    assert dialog.request("BYE").header("to") == '"\\\0 \udcff" <sip:a@b>;tag=t'


@pytest.mark.parametrize(
    ("numbers", "taken"),
    [
        ([8, 9, 12], [True, True, True]),
        ([8, 8], [True, False]),
        ([7], [False]),
        ([6], [False]),
        ([4294967295, 1], [True, False]),
    ],
)
def test_the_order_of_received_requests(numbers: list[int], taken: list[bool]) -> None:
    """12.2.2."""
    dialog = dialog_from_request(invite(), "mine")
    assert [dialog.takes(build_request("INFO", "sip:a@b", [("CSeq", f"{n} INFO")])) for n in numbers] == taken


def test_the_first_request_of_a_callee_may_have_any_number_and_an_ack_always_is_in_order() -> None:
    request = invite()
    dialog = dialog_from_response(request, answer(request, 200))
    assert dialog.takes(build_request("ACK", "sip:a@b", [("CSeq", "3 ACK")]))
    assert dialog.remote_cseq == -1
    assert dialog.takes(build_request("INFO", "sip:a@b", [("CSeq", "0 INFO")]))
    assert dialog.remote_cseq == 0


# refreshing ----------------------------------------------------------------------------------------------------------


def test_the_target_is_refreshed_and_cleaned() -> None:
    dialog = dialog_from_request(invite(), "mine")
    dialog.refresh(parse_name_addrs(["<sip:new@192.0.2.5;method=BYE;x=y?Route=z>, <sip:other@x>"]))
    assert dialog.remote_target == "sip:new@192.0.2.5;x=y"
    dialog.refresh([])
    assert dialog.remote_target == "sip:new@192.0.2.5;x=y"


def test_confirming_computes_the_route_set_anew() -> None:
    """13.2.2.4."""
    request = invite()
    dialog = dialog_from_response(request, answer(request, 180, ("Record-Route", "<sip:a.example;lr>")))
    confirmed = answer(request, 200, ("Record-Route", "<sip:b.example;lr>"), ("Contact", "<sip:new@x>"))
    dialog.confirm(confirmed)
    assert (dialog.early, dialog.routes, dialog.remote_target) == (False, ["<sip:b.example;lr>"], "sip:new@x")
    dialog.confirm(answer(request, 200, ("Record-Route", "<sip:oops"), ("Contact", "<oops")))
    assert (dialog.routes, dialog.remote_target) == (["<sip:b.example;lr>"], "sip:new@x")


@pytest.mark.parametrize(
    ("value", "bare"),
    [
        ('"A <x>" <sip:a@b;c=d>;tag=1', '"A <x>" <sip:a@b;c=d>'),
        ("<sip:a@b>", "<sip:a@b>"),
        ("sip:a@b;tag=1", "<sip:a@b>"),
    ],
)
def test_an_address_without_its_parameters(value: str, bare: str) -> None:
    assert bare_address(value) == bare
