"""What can be wrong with an imported file: stable codes, each with a sentence and a remedy for a clerk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from kraj.metrics import Title

SHOWN_CHARS_MAX = 80
"""Of a wrong value, in a sentence about it."""


class Level(StrEnum):
    """``error`` keeps the whole import from being applied; ``note`` is only said."""

    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind of finding: its sentence and what to do about it."""

    level: Level
    sentence: Title
    remedy: Title


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in a row; ``column`` is the heading as it stands in the file, None where it is about the row."""

    code: str
    column: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def level(self) -> Level:
        return FINDINGS[self.code].level

    def as_json(self) -> dict[str, Any]:
        """What is stored; the sentences are made when somebody reads them, in their language."""
        return {"code": self.code, "column": self.column, "values": dict(self.values)}


def finding_of_json(found: Mapping[str, Any]) -> Finding:
    """What ``Finding.as_json`` wrote."""
    return Finding(found["code"], found["column"], found["values"])


def told(finding: Finding, language: str) -> tuple[str, str]:
    """The sentence and the remedy in a language (``cs`` or ``en``)."""
    kept = FINDINGS[finding.code]
    sentence, remedy = (str(getattr(title, language)) for title in (kept.sentence, kept.remedy))
    shown = {name: shortened(_in(language, value)) for name, value in finding.values.items()}
    return sentence.format_map(shown), remedy.format_map(shown)


def _in(language: str, value: object) -> object:
    """A value that is a name of ours has one for each language; Czech numbers have a comma."""
    if isinstance(value, float) and language == "cs":
        return str(value).replace(".", ",")
    return cast("dict[str, object]", value).get(language, "") if isinstance(value, dict) else value


def shortened(value: object) -> str:
    """A value in a sentence: printable and not too long."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 1] + "…"


def _error(cs: str, en: str, *, do_cs: str, do_en: str) -> Kept:
    return Kept(Level.ERROR, Title(cs=cs, en=en), Title(cs=do_cs, en=do_en))


def _note(cs: str, en: str, *, do_cs: str, do_en: str) -> Kept:
    return Kept(Level.NOTE, Title(cs=cs, en=en), Title(cs=do_cs, en=do_en))


