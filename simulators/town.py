"""One town's assets: where they stand along its streets, and everything that is known of them."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from simulators.asset import Asset, Municipality
from simulators.circuits import Circuit
from simulators.names import LUMINAIRES, ROOFS, STOPS, STREETS, Luminaire

METRES_PER_DEGREE = 111_320.0
STOP_SHARE, SOLAR_SHARE = 0.12, 0.14
"""Of a municipality's devices; the rest are lamps and their cabinets."""
GATEWAY_INVERTERS = 3
GATEWAY_FROM = 4
PAIR_EVERY = 6
"""Every so many roofs of a town, two inverters with a controller each serve one building."""
ROOF_POWERS_W = (5_000.0, 8_000.0, 10_000.0, 15_000.0, 20_000.0, 40_000.0)
DC_OVER_AC = 1.1
MODULE_W = 430.0
STRING_MODULES_MAX = 18
"""Of 430 W: 18 · 40 V open circuit in frost stays under 1,000 V."""
STRINGS_MAX = 8
EXPORT_LIMITED_SHARE, EXPORT_SHARE = 0.15, 0.6
TWO_PLANES_SHARE = 0.2
CABINET_SPACING_M, LAMP_SPACING_M = 330.0, 31.0
GOLDEN_DEG = 137.508
"""Cabinets lie on a sunflower's spiral, evenly and never on top of one another."""
CROSSING_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Shares:
    """A municipality's devices by what they serve; ``gateway`` is 1 where one device serves several inverters."""

    lighting: int
    stops: int
    roofs: int
    gateway: int


def shares(count: int, *, gateway: bool) -> Shares:
    """Split ``count`` devices; a gateway only where there are enough others."""
    served = int(gateway and count >= GATEWAY_FROM)
    count -= served
    stops, roofs = (max(round(count * share), int(count >= GATEWAY_FROM)) for share in (STOP_SHARE, SOLAR_SHARE))
    return Shares(count - stops - roofs, stops, roofs, served)


@dataclass(frozen=True, slots=True)
class _Line:
    """A street: where it begins (metres east and north of the centre) and where it leads."""

    street: str
    bearing_deg: float
    east: float = 0.0
    north: float = 0.0

    def at(self, along: float, side: float) -> tuple[float, float]:
        """``along`` metres on the street, ``side`` metres to its right; metres east and north of the centre."""
        angle = math.radians(self.bearing_deg)
        east = self.east + along * math.sin(angle) + side * math.cos(angle)
        return east, self.north + along * math.cos(angle) - side * math.sin(angle)


