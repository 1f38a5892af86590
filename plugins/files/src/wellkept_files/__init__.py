"""Files for Wellkept: reads CSV, JSON Lines and Parquet; writes frame, scores and records as CSV, XLSX and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wellkept import PluginInfo, hookimpl

if TYPE_CHECKING:
    import click

    from wellkept import Context, Job, Source


class FilesPlugin:
    """The plugin object. What it hands out is imported when it is asked for."""

    @hookimpl
    def describe(self) -> PluginInfo:
        """Say who we are."""
        return PluginInfo(
            name="files",
            api="1.0",
            summary="Reads CSV, JSON Lines and Parquet files, and writes frame, scores and records for Excel and Tableau.",
            config="wellkept_files.config:FilesConfig",
            quality={
                "simulator": "A folder needs none: the tests write files.",
                "streams-scoped": "Files have no scopes; `wellkept check` names what may not be read.",
                "webhooks": "A folder tells nobody.",
                "demo": "The demo's vendors are spoken to over HTTP.",
            },
        )

    @hookimpl
    def sources(self, ctx: Context[Any]) -> Sequence[Source]:
        """Return the one source, if any stream is configured."""
        from wellkept_files.source import FilesSource

        return [FilesSource(ctx)] if ctx.config.streams else []

    @hookimpl
    def jobs(self, ctx: Context[Any]) -> Sequence[Job]:
        """Return the exports of each run."""
        from wellkept_files.exports import ExportJob, named

        return [ExportJob(name, export) for name, export in named(ctx.config.exports)]

    @hookimpl
    def commands(self) -> Sequence[click.Command]:
        """Return ``wellkept files export``."""
        from wellkept_files.commands import export

        return [export]


plugin = FilesPlugin()
