"""`ringback call`: through our own server, with an account, and what goes wrong. Direct calls: test_answer.py."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Answering
from tests.cli.processes import DOMAIN, RINGBACK, ringback, served
from tests.cli.test_answer import tone_of, write_tone
from tests.interop.peers.program import Program, free_port


def test_through_a_server_to_who_is_registered_there(tmp_path: Path) -> None:
    said = write_tone(tmp_path / "said.wav", 700)
    added = ringback("user", "add", "bob", "--domain", DOMAIN, "--data", tmp_path / "data", "--password", "Oo4ieLuo7Z")
    assert added[0] == 0, added
    with served(tmp_path) as (_, port):
        options = ["--registrar", f"127.0.0.1:{port}", "--proxy", f"127.0.0.1:{port}"]
        password = tmp_path / "password"
        password.write_text("anything\n")
        answer: list[str | Path] = [RINGBACK, "answer", "--as", f"sip:bob@{DOMAIN}", *options, "--password-stdin"]
        shell: list[str | Path] = ["sh", "-c", f'exec "$@" <{password}', "sh"]
        callee = Program(
            [*shell, *answer, "--once", "--record", tmp_path / "heard.wav"], tmp_path / "callee.log", cwd=tmp_path
        )
        callee.expect(f"registered as sip:bob@{DOMAIN}", 20)
        # By user alone: the account's domain is meant.
        code, out, err = ringback("call", "bob", "--as", f"sip:alice@{DOMAIN}", *options, "--play", said)
        assert (code, err) == (0, ""), out
        assert f"answered by sip:bob@{DOMAIN}" in out
        assert callee.wait(10) == 0, callee.tail()
        callee.stop()
        code, _, err = ringback("call", "carol", "--as", f"sip:alice@{DOMAIN}", *options)
        assert code == 1 and (": 404 " in err or ": 480 " in err), err
    found, loud = tone_of(tmp_path / "heard.wav")
    assert abs(found - 700) < 10 and loud > 0.3


def test_a_transfer_at_the_end(tmp_path: Path, answering: Answering) -> None:
    first, second = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    bob = answering(tmp_path / "one", first, "--once", "--transfers", "--record", tmp_path / "bob.wav")
    carol = answering(tmp_path / "two", second, "--once", "--play", write_tone(tmp_path / "carol.wav", 1300, 3.0))
    code, out, err = ringback("call", f"sip:bob@{first}", "--transfer", f"sip:carol@{second}")
    assert (code, err) == (0, ""), out
    assert f"transferred to sip:carol@{second}" in out
    assert carol.wait(15) == 0 and bob.wait(15) == 0
    assert "moved: to sip:carol@" in bob.output()
    assert abs(tone_of(tmp_path / "bob.wav")[0] - 1300) < 10


def test_nobody_answers_in_time(tmp_path: Path, answering: Answering) -> None:
    place = f"127.0.0.1:{free_port()}"
    callee = answering(tmp_path, place, "--after", "30")
    code, _, err = ringback("call", f"sip:bob@{place}", "--ring-seconds", "0.5")
    assert (code, err) == (1, f"ringback: sip:bob@{place}: not answered within 0.5 seconds\n")
    callee.expect("ended by remote", 10)


def test_mistakes_are_named(tmp_path: Path) -> None:
    for arguments, said in (
        (("call", "sip:bob@["), "sip:bob@["),
        (("call", "sip:bob@127.0.0.1", "--encryption", "some"), "encryption"),
        (("call", "sip:bob@127.0.0.1", "--codec", "MP3"), "MP3"),
        (("call", "sip:bob@127.0.0.1", "--as", "nobody"), "accounts.toml"),
        (("call", "sip:bob@127.0.0.1", "--as", "sip:a@b", "--password-stdin"), "--password-stdin"),
    ):
        code, out, err = ringback(*arguments, XDG_CONFIG_HOME=str(tmp_path))
        assert code == 2 and said in err and "Traceback" not in err, (arguments, code, out, err)
