"""The few forms of panels that all dashboards are made of, each with its query, its unit and where it leads."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from grafana_foundation_sdk.builders import bargauge, common, dashboard, geomap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog import builder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import geomap as geomap_models

from dashboards.query import SOURCE, Ask

Panel: TypeAlias = builder.Builder[models.Panel]
SEVERITY_COLOURS = {"critical": "red", "major": "orange", "minor": "yellow", "plan": "blue", "info": "text"}
Draw = Literal["lines", "bars", "stacked"]


def series(
    title: str,
    sql: str,
    unit: str,
    *,
    draw: Draw = "lines",
    about: str = "",
    low: float | None = None,
    high: float | None = None,
) -> timeseries.Panel:
    """Lines over time; bars for what has come together within a step. Without data the line breaks."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .with_target(Ask(sql, "time_series"))
        .line_width(1)
        .show_points(common_models.VisibilityMode.AUTO)
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )
    if draw != "lines":
        panel.draw_style(common_models.GraphDrawStyle.BARS).fill_opacity(60)
    if draw == "stacked":
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if low is not None:
        panel.min(low)
    if high is not None:
        panel.max(high)
    return panel


def figure(
    title: str, sql: str, unit: str, *, none: str, about: str = "", steps: Sequence[tuple[float | None, str]] = ()
) -> stat.Panel:
    """One number, or a few side by side. ``steps`` colour it from a value on."""
    panel = (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .no_value(none)
        .with_target(Ask(sql))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    )
    return panel.thresholds(thresholds(steps or ((None, "text"),)))


def bars(title: str, sql: str, unit: str, *, none: str, about: str = "") -> bargauge.Panel:
    """A bar for each row: a name and a number."""
    return (
        bargauge.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .no_value(none)
        .with_target(Ask(sql))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .value_mode(common_models.BarGaugeValueMode.TEXT)
        .name_placement(common_models.BarGaugeNamePlacement.LEFT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(True).fields(""))
        .thresholds(thresholds(((None, "blue"),)))
    )


def rows(title: str, sql: str, *, none: str, about: str = "", columns: Mapping[str, "Column"] | None = None) -> Panel:
    """A table; ``columns`` tells of those that are more than text: unit, words for values, link, or hidden."""
    panel = table.Panel().title(title).description(about).datasource(SOURCE).no_value(none).with_target(Ask(sql))
    panel.show_header(True)
    for name, column in (columns or {}).items():
        panel.override_by_name(name, column.properties())
    return panel


def states(title: str, sql: str, *, none: str, about: str = "", words: Mapping[str, str] | None = None) -> Panel:
    """Bands over time of what was said last; ``words`` for stored codes."""
    panel = statetimeline.Panel().title(title).description(about).datasource(SOURCE).no_value(none)
    panel.with_target(Ask(sql, "time_series")).show_value(common_models.VisibilityMode.AUTO).row_height(0.8)
    panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
    return panel.mappings([mapping(words)]) if words else panel


def places(title: str, sql: str, link: tuple[str, str], *, none: str, about: str = "") -> Panel:
    """A map; rows have ``latitude``, ``longitude``, a number ``worst`` that colours them, and what is shown."""
    layer = common_models.MapLayerOptions(
        type_val="markers",
        name=title,
        location=common_models.FrameGeometrySource(
            mode=common_models.FrameGeometrySourceMode.COORDS, latitude="latitude", longitude="longitude"
        ),
        config={
            "showLegend": False,
            "style": {
                "color": {"field": "worst", "fixed": "green"},
                "size": {"fixed": 6, "min": 4, "max": 12},
                "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
                "opacity": 0.8,
            },
        },
        tooltip=True,
    )
    return (
        geomap.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .no_value(none)
        .with_target(Ask(sql))
        .view(geomap.MapViewConfig().id("fit").lat(50).lon(15).zoom(8).all_layers(True).max_zoom(17))
        .basemap(_Built(common_models.MapLayerOptions(type_val="default", name="OpenStreetMap")))
        .layers([_Built(layer)])
        .tooltip(geomap.TooltipOptions().mode(geomap_models.TooltipMode.DETAILS))
        .controls(geomap.ControlsOptions().show_zoom(True).mouse_wheel_zoom(False).show_attribution(True))
        .thresholds(thresholds(((None, "green"), (1, "blue"), (3, "yellow"), (4, "orange"), (5, "red"))))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .data_links([dashboard.DashboardLink(link[0]).url(link[1])])
    )


class Column:
    """How a table shows a column."""

    def __init__(
        self,
        *,
        title: str | None = None,
        unit: str | None = None,
        words: Mapping[str, str] | None = None,
        colours: Mapping[str, str] | None = None,
        link: tuple[str, str] | None = None,
        hidden: bool = False,
        width: int | None = None,
    ) -> None:
        self._title, self._unit, self._words, self._colours = title, unit, words, colours
        self._link, self._hidden, self._width = link, hidden, width

    def properties(self) -> list[models.DynamicConfigValue]:
        """As overrides of one field."""
        said: dict[str, Any] = {}
        if self._title:
            said["displayName"] = self._title
        if self._unit:
            said["unit"] = self._unit
        if self._words:
            said["mappings"] = [mapping(self._words, self._colours)]
        if self._colours:
            said["custom.cellOptions"] = {"type": "color-text"}
        if self._link:
            said["links"] = [{"title": self._link[0], "url": self._link[1], "targetBlank": False}]
        if self._hidden:
            said["custom.hidden"] = True
        if self._width:
            said["custom.width"] = self._width
        return [models.DynamicConfigValue(id_val=name, value=value) for name, value in said.items()]

    @staticmethod
    def fixed(colour: str) -> list[models.DynamicConfigValue]:
        """One colour, whatever the value is."""
        return [models.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})]


def mapping(words: Mapping[str, str], colours: Mapping[str, str] | None = None) -> models.ValueMap:
    """Stored value → word and colour."""
    return models.ValueMap(
        options={
            value: models.ValueMappingResult(text=word, color=(colours or {}).get(value), index=place)
            for place, (value, word) in enumerate(words.items())
        }
    )


def thresholds(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    """Colours from values on; the first has none."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in steps])
    )


class _Built(builder.Builder[common_models.MapLayerOptions]):
    """The SDK has no builder for a layer's style."""

    def __init__(self, made: common_models.MapLayerOptions) -> None:
        self._made = made

    def build(self) -> common_models.MapLayerOptions:
        return self._made


__all__ = ["SEVERITY_COLOURS", "Column", "Panel", "bars", "figure", "places", "rows", "series", "states"]
