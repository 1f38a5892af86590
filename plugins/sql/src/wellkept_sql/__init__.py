"""SQL databases for Wellkept: any query as a source, read-only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wellkept import PluginInfo, hookimpl

if TYPE_CHECKING:
    from wellkept import Context, Source


class SqlPlugin:
    """The plugin object. What it hands out is imported when it is asked for."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="sql",
            api="1.0",
            summary="Reads any database that SQLAlchemy knows, by query; changes nothing in it.",
            config="wellkept_sql.config:SqlConfig",
            quality={
                "simulator": "The tests use real databases: SQLite, and PostgreSQL where there is one.",
                "streams-scoped": "What a query needs is granted table by table; `wellkept check` tries each query.",
                "webhooks": "A database tells nobody.",
                "demo": "The demo's vendors are spoken to over HTTP.",
            },
        )

    @hookimpl
    def sources(self, ctx: Context[Any]) -> Sequence[Source]:
        """Return the one source."""
        from wellkept_sql.source import SqlSource

        return [SqlSource(ctx)]


plugin = SqlPlugin()
