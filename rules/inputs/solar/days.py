"""A roof's day: its share of clear-sky energy against peers and siblings, and against its own last two months."""

from collections.abc import Callable

import numpy as np

from kraj.metrics import Title
from kraj.readings import DAY_MS, Floats, Mask
from kraj.units import Unit
from rules.estate import Slots
from rules.groups import neighbour_median
from rules.inputs.solar.azimuths import solar_day
from rules.inputs.solar.light import table
from rules.inputs.solar.rings import before, keep, median, nth_smallest, push, recent, scatter
from rules.layer import Form, Input, Layer
from rules.peers import PEERS_LEAST, near, peers, twins

BASELINE_DAYS = 61
"""Two months (solar.md) and the day itself."""
BASELINE_LEAST = 14
"""Known days without which there is no baseline: with fewer the scatter itself is a guess."""
ALIKE_SHARE = 3
"""Of the known days the third whose sky was most like today's is asked. Under clouds the light comes from all of the
sky, on a clear day from the sun: planes that differ by 15° of tilt then share it unlike (in January 25° gives 1.4 times
what 10° give under a clear sky, and as much under a grey one), and what is usual under clouds says little of the first
clear day of a month."""
DAY_CLEAR_H = 0.3
"""Full-load hours that a clear sky must give: an east roof in December has 0.6."""
DARK_INDEX = 0.1
"""On darker days the ratio of two roofs is mostly noise of their meters."""
DISTURBED_MAX = 0.1
"""Of the day; more of it has a cause that another rule tells of."""
SCATTER_MIN = 0.005
"""Half a per cent: what rounding and the clear-sky model leave even between twins."""
NOISE = 0.05
"""A deviation that no rule asks about; it need not stand out of the weather to be known."""
STANDS_OUT, STANDS_ALONE, NORMAL = 2.0, 4.0, 1.4826
"""So many standard deviations a deviation must be, of what the roof itself is off by under such a sky, and of what
others are off by on the same day (median · 1.4826): one of several days, and one that is told at once. Under a grey sky
sound roofs ten kilometres apart differ by a quarter, so that -15 % says nothing there; three of five days beyond two
deviations come by chance once in 10,000 times."""
GREY_INDEX = 0.35
"""Below, the peers' sky is grey, and clouds of another valley let through half or twice as much: there no single day is
a proof."""
NEAR_LEAST = 2
FIVE_DAYS = 5
SNOW_DAYS = 3
"""So long a roof may keep its snow (``weather``)."""
CLEAR_DAY_INDEX = 0.75
"""A clear day has at least that much of clear-sky energy: with dust, heat and haze it is 0.8 to 1."""
DRY_DAYS = 30
DRY_LEAST = 5
SENSOR_DAYS = 3
DAY_H = 24


