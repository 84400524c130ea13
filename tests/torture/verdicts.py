"""What has to become of each message of RFC 4475 and RFC 5118: the RFC's verdict, and what this server does by it.

    section, name     of the message in its RFC
    rfc               what the RFC demands or allows, in its own words where they are short
    parsed            "accepted", or the status that `parse` refuses it with
    trusted           what becomes of it when it comes from a source that needs no credentials, so that nothing but the
                      message decides: "200" and so on is the answer, "discarded" is none, "to …" is where it is
                      forwarded
    stranger          the same when it comes from anybody: 401 and 407 show that it got as far as authentication
    values            what has to be read from it, by attribute of `Reading`; ParseError where it cannot be read
    choice            what was chosen, and why, where the RFC leaves a choice

The server of the table serves example.com, at 192.0.2.1 and 2001:db8::10, ports 5060. All names lead to NEXT, and the
user that a request is for has a telephone at PHONE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringback.errors import ParseError

#: Above the lines of the table.
TITLE = f"{'':4} {'section':<17} {'message':<29} {'parser':<11} {'server':<34} {'stranger':<9} what the RFC says"

DATA = Path(__file__).resolve().parent / "data"
PHONE = "198.51.100.50"
NEXT = "203.0.113.9"
SOURCE = "198.51.100.7"
SOURCE6 = "2001:db8::9:255"

TO_PHONE = f"to udp:{PHONE}:5060"
TO_PHONE_TCP = f"to tcp:{PHONE}:5060"
TO_NEXT = f"to udp:{NEXT}:5060"


@dataclass(frozen=True)
class Verdict:
    """One line of the table; `source` and `callee` (user part of an AOR with a telephone) set the stage."""

    rfc_number: int
    section: str
    name: str
    rfc: str
    parsed: str
    trusted: str
    stranger: str
    values: Mapping[str, Any] = field(default_factory=dict)
    choice: str = ""
    source: str = SOURCE
    callee: str = "user"

    @property
    def path(self) -> Path:
        """Its file."""
        return DATA / f"rfc{self.rfc_number}" / (f"{self.name}.dat" if self.rfc_number == 4475 else self.name)

    @property
    def data(self) -> bytes:
        """Its octets."""
        return self.path.read_bytes()

    def __str__(self) -> str:
        unread = [name for name, value in self.values.items() if value is ParseError]
        parsed = f"400 {unread[0]}" if unread else self.parsed
        where = f"RFC {self.rfc_number} {self.section}"
        ours = f"{parsed:<11} {self.trusted:<34} {self.stranger:<9}"
        note = f" | chosen: {self.choice}" if self.choice else ""
        return f"{where:<17} {self.name:<29} {ours} {self.rfc}{note}"


def rfc4475(section: str, name: str, rfc: str, parsed: str, trusted: str, stranger: str, **more: Any) -> Verdict:
    return Verdict(4475, section, name, rfc, parsed, trusted, stranger, **more)


def rfc5118(section: str, name: str, rfc: str, parsed: str, trusted: str, stranger: str, **more: Any) -> Verdict:
    return Verdict(5118, section, name, rfc, parsed, trusted, stranger, **{"source": SOURCE6, **more})


ODD_METHOD = "!interesting-Method0123456789_*+`.%indeed'~"
ODD_USER = "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
LONG_NAME = "amazinglylongcallername" * 5
LONG_USER = f"sip:{LONG_NAME}@example.net"
CALLER = "sip:caller@example.net"
USER = ("", "sip:user@example.com", {})

VERDICTS: tuple[Verdict, ...] = (
    # RFC 4475 3.1.1: valid messages ----------------------------------------------------------------------------------
    rfc4475(
        "3.1.1.1",
        "wsinv",
        "all elements treat it as well-formed; unknown headers are forwarded unchanged",
        "accepted",
        TO_NEXT,
        "407",
        values={
            "method": "INVITE",
            "target": ("sip", "vivekg", None, "chair-dnrc.example.com", None, {"unknownparam": None}),
            "to": ("", "sip:vivekg@chair-dnrc.example.com", {"tag": "1918181833n"}),
            "sender": ('J Rosenberg \\"', "sip:jdrosen@example.com", {"tag": "98asjd8"}),
            "max_forwards": 68,
            "call_id": "wsinv.ndaksdj@192.0.2.1",
            "cseq": (9, "INVITE"),
            "vias": [
                ("UDP", "192.0.2.2", 0, "390skdjuw", ""),
                ("TCP", "spindle.example.com", 0, "z9hG4bK9ikj8", ""),
                ("UDP", "192.168.255.111", 0, "z9hG4bK30239", ""),
            ],
            "subject": "",
            "newfangledheader": "newfangled value continued newfangled value",
            "unknownheaderwithunusualvalue": ";;,,;;,;",
            "routes": [("", "sip:services.example.com;lr;unknownwith=value;unknown-no-value", {})],
            "contacts": [
                (
                    'Quoted string ""',
                    "sip:jdrosen@example.com",
                    {"newparam": "newvalue", "secondparam": None, "q": "0.33"},
                )
            ],
            "content": ("application/sdp", 150),
        },
    ),
    rfc4475(
        "3.1.1.2",
        "intmeth",
        "well-formed, and of an unknown method",
        "accepted",
        TO_PHONE,
        "407",
        callee=ODD_USER,
        values={
            "method": ODD_METHOD,
            "target": (
                "sip",
                ODD_USER,
                "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
                "example.com",
                None,
                {},
            ),
            "vias": [("TCP", "host1.example.com", 0, "z9hG4bK-.!%66*_+`'~", "")],
            "to": ("BEL:\x07 NUL:\x00 DEL:\x7f", f"sip:{ODD_USER}@example.com", {}),
            "sender": (
                "token1~` token2'+_ token3*%!.-",
                "sip:mundane@example.com",
                {"fromparam''~+*_!.-%": '"работающий"', "tag": "_token~1'+`*%!-."},
            ),
            "call_id": "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
            "cseq": (139122385, ODD_METHOD),
            "max_forwards": 255,
            "extensionheader-!.%*+_`'~": "\ufeff大停電",
        },
    ),
    rfc4475(
        "3.1.1.3",
        "esc01",
        "well-formed; %HH stands for the octet where the grammar has escapes, and is undone once",
        "accepted",
        TO_NEXT,
        "407",
        values={
            "target": ("sip", "sips%3Auser%40example.com", None, "example.net", None, {}),
            "target_aor": "sips:user@example.com@example.net",
            "to": ("", "sip:%75se%72@example.com", {}),
            "to_aor": "user@example.com",
            "sender": ("", "sip:I%20have%20spaces@example.net", {"tag": "938"}),
            "sender_aor": "I have spaces@example.net",
            "contacts": [("", "sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31", {})],
            "contact_parameters": {"lr": "", "name": "value%41"},
        },
    ),
    rfc4475(
        "3.1.1.4",
        "escnull",
        "well-formed; registers two contacts for a user name with a null in it",
        "accepted",
        "200",
        "401",
        values={
            "to": ("", "sip:null-%00-null@example.com", {}),
            "to_aor": "null-\0-null@example.com",
            "contacts": [("", "sip:%00@host5.example.com", {}), ("", "sip:%00%00@host5.example.com", {})],
        },
    ),
    rfc4475(
        "3.1.1.5",
        "esc02",
        "well-formed; the method is unknown, %Z%45 is no escape, C%6Fntact is no Contact",
        "accepted",
        TO_NEXT,
        "407",
        values={
            "method": "RE%47IST%45R",
            "to": ("%Z%45", "sip:resource@example.com", {}),
            "sender": ("%Z%45", "sip:resource@example.com", {"tag": "f232jadfj23"}),
            "vias": [("TCP", "host.example.com", 0, "z9hG4bK209%fzsnel234", "")],
            "contacts": [("", "sip:alias1@host1.example.com", {}), ("", "sip:alias3@host3.example.com", {})],
            "c%6fntact": "<sip:alias2@host2.example.com>",
        },
    ),
    rfc4475(
        "3.1.1.6",
        "lwsdisp",
        "accepted, although no LWS stands between display name and <",
        "accepted",
        TO_PHONE,
        "407",
        values={"sender": ("caller", "sip:caller@example.com", {"tag": "323"})},
    ),
    rfc4475(
        "3.1.1.7",
        "longreq",
        "well-formed",
        "accepted",
        TO_PHONE_TCP,
        "407",
        choice="it is over 1,300 octets, so it goes on over TCP (RFC 3261 18.1.1)",
        values={
            "to": (
                "I have a user name of " + "extreme" * 10 + " proportion",
                f"sip:user@example.com:6000;unknownparam1=very{'long' * 20}value"
                f";longparam{'name' * 25}=shortvalue;very{'long' * 25}ParameterNameWithNoValue",
                {},
            ),
            "sender": (
                "",
                LONG_USER,
                {
                    "tag": "12" + "982" * 50 + "424",
                    f"unknownheaderparam{'name' * 20}": f"unknowheaderparam{'value' * 15}",
                    f"unknownvalueless{'paramname' * 10}": None,
                },
            ),
            "call_id": f"longreq.one{'really' * 20}longcallid",
            f"unknown-{'long' * 20}-name": f"unknown-{'long' * 20}-value; "
            f"unknown-{'long' * 20}-parameter-name = unknown-{'long' * 20}-parameter-value",
            "via_hosts": [*(f"sip{number}.example.com" for number in range(33, 0, -1)), "host.example.com"],
            "last_branch": "very" + "long" * 50 + "branchvalue",
            "contacts": [("", f"sip:{LONG_NAME}@host5.example.net", {})],
            "content": ("application/sdp", 150),
        },
    ),
    rfc4475(
        "3.1.1.8",
        "dblreq",
        "the octets behind the body are ignored, though they look like an INVITE",
        "accepted",
        "200",
        "401",
        values={
            "method": "REGISTER",
            "call_id": "dblreq.0ha0isndaksdj99sdfafnl3lk233412",
            "contacts": [("", "sip:j.user@host.example.com", {})],
            "content": (None, 0),
        },
    ),
    rfc4475(
        "3.1.1.9",
        "semiuri",
        'well-formed; the user part is "user;par=u@example.net"',
        "accepted",
        TO_PHONE,
        "407",
        callee="user;par=u%40example.net",
        values={
            "target": ("sip", "user;par=u%40example.net", None, "example.com", None, {}),
            "target_aor": "user;par=u@example.net@example.com",
            "accept": "application/sdp, application/pkcs7-mime, multipart/mixed, multipart/signed, "
            "message/sip, message/sipfrag",
        },
    ),
    rfc4475(
        "3.1.1.10",
        "transports",
        "well-formed; processed as if the further Vias said UDP",
        "accepted",
        TO_PHONE,
        "407",
        values={
            "vias": [
                ("UDP", "t1.example.com", 0, "z9hG4bKkdjuw", ""),
                ("SCTP", "t2.example.com", 0, "z9hG4bKklasjdhf", ""),
                ("TLS", "t3.example.com", 0, "z9hG4bK2980unddj", ""),
                ("UNKNOWN", "t4.example.com", 0, "z9hG4bKasd0f3en", ""),
                ("TCP", "t5.example.com", 0, "z9hG4bK0a9idfnee", ""),
            ]
        },
    ),
    rfc4475(
        "3.1.1.11",
        "mpart01",
        "well-formed; the binary body with its nulls is framed by Content-Length",
        "accepted",
        "to tcp:127.0.0.1:5080",
        "407",
        source="127.0.0.1",
        choice="its Route names the loopback interface, where only a source on this machine may have it sent; "
        "with what a proxy adds it is over 1,300 octets",
        values={
            "method": "MESSAGE",
            "routes": [("", "sip:127.0.0.1:5080", {})],
            "content": ("multipart/mixed;boundary=7a9cbec02ceef655", 553),
        },
    ),
    rfc4475(
        "3.1.1.12",
        "unreason",
        "well-formed; the reason phrase may be anything",
        "accepted",
        "discarded",
        "discarded",
        choice="it answers no request of ours (RFC 6026 8.2)",
        values={"status": (200, "= 2**3 * 5**2 но сто девяносто девять - простое")},
    ),
    rfc4475(
        "3.1.1.13",
        "noreason",
        "well-formed; the reason phrase may be empty",
        "accepted",
        "discarded",
        "discarded",
        choice="it answers no request of ours (RFC 6026 8.2)",
        values={"status": (100, "")},
    ),
    # RFC 4475 3.1.2: invalid messages --------------------------------------------------------------------------------
    rfc4475(
        "3.1.2.1",
        "badinv01",
        "should be answered with 400",
        "accepted",
        "400",
        "400",
        choice="what separates too much is found when Via is read, by the transport",
        values={"vias": ParseError, "contacts": ParseError, "to": ("", "sip:j.user@example.com", {})},
    ),
    rfc4475("3.1.2.2", "clerr", "should be answered with 400", "400", "400", "400"),
    rfc4475("3.1.2.3", "ncl", "should be answered with an error", "400", "400", "400"),
    rfc4475("3.1.2.4", "scalar02", "should be answered with 400 for its CSeq", "400", "400", "400"),
    rfc4475(
        "3.1.2.5",
        "scalarlg",
        "is discarded",
        "accepted",
        "discarded",
        "discarded",
        values={"cseq": ParseError, "status": (503, "Service Unavailable")},
    ),
    rfc4475(
        "3.1.2.6",
        "quotbal",
        "should be answered with 400",
        "accepted",
        "400",
        "400",
        choice="no closing quote is inferred: any guess could be the wrong one",
        values={"to": ParseError},
    ),
    rfc4475(
        "3.1.2.7",
        "ltgtruri",
        "400 is always reasonable; brackets may be ignored",
        "accepted",
        "400",
        "400",
        choice="refused: what each element repairs in its own way lets two of them see two requests",
        values={"target": ParseError},
    ),
    rfc4475("3.1.2.8", "lwsruri", "should be answered with 400", "400", "400", "400"),
    rfc4475(
        "3.1.2.9",
        "lwsstart",
        "may be rejected; extra SP may be ignored",
        "400",
        "400",
        "400",
        choice="refused, as ltgtruri",
    ),
    rfc4475(
        "3.1.2.10",
        "trws",
        "may be rejected; extra SP may be ignored",
        "400",
        "400",
        "400",
        choice="refused, as ltgtruri",
    ),
    rfc4475(
        "3.1.2.11",
        "escruri",
        "may be answered with 400; the escaped headers must not be forwarded",
        "accepted",
        "400",
        "400",
        choice="refused: the sender means something by them that would be lost",
        values={"target_headers": "Route=%3Csip:example.com%3E"},
    ),
    rfc4475(
        "3.1.2.12",
        "baddate",
        "should not be rejected by who does not need the Date",
        "accepted",
        TO_PHONE,
        "407",
        choice="a proxy does not; it goes on unchanged (RFC 3261 16.3 step 1)",
        values={"date": "Fri, 01 Jan 2010 16:00:00 EST"},
    ),
    rfc4475(
        "3.1.2.13",
        "regbadct",
        "400 is reasonable; <> may be inferred",
        "accepted",
        "400",
        "401",
        choice='refused: RFC 3261 20 has it that "the name-addr form MUST be used"',
        values={"contacts": ParseError},
    ),
    rfc4475(
        "3.1.2.14",
        "badaspec",
        "400 is reasonable; the spaces may be ignored",
        "accepted",
        "400",
        "400",
        choice="refused, as quotbal: From and To are read before anything is forwarded",
        values={"to": ParseError},
    ),
    rfc4475(
        "3.1.2.15",
        "baddn",
        "400 is always reasonable; a proxy must not propagate the error",
        "400",
        "400",
        "400",
        choice="the file has no empty line behind its headers either; with one, From and To are refused",
    ),
    rfc4475("3.1.2.16", "badvers", "should be answered with 505", "505", "505", "505"),
    rfc4475("3.1.2.17", "mismatch01", "will be answered with 400", "400", "400", "400"),
    rfc4475(
        "3.1.2.18",
        "mismatch02",
        "should be answered with 501; 400 will do",
        "501",
        "501",
        "501",
        choice='501, which "has better future-proof characteristics"',
    ),
    rfc4475("3.1.2.19", "bigcode", "should simply be dropped", "400", "discarded", "discarded"),
    # RFC 4475 3.2 to 3.4 ---------------------------------------------------------------------------------------------
    rfc4475(
        "3.2.1",
        "badbranch",
        "may be answered with 400, or matched by the rules of RFC 2543",
        "accepted",
        TO_PHONE,
        "407",
        choice="matched by the rules of RFC 2543, as every branch that identifies nothing",
        values={"vias": [("UDP", "192.0.2.1", 0, "z9hG4bK", "")]},
    ),
    rfc4475("3.3.1", "insuf", "ideally answered with 400", "400", "400", "400"),
    rfc4475(
        "3.3.2",
        "unkscm",
        "accepted by the parser, answered with 416",
        "accepted",
        "416",
        "416",
        values={"target": ("nobodyknowsthisscheme", "totallyopaquecontent", None, "", None, {}), "to": USER},
    ),
    rfc4475(
        "3.3.3",
        "novelsc",
        "accepted by the parser, answered with 416 by who never takes this scheme",
        "accepted",
        "416",
        "416",
        values={"target": ("soap.beep", "//192.0.2.103:3002", None, "", None, {})},
    ),
    rfc4475(
        "3.3.4",
        "unksm2",
        "accepted by the parser; a registrar answers 400",
        "accepted",
        "400",
        "401",
        values={
            "to": ("", "isbn:2983792873", {}),
            "sender": ("", "http://www.example.com", {"tag": "3234233"}),
            "contacts": [("", "name:John_Smith", {})],
        },
    ),
    rfc4475(
        "3.3.5",
        "bext01",
        "is answered with 420, Unsupported listing what this role does not know",
        "accepted",
        "420",
        "420",
        choice="as a proxy: the options of Proxy-Require",
        values={
            "require": "nothingSupportsThis, nothingSupportsThisEither",
            "proxy_require": "noProxiesSupportThis, norDoAnyProxiesSupportThis",
        },
    ),
    rfc4475(
        "3.3.6",
        "invut",
        "a proxy processes it as any other INVITE",
        "accepted",
        TO_PHONE,
        "407",
        values={"content": ("application/unknownformat", 40)},
    ),
    rfc4475(
        "3.3.7",
        "regaut01",
        "a registrar that authenticates answers 401 with a challenge, one that does not ignores the header",
        "accepted",
        "200",
        "401",
        values={"authorization": "NoOneKnowsThisScheme opaque-data=here"},
    ),
    rfc4475("3.3.8", "multi01", "is answered with 400", "400", "400", "400"),
    rfc4475("3.3.9", "mcl01", "should be answered with an error", "400", "400", "400"),
    rfc4475(
        "3.3.10",
        "bcast",
        "accepted by the parser; proxies drop such responses",
        "accepted",
        "discarded",
        "discarded",
        choice="no response is ever sent where its Via says, but where its request came from",
        values={
            "vias": [
                ("UDP", "192.0.2.198", 0, "z9hG4bK1324923", ""),
                ("UDP", "255.255.255.255", 0, "z9hG4bK1saber23", ""),
            ]
        },
    ),
    rfc4475(
        "3.3.11",
        "zeromf",
        "a proxy should not forward it, and should answer 483",
        "accepted",
        "483",
        "483",
        values={"max_forwards": 0},
    ),
    rfc4475(
        "3.3.12",
        "cparam01",
        "registers; unknownparam is a parameter of the Contact header, now and in later fetches",
        "accepted",
        "200",
        "401",
        values={"contacts": [("", "sip:+19725552222@gw1.example.net", {"unknownparam": None})]},
    ),
    rfc4475(
        "3.3.13",
        "cparam02",
        "registers; unknownparam is a parameter of the URI, now and in later fetches",
        "accepted",
        "200",
        "401",
        values={"contacts": [("", "sip:+19725552222@gw1.example.net;unknownparam", {})]},
    ),
    rfc4475(
        "3.3.14",
        "regescrt",
        "should register, and a later fetch must show the escaped Route in the contact",
        "accepted",
        "403",
        "401",
        choice="this Contact is its own address of record: the registrar of RFC 3261 10.3 takes it, with its header, "
        "but by its own policy this server takes no contact that leads back to itself (RFC 5627 5.1: "
        '"MUST reject the request with a 403, since this would cause a routing loop")',
        values={"contacts": [("", "sip:user@example.com?Route=%3Csip:sip.example.com%3E", {})]},
    ),
    rfc4475(
        "3.3.15",
        "sdp01",
        "the recipient may answer 406 or 400",
        "accepted",
        TO_PHONE,
        "407",
        choice="a proxy is not the recipient",
        values={"accept": "text/nobodyKnowsThis"},
    ),
    rfc4475(
        "3.4.1",
        "inv2543",
        "should be accepted: no branch, no From tag, no Content-Length, no Max-Forwards",
        "accepted",
        TO_PHONE,
        "407",
        callee="UserB",
        values={
            "vias": [("UDP", "iftgw.example.com", 0, "", "")],
            "sender": ("", "sip:+13035551111@ift.client.example.net;user=phone", {}),
            "to": ("", "sip:+16505552222@ss1.example.net", {"user": "phone"}),
            "max_forwards": None,
            "content": ("application/sdp", 105),
        },
    ),
    # RFC 5118 --------------------------------------------------------------------------------------------------------
    rfc5118(
        "4.1",
        "ipv6-good",
        "well-formed",
        "accepted",
        "200",
        "401",
        values={
            "target": ("sip", "", None, "[2001:db8::10]", None, {}),
            "vias": [("UDP", "[2001:db8::9:1]", 0, "z9hG4bKas3-111", "")],
            "contacts": [("Caller", "sip:caller@[2001:db8::1]", {})],
        },
    ),
    rfc5118(
        "4.2",
        "ipv6-bad",
        "should be answered with 400",
        "accepted",
        "400",
        "400",
        values={"target": ParseError, "contacts": [("Caller", "sip:caller@[2001:db8::1]", {})]},
    ),
    rfc5118(
        "4.3",
        "port-ambiguous",
        "well-formed; 5070 is the last group of the address",
        "accepted",
        "to udp:[2001:db8::10:5070]:5060",
        "407",
        choice="another address than ours: what it asks for, and not what it means",
        values={"target": ("sip", "", None, "[2001:db8::10:5070]", None, {})},
    ),
    rfc5118(
        "4.4",
        "port-unambiguous",
        "well-formed; 5070 is the port",
        "accepted",
        "to udp:[2001:db8::10]:5070",
        "407",
        choice="a port where this server does not listen is another element's",
        values={"target": ("sip", "", None, "[2001:db8::10]", 5070, {})},
    ),
    rfc5118(
        "4.5",
        "via-received-param-with-delim",
        "must be parsed, although received has [ and ]",
        "accepted",
        "481",
        "407",
        values={
            "method": "BYE",
            "vias": [("UDP", "[2001:db8::9:1]", 0, "z9hG4bKas3-111", "2001:db8::9:255")],
        },
    ),
    rfc5118(
        "4.5",
        "via-received-param-no-delim",
        "must be parsed: received has neither [ nor ]",
        "accepted",
        "200",
        "407",
        values={"vias": [("UDP", "[2001:db8::9:1]", 0, "z9hG4bKas3", "2001:db8::9:255")]},
    ),
    rfc5118(
        "4.6",
        "ipv6-in-sdp",
        "well-formed; addresses in SDP have no brackets",
        "accepted",
        TO_PHONE,
        "407",
        values={
            "target": ("sip", "user", None, "[2001:db8::10]", None, {}),
            "vias": [("UDP", "[2001:db8::20]", 0, "z9hG4bKas3-111", "")],
            "contacts": [("Caller", "sip:caller@[2001:db8::20]", {})],
            "content": ("application/sdp", 241),
        },
    ),
    rfc5118(
        "4.7",
        "mult-ip-in-header",
        "well-formed; the Vias mix IPv4 and IPv6",
        "accepted",
        TO_NEXT,
        "407",
        values={
            "vias": [
                ("UDP", "[2001:db8::9:1]", 6050, "z9hG4bKas3-111", ""),
                ("UDP", "192.0.2.1", 0, "z9hG4bKjhja8781hjuaij65144", ""),
                ("TCP", "[2001:db8::9:255]", 0, "z9hG4bK451jj", "192.0.2.200"),
            ],
            "to": ("", "sip:user@example.net", {"tag": "9817--94"}),
        },
    ),
    rfc5118(
        "4.8",
        "mult-ip-in-sdp",
        "well-formed; its SDP mixes IPv4 and IPv6",
        "accepted",
        TO_PHONE,
        "407",
        values={"content": ("application/sdp", 181), "cseq": (8912, "INVITE")},
    ),
    rfc5118(
        "4.9",
        "ipv4-mapped-ipv6",
        "well-formed; the port stands behind the ]",
        "accepted",
        TO_PHONE,
        "407",
        source="198.51.100.7",
        values={
            "vias": [
                ("UDP", "[::ffff:192.0.2.10]", 19823, "z9hG4bKbh19", ""),
                ("UDP", "[::ffff:192.0.2.2]", 0, "z9hG4bKas3-111", ""),
            ],
            "contacts": [("T. desk phone", "sip:ted@[::ffff:192.0.2.2]", {})],
            "content": ("application/sdp", 236),
        },
    ),
    rfc5118(
        "4.10",
        "ipv6-bug-abnf-3-colons",
        "must be tolerated, although a colon is too many; a proxy may take it off",
        "accepted",
        "to udp:[2001:db8::192.0.2.1]:5060",
        "407",
        choice="the Request-URI goes on as it came: a proxy changes what it must and no more",
        values={
            "target": ("sip", "user", None, "[2001:db8::192.0.2.1]", None, {}),
            "to_host": "[2001:db8::192.0.2.1]",
        },
    ),
    rfc5118(
        "4.10",
        "ipv6-correct-abnf-2-colons",
        "well-formed",
        "accepted",
        "to udp:[2001:db8::192.0.2.1]:5060",
        "407",
        values={
            "target": ("sip", "user", None, "[2001:db8::192.0.2.1]", None, {}),
            "to": ("", "sip:user@[2001:db8::192.0.2.1]", {}),
        },
    ),
)