OF_FILES: dict[str, Kept] = {
    "empty": _error(
        "Soubor je prázdný.",
        "The file is empty.",
        do_cs="Vyberte jiný soubor; první řádek má obsahovat názvy sloupců.",
        do_en="Choose another file; its first row holds the names of the columns.",
    ),
    "not_a_table": _error(
        "Tohle není tabulka: {detail}.",
        "This is not a table: {detail}.",
        do_cs="Uložte tabulku jako „Sešit Excelu (.xlsx)“ nebo „CSV“, anebo pošlete GeoJSON.",
        do_en='Save the table as "Excel workbook (.xlsx)" or "CSV", or send GeoJSON.',
    ),
    "old_excel": _error(
        "Soubor je ve starém formátu .xls.",
        "The file has the old format .xls.",
        do_cs="Otevřete jej v Excelu a uložte jako „Sešit Excelu (.xlsx)“.",
        do_en='Open it in Excel and save it as "Excel workbook (.xlsx)".',
    ),
    "open_document": _error(
        "Soubor je ve formátu OpenDocument (.ods).",
        "The file is an OpenDocument spreadsheet (.ods).",
        do_cs="Uložte jej v LibreOffice jako .xlsx nebo CSV.",
        do_en="Save it in LibreOffice as .xlsx or CSV.",
    ),
    "too_big_inside": _error(
        "Sešit je po rozbalení příliš velký.",
        "The workbook is too large once unpacked.",
        do_cs="Odstraňte obrázky, další listy a prázdné formátované řádky, nebo list uložte jako CSV.",
        do_en="Remove pictures, other sheets and empty formatted rows, or save the sheet as CSV.",
    ),
    "too_many_rows": _error(
        "Soubor má více než {limit} řádků.",
        "The file has more than {limit} rows.",
        do_cs="Rozdělte jej na více souborů, třeba po obcích.",
        do_en="Divide it into several files, for instance by municipality.",
    ),
    "too_many_columns": _error(
        "Soubor má více než {limit} sloupců.",
        "The file has more than {limit} columns.",
        do_cs="Odstraňte sloupce, které evidence nezná; jejich seznam je v šabloně.",
        do_en="Remove the columns that the registry does not know; the template lists those it knows.",
    ),
    "quote": _error(
        "Soubor nelze přečíst: uvozovka na řádku {line} nejspíš nemá konec.",
        "The file cannot be read: a quotation mark in line {line} probably has no end.",
        do_cs="Opravte uvozovky, nebo soubor uložte jako .xlsx.",
        do_en="Mend the quotation marks, or save the file as .xlsx.",
    ),
    "no_headings": _error(
        "Nenašli jsme řádek s názvy sloupců.",
        "No row with the names of the columns was found.",
        do_cs="Do prvního řádku napište názvy podle šablony, aspoň „Označení“.",
        do_en='Write the names as in the template into the first row, "Label" at least.',
    ),
    "heading_twice": _error(
        "Sloupce „{column}“ a „{other}“ znamenají totéž.",
        'The columns "{column}" and "{other}" mean the same.',
        do_cs="Jeden z nich odstraňte nebo přejmenujte.",
        do_en="Remove or rename one of them.",
    ),
    "no_rows": _error(
        "Pod názvy sloupců není žádný řádek.",
        "There is no row below the names of the columns.",
        do_cs="Doplňte řádky, nebo vyberte jiný list či soubor.",
        do_en="Add rows, or choose another sheet or file.",
    ),
    "column_ignored": _note(
        "Sloupec „{column}“ neznáme, nebude převzat.",
        'The column "{column}" is not known and is left out.',
        do_cs="Je-li potřeba, přejmenujte jej podle šablony.",
        do_en="If it is needed, rename it as in the template.",
    ),
    "column_ignored_like": _note(
        "Sloupec „{column}“ neznáme, nebude převzat.",
        'The column "{column}" is not known and is left out.',
        do_cs="Nemyslíte „{like}“? Pak jej přejmenujte.",
        do_en='Do you mean "{like}"? Then rename it.',
    ),
    "unit_unknown": _error(
        "Jednotce „{unit}“ v názvu sloupce nerozumíme.",
        'The unit "{unit}" in the name of the column is not understood.',
        do_cs="Uveďte hodnoty v jednotce {wanted} a tu napište do závorky.",
        do_en="Give the values in {wanted} and write that into the brackets.",
    ),
    "sheet_chosen": _note(
        "Sešit má více listů; převzat je list „{sheet}“.",
        'The workbook has several sheets; "{sheet}" is taken.',
        do_cs="Potřebujete-li jiný, uložte jej jako samostatný soubor.",
        do_en="If you need another, save it as a file of its own.",
    ),
}