class Town:
    """Builds the assets of one town along streets that leave its centre and its cabinets."""

    def __init__(self, random: Random, town: Municipality) -> None:
        self._random = random
        self._town = town
        self._bearing = random.uniform(0, 360)
        streets = random.sample(STREETS, 6)
        self._streets = [_Line(s, self._bearing + 60 * n + random.uniform(-15, 15)) for n, s in enumerate(streets)]
        self._counts: Counter[str] = Counter()
        self._pole = random.randrange(1, 400)
        self._areas: list[tuple[float, float, str]] = []
        """Where each cabinet stands, and whose grid feeds it."""

    def groups(self, part: Shares, circuits: Sequence[Circuit]) -> Iterator[tuple[Asset, ...]]:
        """Assets of all devices, one tuple a device; a gateway's holds several inverters."""
        lights = list(self._lighting(part.lighting, circuits))
        if part.gateway:
            line, along = self._random.choice(self._streets), self._random.uniform(100, 500)
            yield tuple(
                self._roof(f"Sportovní hala, střídač {n + 1}", line, along + 8 * n, "Sportovní hala", azimuth)
                for n, azimuth in enumerate((90.0, 180.0, 270.0)[:GATEWAY_INVERTERS])
            )
        for asset in lights:
            yield (asset,)
        for number in range(part.stops):
            yield (self._stop(number),)
        yield from ((roof,) for roof in self._roofs(part.roofs))

    def _lighting(self, lighting: int, circuits: Sequence[Circuit]) -> Iterator[Asset]:
        for number, circuit in enumerate(circuits):
            label = f"RVO-{number + 1:02d}"
            line = self._cabinet_line(number, village=not circuit.feeders)
            self._areas.append((line.east, line.north, circuit.supply_area))
            made = [self._random.choice(LUMINAIRES) for _ in circuit.feeders or (None,)]
            yield self._cabinet(label, circuit, line, made)
            for place, feeder in enumerate(circuit.feeders):
                # The second feeder leads back, the third across.
                turn = (0.0, 180.0, 90.0)[place]
                street = self._random.choice(STREETS)
                leads = _Line(street, line.bearing_deg + turn, line.east, line.north)
                fed: dict[str, object] = {
                    "cabinet": label,
                    "feeder": f"{label}/{place + 1}",
                    "supply_area": circuit.supply_area,
                    "feeder_switched": int(feeder.switched),
                    "part_night": int(feeder.part_night),
                }
                if circuit.gateway:
                    fed["gateway"] = f"{circuit.gateway}-{self._town.name}"
                if circuit.report_interval_s:
                    fed["report_interval_s"] = circuit.report_interval_s
                yield from self._feeder(feeder.lamps, fed, leads, made[place])
        if lighting == 1 and not circuits:
            lone = self._random.choice(LUMINAIRES)
            yield self._asset("lamp", self._pole_label(), _lamp(lone, phase=1), self._streets[0], 30, 5)

    def _cabinet_line(self, number: int, *, village: bool) -> _Line:
        """The street at a cabinet; a village lies apart."""
        bearing = self._bearing + GOLDEN_DEG * number
        out = self._random.uniform(1_500, 2_300) if village else 30 + CABINET_SPACING_M * math.sqrt(number)
        street = "Náves" if village else self._random.choice(STREETS)
        east, north = _Line("", bearing).at(out, 0)
        return _Line(street, bearing, east, north)

    def _cabinet(self, label: str, circuit: Circuit, line: _Line, made: Sequence[Luminaire]) -> Asset:
        lamps = sum(feeder.lamps for feeder in circuit.feeders)
        # Lamps without a controller are like those of the first feeder.
        power = sum(f.lamps * m.rated_w for f, m in zip(circuit.feeders, made, strict=False))
        known: dict[str, object] = {
            "supply_area": circuit.supply_area,
            "power_rated_w": power + circuit.unmetered * made[0].rated_w,
            "phases": 3,
            "lamps": lamps + circuit.unmetered,
            "lamps_unmetered": circuit.unmetered,
            "feeder_switched": int(circuit.switched),
            "leakage_max_ma": 300.0,
        }
        return self._asset("cabinet", label, known, line, 0, 4)

    def _feeder(self, lamps: int, fed: dict[str, object], line: _Line, made: Luminaire) -> Iterator[Asset]:
        for pole in range(lamps):
            crossing = int(self._random.random() < CROSSING_SHARE)
            along = 10 + LAMP_SPACING_M * pole + self._random.uniform(-2, 2)
            known = {**fed, **_lamp(made, phase=pole % 3 + 1), "crossing": crossing}
            yield self._asset("lamp", self._pole_label(), known, line, along, 5 if pole % 2 else -5)

    def _pole_label(self) -> str:
        self._pole += 1
        return f"VO-{self._pole - 1:04d}"

    def _stop(self, number: int) -> Asset:
        """With a bright display, WiFi and much light it has the panel and battery for it; else e-paper and less."""
        full = number % 2 == 0
        known: dict[str, object] = {
            "power_rated_w": self._random.choice((550.0, 600.0) if full else (250.0, 300.0)),
            "battery_capacity_wh": self._random.choice((2560.0, 3840.0) if full else (1280.0, 1920.0)),
            "battery_soc_min_pct": 15.0,
            "display_interval_s": 60.0 if full else 300.0,
            "tilt_deg": 60.0,
            "azimuth_deg": round(self._random.uniform(150, 210), 1),
            "voice": int(self._random.random() < 0.5),
            "sos": int(self._random.random() < 0.7),
            "gtfs_stop_id": f"U{self._random.randrange(100, 10_000)}Z{number + 1}",
        }
        line = self._random.choice(self._streets)
        return self._asset("stop", self._label(STOPS), known, line, self._random.uniform(20, 700), 6)

    def _roofs(self, count: int) -> Iterator[Asset]:
        while count:
            line, along, site = self._random.choice(self._streets), self._random.uniform(30, 600), self._label(ROOFS)
            pair = count >= 2 and self._counts[ROOFS[0]] % PAIR_EVERY == PAIR_EVERY - 1
            for n in range(2 if pair else 1):
                label = f"{site}, střídač {n + 1}" if pair else site
                yield self._roof(label, line, along + 8 * n, site if pair else None, None)
                count -= 1

    def _roof(self, label: str, line: _Line, along: float, site: str | None, azimuth: float | None) -> Asset:
        """An inverter; strings of plane 2 lie on the opposite slope of the same roof."""
        rating = self._random.choice(ROOF_POWERS_W)
        modules = round(rating * DC_OVER_AC / MODULE_W)
        strings = min(STRINGS_MAX, math.ceil(modules / STRING_MODULES_MAX))
        two = strings > 1 and azimuth is None and self._random.random() < TWO_PLANES_SHARE
        known: dict[str, object] = {
            "power_rated_w": rating,
            "power_peak_w": modules * MODULE_W,
            "tilt_deg": float(self._random.choice((10, 25, 35))),
            "azimuth_deg": round(self._random.uniform(120, 240) if azimuth is None else azimuth, 1),
            "altitude_m": float(self._random.randrange(380, 640)),
            "power_temp_pct_per_k": self._random.choice((-0.34, -0.38)),
            "voltage_nominal_v": 230.0,
            "strings": strings,
            "roof_open_rack": int(self._random.random() < 0.3),
        }
        if site:
            known["site"] = site
        if self._random.random() < EXPORT_LIMITED_SHARE:
            known["export_limit_w"] = rating * EXPORT_SHARE
        for n in range(strings):
            known[f"string{n + 1}_modules"] = modules // strings + (n < modules % strings)
            known[f"string{n + 1}_plane"] = 2 if two and n >= strings / 2 else 1
        east, north = line.at(along, 22)
        if self._areas:
            known["supply_area"] = min(self._areas, key=lambda a: math.hypot(a[0] - east, a[1] - north))[2]
        return self._asset("solar", label, known, line, along, 22)

    def _label(self, labels: Sequence[str]) -> str:
        base = labels[self._counts[labels[0]] % len(labels)]
        self._counts[labels[0]] += 1
        again = (self._counts[labels[0]] - 1) // len(labels)
        return f"{base} {again + 1}" if again else base

    def _asset(  # noqa: PLR0917 - what it is, then where
        self, kind: str, label: str, known: dict[str, object], line: _Line, along: float, side: float
    ) -> Asset:
        east, north = line.at(along, side)
        longitude = self._town.longitude + east / (METRES_PER_DEGREE * math.cos(math.radians(self._town.latitude)))
        return Asset(
            kind=kind,
            municipality=self._town.name,
            label=label,
            latitude=round(self._town.latitude + north / METRES_PER_DEGREE, 6),
            longitude=round(longitude, 6),
            metadata={"street": line.street, **known},
        )


def _lamp(made: Luminaire, *, phase: int) -> dict[str, object]:
    return {
        "power_rated_w": made.rated_w,
        "phase": phase,
        "power_min_w": made.min_w,
        "power_standby_w": made.standby_w,
        "level_min_pct": 10.0,
        "gear_temp_max_degc": made.gear_temp_max_degc,
        "lifetime_l80_s": made.l80_h * 3600,
        "driver_model": made.driver,
        "lamp_model": made.model,
    }
