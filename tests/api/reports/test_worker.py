"""Reports reach a real mail server with the PDF attached, once, whoever restarts meanwhile."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from api.reports.printing import Attached
from api.reports.worker import GIVE_UP, Mail, Reporter
from tests.api.conftest import Region
from tests.api.notifications.test_sending import Mailbox, mail
from tests.api.reports.test_pages import kept, target

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise imports it
__all__ = ["mail"]
DUE = datetime(2026, 11, 3, 5, tzinfo=UTC)
"""Six in the morning in Prague."""


def subscribe(region: Region, number: int, group: int | None = None, language: str = "cs") -> None:
    region.connection.execute(
        "INSERT INTO report_subscription (municipality_id, target_id, group_id, language, who, at)"
        " SELECT municipality_id, target_id, %s, %s, 'Jana', %s FROM notification_target WHERE target_id = %s",
        [group, language, datetime(2026, 10, 20, tzinfo=UTC), number],
    )


async def test_a_report_is_sent_once_with_its_pdf_and_table(
    town: Region, mail: tuple[Mailbox, str], database_role_url: Callable[[str], str]
) -> None:
    mailbox, url = mail
    subscribe(town, target(town, "rada", url))
    notify = database_role_url("kraj_notify")
    assert await Reporter(notify, page="http://kraj.test").round(DUE - timedelta(seconds=1)) == 0
    assert await Reporter(notify, page="http://kraj.test/").round(DUE) == 1
    for later in (timedelta(0), timedelta(hours=5), timedelta(days=29)):
        assert await Reporter(notify, page="http://kraj.test").round(DUE + later) == 0, "another worker, too"
    (found,) = mailbox.mails
    assert found["subject"] == "Zpráva za říjen 2026: Olšinka"
    body = found.get_body(("plain", "html"))
    assert body is not None
    text = body.get_content()
    assert "http://kraj.test/reports/olsinka/2026-10.html" in text
    assert "Úspora stmíváním" not in text, "nothing was due"
    attached = {part.get_filename(): part.get_content() for part in found.iter_attachments()}
    assert set(attached) == {"olsinka-2026-10.pdf", "olsinka-2026-10.csv"}
    assert attached["olsinka-2026-10.pdf"].startswith(b"%PDF")
    table = attached["olsinka-2026-10.csv"]
    assert "31,042;kWh;50" in (table if isinstance(table, str) else table.decode("utf-8-sig"))
    assert kept(town, "SELECT month, state, attempts, error FROM report_run") == [(date(2026, 10, 1), "sent", 1, None)]


class Post:
    """A service that takes what ``answers`` let through, and remembers it."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.taken: list[tuple[str, str]] = []

    def __call__(self, url: str, subject: str, text: str, files: Sequence[Attached]) -> str | None:
        assert files
        said = self.answers.pop(0) if self.answers else None
        if said is None:
            self.taken.append((url, subject))
        return said


def printed(_html: str) -> bytes:
    return b"%PDF"


async def test_what_fails_is_tried_again_and_keeps_nobody_else_waiting(
    town: Region, database_role_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.reports.printing.pdf", printed)  # laying out is tried elsewhere
    for name, where in (("first", 1), ("second", 1), ("elsewhere", 2)):
        subscribe(town, target(town, name, f"mailto://{name}.example", where), language="en" if where == 2 else "cs")
    subscribe(town, 1, group=2)
    post = Post("full", None, None, None)

    async def at(now: datetime, mail: Mail = post) -> int:
        return await Reporter(database_role_url("kraj_notify"), page="", mail=mail).round(now)

    assert await at(DUE) == 3
    assert sorted(subject for _, subject in post.taken) == [
        "Report of October 2026: Žďárná",
        "Zpráva za říjen 2026: Olšinka",
        "Zpráva za říjen 2026: Olšinka, Škola",
    ]
    assert kept(town, "SELECT attempts, error FROM report_run WHERE state = 'waiting'") == [(1, "full")]
    assert await at(DUE + timedelta(minutes=59)) == 0
    assert await at(DUE + timedelta(minutes=60)) == 1
    # The next month: a target is switched off, one is no address any more, one is full for days.
    town.connection.execute("UPDATE notification_target SET enabled = false WHERE name = 'first'")
    town.connection.execute("UPDATE notification_target SET url = 'json://x' WHERE name = 'second'")
    december = datetime(2026, 12, 3, 5, tzinfo=UTC)
    full = Post(*["full"] * 9)
    assert await at(december, full) == 0
    assert await at(december + GIVE_UP, full) == 0
    assert kept(town, "SELECT error, attempts, count(*)::int FROM report_run WHERE state = 'given_up' GROUP BY 1, 2"
                      " ORDER BY 1") == [
        ("full", 2, 1),
        ("target is no e-mail address any more", 1, 1),
        ("target is switched off", 1, 2),
    ]  # fmt: skip
