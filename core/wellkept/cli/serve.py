"""``wellkept serve``: run by the clock, and take in webhooks."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.runtime import Runtime


@click.command(cls=Verb)
@click.option("--host", help="The address to listen on, instead of the one in [serve].")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on, instead of the one in [serve].")
@pass_app
def serve(app: App, host: str | None, port: int | None) -> Exit:
    """Run every instance by its schedule, take in webhooks, and answer health checks, until it is told to stop.

    Needs nothing beside it. A second server on the same store stands by, and takes over when this one gives no sign of life.
    SIGTERM or SIGINT parks what is under way and ends; the same signal again ends at once.
    """
    logging.getLogger("wellkept.serve").setLevel(logging.INFO)
    try:
        return _serve(app, {key: value for key, value in (("host", host), ("port", port)) if value is not None})
    except KeyboardInterrupt:
        logging.getLogger("wellkept.serve").info("told to stop before anything was served")
        return Exit.OK


def _serve(app: App, given: Mapping[str, str | int]) -> Exit:
    """Serve until told to stop.

    Args:
        app: The command line.
        given: Instead of what stands in ``[serve]``.
    """
    from wellkept.plugins.watchdog import watching
    from wellkept.runtime import Runtime
    from wellkept.serve import Server

    with app.runtime() as runtime:
        settings = runtime.settings.serve.model_copy(update=given)

        def again() -> Runtime:
            return Runtime.open(app.config_path, env=app.env, strict=app.strict, store=runtime.store)

        async def main() -> tuple[bool, int]:
            server = Server(runtime, again, settings=settings)

            def started(url: str) -> None:
                app.tell(runtime.problems)
                app.out.line(f"Serving on {url}")

            with watching():  # routes and webhooks of plugins live in this loop
                ending = await server.run(started)
            return ending.parked, ending.left_behind

        parked, left_behind = asyncio.run(main())
        code = Exit.OK if parked else Exit.FAILED
        if left_behind:  # their threads hold up the end of the process, for good
            runtime.store.close()
            logging.shutdown()
            os._exit(code)
    return code
