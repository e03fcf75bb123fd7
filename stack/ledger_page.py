"""The ledger as one page to print: A4, Czech first, without anything from elsewhere."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

COLUMNS: Final = (
    ("baseline_kwh", "Výchozí stav", "Baseline"),
    ("measured_kwh", "Naměřeno", "Measured"),
    ("outside_kwh", "z toho mimo dobu svícení", "of it outside due time"),
    ("led_kwh", "Úspora LED", "Saved by LED"),
    ("dimming_kwh", "Úspora stmíváním", "Saved by dimming"),
    ("outage_kwh", "Nesvítilo (není úspora)", "Outage (no saving)"),
    ("uncovered_kwh", "Naměřeno bez pokrytí (nezapočteno)", "Measured without cover (not counted)"),
)
HOURS: Final = (
    ("due_h", "Mělo svítit, h", "Due, h"),
    ("covered_h", "z toho pokryto měřením, h", "of it covered by readings, h"),
    ("outage_h", "Nesvítilo, h", "Outage, h"),
    ("completeness_pct", "Úplnost, %", "Completeness, %"),
)
STYLE: Final = """
@page { size: A4; margin: 18mm 16mm }
body { font: 10.5pt/1.4 system-ui, sans-serif; color: #111; background: #fff; max-width: 178mm; margin: 8mm auto }
h1 { font-size: 17pt; margin: 0 } h2 { font-size: 12.5pt; margin: 7mm 0 2mm } p { margin: 1mm 0 }
section { break-inside: avoid } small, i { color: #444 }
table { border-collapse: collapse; width: 100% } caption { text-align: left; color: #444 }
th, td { border-bottom: .3pt solid #999; padding: 1mm 2mm; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
code { font-size: 8.5pt; overflow-wrap: anywhere }
"""


def html(manifest: Mapping[str, Any], digest: str) -> str:
    """The page of a manifest, whose SHA-256 it bears."""
    title = f"{manifest['municipality']['title']}, {manifest['month']}"
    sections = "".join(_segment(one) for one in manifest["segments"])
    return f"""<!doctype html>
<html lang="cs"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(f"Úspory osvětlení: {title}")}</title><style>{STYLE}</style></head><body>
<h1>Úspory veřejného osvětlení</h1><p><i lang="en">Savings of street lighting</i></p>
<p><b>{escape(title)}</b> · do <i lang="en">until</i> {escape(manifest["until"])}</p>
<p>Výchozí stav = naměřeno − mimo dobu svícení + LED + stmívání + nesvítilo. Co svítit mělo a nesvítilo, není úspora.
Doba, kterou měření nepokrylo, není započtena na žádné straně.</p>
<p lang="en"><i>Baseline = measured − outside due time + LED + dimming + outage. An outage is no saving. Time that no
readings cover is counted on neither side.</i></p>
{sections}
<section><h2>Podpis <i lang="en">Signature</i></h2>
<p>SHA-256 souboru manifest.json, podepsaný v signature.json autoritou platformy
<i lang="en">(of manifest.json, signed in signature.json by the platform's authority)</i>:</p>
<p><code>{escape(digest)}</code></p>
<p>Ověření <i lang="en">Check</i>: <code>kraj ledger --verify</code> · {escape(manifest["at"])}</p></section>
</body></html>
"""


def _segment(segment: Mapping[str, Any]) -> str:
    sums = segment["totals"]
    rows = "".join(_row(cs, en, f"{sums[name]:.1f}", "kWh") for name, cs, en in COLUMNS)
    rows += "".join(_row(cs, en, f"{sums[name]:.1f}", "") for name, cs, en in HOURS)
    declared = "".join(
        f"<p>Výchozí příkon <i lang='en'>baseline</i> v{one['version']}: {one['power_w']:g} W od "
        f"<i lang='en'>from</i> {escape(one['valid_from'])} · {escape(one['source'])} · {escape(one['who'])}</p>"
        for one in segment["baselines"]
    )
    none = (
        "<p>Výchozí příkon nikdo neurčil: úspora LED se nepočítá. "
        "<i lang='en'>No baseline was declared: nothing is counted as saved by LED.</i></p>"
    )
    return (
        f"<section><h2>{escape(segment['name'])}</h2><table><caption>{segment['lamps']} svítidel "
        f"<i lang='en'>lamps</i></caption><tbody>{rows}</tbody></table>{declared or none}</section>"
    )


def _row(cs: str, en: str, value: str, unit: str) -> str:
    return f"<tr><th scope='row'>{cs}<br><small lang='en'>{en}</small></th><td class='n'>{value} {unit}</td></tr>"
