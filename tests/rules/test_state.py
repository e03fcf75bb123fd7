"""What rules remember can be taken back, moved and dumped without a difference."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.state import Array, State

SIZE = 6
WRITES = st.lists(
    st.tuples(
        st.sampled_from(["number", "pair", "flag", "table"]),
        st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=SIZE, unique=True),
        st.integers(1, 100),
    ),
    max_size=12,
)


def array(state: State, name: str) -> Array:
    kinds: dict[str, dict[str, Any]] = {
        "number": {},
        "pair": {"shape": (2,), "fill": 0},
        "flag": {"dtype": np.bool_, "fill": False},
        "table": {"dtype": np.int64, "fill": -1, "shape": (2, 3)},
    }
    return state.array(name, **kinds[name])


def write(state: State, writes: list[tuple[str, list[int], int]]) -> None:
    for name, slots, value in writes:
        array(state, name)
        where: Any = np.array(slots) if value % 3 else slice(min(slots), max(slots) + 1)
        state.put(name, (where, value % 2) if name == "table" else where, value)


def contents(state: State) -> dict[str, list[Any]]:
    """Every array that is not as it was made: one that holds nothing but its fill is as good as none."""
    arrays, fills = state.dump()
    found: dict[str, list[Any]] = {}
    for name, values in arrays.items():
        if not np.array_equal(values, np.full_like(values, fills[name]), equal_nan=values.dtype.kind == "f"):
            found[name] = np.nan_to_num(values.astype(float), nan=-12345).tolist()
    return found


@given(WRITES, WRITES)
def test_what_is_rolled_back_has_never_been(kept: list[Any], lost: list[Any]) -> None:
    state = State(SIZE)
    write(state, kept)
    state.commit()
    before = contents(state)
    write(state, lost)
    state.rollback()
    assert contents(state) == before
    state.rollback()  # nothing is left to be undone
    assert contents(state) == before


@given(WRITES, st.lists(st.integers(-1, SIZE - 1), max_size=9, unique_by=lambda s: s if s >= 0 else object()))
def test_a_move_carries_each_slot_along(writes: list[Any], old_slots: list[int]) -> None:
    state = State(SIZE)
    write(state, writes)
    moved = state.moved(len(old_slots), np.array(old_slots, np.intp))
    for name in state.dump()[0]:
        fresh = array(State(1), name)
        for new, old in enumerate(old_slots):
            wanted = array(state, name)[old] if old >= 0 else fresh[0]
            np.testing.assert_array_equal(array(moved, name)[new], wanted)


@given(WRITES)
def test_a_dump_is_loaded_as_it_was(writes: list[Any]) -> None:
    state, other = State(SIZE), State(SIZE)
    write(state, writes)
    other.load(*state.dump())
    assert contents(other) == contents(state)
    write(other, writes)  # and can be written to


def test_arrays_of_another_size_are_as_if_never_written() -> None:
    state, other = State(SIZE), State(SIZE + 1)
    write(state, [("pair", [1], 5)])
    other.load(*state.dump())
    assert other.get("pair") is None


def test_columns_are_rearranged_by_what_they_were() -> None:
    state = State(3)
    state.array("rules.since", dtype=np.int64, fill=0, shape=(2,))
    state.put("rules.since", (np.array([0, 2]), np.array([0, 1])), np.array([7, 9]))
    state.array("rules.busy", dtype=np.bool_, fill=False)
    state.array("others.since", fill=0, shape=(2,))
    state.rearrange("rules", np.array([1, -1, 0]))
    assert array_of(state, "rules.since") == [[0, 0, 7], [0, 0, 0], [9, 0, 0]]
    assert array_of(state, "rules.busy") == [False] * 3
    assert array_of(state, "others.since") == [[0, 0]] * 3
    state.forget("others")
    assert state.get("others.since") is None


def array_of(state: State, name: str) -> list[Any]:
    found = state.get(name)
    assert found is not None
    return found.tolist()
