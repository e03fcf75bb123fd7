"""Filters, options and paths are read as the standard writes them; whatever else comes is refused with its place."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj.kinds import KINDS
from kraj.metrics import METRICS_MAX
from kraj.sensorthings.errors import QueryError, UnknownPathError
from kraj.sensorthings.expressions import Call, Literal, Node, Path, parse
from kraj.sensorthings.model import DATASTREAM, ENTITIES, OBSERVATION, POSITION_BITS, QUARTER, Parts, number, parts
from kraj.sensorthings.options import ON_MANY, read
from kraj.sensorthings.paths import resource

WORDS = st.sampled_from(
    ["name", "eq", "and", "or", "not", "(", ")", "'a'", "''", "1", "-", "2.5", ",", "add", "length", "null", "Thing/id"]
)


def shown(node: Node) -> str:
    if isinstance(node, Literal):
        return repr(node.value)
    if isinstance(node, Path):
        return "/".join(node.parts)
    return f"{node.name}({' '.join(map(shown, node.arguments))})"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a eq 1 or b eq 2 and c eq 3", "or(eq(a 1) and(eq(b 2) eq(c 3)))"),
        ("not a eq 1 and b eq 2", "and(not(eq(a 1)) eq(b 2))"),
        ("a add 2 mul 3 gt -b sub 1.5", "gt(add(a mul(2 3)) sub(minus(b) 1.5))"),
        ("(a or b) and not (c)", "and(or(a b) not(c))"),
        ("a sub b sub c eq 0", "eq(sub(sub(a b) c) 0)"),
        ("name eq 'it''s'", 'eq(name "it\'s")'),
        ("geo.distance(Thing/place, null) lt 1e3", "lt(geo.distance(Thing/place None) 1000.0)"),
        ("a eq true", "eq(a True)"),
    ],
)
def test_operators_bind_as_the_standard_says(text: str, tree: str) -> None:
    assert shown(parse(text)) == tree


@pytest.mark.parametrize(
    "text", ["2026-11-20T06:00:00Z", "2026-11-20T07:00:00+01:00", "2026-11-20T07:00 01:00", "2026-11-20T06:00:00.000Z"]
)
def test_an_instant_is_the_same_however_it_is_written(text: str) -> None:
    node = parse(f"resultTime eq {text}")
    assert isinstance(node, Call)
    assert isinstance(node.arguments[1], Literal)
    assert node.arguments[1].value == datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-13-40T00:00:00Z eq 1", "duration'P' eq 1", "geography'POINT(1)' eq 1", "geography'POINT(200 1)' eq 1"),
        *(
            "geography'POLYGON((1 1,2 2))' eq 1",
            "1e999 eq 1",
            "a == 1",
            "a eq ;",
            "a b",
            "f(1",
            "f(,)",
            "geography'LINE(1 1)'",
        ),
    ],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=60).map(" ".join)))
def test_any_text_is_a_tree_or_refused(text: str) -> None:
    for name in ("$filter", "$orderby", "$expand", "$select", "$top"):
        with contextlib.suppress(QueryError):
            read([(name, text)], ENTITIES["Thing"], ON_MANY)


@given(
    st.text(max_size=60) | st.lists(st.sampled_from(["Things", "Things(1)", "name", "$value", "$ref"])).map("/".join)
)
def test_any_path_leads_somewhere_or_nowhere(path: str) -> None:
    try:
        found = resource(path)
    except UnknownPathError:
        return
    assert found.steps


def test_numbers_tell_what_they_stand_for_and_have_room() -> None:
    assert METRICS_MAX < 1 << POSITION_BITS
    assert [*KINDS] == ["lamp", "cabinet", "stop", "solar"], "numbers of kinds are for ever: only append"
    bucket = datetime(2026, 11, 20, 6, 15, tzinfo=UTC)
    for asset in (1, 2**31 - 1):
        given_: Parts = {"asset": asset, "position": 62}
        assert parts(DATASTREAM, number(DATASTREAM, given_)) == given_
        given_["bucket"] = bucket
        assert parts(OBSERVATION, number(OBSERVATION, given_)) == given_
        given_["bucket"] = datetime(2089, 1, 1, tzinfo=UTC) - QUARTER
        assert number(OBSERVATION, given_) < 2**63
    given_ = {"asset": 2**24, "position": 62, "bucket": bucket}
    assert number(OBSERVATION, given_) < 2**53  # browsers count so far
