"""Every dashboard in both languages as JSON, and writing them where they are committed; needs the foundation SDK."""

from collections.abc import Iterator
from pathlib import Path

from dashboards.board import Board, built
from dashboards.boards import alerts, device, lighting, metering, overview, platform, quality, roofs, stops
from dashboards.stored import FOLDER
from dashboards.wording import LANGUAGES, Words
from kraj.kinds import KINDS


def boards(words: Words) -> Iterator[Board]:
    """In the order in which somebody reads them."""
    for module in (overview, lighting, roofs, stops, metering, alerts, quality, platform):
        yield module.board(words)
    for kind in KINDS.values():
        yield device.board(kind, words)


def documents() -> dict[str, str]:
    """``cs/overview.json`` and so on → text."""
    return {
        f"{language}/{board.slug}.json": built(board, words)
        for language in LANGUAGES
        for words in [Words(language)]
        for board in boards(words)
    }


def write(folder: Path = FOLDER) -> list[str]:
    """Make the folder's files what is generated; which have changed, went or came."""
    wanted = documents()
    found = {str(file.relative_to(folder)): file for file in folder.glob("*/*.json")}
    changed: list[str] = []
    for name, text in wanted.items():
        file = folder / name
        if name not in found or file.read_text("utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
            changed.append(name)
    for name in sorted(found.keys() - wanted.keys()):
        found[name].unlink()
        changed.append(name)
    return changed
