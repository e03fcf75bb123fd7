"""The house is in order: names, sizes, first lines, lock files, and nothing that belongs elsewhere."""

import ast
import re
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES_MAX = 400
LONGER: dict[str, str] = {}
"""A file that may be longer, and why."""
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "data", "misc"}
REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "registry." + "npm", "yarn" + "pkg.com")


def files() -> list[Path]:
    """Return the files of the repository, committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = [ROOT / name for name in listed.split("\0") if name]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


FILES = files()
MODULES = [path for path in FILES if path.suffix == ".py"]
PACKAGES = sorted({path.relative_to(ROOT).parts[0] for path in MODULES if (path.parent / "__init__.py").exists()})


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def on_device(path: Path) -> bool:
    """Where comments stand for docstrings, which cost flash."""
    return name(path).startswith("firmware/") or path.name.startswith("check_")


def texts() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for path in FILES:
        content = path.read_bytes()
        if b"\0" not in content:
            found.append((name(path), content.decode()))
    return found


def test_no_installed_distribution_shadows_our_packages() -> None:
    installed = packages_distributions()
    assert {package: set(installed.get(package, ())) - {"kraj"} for package in PACKAGES} == {p: set() for p in PACKAGES}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_in_its_first_line_what_lives_there(path: Path) -> None:
    text = path.read_text("utf-8")
    said = text.removeprefix("# ") if on_device(path) else ast.get_docstring(ast.parse(text)) or ""
    first = said.split("\n", maxsplit=1)[0]
    assert re.fullmatch(r"\S.{10,}[.:]", first), f"{name(path)}: {first!r} is no sentence"


def test_no_file_is_longer_than_one_can_read_without_a_reason() -> None:
    long = {name(path) for path in MODULES if len(path.read_text("utf-8").splitlines()) > LINES_MAX}
    assert long == set(LONGER)


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part.removesuffix(".py") for path in MODULES for part in path.relative_to(ROOT).parts}
    assert parts & NAMES_THAT_SAY_NOTHING == set()


def test_no_text_names_a_package_registry_or_a_place_on_somebodys_machine() -> None:
    forbidden = re.compile(
        "|".join([*map(re.escape, REGISTRIES), r"(?<![\w.-])/(?:work|root|home/\w+)/"]), re.IGNORECASE
    )
    found = [f"{file}: {match.group()}" for file, text in texts() for match in forbidden.finditer(text)]
    assert found == []


def test_no_text_holds_a_key_or_a_conflict() -> None:
    forbidden = re.compile("-----BEGIN [A-Z ]*PRIVATE" + " KEY|^(?:<{7}|>{7}) ", re.MULTILINE)
    assert [file for file, text in texts() if forbidden.search(text)] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "package-lock.json"])
def test_locks_hold_hashes_and_no_addresses(lock: str) -> None:
    file = ROOT / lock
    if lock == "package-lock.json" and not file.exists():
        return  # nothing is taken from npm
    text = file.read_text()
    assert "://" not in text
    assert "index-url" not in text
    if lock.startswith("requirements"):
        pinned = re.findall(r"^[a-z0-9][^\n]*==[^\n]*\\\n +--hash=sha256:", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))


def test_the_locks_hold_every_declared_dependency() -> None:
    declared = re.findall(
        r'^  "([A-Za-z0-9-]+)[^"]*[><=~]=[^"]*",$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    lock = (ROOT / "requirements-dev.lock").read_text()
    assert [package for package in declared if not re.search(rf"^{package.lower()}==", lock, re.MULTILINE)] == []


def test_every_folder_has_its_place_on_the_map() -> None:
    drawn = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    folders = {path.relative_to(ROOT).parts[0] for path in FILES if len(path.relative_to(ROOT).parts) > 1}
    missing = [folder for folder in sorted(folders) if not folder.startswith(".") and f"{folder}/" not in drawn]
    assert missing == []
