"""The KPIs, one declaration each: views, documents, answers of the API and texts of the console are derived from it."""

from kraj.kpis.faults import FAULTS
from kraj.kpis.kpi import Domain, Grain, Kpi, Measure
from kraj.kpis.lighting import LIGHTING
from kraj.kpis.metering import METERING
from kraj.kpis.roofs import ROOFS
from kraj.kpis.stops import STOPS

KPIS: dict[str, Kpi] = {kpi.name: kpi for kpi in (*LIGHTING, *ROOFS, *STOPS, *FAULTS, *METERING)}

__all__ = ["KPIS", "Domain", "Grain", "Kpi", "Measure"]
