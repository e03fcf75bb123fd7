"""What a QR code of a label holds is what docs/identity.md says, and drawing it takes nothing from elsewhere."""

import html
import re
from pathlib import Path

from api.desk.labels import enrolment_uri, picture
from tests.api.registry.conftest import Clerks, clerks
from tests.api.registry.test_pages import page, sent

__all__ = ["clerks"]
DOCS = Path(__file__).parents[3] / "docs" / "identity.md"


async def test_a_label_holds_where_who_and_the_code(clerks: Clerks) -> None:
    text = await page(clerks.olsinka, "/devices/lamp-1?lang=en")
    made = (await sent(clerks.olsinka, text, "/devices/lamp-1/provision", {})).text
    code = re.search(r"<code>([0-9A-Z]{5}(?:-[0-9A-Z]{5}){3})</code>", made)
    assert code is not None
    expected = enrolment_uri("http://localhost", "lamp-1", code[1])
    assert expected == f"kraj:enrol?at=http://localhost&device=lamp-1&code={code[1]}"
    assert str(picture(expected)) in made, "the picture is that of this text"
    assert "QR with the code for device lamp-1" in html.unescape(made)
    shape = re.search(r"kraj:enrol\?at=\S+&device=lamp-3fa2b1&code=[0-9A-Z-]+", DOCS.read_text("utf-8"))
    assert shape is not None
    at, device, given = (part.partition("=")[2] for part in shape[0].partition("?")[2].split("&"))
    assert enrolment_uri(at, device, given) == shape[0]


def test_a_picture_fills_its_place_with_a_margin() -> None:
    drawn = str(picture(enrolment_uri("https://kraj.example.cz/", "lamp-1", "7K2QF-0VNTD-M4X8A-Z19CE")))
    size = re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn)
    assert size is not None
    assert int(size[1]) - 8 in {21 + 4 * version for version in range(12)}
    assert "width=" not in drawn.partition(">")[0].replace("stroke-width=", "")
    assert "http://" not in drawn.replace("http://www.w3.org/2000/svg", "")
