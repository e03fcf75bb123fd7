"""Open311's documents, XML and JSON from one structure, well-formed whatever the words hold."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree

from fastapi.responses import JSONResponse, Response

FORMATS: Final[Mapping[str, str]] = {"xml": "text/xml; charset=utf-8", "json": "application/json; charset=utf-8"}
_ITEMS: Final[Mapping[str, str]] = {
    "services": "service",
    "service_requests": "request",
    "errors": "error",
    "attributes": "attribute",
    "endpoints": "endpoint",
    "formats": "format",
}
"""What one of a list is called in XML."""
_NO_XML: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""

Json = Mapping[str, Any] | Sequence[Any] | str | int | float | bool | None


def document(form: str, root: str, content: Json, *, status: int = 200, language: str = "cs") -> Response:
    """``content`` as the document ``root``; ``form`` is a key of ``FORMATS``, and anything else is answered in XML."""
    headers = {"content-language": language, "vary": "accept-language", "cache-control": "no-store"}
    if form == "json":
        return JSONResponse(content, status, headers, FORMATS["json"])
    element = ElementTree.Element(root)
    _fill(element, root, content)
    body = ElementTree.tostring(element, "utf-8", xml_declaration=True)
    return Response(body, status, headers, FORMATS["xml"])


def errors(form: str, status: int, description: str, *, language: str) -> Response:
    """The standard's document of what is wrong."""
    return document(form, "errors", [{"code": status, "description": description}], status=status, language=language)


def _fill(element: ElementTree.Element, name: str, content: Json) -> None:
    if isinstance(content, Mapping):
        for key, value in content.items():
            _fill(ElementTree.SubElement(element, key), key, value)
    elif isinstance(content, Sequence) and not isinstance(content, str):
        for one in content:
            _fill(ElementTree.SubElement(element, _ITEMS[name]), _ITEMS[name], one)
    elif isinstance(content, bool):
        element.text = "true" if content else "false"
    elif content is not None:
        element.text = _NO_XML.sub("", str(content))
