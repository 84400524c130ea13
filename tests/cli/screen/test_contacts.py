"""The file of contacts: read, added to, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.cli.screen.contacts import Contacts, contacts_file
from ringback.errors import ConfigurationError, LocalError


def test_it_lies_beside_the_accounts() -> None:
    assert contacts_file(Path("/etc/phone/accounts.toml")) == Path("/etc/phone/contacts.toml")


def test_without_a_file_there_are_none_and_the_first_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "contacts.toml"
    contacts = Contacts(file)
    assert dict(contacts) == {}
    contacts.add(" Bob ", " sip:bob@example.org ")
    assert dict(contacts) == {"Bob": "sip:bob@example.org"} == dict(Contacts(file))
    assert [path.name for path in file.parent.iterdir()] == ["contacts.toml"]


def test_what_stands_in_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "contacts.toml"
    file.write_text('# friends\nbob = "sip:bob@example.org"')
    file.chmod(0o600)
    contacts = Contacts(file)
    contacts.add('Çağla "Ç" \\', "tel:+4930123456")
    assert file.read_text() == ('# friends\nbob = "sip:bob@example.org"\n"Çağla \\"Ç\\" \\\\" = "tel:+4930123456"\n')
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(Contacts(file)) == ["bob", 'Çağla "Ç" \\']


def test_a_contact_is_meant_by_name_in_whatever_case(tmp_path: Path) -> None:
    contacts = Contacts(tmp_path / "contacts.toml")
    contacts.add("Straße", "sip:s@example.org")
    assert contacts.target(" STRASSE ") == "sip:s@example.org"
    assert contacts.target(" bob ") == "bob"
    assert contacts.target("sip:x@example.net") == "sip:x@example.net"


@pytest.mark.parametrize(
    ("name", "uri", "told"),
    [
        ("", "sip:x@example.org", "'' is no name: 1 to 64 characters"),
        ("x" * 65, "sip:x@example.org", f"'{'x' * 65}' is no name: 1 to 64 characters"),
        ("a\x1b[2J", "sip:x@example.org", "'a\\x1b[2J' is no name: 1 to 64 characters"),
        ("carol", "http://example.org", "carol: http://example.org can not be called; allowed: sip:, sips: and tel:"),
        ("BOB", "sip:x@example.org", "there is a contact 'BOB' already"),
    ],
)
def test_mistakes_change_nothing(tmp_path: Path, name: str, uri: str, told: str) -> None:
    contacts = Contacts(tmp_path / "contacts.toml")
    contacts.add("bob", "sip:bob@example.org")
    with pytest.raises(LocalError) as raised:
        contacts.add(name, uri)
    assert str(raised.value) == told
    assert dict(Contacts(contacts.file)) == {"bob": "sip:bob@example.org"}


def test_a_uri_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"^carol: "):
        Contacts(tmp_path / "contacts.toml").add("carol", "sip:")


def test_a_file_with_mistakes_names_each(tmp_path: Path) -> None:
    file = tmp_path / "contacts.toml"
    file.write_text('bob = 7\nann = "mailto:ann@example.org"\ncarol = "sip:carol@example.org"\n')
    with pytest.raises(ConfigurationError) as raised:
        Contacts(file)
    assert str(raised.value).splitlines() == [
        f'{file}: bob: a contact is a URI in quotes: bob = "sip:…"',
        f"{file}: ann: mailto:ann@example.org can not be called; allowed: sip:, sips: and tel:",
    ]
    file.write_text("bob")
    with pytest.raises(ConfigurationError, match="no TOML"):
        Contacts(file)
    with pytest.raises(ConfigurationError, match="can not be read: Is a directory"):
        Contacts(tmp_path)


def test_a_folder_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    contacts = Contacts(tmp_path / "contacts.toml")
    contacts.file = tmp_path / "file" / "contacts.toml"
    with pytest.raises(LocalError, match="can not be written"):
        contacts.add("bob", "sip:bob@example.org")
    assert dict(contacts) == {}