OF_CELLS: dict[str, Kept] = {
    "missing": _error(
        "Chybí údaj.",
        "The value is missing.",
        do_cs="Doplňte jej.",
        do_en="Fill it in.",
    ),
    "columns": _error(
        "Celý řádek stojí v jedné buňce: „{value}“.",
        'The whole row stands in one cell: "{value}".',
        do_cs="Oddělte jeho sloupce týmž znakem jako v ostatních řádcích.",
        do_en="Part its columns by the same character as in the other rows.",
    ),
    "missing_column": _error(
        "Chybí {what} a soubor na to nemá sloupec.",
        "There is no {what}, and the file has no column for it.",
        do_cs="Přidejte sloupec „{heading}“, nebo hodnotu zvolte při nahrávání.",
        do_en='Add a column "{heading}", or choose the value when uploading.',
    ),
    "too_long": _error(
        "Text je delší než {limit} znaků.",
        "The text is longer than {limit} characters.",
        do_cs="Zkraťte jej.",
        do_en="Shorten it.",
    ),
    "number": _error(
        "„{value}“ není číslo.",
        '"{value}" is not a number.',
        do_cs="Napište jen číslo, například 12,5; neznámou hodnotu nechte prázdnou.",
        do_en="Write a number only, such as 12.5; leave an unknown value empty.",
    ),
    "number_size": _error(
        "Číslo {value} je příliš velké.",
        "The number {value} is too large.",
        do_cs="Zkontrolujte desetinnou čárku a jednotku.",
        do_en="Check the decimal point and the unit.",
    ),
    "flag": _error(
        "„{value}“ není ano ani ne.",
        '"{value}" is neither yes nor no.',
        do_cs="Napište ano, nebo ne.",
        do_en="Write yes or no.",
    ),
    "date": _error(
        "Excel z hodnoty udělal datum ({value}).",
        "Excel has made a date of the value ({value}).",
        do_cs="Nastavte buňce formát Text nebo Číslo a hodnotu napište znovu.",
        do_en="Set the cell's format to Text or Number and write the value again.",
    ),
    "formula": _error(
        "Buňka obsahuje vzorec bez uloženého výsledku.",
        "The cell holds a formula without a stored result.",
        do_cs="Zkopírujte sloupec a vložte jej jako hodnoty, nebo sešit v Excelu otevřete a uložte.",
        do_en="Copy the column and paste it as values, or open and save the workbook in Excel.",
    ),
    "cell_error": _error(
        "Buňka obsahuje chybu Excelu ({value}).",
        "The cell holds an error of Excel ({value}).",
        do_cs="Opravte vzorec, nebo hodnotu napište.",
        do_en="Mend the formula, or write the value.",
    ),
    "kind": _error(
        "Druh „{value}“ neznáme.",
        'The kind "{value}" is not known.',
        do_cs="Zvolte jeden z: {known}.",
        do_en="Choose one of: {known}.",
    ),
    "municipality": _error(
        "Obec „{value}“ v evidenci není, nebo do ní nesmíte zapisovat.",
        'The municipality "{value}" is not registered, or you may not write there.',
        do_cs="Napište její název jako v evidenci; jinak požádejte správce kraje.",
        do_en="Write its name as in the registry, or ask the region's administrator.",
    ),
    "municipality_ambiguous": _error(
        "Obcí jménem „{value}“ je více.",
        'There are several municipalities called "{value}".',
        do_cs="Napište zkratku obce: {known}.",
        do_en="Write the short name: {known}.",
    ),
    "device_name": _error(
        "„{value}“ není jméno zařízení.",
        '"{value}" is not the name of a device.',
        do_cs="Použijte malá písmena bez diakritiky, číslice a pomlčky (2 až 63 znaků), například {like}.",
        do_en="Use small letters without accents, digits and hyphens (2 to 63 characters), such as {like}.",
    ),
    "channel": _error(
        "„{value}“ není kanál.",
        '"{value}" is not a channel.',
        do_cs="Napište celé číslo 0 až 999; má-li zařízení jen jeden prvek, nechte prázdné.",
        do_en="Write a whole number from 0 to 999; leave it empty where a device serves one asset only.",
    ),
    "channel_without_device": _note(
        "Kanál je bez jména zařízení, nebude převzat.",
        "There is a channel but no device; it is left out.",
        do_cs="Doplňte jméno zařízení, nebo kanál smažte.",
        do_en="Add the device's name, or clear the channel.",
    ),
    "other_kind": _note(
        "Tento údaj druh {kind} nemá, nebude převzat.",
        "The kind {kind} has no such value; it is left out.",
        do_cs="Není-li to omyl ve sloupci, není třeba nic dělat.",
        do_en="Unless the column is wrong, nothing needs to be done.",
    ),
    "half_place": _error(
        "Z dvojice souřadnic je vyplněna jen jedna.",
        "Only one of the two coordinates is given.",
        do_cs="Doplňte druhou, nebo smažte obě.",
        do_en="Add the other, or clear both.",
    ),
    "coordinate": _error(
        "„{value}“ není souřadnice.",
        '"{value}" is not a coordinate.',
        do_cs="Napište stupně (49,1951 a 16,6068), nebo S-JTSK v metrech.",
        do_en="Write degrees (49.1951 and 16.6068), or S-JTSK in metres.",
    ),
    "swapped": _error(
        "Zeměpisná šířka a délka jsou prohozené.",
        "Latitude and longitude are swapped.",
        do_cs="Prohoďte je: šířka {latitude}, délka {longitude}. U celého souboru stačí prohodit názvy sloupců.",
        do_en="Swap them: latitude {latitude}, longitude {longitude}. For a whole file swap the columns' names.",
    ),
    "outside": _error(
        "Místo {latitude}, {longitude} neleží v Česku.",
        "The place {latitude}, {longitude} is not in Czechia.",
        do_cs="Zkontrolujte desetinnou čárku a zda nejde o jiný souřadnicový systém.",
        do_en="Check the decimal point and whether this is another coordinate system.",
    ),
    "system": _error(
        "Souřadnice {first} a {second} nejsou stupně WGS 84 ani metry S-JTSK v Česku.",
        "The coordinates {first} and {second} are neither degrees of WGS 84 nor metres of S-JTSK in Czechia.",
        do_cs="Převeďte je do WGS 84 (třeba z Mapy.cz) nebo do S-JTSK (EPSG:5514).",
        do_en="Convert them to WGS 84 or to S-JTSK (EPSG:5514).",
    ),
    "geometry": _error(
        "Geometrie {value} není bod.",
        "The geometry {value} is not a point.",
        do_cs="Každý prvek musí být bod (Point).",
        do_en="Each feature has to be a Point.",
    ),
    "far": _note(
        "Místo je {km} km od ostatních řádků téže obce.",
        "The place is {km} km from the other rows of this municipality.",
        do_cs="Zkontrolujte souřadnice.",
        do_en="Check the coordinates.",
    ),
}