def day_of(layer: Layer) -> Floats:
    """The number of the day that is over, by mean solar time: that of its noon."""
    return solar_day(layer.ts_ms - DAY_MS // 2, layer.members.longitude[layer.slots])


def of_others(layer: Layer, values: Floats, index: Slots, least: int) -> Floats:
    """The median of these neighbours' values, NaN where fewer than ``least`` are known."""
    everybody = np.full(len(layer.members), np.nan)
    everybody[layer.slots] = values
    middle, known = neighbour_median(everybody, index[layer.slots])
    return np.where(known >= least, middle, np.nan)


def ratio(part: Floats, whole: Floats, least: float) -> Floats:
    """The quotient where the whole is more than ``least``, else NaN."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > least)


def _day_clear_index(layer: Layer) -> Floats:
    """Energy over clear-sky energy in the same hours; unknown on days that are too short, disturbed, under snow or
    badly covered to compare."""
    clear = layer.column("clear_wh")
    fit = (
        (clear > DAY_CLEAR_H * table(layer).roofs.rated_w[layer.slots])
        & layer.flag("data_complete")
        & ~(layer.column("disturbed_share") > DISTURBED_MAX)
        & ~(layer.column("snow_share") > 0)
    )
    return np.where(fit, ratio(layer.column("output_wh"), clear, 0), np.nan)


def _peer_day_index(layer: Layer) -> Floats:
    return of_others(layer, layer.column("day_clear_index"), peers(layer.members), PEERS_LEAST)


def _clear_day(layer: Layer) -> Floats:
    index = layer.column("peer_day_index")
    return np.where(np.isnan(index), np.nan, index >= CLEAR_DAY_INDEX)


def _peer_deviation_pct(layer: Layer) -> Floats:
    """Of the ratio to the peers from its own median of 60 days, unknown where it may be the weather; beside it the
    third smallest of the last five days, and today's where it cannot be the weather."""
    now, day = ratio(layer.column("day_clear_index"), layer.column("peer_day_index"), DARK_INDEX), day_of(layer)
    now = np.where(_snow_lately(layer, day), np.nan, now)
    keep(layer, "solar_peer_ratio", BASELINE_DAYS, day, now)
    past = _under_such_a_sky(layer, "solar_peer_ratio", layer.column("peer_day_index"), day)
    usual = median(past, BASELINE_LEAST)
    found = now / usual - 1
    spread = np.maximum(_spread(layer, found), scatter(past, usual) / usual)
    sure = (found < -STANDS_ALONE * spread) & (layer.column("peer_day_index") >= GREY_INDEX)
    alone = np.where(sure, found, np.nan)
    found = np.where((found < -NOISE) & ~(found < -STANDS_OUT * spread), np.nan, found)
    keep(layer, "solar_peer_deviation", FIVE_DAYS, day, found)
    five = np.concatenate([found[:, None], before(layer, "solar_peer_deviation", FIVE_DAYS, day)], axis=1)
    layer.columns["peer_deviation_3_of_5_pct"] = 100 * nth_smallest(five, 3)
    layer.columns["peer_deviation_sure_pct"] = 100 * alone
    return 100 * found


def _snow_lately(layer: Layer, day: Floats) -> Mask:
    """Whether snow was seen on the roof on this day or the two before: the flatter of two roofs keeps some of it for
    longer, and the loss is the weather's."""
    keep(layer, "solar_snow", SNOW_DAYS, day, layer.column("snow_share"))
    return (layer.column("snow_share") > 0) | (before(layer, "solar_snow", SNOW_DAYS, day) > 0).any(axis=1)


def _under_such_a_sky(layer: Layer, name: str, sky: Floats, day: Floats) -> Floats:
    """What is kept under ``name`` of the past days whose ``sky`` (the others' share of clear-sky energy, kept here) was
    most like today's: a third of the known ones, ``BASELINE_LEAST`` if there are so many; NaN stands for all others."""
    keep(layer, f"{name}_sky", BASELINE_DAYS, day, sky)
    past = before(layer, name, BASELINE_DAYS, day)
    far = np.abs(before(layer, f"{name}_sky", BASELINE_DAYS, day) - sky[:, None])
    far = np.where(np.isnan(past + far), np.inf, far)
    known = np.isfinite(far).sum(axis=1)
    asked = np.maximum(known // ALIKE_SHARE, BASELINE_LEAST)
    limit = np.sort(far, axis=1)[np.arange(len(far)), np.minimum(asked, far.shape[1]) - 1]
    return np.where((far <= limit[:, None]) & np.isfinite(far), past, np.nan)


def _beside(name: str, main: str) -> Callable[[Layer], Floats]:
    """What is put into the layer while ``main`` is computed."""

    def compute(layer: Layer) -> Floats:
        layer.column(main)
        return layer.columns[name]

    return compute


def _spread(layer: Layer, deviation: Floats) -> Floats:
    """By how much others are off their usual ratio on this day: peers up to 25 km, or the nearest, whichever is more.

    Weather is local: under a day of fog in one valley, each of its roofs lacks half of what the peers beyond have.
    Those of the nearest that face another way than all peers, or have no past yet, saw the same sky: what they lack is
    their share of a cloudless day against that of the peers.
    """
    size, around = np.abs(deviation), near(layer.members)
    far = of_others(layer, size, peers(layer.members), PEERS_LEAST)
    beyond = layer.column("peer_day_index")
    beyond = np.where(np.isnan(beyond), of_others(layer, beyond, around, 1), beyond)
    lacks = np.abs(ratio(layer.column("day_clear_index"), beyond, DARK_INDEX) - 1)
    close = of_others(layer, np.where(np.isnan(size), lacks, size), around, NEAR_LEAST)
    return NORMAL * np.where(np.isnan(far), np.nan, np.fmax(far, close))


def _sibling_deviation_pct(layer: Layer) -> Floats:
    """As for the peers, against the site's inverters on the same plane; beside it in standard deviations."""
    theirs = of_others(layer, layer.column("day_clear_index"), twins(layer.members), 1)
    now, day = ratio(layer.column("day_clear_index"), theirs, DARK_INDEX), day_of(layer)
    keep(layer, "solar_sibling_ratio", BASELINE_DAYS, day, now)
    past = _under_such_a_sky(layer, "solar_sibling_ratio", theirs, day)
    usual = median(past, BASELINE_LEAST)
    layer.columns["sibling_deviation_sigmas"] = (now - usual) / np.maximum(scatter(past, usual), SCATTER_MIN)
    return 100 * (now / usual - 1)


def _lost_day_w(layer: Layer) -> Floats:
    """What the day lacks of the roof's own usual share, by the worse of both comparisons, as a mean over its hours."""
    deviation = np.fmin(layer.column("peer_deviation_pct"), layer.column("sibling_deviation_pct"))
    kept = np.clip(1 + deviation / 100, 0.01, 1)
    return layer.column("output_wh") * (1 / kept - 1) / DAY_H


def _isolation_drop_pct(layer: Layer) -> Floats:
    """Of the morning's resistance below its median of the last 30 dry days; a day with sun on this roof is dry.

    A winter may have no such day for weeks: then the last 30 mornings stand in. Wet ones among them only lower the
    median, as water only lowers a resistance, and the rule gets more careful.
    """
    now = layer.column("isolation_morning_ohm")
    usual = median(recent(layer, "solar_isolation", DRY_DAYS), DRY_LEAST)
    any_day = median(recent(layer, "solar_isolation_any", DRY_DAYS), BASELINE_LEAST)
    dry = layer.column("day_clear_index") >= CLEAR_DAY_INDEX
    push(layer, "solar_isolation", DRY_DAYS, np.where(dry, now, np.nan))
    push(layer, "solar_isolation_any", DRY_DAYS, now)
    return 100 * (1 - now / np.where(np.isnan(usual), any_day, usual))


def _sensor_deviation_pct(layer: Layer) -> Floats:
    """On clear days, of the sensor's share of clear-sky insolation from that of the sensors around, else of all in the
    region that had a clear sky; the least of three such days. NaN until there are three, and without five sensors.

    It must be off by as much from what its own roof makes of the same light, as those around are not: where only the
    fleet differs there was another sky, and where only the roof does, it is the roof that lacks something.
    """
    own = ratio(layer.column("sensed_wh_per_m2"), layer.column("sensed_clear_wh_per_m2"), 100)
    own = np.where(layer.flag("clear_day") & layer.flag("data_complete"), own, np.nan)
    by_roof = ratio(own, layer.column("day_clear_index"), DARK_INDEX)
    push(layer, "solar_sensor", SENSOR_DAYS, np.minimum(_off_fleet_pct(layer, own), _off_fleet_pct(layer, by_roof)))
    return recent(layer, "solar_sensor", SENSOR_DAYS).min(axis=1)


def _off_fleet_pct(layer: Layer, own: Floats) -> Floats:
    """How far each is off the median of those around, else of all that are known."""
    fleet = of_others(layer, own, peers(layer.members), PEERS_LEAST)
    if np.count_nonzero(~np.isnan(own)) > PEERS_LEAST:
        fleet = np.where(np.isnan(fleet), np.nanmedian(own), fleet)
    return np.abs(100 * (own / fleet - 1))


def _title(cs: str, en: str) -> Title:
    return Title(cs=cs, en=en)


INPUTS = (
    Input(
        "day_clear_index",
        Unit.RATIO,
        _title("Podíl energie za jasné oblohy", "Share of clear-sky energy"),
        _day_clear_index,
        needs=("power_w", "power_peak_w", "tilt_deg", "azimuth_deg"),
    ),
    Input(
        "peer_day_index",
        Unit.RATIO,
        _title("Medián podílu u sousedů (nejméně pěti)", "Median share of the peers (at least five)"),
        _peer_day_index,
    ),
    Input("clear_day", Unit.NONE, _title("Jasný den", "Clear day"), _clear_day, Form.FLAG),
    Input(
        "peer_deviation_pct",
        Unit.PERCENT,
        _title("Odchylka od sousedů proti dvouměsíčnímu obvyklému poměru", "Off its usual ratio to the peers"),
        _peer_deviation_pct,
    ),
    Input(
        "peer_deviation_3_of_5_pct",
        Unit.PERCENT,
        _title("Taková odchylka aspoň ve 3 z 5 dnů", "Off by that on 3 of 5 days"),
        _beside("peer_deviation_3_of_5_pct", "peer_deviation_pct"),
    ),
    Input(
        "peer_deviation_sure_pct",
        Unit.PERCENT,
        _title("Odchylka dne, kterou počasí nevysvětlí", "Off by that on one day, beyond what weather does"),
        _beside("peer_deviation_sure_pct", "peer_deviation_pct"),
    ),
    Input(
        "sibling_deviation_pct",
        Unit.PERCENT,
        _title("Odchylka od střídačů téže budovy", "Off its usual ratio to the site's other inverters"),
        _sibling_deviation_pct,
        needs=("site",),
    ),
    Input(
        "sibling_deviation_sigmas",
        Unit.NONE,
        _title("Táž odchylka v násobcích obvyklého rozptylu", "The same in standard deviations"),
        _beside("sibling_deviation_sigmas", "sibling_deviation_pct"),
        needs=("site",),
    ),
    Input("lost_day_w", Unit.WATT, _title("Ztráta, průměr za den", "Power lost, mean of the day"), _lost_day_w),
    Input(
        "isolation_drop_pct",
        Unit.PERCENT,
        _title("Pokles izolačního odporu proti suchým dnům", "Fall of isolation against dry days"),
        _isolation_drop_pct,
        needs=("isolation_ohm",),
    ),
    Input(
        "sensor_deviation_pct",
        Unit.PERCENT,
        _title("Odchylka čidla ozáření ve 3 jasných dnech", "Irradiance sensor off on 3 clear days"),
        _sensor_deviation_pct,
        needs=("irradiance_w_per_m2",),
    ),
)
