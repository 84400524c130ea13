"""How messages find their transaction (RFC 3261 17.1.3 and 17.2.3): the keys that they are filed under."""

import pytest

from ringback.errors import ParseError
from ringback.sip.message import Request, Response
from ringback.sip.parser import parse
from ringback.sip.transaction import Transaction, client_key, old_server_key, response_key, server_key
from tests.sip import inputs
from tests.sip.machines import FLOWS

VIA = "Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds"
OLD_VIA = "Via: SIP/2.0/UDP pc33.atlanta.com:5060"


def request(via: str = VIA, method: str = "INVITE", uri: str = "sip:bob@biloxi.com", **edits: str) -> Request:
    """The usual request with other lines: `from_="…"` puts another value in From, `to` in To, and so on."""
    message = parse(inputs.request(method=method, uri=uri))
    assert isinstance(message, Request)
    message.put_line("via", via)
    for name, value in edits.items():
        message.replace({"from_": "From", "to": "To", "call_id": "Call-ID", "cseq": "CSeq"}[name], value)
    return message


def response(via: str = VIA, cseq: str = "CSeq: 314159 INVITE") -> Response:
    message = parse(inputs.response("200 OK"))
    assert isinstance(message, Response)
    message.put_line("via", via)
    message.put_line("cseq", cseq)
    return message


@pytest.mark.parametrize(("transport", "reliable"), [("UDP", False), ("TCP", True)])
def test_a_transaction_knows_whether_its_flow_is_a_stream(transport: str, reliable: bool) -> None:
    transaction = Transaction("key", FLOWS[transport], 3)
    assert transaction.reliable is reliable
    assert (transaction.key, transaction.flow, transaction.state, transaction.user) == (
        "key",
        FLOWS[transport],
        3,
        None,
    )


class TestRequestsWithTheMagicCookie:
    @pytest.mark.parametrize(
        ("same", "other"),
        [
            # "1. the branch parameter in the request is equal to the one in the top Via header field".
            (False, request(VIA + "2")),
            # "2. the sent-by value in the top Via of the request is equal".
            (False, request(VIA.replace("pc33", "pc34"))),
            (False, request(VIA.replace("5060", "5061"))),
            (True, request(VIA.replace("pc33.atlanta", "PC33.Atlanta"))),
            # "3. the method of the request matches the one that created the transaction, except for ACK".
            (False, request(method="CANCEL")),
            (False, request(method="OPTIONS")),
            (True, request(method="ACK")),
            # Nothing else counts: "the branch parameter will be unique across all transactions sent by that client."
            (True, request(uri="sip:carol@chicago.com")),
            (True, request(to="<sip:bob@biloxi.com>;tag=a6c85cf")),
            (True, request(from_="<sip:mallory@atlanta.com>;tag=2")),
            (True, request(call_id="another")),
            (True, request(cseq="2 INVITE")),
            (True, request(VIA + ";received=192.0.2.1;rport=5060")),
            (True, request(VIA.replace(";branch", ";x=y;branch"))),
            (True, request(VIA + ", SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1")),
            (True, request(VIA.replace("UDP", "TCP"))),
        ],
    )
    def test_branch_sent_by_and_method_decide(self, same: bool, other: Request) -> None:
        """ "The sent-by value is used as part of the matching process because there could be accidental or malicious
        duplication of branch parameters from different clients." """
        assert (server_key(other) == server_key(request())) is same

    def test_one_character_after_the_cookie_is_a_name(self) -> None:
        via = f"{OLD_VIA};branch=z9hG4bK1"
        assert server_key(request(via)) == server_key(request(via, call_id="another"))

    def test_an_ack_is_filed_with_its_invite_and_nothing_else(self) -> None:
        assert server_key(request(method="ACK")) != server_key(request(method="BYE"))

    @pytest.mark.parametrize("branch", ["z9hG4bK", "z9hG4b", "Z9HG4BK776", "776asdhds", "z9HG4bK776"])
    def test_a_branch_that_begins_otherwise_or_ends_there_is_no_name(self, branch: str) -> None:
        """The cookie alone (RFC 4475 3.2.1) tells two calls no more apart than no branch at all."""
        via = f"{OLD_VIA};branch={branch}"
        assert server_key(request(via)) == server_key(request(via))
        assert server_key(request(via)) != server_key(request(via, call_id="another"))