OF_ROWS: dict[str, Kept] = {
    "device_twice": _error(
        "Zařízení {device} s kanálem {channel} je už na řádku {row}.",
        "Device {device} with channel {channel} stands in row {row} already.",
        do_cs="Jeden z řádků odstraňte, nebo jim dejte různé kanály.",
        do_en="Remove one of the rows, or give them different channels.",
    ),
    "label_twice": _error(
        "Označení „{label}“ je už na řádku {row}.",
        'The label "{label}" stands in row {row} already.',
        do_cs="Odstraňte opakovaný řádek, nebo označení rozlište (například {label}/2).",
        do_en="Remove the repeated row, or tell the labels apart (such as {label}/2).",
    ),
    "device_two_towns": _error(
        "Zařízení {device} je na řádku {row} v jiné obci.",
        "Device {device} stands in row {row} under another municipality.",
        do_cs="Zařízení patří jedné obci; sjednoťte ji.",
        do_en="A device belongs to one municipality; use the same in both rows.",
    ),
    "known": _note(
        "Prvek už v evidenci je; řádek se přeskočí.",
        "The asset is registered already; the row is skipped.",
        do_cs="Není třeba nic dělat. Údaje evidovaných prvků import nemění.",
        do_en="Nothing needs to be done. An import does not change what is registered.",
    ),
    "label_taken": _error(
        "Označení „{label}“ už v obci má jiný prvek ({device}).",
        'Another asset of the municipality has the label "{label}" ({device}).',
        do_cs="Změňte označení; vyměněné zařízení zadejte u prvku v evidenci.",
        do_en="Change the label; a replaced device is entered at the asset in the registry.",
    ),
    "channel_taken": _error(
        "Zařízení {device} má na kanálu {channel} už jiný prvek ({label}).",
        "Device {device} serves another asset on channel {channel} ({label}).",
        do_cs="Zvolte jiný kanál, nebo opravte jméno zařízení.",
        do_en="Choose another channel, or mend the device's name.",
    ),
    "device_taken": _error(
        "Jméno zařízení {device} je obsazené.",
        "The device name {device} is taken.",
        do_cs="Jména jsou v celém kraji jedinečná a znovu se nepoužívají; zkontrolujte je na štítku, nebo zvolte jiné.",
        do_en="Names are unique in the whole region and never used again; check the sticker, or choose another.",
    ),
}

FINDINGS: dict[str, Kept] = OF_FILES | OF_CELLS | OF_ROWS
