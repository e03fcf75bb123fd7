"""The commands of ``kraj notify``: thin; each imports what it needs when it is called."""

from datetime import datetime
from typing import Annotated

import typer

notify = typer.Typer(invoke_without_command=True)


@notify.callback()
def notify_run(context: typer.Context) -> None:
    """Tell people of alerts: run the worker alone, or keep the list of those it tells.

    Example: KRAJ_PUBLIC_URL=https://kraj.example.cz kraj notify
    """
    if context.invoked_subcommand is not None:
        return
    from api.notifications.service import run
    from kraj.settings import load
    from stack.services import database_url

    run(load(database_url=database_url(load(), "kraj_notify")))


@notify.command("add")
def notify_add(
    *,
    name: Annotated[str, typer.Option(help="How you call it; an existing one of this name is changed.")],
    url: Annotated[
        str, typer.Option(prompt=True, hide_input=True, help="Address as apprise has it; without it you are asked.")
    ],
    municipality: Annotated[str | None, typer.Option(help="Whose alerts; without it: the whole region's.")] = None,
    severity_min: Annotated[str, typer.Option(help="info, plan, minor, major or critical.")] = "minor",
    quiet: Annotated[str | None, typer.Option(help="Within it only what is critical is sent.")] = None,
    digest: Annotated[str | None, typer.Option(help="When minor ones are sent, all in one message.")] = None,
    language: Annotated[str, typer.Option(help="cs or en.")] = "cs",
) -> None:
    """Add somebody to tell, or change them.

    The address holds secrets: it is never shown again, and where you are asked for it, it stays out of your
    shell's history, too.

    Example: kraj notify add --name dispatch --municipality brno --quiet 22:00-06:00 --digest 07:00
    """
    from kraj.settings import load
    from stack import targets

    secret = targets.add(
        load(),
        name=name,
        url=url,
        municipality=municipality,
        severity_min=severity_min,
        quiet=quiet,
        digest=digest,
        language=language,
    )
    typer.echo(f"{name} is told from now on; try it with `kraj notify test {name}`")
    if secret is not None:
        typer.echo(f"its secret, shown this once: {secret}")


@notify.command("list")
def notify_list() -> None:
    """Show who is told, without their addresses.

    Example: kraj notify list
    """
    from kraj.settings import load
    from stack import targets

    typer.echo("\n".join(targets.listed(load())) or "nobody is told; add somebody with `kraj notify add`")


@notify.command("test")
def notify_test(target: Annotated[str, typer.Argument(help="A name that `kraj notify list` shows.")]) -> None:
    """Send one test message.

    Example: kraj notify test dispatch
    """
    from kraj.settings import load
    from stack import targets

    targets.try_out(load(), target)
    typer.echo(f"{target} has taken the message")


@notify.command("on-call")
def notify_on_call(
    target: Annotated[str, typer.Argument(help="A name that `kraj notify list` shows.")],
    begin: Annotated[datetime, typer.Option("--from", help="Local time.")],
    end: Annotated[datetime, typer.Option("--to", help="Local time.")],
    place: Annotated[int, typer.Option(min=1, max=20, help="1 is called first.")] = 1,
    after: Annotated[int, typer.Option(min=1, max=1440, help="Minutes until the next one is called.")] = 15,
) -> None:
    """Put somebody on call; a critical alert that they do not acknowledge goes on to the next.

    Example: kraj notify on-call novak --from 2026-11-23T07:00 --to 2026-11-30T07:00 --place 1
    """
    from kraj.settings import load
    from stack import targets

    targets.on_call(load(), target, place=place, begin=begin, end=end, after_min=after)
    typer.echo(f"{target} is on call")