class TestRequestsWithoutTheMagicCookie:
    @pytest.mark.parametrize("via", [OLD_VIA, OLD_VIA + ";branch=4", OLD_VIA + ";branch=z9hG4bK"])
    @pytest.mark.parametrize(
        ("same", "edits"),
        [
            # "The INVITE request matches a transaction if the Request-URI, To tag, From tag, Call-ID, CSeq, and top Via
            # header field match those of the INVITE request which created the transaction."
            (True, {}),
            (False, {"uri": "sip:carol@chicago.com"}),
            (False, {"to": "Bob <sip:bob@biloxi.com>;tag=a6c85cf"}),
            (False, {"from_": "Alice <sip:alice@atlanta.com>;tag=2"}),
            (False, {"from_": "Alice <sip:alice@atlanta.com>"}),
            (False, {"call_id": "another"}),
            (False, {"cseq": "314160 INVITE"}),
            # "For all other request methods …, CSeq (including the method)".
            (False, {"method": "OPTIONS"}),
            # "CSeq number (not the method)" for the ACK.
            (True, {"method": "ACK"}),
            # Of To and From only the tags.
            (True, {"to": "sip:robert@biloxi.com"}),
            (True, {"from_": '"Al" <sip:al@atlanta.com>;x=1;tag=1928301774'}),
        ],
    )
    def test_what_decides(self, same: bool, edits: dict[str, str], via: str) -> None:
        assert (server_key(request(via, **edits)) == server_key(request(via))) is same

    @pytest.mark.parametrize(
        ("same", "via"),
        [
            (False, OLD_VIA.replace("pc33", "pc34")),
            (False, OLD_VIA.replace("UDP", "TCP")),
            (False, OLD_VIA + ";branch=1"),
            (True, OLD_VIA + ", SIP/2.0/UDP 192.0.2.9"),
            (True, OLD_VIA + " , SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"),
        ],
    )
    def test_the_top_via_decides_and_no_other(self, same: bool, via: str) -> None:
        assert (server_key(request(via)) == server_key(request(OLD_VIA))) is same

    def test_the_to_tag_of_the_request_that_opened_the_transaction_can_be_named(self) -> None:
        """The ACK carries the To tag of the response, which its INVITE did not have."""
        ack = request(OLD_VIA, method="ACK", to="<sip:bob@biloxi.com>;tag=a6c85cf")
        assert old_server_key(ack, "INVITE", "") == server_key(request(OLD_VIA))
        assert server_key(ack) == server_key(request(OLD_VIA, to="<sip:bob@biloxi.com>;tag=a6c85cf"))

    def test_old_and_new_keys_do_not_meet(self) -> None:
        assert server_key(request(OLD_VIA)) != server_key(request())

    def test_without_a_cseq_that_can_be_read_there_is_no_key(self) -> None:
        with pytest.raises(ParseError, match="CSeq"):
            server_key(request(OLD_VIA, cseq="x INVITE"))


class TestResponses:
    @pytest.mark.parametrize(
        "via",
        [
            "Via: SIP/2.0/UDP h:5060;branch=z9hG4bKx1",
            "v:SIP/2.0/UDP h:5060;branch=z9hG4bKx1",
            "Via: SIP/2.0/UDP h:5060;branch=z9hG4bKx1;received=192.0.2.1;rport=5060",
            "Via: SIP/2.0/UDP h:5060;rport=5060;branch=z9hG4bKx1 ;received=192.0.2.1",
            "Via: SIP/2.0/UDP h:5060;branch=z9hG4bKx1, SIP/2.0/UDP g;branch=z9hG4bKother",
            "Via: SIP/2.0/UDP h:5060;branch=z9hG4bKx1 ,SIP/2.0/UDP g;branch=z9hG4bKother",
            "Via: SIP/2.0/UDP h:5060 ; branch = z9hG4bKx1",
            "Via: SIP/2.0/UDP h:5060;BRANCH=z9hG4bKx1",
            "Via: SIP / 2.0 / UDP h:5060;branch=z9hG4bKx1\t",
            "Via: SIP/2.0/UDP h:5060;branch=z9hG4bKx1\r\n ;received=192.0.2.1",
            'Via: SIP/2.0/UDP h:5060;x=",;branch=z9hG4bKother";branch=z9hG4bKx1',
            'Via: SIP/2.0/UDP h:5060;x=";branch=z9hG4bKother";branch=z9hG4bKx1',
        ],
    )
    @pytest.mark.parametrize("method", ["INVITE", "CANCEL", "OPTIONS", "X-FOO.1"])
    def test_the_branch_and_the_method_of_the_cseq_decide(self, via: str, method: str) -> None:
        """17.1.3: "1. If the response has the same value of the branch parameter in the top Via header field … 2. If
        the method parameter in the CSeq header field matches the method of the request that created the transaction."
        """
        assert response_key(response(via, f"CSeq: 314159 {method}")) == client_key("z9hG4bKx1", method)

    @pytest.mark.parametrize(
        "cseq",
        [
            "CSeq:314159 INVITE",
            "cseq : 314159 INVITE",
            "CSeq: 314159\tINVITE",
            "CSeq: 1  INVITE ",
            "CSeq: 1\r\n INVITE",
        ],
    )
    def test_however_the_cseq_is_written(self, cseq: str) -> None:
        assert response_key(response(cseq=cseq)) == client_key("z9hG4bK776asdhds", "INVITE")

    def test_a_branch_that_is_not_one_of_ours_is_a_key_too(self) -> None:
        """It then matches nothing, as any other that nobody has sent."""
        assert response_key(response(OLD_VIA + ";branch=7")) == client_key("7", "INVITE")

    @pytest.mark.parametrize(
        "via",
        [
            OLD_VIA,
            OLD_VIA + ";branch=",
            OLD_VIA + ", SIP/2.0/UDP g;branch=z9hG4bKother",
            "Via: rubbish",
        ],
    )
    def test_without_a_branch_there_is_no_key(self, via: str) -> None:
        with pytest.raises(ParseError):
            response_key(response(via))

    @pytest.mark.parametrize(
        "cseq",
        [
            "CSeq: INVITE",
            "CSeq: x INVITE",
            "CSeq: 1 ",
            "CSeq: 4294967296 INVITE",
            "CSeq: 1 IN VITE",
            "CSeq: \u0661 INVITE",
        ],
    )
    def test_without_a_cseq_that_can_be_read_there_is_no_key(self, cseq: str) -> None:
        with pytest.raises(ParseError):
            response_key(response(cseq=cseq))

    def test_a_cancel_is_another_transaction_than_what_it_cancels(self) -> None:
        """ "The method is needed since a CANCEL request constitutes a different transaction, but shares the same value
        of the branch parameter." """
        keys = {client_key("z9hG4bKx1", method) for method in ("INVITE", "CANCEL", "OPTIONS")}
        assert len(keys) == 3
