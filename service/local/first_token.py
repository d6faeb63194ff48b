"""Before a service that asks for tokens starts: is there one that lets somebody in?"""

from __future__ import annotations

import logging
import shlex
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trainer.base.errors import RegionRebalanceError

if TYPE_CHECKING:
    from service.shared.settings import Settings

log = logging.getLogger(__name__)


class NobodyMayComeIn(RegionRebalanceError):
    """The service would ask for tokens, and no valid one can change anything; the message says what to do."""


def need_a_token(settings: Settings) -> None:
    """Returns where a user's or admin's token counts, or none is needed. Migrates the database to ask it.

    With `token_later` it says that there is none, and returns: every request is refused until there is.

    Raises:
        NobodyMayComeIn: there is none.
        StoreUnavailable: the database cannot be asked.
    """
    if not settings.closed:
        return
    from service.migrations import migrate
    from service.store.experiments import Store

    migrate(settings)
    with closing(Store(settings.database)) as store:
        if store.tokens.somebody(datetime.now(UTC)):
            return
    if settings.token_later:
        log.warning("no token lets anybody in yet: rebalance token create NAME --scope admin")
        return
    why = "--require-token" if settings.on_loopback else f"--host {settings.host}: others can reach it there"
    where = f" --data-dir {shlex.quote(str(settings.data_dir))}"
    if settings.database != settings.own_database.url:
        named = "_FILE" if settings.database_url_file else ""
        where = f", with REBALANCE_DATABASE_URL{named} as the service has it"
    raise NobodyMayComeIn(
        f"{why}, and the database has no valid token of a user or admin; make one "
        f"first: rebalance token create NAME --scope admin{where}"
    )
