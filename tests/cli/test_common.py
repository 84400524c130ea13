"""The data folder that a command works on: from options, variables and the configuration file together."""

from pathlib import Path

import pytest

from ringback.cli.common import Place, place_of
from ringback.errors import ConfigurationError
from ringback.store import AccountRow


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parts(place: Place) -> tuple[str, str, str]:
    return str(place.data), place.domain, place.realm


def test_what_counts_when_nothing_is_said() -> None:
    place = place_of("", None, None, needs_domain=False)
    assert parts(place) == ("ringback-data", "", "")
    assert place.control == Path("ringback-data/control.sock")


def test_options_count_more_than_variables_and_those_more_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "conf" / "ringback.toml"
    file.parent.mkdir()
    file.write_text('domain = "file.test"\ndata = "kept"\n')
    assert parts(place_of("", None, file)) == (str(tmp_path / "conf" / "kept"), "file.test", "file.test")
    monkeypatch.setenv("RINGBACK_DOMAIN", "variable.test")
    monkeypatch.setenv("RINGBACK_DATA", "elsewhere")
    assert parts(place_of("", None, file)) == ("elsewhere", "variable.test", "variable.test")
    assert parts(place_of("option.test", Path("x"), file)) == ("x", "option.test", "option.test")


def test_the_realm_is_the_configured_one_else_the_domain(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text('domain = "d.test"\n[authentication]\nrealm = "Our house"\n')
    assert place_of("", None, file).realm == "Our house"
    assert place_of("other.test", None, file).realm == "Our house"
    assert place_of("D.Test", None, None).realm == "d.test"


def test_a_domain_of_the_configuration_is_no_wish_to_see_only_that_one(tmp_path: Path) -> None:
    """A server may serve several; who lists them says so if he wants one."""
    file = tmp_path / "ringback.toml"
    file.write_text('domain = "a.test"\ndomains = ["b.test"]\n')
    assert place_of("", None, file, needs_domain=False).domain == ""
    assert place_of("b.test", None, file, needs_domain=False).domain == "b.test"
    assert place_of("", None, file).domain == "a.test"


def test_only_domains_and_no_main_one_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text('domains = ["b.test", "c.test"]\n')
    assert place_of("", None, file).domain == "b.test"


def test_what_is_missing_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"^--domain is missing: the domain of the account$"):
        place_of("", None, None)


def test_a_mistake_anywhere_in_the_file_is_told(tmp_path: Path) -> None:
    """Else an account would be made in the wrong place."""
    file = tmp_path / "ringback.toml"
    file.write_text('domain = "d.test"\ndat = "kept"\n')
    with pytest.raises(ConfigurationError) as raised:
        place_of("", None, file)
    assert str(raised.value) == f"{file}:2: dat: there is no such key; did you mean data?"


async def test_a_store_is_made_only_where_that_is_meant(tmp_path: Path) -> None:
    place = place_of("d.test", tmp_path / "data", None)
    assert not place.is_made
    with pytest.raises(ConfigurationError, match=r"there is nothing in .*/data; give the folder of the server with"):
        async with place.opened("inspect"):
            raise AssertionError("it was opened")
    assert not place.data.exists()
    async with place.opened("accounts", new=True) as store:
        await store.accounts.put(AccountRow("alice", "d.test"))
    assert place.is_made
    async with place.opened("inspect") as store:
        assert await store.accounts.get("alice", "d.test") == AccountRow("alice", "d.test")


async def test_a_store_is_closed_whatever_happens(tmp_path: Path) -> None:
    place = place_of("d.test", tmp_path / "data", None)
    with pytest.raises(ZeroDivisionError):
        async with place.opened("serve", new=True):
            raise ZeroDivisionError
    async with place.opened("serve"):
        assert (place.data / "ringback.db").exists()
