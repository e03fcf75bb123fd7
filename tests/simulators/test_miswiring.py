"""A registry that is wrong about some lamps, and right about everything else."""

from simulators.miswiring import registered_wrongly
from simulators.region import region


def test_some_lamps_get_a_neighbours_feeder_and_nothing_else_changes() -> None:
    true = region(3, 1500)
    told, wrong = registered_wrongly(true, 3, 20)
    again, same = registered_wrongly(true, 3, 20)
    assert (again, same) == (told, wrong)
    assert len(set(wrong)) == 20
    by_key = {asset.key: asset for asset in true.assets}
    changed = {a.key: (by_key[a.key], a) for a in told.assets if a != by_key[a.key]}
    assert set(changed) == set(wrong)
    feeders = {(a.municipality, a.word("feeder"), a.word("cabinet")) for a in true.assets if a.kind == "lamp"}
    for before, after in changed.values():
        assert after.word("feeder") != before.word("feeder")
        assert (after.municipality, after.word("feeder"), after.word("cabinet")) in feeders
        topology = {name: before.metadata[name] for name in ("feeder", "cabinet")}
        assert {**after.metadata, **topology} == before.metadata
    assert [d.name for d in told.devices] == [d.name for d in true.devices]
    assert registered_wrongly(true, 3, 0) == (true, ())
