"""Checks of parameters and bodies that are built when a request first needs them, not with each application."""

from typing import Any

from fastapi._compat.v2 import ModelField

made = ModelField.__post_init__
"""Builds ``_type_adapter``: half of what it costs to create the application, which most tests do for themselves."""


class Adapter:
    """Builds the attribute at its first use; from then on it is the field's own."""

    def __get__(self, field: ModelField, owner: type[ModelField]) -> Any:
        made(field)
        return vars(field)["_type_adapter"]


def install() -> None:
    ModelField.__post_init__ = lambda self: None
    ModelField._type_adapter = Adapter()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
