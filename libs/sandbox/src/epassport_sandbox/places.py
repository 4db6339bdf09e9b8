"""Regions as the documents of a citizen write them: codes, towns, issuing authorities."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Region:
    """code: ISO 3166-2; okato: opens a passport's series; tax: opens an INN and a division code."""

    code: str
    name: str
    by_authority: str  # dative after «по», as in the name of a police directorate
    okato: str
    tax: str
    towns: tuple[str, ...]


PILOT_REGIONS = ("RU-MOW", "RU-MOS", "RU-TA")

_ALL = (
    Region("RU-MOW", "г. Москва", "Г. МОСКВЕ", "45", "77", ("г. Москва",)),
    Region(
        "RU-MOS",
        "Московская область",
        "МОСКОВСКОЙ ОБЛАСТИ",
        "46",
        "50",
        ("г. Балашиха", "г. Подольск", "г. Мытищи", "г. Химки", "г. Коломна", "г. Серпухов"),
    ),
    Region(
        "RU-TA",
        "Республика Татарстан",
        "РЕСПУБЛИКЕ ТАТАРСТАН",
        "92",
        "16",
        ("г. Казань", "г. Набережные Челны", "г. Нижнекамск", "г. Альметьевск", "г. Елабуга"),
    ),
    Region(
        "RU-SPE", "г. Санкт-Петербург", "Г. САНКТ-ПЕТЕРБУРГУ", "40", "78", ("г. Санкт-Петербург",)
    ),
    Region(
        "RU-SVE",
        "Свердловская область",
        "СВЕРДЛОВСКОЙ ОБЛАСТИ",
        "65",
        "66",
        ("г. Екатеринбург", "г. Нижний Тагил"),
    ),
    Region(
        "RU-NVS",
        "Новосибирская область",
        "НОВОСИБИРСКОЙ ОБЛАСТИ",
        "50",
        "54",
        ("г. Новосибирск", "г. Бердск"),
    ),
    Region(
        "RU-KDA",
        "Краснодарский край",
        "КРАСНОДАРСКОМУ КРАЮ",
        "03",
        "23",
        ("г. Краснодар", "г. Сочи", "г. Новороссийск"),
    ),
    Region(
        "RU-NIZ",
        "Нижегородская область",
        "НИЖЕГОРОДСКОЙ ОБЛАСТИ",
        "22",
        "52",
        ("г. Нижний Новгород", "г. Арзамас"),
    ),
    Region(
        "RU-SAM",
        "Самарская область",
        "САМАРСКОЙ ОБЛАСТИ",
        "36",
        "63",
        ("г. Самара", "г. Тольятти"),
    ),
    Region(
        "RU-PRI",
        "Приморский край",
        "ПРИМОРСКОМУ КРАЮ",
        "05",
        "25",
        ("г. Владивосток", "г. Находка"),
    ),
)

REGIONS = {region.code: region for region in _ALL}

_POLICE_AGAIN = date(2016, 4, 5)  # decree 156: the migration service went back to the ministry
_MIGRATION_SERVICE = date(2006, 1, 1)


def passport_authority(region: Region, issued: date) -> str:
    """The body that issued passports in this region on this day, as it signs itself."""
    if issued >= _POLICE_AGAIN:
        body = "МВД" if region.code == "RU-TA" else "ГУ МВД РОССИИ"
    elif issued >= _MIGRATION_SERVICE:
        body = "УФМС РОССИИ"
    else:
        body = "УВД"
    return f"{body} ПО {region.by_authority}"
