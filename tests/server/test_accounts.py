"""Accounts: names, passwords that are worth the name, and the hashes that are kept of them."""

import hashlib
from typing import Any

import pytest

from ringback.errors import ConfigurationError
from ringback.server.accounts import (
    WEAK_PASSWORDS,
    add,
    check_name,
    has_weak_password,
    is_weak,
    set_password,
    weak_accounts,
)
from ringback.store import AccountRow, MemoryStore

DOMAIN = "example.org"
REFUSED = "is one of the first that attackers try; allowed: any that is neither empty, well known, nor the user's name"


def digest(name: str, user: str, realm: str, password: str) -> str:
    """RFC 7616 3.4.2: "A1 = unq(username) ":" unq(realm) ":" passwd", hashed."""
    return hashlib.new(name, f"{user}:{realm}:{password}".encode()).hexdigest()


@pytest.fixture
def accounts() -> Any:
    return MemoryStore().accounts


class TestWeak:
    @pytest.mark.parametrize("password", [*WEAK_PASSWORDS, "PASSWORD", "Ringback", "alice", "Alice", "ecila", "ECILA"])
    def test_tried_first(self, password: str) -> None:
        assert is_weak(password, "Alice")

    @pytest.mark.parametrize("password", ["alice1", "a", "correct horse", " ", "12345678901"])
    def test_others(self, password: str) -> None:
        assert not is_weak(password, "alice")

    def test_the_number_of_a_telephone(self) -> None:
        assert is_weak("1001", "1001") and not is_weak("1001", "1002")


class TestNames:
    @pytest.mark.parametrize("name", ["alice", "+49301234", "a.b-c_d", "x" * 128, "O'Neill", "!~*()&=$,;?/"])
    def test_allowed(self, name: str) -> None:
        assert check_name(name) == name

    @pytest.mark.parametrize("name", ["", "x" * 129, "a b", "alice@example.org", "sip:alice", "<a>", '"a"', "ä", "a\n"])
    def test_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            check_name(name)
        assert str(caught.value) == (
            f"user {name!r} can not be the name of an account; "
            "allowed: up to 128 letters, digits and _.!~*'()&=+$,;?/-"
        )


class TestAdding:
    async def test_keeps_hashes_and_no_password(self, accounts: Any) -> None:
        await add(accounts, "alice", DOMAIN, "the realm", "open sesame", 17.5)
        row = await accounts.get("alice", DOMAIN)
        assert row == AccountRow(
            "alice",
            DOMAIN,
            (
                ("SHA-512-256", digest("sha512_256", "alice", "the realm", "open sesame")),
                ("SHA-256", digest("sha256", "alice", "the realm", "open sesame")),
                ("MD5", digest("md5", "alice", "the realm", "open sesame")),
            ),
            created=17.5,
        )

    async def test_not_twice(self, accounts: Any) -> None:
        await add(accounts, "alice", DOMAIN, DOMAIN, "first one", 1.0)
        before = await accounts.get("alice", DOMAIN)
        with pytest.raises(ConfigurationError) as caught:
            await add(accounts, "alice", DOMAIN, DOMAIN, "second one", 2.0)
        assert str(caught.value) == (
            "alice@example.org is there already; `ringback user password` sets a new password"
        )
        assert await accounts.get("alice", DOMAIN) == before
        await add(accounts, "alice", "example.com", "example.com", "second one", 2.0)

    @pytest.mark.parametrize(
        ("password", "shown"), [("", "an empty password"), ("ALICE", "this password"), ("1234", "this password")]
    )
    async def test_no_weak_password(self, accounts: Any, password: str, shown: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            await add(accounts, "alice", DOMAIN, DOMAIN, password, 1.0)
        # The password itself is not shown: this is printed, and logged.
        assert str(caught.value) == f"{shown} for alice {REFUSED}"
        assert await accounts.get("alice", DOMAIN) is None

    async def test_no_bad_name(self, accounts: Any) -> None:
        with pytest.raises(ConfigurationError, match="can not be the name of an account"):
            await add(accounts, "a b", DOMAIN, DOMAIN, "open sesame", 1.0)


class TestChanging:
    async def test_only_the_password_changes(self, accounts: Any) -> None:
        await accounts.put(AccountRow("alice", DOMAIN, (("MD5", "0"),), False, "Alice A.", 3.0))
        await set_password(accounts, "alice", DOMAIN, DOMAIN, "open sesame")
        row = await accounts.get("alice", DOMAIN)
        assert (row.enabled, row.display_name, row.created) == (False, "Alice A.", 3.0)
        assert row.hash_for("MD5") == digest("md5", "alice", DOMAIN, "open sesame")
        assert [name for name, _ in row.ha1] == ["SHA-512-256", "SHA-256", "MD5"]

    async def test_not_to_a_weak_one(self, accounts: Any) -> None:
        await add(accounts, "alice", DOMAIN, DOMAIN, "open sesame", 1.0)
        before = await accounts.get("alice", DOMAIN)
        with pytest.raises(ConfigurationError, match=f"^this password for alice {REFUSED}$"):
            await set_password(accounts, "alice", DOMAIN, DOMAIN, "qwerty")
        assert await accounts.get("alice", DOMAIN) == before

    async def test_nobody(self, accounts: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"^there is no account bob@example\.org$"):
            await set_password(accounts, "bob", DOMAIN, DOMAIN, "open sesame")


class TestFindingWeakOnes:
    """Accounts may come from elsewhere than `add`: an import, or an earlier version."""

    @pytest.mark.parametrize("password", [*WEAK_PASSWORDS, "Alice", "alice", "ecilA"])
    def test_found(self, password: str) -> None:
        row = AccountRow("Alice", DOMAIN, (("SHA-256", "0"), ("MD5", digest("md5", "Alice", DOMAIN, password))))
        assert has_weak_password(row, DOMAIN)
        assert not has_weak_password(row, "another realm")

    def test_good_ones(self) -> None:
        assert not has_weak_password(
            AccountRow("alice", DOMAIN, (("MD5", digest("md5", "alice", DOMAIN, "open sesame")),)), DOMAIN
        )
        assert not has_weak_password(AccountRow("alice", DOMAIN), DOMAIN)
        assert not has_weak_password(AccountRow("alice", DOMAIN, (("SHA-3", "0"),)), DOMAIN)

    async def test_of_all_accounts(self, accounts: Any) -> None:
        def row(user: str, domain: str, realm: str, password: str, enabled: bool = True) -> AccountRow:
            return AccountRow(user, domain, (("MD5", digest("md5", user, realm, password)),), enabled)

        await accounts.put(row("carol", DOMAIN, DOMAIN, "carol"))
        await accounts.put(row("alice", "example.com", "example.com", "1234"))
        await accounts.put(row("bob", DOMAIN, DOMAIN, "open sesame"))
        await accounts.put(row("dave", DOMAIN, DOMAIN, "", enabled=False))
        await accounts.put(row("erin", DOMAIN, "one realm", "secret"))
        assert await weak_accounts(accounts) == ["alice@example.com", "carol@example.org"]
        assert await weak_accounts(accounts, "one realm") == ["erin@example.org"]
