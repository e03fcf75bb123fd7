"""Mail to one person (a link to set a password), through the sender of notifications."""

from collections.abc import Callable
from pathlib import Path

from api.notifications import sending
from api.notifications.sending import Sender
from kraj.alerts import Severity
from kraj.errors import ConfigurationError


class Mail:
    """Sends to the address of a person by the mail server that the settings name, in apprise's notation."""

    def __init__(self, server: Callable[[], str], sender: Sender | None = None) -> None:
        self._server = server
        self._sender = sender or Sender()

    async def __call__(self, to: str, subject: str, body: str) -> str | None:
        """None when it is sent, else what went wrong."""
        return await self._sender(sending.to(self._server(), to), subject, body, Severity.INFO)


def from_file(file: Path) -> Mail:
    """Mail by the address in a file."""
    return Mail(server_of(file))


def server_of(file: Path) -> Callable[[], str]:
    """The mail server's address in a file, which is read each time, so that a new password of the server is taken."""

    def server() -> str:
        try:
            return file.read_text("utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"KRAJ_MAIL_URL_FILE: {file} cannot be read: {error.strerror}") from error

    server()
    return server
