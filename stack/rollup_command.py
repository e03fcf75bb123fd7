"""``kraj rollup``: the service that rolls readings up again and again, or one long round with progress."""

from typing import Annotated

import typer


def rollup(
    *,
    catch_up: Annotated[bool, typer.Option("--catch-up", help="Roll up all that waits, and end.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two rounds.")] = 60.0,
) -> None:
    """Roll readings up into quarters of an hour, hours and days, again and again.

    Any number may run: one works, the others wait for it to die.

    Example: kraj rollup --catch-up
    """
    from kraj.clock import shifted
    from kraj.settings import load
    from stack import rollup as job
    from stack import rollup_service
    from stack.services import database_url

    settings = load()
    url = database_url(settings, "kraj_rollup")
    if catch_up:
        now = shifted(settings.clock_offset_s)
        made = job.catch_up(url, now(), lambda share, readings: typer.echo(f"{share:4.0%} {readings:,}", err=True))
        typer.echo(f"{made:,} quarters of an hour are up to date")
        return
    rollup_service.run(settings, url, every)
