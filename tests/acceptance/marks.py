"""Where the marks of a map are on the screen, read from its paths as a person's eye would."""

from typing import Any

from playwright.sync_api import Page

READ = """() => {
    const found = {};
    const svg = document.querySelector("svg.drawing");
    for (const path of svg.querySelectorAll("[data-numbers]")) {
        let number = 0;
        const numbers = path.dataset.numbers.split(",").map((step) => number += Number(step));
        [...path.getAttribute("d").matchAll(/[ML]([\\d.]+) ([\\d.]+)/g)].forEach(([, x, y], at) => {
            const place = new DOMPoint(Number(x), Number(y)).matrixTransform(svg.getScreenCTM());
            found[numbers[at]] = [place.x, place.y, path.dataset.kind, path.dataset.condition];
        });
    }
    return found;
}"""


def marks(page: Page) -> dict[int, tuple[float, float, str, str]]:
    """Of a page as it came: place in the window in pixels, kind and condition, by number."""
    found: dict[str, Any] = page.evaluate(READ)
    return {int(number): (x, y, kind, condition) for number, (x, y, kind, condition) in found.items()}


def place(page: Page, number: int) -> tuple[float, float]:
    """Of one mark, which is scrolled into view."""
    page.locator("svg.drawing").evaluate("drawing => drawing.scrollIntoView({block: 'center'})")
    x, y, _, _ = marks(page)[number]
    return x, y
