"""The error tree: theirs, ours, the world's; a message says what was wrong, where, and what to do."""


class KrajError(Exception):
    """Base of every error that Kraj raises on purpose."""


class PayloadError(KrajError):
    """Theirs: a device or a caller sent something unusable. Never retried.

    ``reason`` is the stable code that is counted and shown (see ``kraj.quarantine``);
    the message is the sentence for a person.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConfigurationError(KrajError):
    """Ours: a setting, a file or a schema is wrong. Never retried; the message names the remedy."""


class UnavailableError(KrajError):
    """The world's: the broker, the database or the disk is away. The only kind that is retried."""
