"""Lamps registered on a feeder that they do not hang on, as it happens: on the one next to theirs."""

from dataclasses import replace
from random import Random

from simulators.asset import Asset, Region

TOPOLOGY = ("feeder", "cabinet")


def registered_wrongly(region: Region, seed: int, count: int) -> tuple[Region, tuple[str, ...]]:
    """The region as it is registered when ``count`` lamps (fewer, where there are no others) got the feeder and cabinet
    of the nearest lamp on another feeder, and the keys of these lamps. Simulate the region that was given: it is true.
    """
    lamps = [asset for asset in region.assets if asset.kind == "lamp" and asset.word("feeder")]
    wrong: dict[str, Asset] = {}
    for lamp in Random(f"{seed} miswiring").sample(lamps, len(lamps)):
        others = [a for a in lamps if a.municipality == lamp.municipality and a.word("feeder") != lamp.word("feeder")]
        if len(wrong) < count and others:
            near = min(others, key=lambda other: _apart(lamp, other))
            known = {name: near.metadata[name] for name in TOPOLOGY if name in near.metadata}
            wrong[lamp.key] = replace(lamp, metadata={**lamp.metadata, **known})
    devices = tuple(
        replace(
            device,
            installed=tuple(replace(one, asset=wrong.get(one.asset.key, one.asset)) for one in device.installed),
        )
        for device in region.devices
    )
    return replace(region, devices=devices), tuple(wrong)


def _apart(one: Asset, other: Asset) -> float:
    """Good enough to compare: a degree of longitude is two thirds of one of latitude."""
    return (one.latitude - other.latitude) ** 2 + ((one.longitude - other.longitude) / 1.5) ** 2
