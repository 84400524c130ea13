"""What the commands of user agents share: whose account, and how its servers are reached."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringback.errors import ConfigurationError

if TYPE_CHECKING:
    from ringback.ua.account import Account

__all__ = [
    "AccountsFile", "As", "Authorities", "Expires", "Insecure", "ListenAt", "PasswordFromInput", "Proxy", "Registrar",
    "Transport", "account_of",
]  # fmt: skip

As = Annotated[str, typer.Option("--as", help="The account: a name in the accounts file, or its address.")]
AccountsFile = Annotated[
    Path | None, typer.Option("--accounts", help="The accounts file (TOML); ~/.config/ringback/accounts.toml.")
]
PasswordFromInput = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Registrar = Annotated[str, typer.Option("--registrar", help="The server to register at; that of the address's domain.")]
Proxy = Annotated[list[str] | None, typer.Option("--proxy", help="An outbound proxy; may be given several times.")]
Transport = Annotated[str, typer.Option("--transport", help="udp, tcp or tls, where DNS does not say.")]
Expires = Annotated[int | None, typer.Option("--expires", help="Seconds to register for.")]
Authorities = Annotated[Path | None, typer.Option("--tls-ca", help="Authorities to trust, a PEM file.")]
Insecure = Annotated[bool, typer.Option("--tls-insecure", help="Let any TLS server in without proof.")]
ListenAt = Annotated[
    list[str] | None, typer.Option("--listen", help="Where to listen, such as udp:127.0.0.1:5070; several times.")
]

#: Who asks when no account is named (RFC 3323 4.1).
ANONYMOUS = "sip:anonymous@anonymous.invalid"


def account_of(
    address: str,
    name: str,
    file: Path | None,
    password_stdin: bool,
    *,
    registrar: str = "",
    proxy: list[str] | None = None,
    transport: str = "",
    expires: int | None = None,
    authorities: Path | None = None,
    insecure: bool = False,
    listen: list[str] | None = None,
    register: bool | None = None,
) -> Account:
    """The account that the options of a command describe; what stands on the command line counts more than the file.

    `address` stands for itself; else `name` is looked up in the accounts file. Raises ConfigurationError.
    """
    from ringback.ua.account import Account
    from ringback.ua.accounts import accounts_file, load_accounts

    given: dict[str, Any] = {}
    if password_stdin:
        given["password"] = sys.stdin.readline().rstrip("\r\n")
        if not given["password"]:
            raise ConfigurationError("--password-stdin: no password came from standard input")
    for key, value in (("registrar", registrar), ("transport", transport)):
        if value:
            given[key] = value
    if proxy:
        given["proxies"] = proxy
    if expires is not None:
        given["expires"] = expires
    if listen:
        given["listen"] = listen
    if register is not None:
        given["register"] = register
    tls: dict[str, Any] = {}
    if authorities is not None:
        tls["ca"] = authorities
    if insecure:
        tls["verify"] = False
    if address and name:
        raise ConfigurationError("an address and --as name one account too many")
    if address:
        return Account.of(address, **given, **({"tls": tls} if tls else {}))
    if not name and file is None and not accounts_file().exists():
        raise ConfigurationError(f"give an address, or --as with the name of an account in {accounts_file()}")
    known = load_accounts(file).named(name)
    values = known.model_dump(exclude_unset=True, by_alias=True)
    if "password" in given:
        values.pop("ha1", None)
    tls = {**values.pop("tls", {}), **tls}
    return Account.of(**{**values, **given, **({"tls": tls} if tls else {})})
