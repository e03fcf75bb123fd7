"""Random texts of the rule language, by its grammar: parentheses stand only where drawn, so precedence counts."""

import hypothesis.strategies as st

from tests.rules.language.twin import BITS, FLAGS, NUMBERS, STATES

written = st.sampled_from(["0", "1", "2", "3", "7", "0.5", "1e6"])


def _spaced(draw: st.DrawFn, *parts: str) -> str:
    gap = draw(st.sampled_from([" ", " ", "  ", "\n"]))
    return gap.join(parts)


@st.composite
def number(draw: st.DrawFn, depth: int = 3) -> str:  # noqa: PLR0911 -- one case a construct
    """A value, product or sum, by the grammar: parentheses stand only where drawn."""
    if depth == 0:
        return draw(st.one_of(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), written))
    shape = draw(st.sampled_from(["value", "value", "sum", "product", "call", "minus", "parentheses"]))
    inner = number(depth - 1)
    match shape:
        case "sum":
            return _spaced(draw, draw(inner), draw(st.sampled_from("+-")), draw(inner))
        case "product":
            sign = draw(st.sampled_from("*/"))
            return _spaced(
                draw, draw(value(depth - 1)), sign, draw(divisor(depth - 1) if sign == "/" else value(depth - 1))
            )
        case "call":
            return draw(call(depth - 1))
        case "minus":
            return "-" + draw(value(depth - 1))
        case "parentheses":
            return f"({draw(inner)})"
        case _:
            return draw(value(0))


@st.composite
def value(draw: st.DrawFn, depth: int) -> str:
    """What binds tighter than any sign."""
    return draw(number(0)) if depth == 0 or draw(st.booleans()) else f"({draw(number(depth - 1))})"


def divisor(depth: int) -> st.SearchStrategy[str]:
    """Anything that is no constant: a constant 0 is refused, as other tests tell."""
    return value(depth).map(lambda text: text if any(name in text for name in NUMBERS) else f"({text} + a)")


@st.composite
def call(draw: st.DrawFn, depth: int) -> str:
    name, least, most = draw(
        st.sampled_from([("abs", 1, 1), ("min", 2, 4), ("max", 2, 4), ("clip", 3, 3), ("first_known", 2, 3)])
    )
    arguments = draw(st.lists(number(depth), min_size=least, max_size=most))
    return f"{name}({', '.join(arguments)})"


@st.composite
def comparison(draw: st.DrawFn) -> str:
    shape = draw(st.sampled_from(["compare", "compare", "span", "flag", "state", "bit", "known"]))
    match shape:
        case "compare":
            sign = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
            return _spaced(draw, draw(named()), sign, draw(number()))
        case "span":
            signs = draw(st.sampled_from([("<", "<="), ("<=", "<"), (">", ">="), ("<", "<")]))
            return _spaced(draw, draw(number(1)), signs[0], draw(named()), signs[1], draw(number(1)))
        case "flag":
            return draw(st.sampled_from(FLAGS))
        case "state":
            sign, word = draw(st.sampled_from(["==", "!="])), draw(st.sampled_from(STATES))
            return draw(st.sampled_from([f'mode {sign} "{word}"', f"'{word}' {sign} mode"]))
        case "bit":
            return f'alarms has "{draw(st.sampled_from(BITS))}"'
        case _:
            return f"known({draw(st.one_of(named(), st.sampled_from([*FLAGS, 'mode', 'alarms'])))})"


@st.composite
def named(draw: st.DrawFn) -> str:
    """A number that is no constant."""
    return _spaced(draw, draw(st.sampled_from(NUMBERS)), draw(st.sampled_from("+-")), draw(number()))


@st.composite
def condition(draw: st.DrawFn, depth: int = 3) -> str:
    """By the grammar, so that precedence decides where no parentheses are."""
    if depth == 0:
        return draw(comparison())
    shape = draw(st.sampled_from(["comparison", "and", "or", "not", "parentheses"]))
    inner = condition(depth - 1)
    match shape:
        case "and" | "or":
            return _spaced(draw, draw(inner), shape, draw(inner))
        case "not":
            return f"not {draw(inner)}"
        case "parentheses":
            return f"({draw(inner)})"
        case _:
            return draw(comparison())
