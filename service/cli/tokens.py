"""`rebalance token …`: on the database itself, as the operator of the service, or over the API with --api."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal, Protocol

from service.cli.failure import fail
from service.shared.tokens import MAY, MOST_DAYS, NAME, Scope
from trainer.base.commands import positive
from trainer.base.ends import ExitCode

if TYPE_CHECKING:
    from service.shared.settings import Settings
    from service.shared.token_schemas import TokenCreated, TokenPublic
    from service.store.tokens import TokenStore

Word = Literal["viewer", "user", "admin"]
Ask = Callable[[str, argparse.Namespace], int]


class Tokens(Protocol):
    """What the commands need: the client has it, and `_OnDatabase`."""

    def create_token(self, name: str, scope: Word, expires_days: int | None) -> TokenCreated: ...
    def tokens(self) -> Iterable[TokenPublic]: ...
    def revoke_token(self, token_id: str) -> TokenPublic: ...


def add_token_actions(parser: argparse.ArgumentParser, ask: Ask, kind: type[argparse.ArgumentParser]) -> None:
    """create, list and revoke; `ask` does one over the API."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=kind)
    create_ = actions.add_parser("create", help="make a token, and print it this once")
    create_.add_argument(
        "name", metavar="NAME", type=_name, help="whose, or what for; names may be given twice"
    )
    text = "; ".join(f"{scope}: {may}" for scope, may in MAY.items())
    create_.add_argument("--scope", choices=[*map(str, Scope)], default="user", help=f"{text} (user)")
    create_.add_argument("--expires", type=_days, metavar="DAYS", help="count for so long (for ever)")
    list_parser = actions.add_parser("list", help="all tokens, newest first")
    revoke_ = actions.add_parser("revoke", help="a token counts no more, at once")
    revoke_.add_argument("id", metavar="ID", help="as the list shows it")
    for name, action in (("create", create_), ("list_", list_parser), ("revoke", revoke_)):
        action.set_defaults(func=partial(_token_command, ask, name))
        where = action.add_mutually_exclusive_group()
        where.add_argument("--data-dir", metavar="DIR", help="of the service on this machine (~/.rebalance)")
        where.add_argument("--database-url", metavar="URL", help="of the service; no password here")
        where.add_argument("--api", metavar="URL", help="ask the service instead, with an admin's token")
        action.add_argument("--json", action="store_true", help="machine-readable output")


def create(args: argparse.Namespace, tokens: Tokens) -> int:
    """The token alone on stdout, for a file; what is to be known of it on stderr."""
    made = tokens.create_token(args.name, args.scope, args.expires)
    if args.json:
        print(made.model_dump_json())
        return ExitCode.DONE
    print(made.token)
    end = "never expires" if made.expires_at is None else f"expires {_day(made.expires_at)}"
    told = f"{made.id}, scope {made.scope}, {end}. It is shown this once: keep it in a file of mode 600."
    print(told, file=sys.stderr)
    return ExitCode.DONE


def list_(args: argparse.Namespace, tokens: Tokens) -> int:
    """One row for each."""
    from service.cli.experiments import print_items, print_table
    from service.cli.tables.experiments import NONE, cell, make_table

    if args.json:
        print_items(tokens.tokens())
        return ExitCode.DONE
    table = make_table("id", "name", "scope", "token", "state", "created", "expires", "last used")
    for each in tokens.tokens():
        times = (each.created_at, each.expires_at, each.last_used_at)
        days = [NONE if at is None else _day(at) for at in times]
        table.add_row(each.id, cell(each.name), each.scope, f"{each.shown}…", each.state, *days)
    print_table(table, empty="no tokens")
    return ExitCode.DONE


def revoke(args: argparse.Namespace, tokens: Tokens) -> int:
    """Says which it was."""
    found = tokens.revoke_token(args.id)
    print(found.model_dump_json() if args.json else f"{found.id} {found.name} counts no more")
    return ExitCode.DONE


class _OnDatabase:
    """The same without a service, and without a token: who may write to the database may do all."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    def create_token(self, name: str, scope: Word, expires_days: int | None) -> TokenCreated:
        from service.shared.token_schemas import TokenCreate

        asked = TokenCreate(name=name, scope=scope, expires_days=expires_days)
        return self._store.create(asked, now=datetime.now(UTC))

    def tokens(self) -> list[TokenPublic]:
        now = datetime.now(UTC)
        return [each.public(now) for each in self._store.all()]

    def revoke_token(self, token_id: str) -> TokenPublic:
        now = datetime.now(UTC)
        return self._store.revoke(token_id, now=now).public(now)


def _token_command(ask: Ask, function: str, args: argparse.Namespace) -> int:
    if args.api:
        return ask(f"tokens:{function}", args)
    from service.migrations import migrate
    from service.shared.settings import SettingsError, load_settings, refuse_password
    from service.store.experiments import Store
    from service.store.tokens import UnknownToken

    try:
        refuse_password(args.database_url)
        settings = load_settings(data_dir=args.data_dir, database_url=args.database_url)
        _refuse_nothing(settings, args)
    except SettingsError as error:
        return fail(str(error), ExitCode.BAD_INPUT)
    migrate(settings)  # the first token is made before the service has ever run
    with closing(Store(settings.database)) as store:
        try:
            code: int = resolve_name(f"{__name__}:{function}")(args, _OnDatabase(store.tokens))
            return code
        except UnknownToken:
            wrong = f"ID: there is no token {args.id!r}; allowed: one of `rebalance token list`"
            return fail(wrong, ExitCode.BAD_INPUT)


def _refuse_nothing(settings: Settings, args: argparse.Namespace) -> None:
    """A directory without a database holds no token: it was mistyped, and is not to be made."""
    from service.shared.settings import SettingsError

    own = settings.own_database
    if args.action != "create" and settings.database == own.url and not own.file.exists():
        raise SettingsError(f"--data-dir {settings.data_dir}: no service has been here; allowed: one's own")


def _name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        allowed = "letters, digits, '.', '_', '-' and '@', 100 at most, a letter or digit first"
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: {allowed}")
    return text


def _days(text: str) -> int:
    days = positive(text)
    if days > MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is refused; allowed: 1 to {MOST_DAYS} days")
    return days


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
