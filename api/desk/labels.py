"""Enrolment codes as pictures: what a QR code holds, and how it is drawn."""

from io import BytesIO
from urllib.parse import quote, urlencode

import segno
from markupsafe import Markup

SCHEME = "kraj:enrol"
QUIET_ZONE = 4
"""Modules of white around a code, as ISO/IEC 18004 asks for."""


def enrolment_uri(at: str, device: str, code: str) -> str:
    """What the picture of a code holds; ``at`` is the address of the pages. docs/identity.md tells it to others."""
    return f"{SCHEME}?{urlencode({'at': at.rstrip('/'), 'device': device, 'code': code}, quote_via=quote, safe=':/')}"


def picture(text: str) -> Markup:
    """A QR code as SVG that fills its place: black on white in every look, medium error correction."""
    out = BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", border=QUIET_ZONE, dark="#000", light="#fff", omitsize=True, xmldecl=False, svgclass="qr"
    )
    return Markup(out.getvalue().decode())  # noqa: S704 - made by segno
