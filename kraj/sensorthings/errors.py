"""What is wrong with a question, by a code with what the sentence for people names."""

from kraj.errors import KrajError


class QueryError(KrajError):
    """A resource path or an option that cannot be answered; ``code`` is stable, ``values`` say what and where."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(f"{code}: {values}")
        self.code = code
        self.values = values


class UnknownPathError(KrajError):
    """There is no such resource."""
