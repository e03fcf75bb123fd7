"""What firmware must not do, found in its syntax: floats, TLS without a name, hardware in node/, stars in lists."""

import ast
from collections.abc import Iterator
from pathlib import Path

HARDWARE = {"machine", "network", "esp32", "esp", "socket", "ssl", "tls", "ntptime", "neopixel", "onewire", "board"}
ABSENT = {"typing", "dataclasses", "logging", "functools", "itertools", "threading", "datetime", "decimal"}
"""No MicroPython on a device has them."""
FLOATING = {"float", "round"}
EXCUSE = "# a float: "
NO_CHECK = {"CERT_NONE", "CERT_OPTIONAL", "_create_unverified_context"}


def findings(text: str, *, pure: bool) -> list[str]:
    """What is wrong with a source, each with its line; ``pure`` for ``firmware/node/``.

    A line that ends in a comment ``# a float: …`` says why it may have one: it is neither stored nor summed.
    """
    tree = ast.parse(text)
    excused = {number for number, line in enumerate(text.splitlines(), 1) if EXCUSE in line}
    floats = [(line, what) for line, what in _floats(tree, pure) if line not in excused]
    rest = (*sorted(_tls(tree)), *sorted(_imports(tree, pure)), *sorted(_stars(tree)))
    return [f"{line}: {what}" for line, what in (*sorted(floats), *rest)]


def _floats(tree: ast.Module, pure: bool) -> Iterator[tuple[int, str]]:
    """A float has 24 bits there: 16,777,217 Wh becomes 16,777,216."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex()):
                yield node.lineno, "a float literal: count in whole numbers of a smaller unit"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield node.lineno, "a division that gives a float: use //"
            case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub(), operand=ast.Constant())):
                yield node.lineno, "a negative power, which is a float"
            case ast.Call(func=ast.Name(id=name)) if name in FLOATING:
                yield node.lineno, f"{name}() makes or takes a float"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="time")) if pure:
                yield node.lineno, "time.time() is a float on some ports, of another epoch on others: ask the clock"
            case ast.Import() if any(name.name in ("math", "cmath") for name in node.names):
                yield node.lineno, "math computes in floats"
            case ast.ImportFrom(module="math" | "cmath"):
                yield node.lineno, "math computes in floats"
            case _:
                pass


def _tls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """MicroPython accepts any server's certificate where ``server_hostname`` is missing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in NO_CHECK:
            yield node.lineno, f"{node.attr}: a server's certificate is always checked"
        if isinstance(node, ast.Name) and node.id in NO_CHECK:
            yield node.lineno, f"{node.id}: a server's certificate is always checked"
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        given = {word.arg: word.value for word in node.keywords}
        if None in given and name in ("wrap_socket", "open_connection", "start_tls"):
            yield node.lineno, f"{name}(**…) hides whether server_hostname is given"
        secure = name in ("wrap_socket", "start_tls") or (
            name == "open_connection" and (not _is_nothing(given.get("ssl")) or len(node.args) > 2)
        )
        if secure and _is_nothing(given.get("server_hostname")):
            yield node.lineno, f"{name}() without server_hostname: TLS that any certificate satisfies"


def _is_nothing(node: ast.expr | None) -> bool:
    """Missing, or a constant that says no."""
    return node is None or (isinstance(node, ast.Constant) and not node.value)


def _imports(tree: ast.Module, pure: bool) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for root in (name.partition(".")[0] for name in names):
                if root in ABSENT:
                    yield node.lineno, f"no device has the module {root}"
                if pure and root in HARDWARE:
                    yield node.lineno, f"node/ is pure: {root} belongs into board/"
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node) is not None:
            yield 1 if isinstance(node, ast.Module) else node.lineno, "a docstring lies in RAM: write a comment"


def _stars(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """``[*a, 0]`` is Python's, and no syntax of MicroPython's; ``f(*a)`` and ``a, *b = c`` are both's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set) and not isinstance(getattr(node, "ctx", None), ast.Store):
            for one in node.elts:
                if isinstance(one, ast.Starred):
                    yield one.lineno, "a star within a display is a SyntaxError on a device: add lists up"
        if isinstance(node, ast.Dict):
            for key in node.keys:
                if key is None:
                    yield node.lineno, "two stars within a dict are a SyntaxError on a device: use update"


def lint(root: Path) -> list[str]:
    """All findings in a firmware, as ``file:line: what``."""
    found: list[str] = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if name.parts[0] != "typings" and str(name) != "manifest.py":
            found += [f"{name}:{what}" for what in findings(path.read_text(), pure=name.parts[0] == "node")]
    return found
