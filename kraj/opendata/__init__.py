"""Open data: one declaration of data sets; SQL, CSV, CSVW, GeoJSON, Parquet, catalogue and reference follow; pure."""

from kraj.opendata.assets import ASSETS
from kraj.opendata.dataset import Dataset
from kraj.opendata.series import SERIES

DATASETS: dict[str, Dataset] = {one.name: one for one in (*ASSETS, *SERIES)}

__all__ = ["DATASETS", "Dataset"]
