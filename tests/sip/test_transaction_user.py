"""What the parts of a user agent share: tokens, tables that forget, what it is able to do."""

from ringback.sip.message import build_request, build_response
from ringback.sip.profile import Profile
from tests.sip.agents import Agent, Net, Peer


def test_tags_and_random_numbers() -> None:
    tu = Agent(Net(), "alice").core.tu
    tags = {tu.new_tag() for _ in range(1000)}
    assert (len(tags), {len(tag) for tag in tags}) == (1000, {16})
    found = [tu.random(2.0) for _ in range(1000)]
    assert min(found) >= 0.0 and max(found) <= 2.0 and max(found) - min(found) > 1.8


def test_tables_forget() -> None:
    net = Net()
    tu = Agent(net, "alice").core.tu
    tu.remember(tu.ended, "a", 5.0, net.now)
    net.run(3.0)
    # Set anew: the first timer means nothing any more.
    tu.remember(tu.ended, "a", 5.0, net.now)
    net.run(3.0)
    assert list(tu.ended) == ["a"]
    net.run(3.0)
    assert tu.ended == {}


def test_what_is_said_of_us() -> None:
    tu = Agent(Net(), "alice").core.tu
    tu.agent = "Test/1"
    reliable, plain = (Profile("<sip:a@b>", "sip:a@c", reliable=kind) for kind in ("required", "none"))
    for profile, wanted, tags in ((reliable, True, True), (reliable, False, False), (plain, True, False)):
        request = build_request("INVITE", "sip:a@b", [])
        tu.describe(request, profile, wanted)
        assert ("100rel" in request.tokens("supported")) is tags
        assert (request.header("user-agent"), request.header("server")) == ("Test/1", None)
    response = build_response(200, "", [])
    tu.describe(response, plain)
    assert (response.header("server"), response.header("user-agent")) == ("Test/1", None)
    tu.agent = ""
    tu.packages = []
    response = build_response(200, "", [])
    tu.describe(response, plain)
    assert response.names == ["content-length", "allow", "supported"]


def test_an_answer_says_whose_software_it_is_once() -> None:
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    alice.core.tu.agent = "Test/1"
    for headers in ([], [("Server", "Other")]):
        peer.request("MESSAGE", alice, b"x")
        event = alice.requested
        assert event.server.key in alice.core.tu.handed
        alice.core.respond(event.server, event.request, 200, net.now, headers=headers)
        assert alice.core.tu.handed == {}
        net.run(0.0)
        assert peer.response().all("server") == ["Other" if headers else "Test/1"]
