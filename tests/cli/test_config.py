"""`ringback config check`: a configuration and the certificates that it names, looked at without serving."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback.cli.main import app
from tests.cli.processes import ringback


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def certificate(name: str, *names: str) -> None:
    """name.pem and name.key, self-signed for some domains."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", "/CN=ignored.test"]
    if names:
        command += ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def check(*arguments: str) -> tuple[int, str, str]:
    return ringback("config", "check", *arguments)


def test_a_good_one(tmp_path: Path) -> None:
    Path("ringback.toml").write_text('domain = "A.test"\ndomains = ["b.test"]\n')
    expected = (0, "ringback.toml: nothing is wrong; it serves a.test, b.test\n", "")
    assert check() == check("ringback.toml") == expected
    assert sorted(tmp_path.iterdir()) == [tmp_path / "ringback.toml"], "looking makes nothing"


def test_certificates_are_looked_at() -> None:
    certificate("one", "a.test", "b.test")
    Path("r.toml").write_text(
        'domain = "a.test"\nlisten = ["tls:127.0.0.1:5061"]\n'
        '[tls]\ncertificate = "one.pem"\nkey = "one.key"\nca = "one.pem"\n'
    )
    result = CliRunner().invoke(app, ["config", "check", "r.toml"])
    assert result.exception is None
    first, second = result.output.splitlines()
    assert first.startswith("one.pem: for a.test, b.test, good until 20")
    assert second == "r.toml: nothing is wrong; it serves a.test"


TLS = 'domain = "a.test"\n[tls]\n'
MISTAKES: dict[str, list[str]] = {
    "domain = \n": ["r.toml: no TOML: Invalid value (at line 1, column 10)"],
    "": ['r.toml: domain: is missing: the domain that is served; allowed: a domain, such as "example.org"'],
    'domain = "a.test"\n[limits]\ncalls = "many"\n[limts]\nx = 1\n': [
        "r.toml:3: limits.calls: 'many' is not allowed; allowed: a whole number, at least 1",
        "r.toml:4: limts: there is no such key; did you mean limits?",
    ],
    'domain = "a.test"\nlisten = ["tls:127.0.0.1:5061"]\n': [
        "r.toml: tls.certificate: is missing, and tls:127.0.0.1:5061 needs it; allowed: the path of a PEM file"
    ],
    f'{TLS}certificate = "one.pem"\n': ["r.toml:2: tls: certificate and key go together: one of them is missing"],
    f'{TLS}certificate = "gone.pem"\nkey = "one.key"\n': ["gone.pem: can not be read: No such file or directory"],
    f'{TLS}certificate = "one.pem"\nkey = "two.key"\n': ["two.key"],
    f'{TLS}certificate = "one.key"\nkey = "one.key"\n': ["one.key: no certificate in PEM"],
    f'{TLS}ca = "gone.pem"\n': ["gone.pem: can not be read: No such file or directory"],
    f'{TLS}ca = "one.key"\n': ["one.key"],
    'domain = "a.test"\n[authentication]\ntrusted = ["0.0.0.0/0"]\n': [
        "r.toml:3: authentication.trusted: 0.0.0.0/0 would make this an open relay for strangers; "
        "allowed: networks of /8 or narrower"
    ],
}


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_is_a_line(text: str) -> None:
    certificate("one", "a.test")
    certificate("two", "a.test")
    Path("r.toml").write_text(text)
    code, out, err = check("r.toml")
    assert (code, out) == (2, "") and "Traceback" not in err
    lines = err.splitlines()
    assert len(lines) == len(MISTAKES[text])
    for line, expected in zip(lines, MISTAKES[text], strict=True):
        assert line.startswith(f"ringback: {expected}")


def test_variables_are_part_of_it() -> None:
    Path("r.toml").write_text('domain = "a.test"\n')
    assert ringback("config", "check", "r.toml", RINGBACK_LIMITS__CALLS="0") == (
        *(2, ""),
        "ringback: RINGBACK_LIMITS__CALLS: limits.calls: '0' is not allowed; allowed: a whole number, at least 1\n",
    )


@pytest.mark.parametrize(("file", "why"), [("gone.toml", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read(file: str, why: str) -> None:
    assert check(file) == (2, "", f"ringback: {file}: can not be read: {why}\n")


def test_octets_that_are_no_text() -> None:
    Path("r.toml").write_bytes(b'domain = "\xff"\n')
    code, out, err = check("r.toml")
    assert (code, out) == (2, "") and err.startswith("ringback: r.toml: no TOML: 'utf-8' codec can't decode byte 0xff")
