"""Every number in a lesson's prose is one that the lesson shows: in an output, or as a literal in its code.

A number counts as shown if something printed rounds to it as the prose rounds it: 0.83 and 83 % are 0.8312, "about
1,400" is 1,412, "one in five" is 21 %, "more than 80 %" is 84 % and not 97 %. Nothing is computed from what is printed:
a difference, a ratio or a mean that the prose names is printed, too.

What no cell can show is in lesson_numbers.toml, with the reason. An exception that isn't needed is reported.

Where it has to be shown: above, in the same section (##); for the title, the first section and the Summary, anywhere.
A number in digits may also be in the next code cell, as a prediction is, or, if it has at least three significant
digits, anywhere above. A small number in words could be met by chance, so its line of output has to name what it
counts: "seven times" needs a line with "times", "ratio" or "factor", "two points" one with "point".

Of the code, what counts is a literal that sets something (`EPOCHS = 8`, `units=64`) or that an assert holds exactly:
`x == 3`, `abs(x - 0.25) < 1e-6`. The bound of an assert (`x > 0.8`) is not what the reader sees, and points and factors
("15 points", "100 times as many") have to be printed.

What is looked at: numbers in digits; "one in five", "a third of", "twice as", "three times as"; number words with a
unit ("two points") or a hedge ("about eight letters"); and quantities without a number ("nearly all", "a little") next
to a picture whose cell prints nothing. Not looked at: code, formulas, addresses, headings, years, names that
have a digit, numbers of lessons and steps, rows of a table with a citation, and the sections Exercises and References.
"""

import ast
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

EXCEPTIONS = Path(__file__).with_suffix(".toml")

ANYWHERE = {"", "What you will learn", "Summary"}
SKIPPED = {"Exercises", "References"}

ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
WORDS = {word: value for value, word in enumerate(ONES)} | {"a dozen": 12, "twenty": 20, "thirty": 30, "forty": 40}
WORDS |= {"fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "a hundred": 100, "a thousand": 1000}
WORDS |= {"hundred": 100, "thousand": 1000}
PARTS = {
    name: value for value, name in enumerate("half third quarter fifth sixth seventh eighth ninth tenth".split(), 2)
}
PARTS |= {"hundredth": 100, "thousandth": 1000}
MARKS = {"times": r"\btimes\b|\bfactor\b|\bratio\b|×|\dx\b|\bfold\b", "percent": "%|percent", "cent": "%|percent"}
POINTS = "point|BLEU"
SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9}

WORD = "|".join(sorted(WORDS, key=len, reverse=True))
ABOVE = r"more than|over|above|at least|greater than|larger than|no less than|upwards of"
BELOW = r"less than|fewer than|below|under|at most|smaller than|up to|no more than|not even"
NEAR = r"about|around|roughly|nearly|almost|close to|some|approximately|barely|hardly|just|near"
HEDGE = rf"(?:\b(?P<above>(?i:{ABOVE}))|\b(?P<below>(?i:{BELOW}))|\b(?P<near>(?i:{NEAR})))\s+"
DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
COMPARED = r"(?=\s+(?:as|more|less|fewer|the|that|its|their|what|\w+er\b))"

RATIO = re.compile(
    rf"(?:{HEDGE})?\b(?P<a>{WORD}|\d+)\s+(?:times\s+)?(?:in|out of)\s+(?:every\s+)?(?P<b>{WORD}|\d+)\b", re.I
)
PART = re.compile(
    rf"(?:{HEDGE})?\b(?P<a>an?|{WORD})\s+(?P<b>{'|'.join(PARTS)})s?\b"
    r"(?=\s+(?:of|as|more|less|fewer|lower|higher)|[.,;:)]|\s*$)"
    rf"|(?:{HEDGE.replace('>', '2>')})\b(?P<c>half)\b|\bhalf(?=\s+(?:of|as)\b)",
    re.I,
)
TIMES = re.compile(
    rf"(?:{HEDGE})(?P<a>{WORD}|twice)(?:\s+times)?(?:\s+as\b|{COMPARED})|\b(?P<b>{WORD})\s+times{COMPARED}"
    rf"|(?:{HEDGE.replace('>', '2>')})(?P<c>{WORD})\s+times\b|\b(?P<d>twice){COMPARED}",
    re.I,
)
UNITS = r"(?:percentage )?points?|percent|per cent|nats?|bits?|seconds?|minutes?|hours?|orders? of magnitude"
COUNT = re.compile(
    rf"\b(?:(?P<above>more than)|(?P<below>less than|fewer than)|(?P<near>{NEAR}))\s+(?P<a>(?!one\b)(?:{WORD}))\s+"
    rf"(?:\w+ly\s+)?(?P<unit>[a-z]{(3,)})|\b(?P<b>{WORD})\s+(?P<unit2>{UNITS})\b",
    re.I,
)
NUMBER = re.compile(
    rf"(?:{HEDGE})?(?<![\w.,/])(?<![A-Za-z]-)(?P<sign>[-−–+])?(?P<digits>{DIGITS})"
    rf"(?P<percent>\s?(?:%|percent\b|per cent\b))?(?:\s+(?P<scale>thousand|million|billion)\b)?"
    r"(?![\w]|-[A-Za-z]|\.\d|,\d)"
)
SHARED_PERCENT = re.compile(rf"({DIGITS})(?=\s*(?:to|and|or|–|-|,|against|instead of)\s*(?:{DIGITS})\s?(?:%|percent))")
VAGUE = re.compile(
    r"\b(?:nearly|almost|hardly|practically)\s+(?:all|none|any|everything|nothing|every|always|never)\b"
    r"|\bmost of\b|\bthe bulk of\b|\ba (?:little|lot|few|bit)\b"
    r"|\b(?:much|far) (?:more|less|larger|smaller|better|worse)\b",
    re.I,
)

NOT_PROSE = [
    r"^```.*?^```",
    r"``.+?``|`[^`]*`",
    r"\$\$.*?\$\$",
    r"\$[^$]*\$",
    r"!\[[^\]]*\]\([^)]*\)",
    r"(?<=\])\([^)]*\)",
    r"https?://\S+",
    r"<[^>\n]*>",
    r"^#+ .*$",
    r"^\s*\d+\.(?=\s)",
    r"\b(?:from|between) [-−]?[01] (?:to|and) 1(?:00)?\b(?! ?%)",
    r"(?<![\w.,+−-])[+−-]?[01](?!\w| ?%|[.,]\d| (?:in|of|out)\b)",  # 0 and 1 are mostly the ends of a scale
    r"^Runs in about .*$",  # the minutes differ from machine to machine
    r"^\|.*\b(?:et al\.|[A-Z]\w+(?: and [A-Z]\w+)?),? \(?(?:18|19|20)\d\d\b.*$",  # a row of published figures
    r"\b(?i:lessons?|exercises?|sections?|chapters?|figures?|tables?|equations?|steps?|parts?|cells?|seeds?|pages?|layers?"
    r"|questions?|Python|Keras|TensorFlow|version)\s+\d+(?:\.\d+)*(?:(?:, | and | to | or |–)\d+)*\b",
    r"(?<![\d,.])(?:18|19|20)\d\d[a-z]?(?![\d%]|,\d{3}|\.\d)",  # a year: a number this large is written 2,019
]
PRINTED = re.compile(rf"(?<![A-Za-z_\d.])([-−+]?)({DIGITS}|\d+\.)(e[-+]?\d+)?(\s?%)?", re.I)


class Claim(NamedTuple):
    """A number of the prose: `low` to `high` is what may be printed for it, `unit` a word of that line, or `None`."""

    quote: str
    low: float
    high: float
    unit: str | None = None
    share: bool = False
    digits: int = 0  # significant ones, if it is written in digits
    result: str | None = None  # what is next to the number, if it can only be an output


class Shown(NamedTuple):
    """A number that the lesson shows: where, its value, the words around it if printed, whether it is a share."""

    cell: int
    value: float
    words: str | None
    share: bool


# ------------------------------------------------------------------------------------------------------------ the prose


def prose(text):
    """The text with a mark in place of whatever is no prose."""
    for pattern in NOT_PROSE:
        text = re.sub(
            pattern,
            " § ",
            text,
            flags=re.MULTILINE | re.DOTALL if pattern.startswith(("^```", r"\$")) else re.MULTILINE,
        )
    return text


def claims(text):
    """The numbers that a text states."""
    text = re.sub(r"[ \t]*\n[ \t>]*", lambda gap: "\n" if "|" in gap[0] else " ", prose(text).replace("\n\n", " ¶ "))
    text = SHARED_PERCENT.sub(r"\1 %", text)
    found = []
    for pattern, reader in ((RATIO, ratio), (PART, part), (TIMES, times), (COUNT, count), (NUMBER, number)):
        for match in pattern.finditer(text):
            if claim := reader(match, hedge(match)):
                found.append((match.start(), claim))
        text = pattern.sub(
            lambda match, reader=reader: match[0] if not reader(match, hedge(match)) else "§" * len(match[0]), text
        )
    return [claim for _, claim in sorted(found, key=lambda pair: pair[0])]


def hedge(match):
    groups = match.groupdict()
    return next((kind for kind in ("above", "below", "near") if groups.get(kind) or groups.get(f"{kind}2")), None)


def word(text):
    return WORDS[text.lower()] if text.lower() in WORDS else float(text)


def around(value, tolerance, hedged, width):
    """What may be printed for a value: the value as rounded, or a little beyond a bound."""
    if hedged == "above":
        return value, value + width
    if hedged == "below":
        return value - width, value
    return value - tolerance, value + tolerance


def fraction(match, share, hedged):
    return Claim(match[0].strip(), *around(share, min(0.015, share / 10), hedged, min(0.1, share / 3)), share=True)


def ratio(match, hedged):
    a, b = word(match["a"]), word(match["b"])
    return fraction(match, a / b, hedged) if 0 < a < b else None


def part(match, hedged):
    if match["b"] is None:
        return fraction(match, 1 / 2, hedged)
    a, b = match["a"].lower(), PARTS[match["b"].lower()]
    share = (1 if a in ("a", "an") else WORDS[a]) / b
    return fraction(match, share, hedged) if 0 < share < 1 else None


def times(match, hedged):
    text = next(match[name] for name in "abcd" if match[name]).lower()
    if "times" not in match[0].lower() and text != "twice":
        return None  # "about two as ..." is no multiple
    value = 2 if text == "twice" else WORDS[text]
    return Claim(
        match[0].strip(), *around(value, max(0.5, value * 0.05) if value > 2 else 0.25, hedged, value / 2), unit="times"
    )


def count(match, hedged):
    value, unit = WORDS[(match["a"] or match["b"]).lower()], match["unit"] or match["unit2"]
    return Claim(match[0].strip(), *around(value, 0.5, hedged, 1), unit=unit.split()[-1].lower().rstrip("s"))


def number(match, hedged):
    digits = match["digits"].replace(",", "")
    decimals = len(digits.partition(".")[2])
    value, unit = float(digits), 10.0**-decimals
    significant = len(digits.replace(".", "").lstrip("0"))
    last = (
        10 ** (len(digits) - len(digits.rstrip("0"))) if not decimals and value else unit
    )  # of the last digit but zeros
    tolerance = unit / 2
    if hedged == "near":
        tolerance = max(tolerance, min(last / 2, value * 0.05))
    factor = SCALES[match["scale"]] if match["scale"] else 0.01 if match["percent"] else 1
    low, high = (bound * factor for bound in around(value, tolerance, hedged, last))
    if match["sign"] in ("-", "−"):
        low, high = -high, -low
    before, after = match.string[: match.start()], match.string[match.end() :]
    result = None
    if re.match(r"\s+(?:percentage )?points?\b", after):
        result = POINTS
    elif re.match(r"\s+times\s+(?:as|more|less|\w+er)\b", after) or re.search(r"factor (?:of )?$", before):
        result = MARKS["times"]
    return Claim(match[0].strip(), low, high, share=bool(match["percent"]), digits=significant, result=result)


# ------------------------------------------------------------------------------------------------------- what is shown


def texts_of(cell):
    """The texts that a cell shows, and the descriptions of its pictures."""
    texts, descriptions = [], []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
            descriptions.append(alt)
        elif "text/html" in data:
            html = re.sub(r"<(script|style)\b.*?</\1>", " ", data["text/html"], flags=re.DOTALL)
            texts.append(re.sub(r"</(?:tr|p|div|text|li|g|h\d)>", "\n", html))
        else:
            texts += [output.get("text", ""), data.get("text/plain", "")]
    return [re.sub(r"<[^>]*>", " ", text) for text in texts], descriptions


def printed(cell, position):
    """The numbers in a cell's outputs."""
    for text in texts_of(cell)[0]:
        for line in text.splitlines():
            for match in PRINTED.finditer(line):
                sign, digits, power, percent = match.groups(default="")
                value = float(digits.replace(",", "") + power) * (-1 if sign in ("-", "−") and sign else 1)
                words = line[max(0, match.start() - 20) : match.end() + 20]
                yield Shown(position, value / 100 if percent else value, words, bool(percent) or 0 < abs(value) < 1)
            for a, b in re.findall(r"\b(\d[\d,]*) (?:of|out of|in) (\d[\d,]*)\b", line):
                a, b = (float(text.replace(",", "")) for text in (a, b))
                if a < b:
                    yield Shown(position, a / b, line, True)


def literals(cell, position):
    """The numbers in a cell's code, but those that only draw, and the bounds of asserts."""
    try:
        nodes = [ast.parse(cell.source)]
    except SyntaxError:
        return
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield Shown(position, float(node.value), None, False)
        elif isinstance(node, ast.Assert):
            nodes += exact(node.test)
        elif not (isinstance(node, ast.Call) and draws(node.func)):
            nodes += ast.iter_child_nodes(node)


def draws(function):
    return re.match(r"(plt|ax|axes|figure|fig|plotting|mpl)\b", ast.unparse(function)) is not None


def exact(test):
    """The expressions that an assert holds to each other exactly, or up to rounding."""
    for node in ast.walk(test):
        if isinstance(node, ast.Compare):
            if all(isinstance(operator, ast.Eq) for operator in node.ops):
                yield node
            elif isinstance(node.left, ast.Call) and ast.unparse(node.left.func).rpartition(".")[2] == "abs":
                yield node.left
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("isclose", "allclose"):
            yield from node.args


# ----------------------------------------------------------------------------------------------------------- the rule


def supports(shown, claim):
    slack = 1e-9 * max(1, abs(claim.high))
    values = [shown.value]
    if claim.unit and (shown.words is None or not re.search(MARKS.get(claim.unit, claim.unit), shown.words, re.I)):
        return False
    if claim.result and not (claim.result == POINTS and shown.share):  # 15 points, where 0.15 is printed
        if shown.words is None or not re.search(claim.result, shown.words, re.I):
            return False
    if claim.share and not claim.digits and not shown.share:
        return False  # 0.2 in words is a share, and the share of what is counted is printed as one
    if claim.unit == "point" or (claim.digits and shown.share):
        values.append(shown.value * 100)  # 15 points, where 15 % is printed
    if claim.unit in ("percent", "cent"):
        values = [value * 100 for value in values]
    return any(claim.low - slack <= value <= claim.high + slack for value in values)


def problems(name, notebook, exceptions=None):
    """What is wrong with a lesson's numbers, but for the exceptions: a list of {"lesson", "text", "reason"}."""
    if exceptions is None:
        exceptions = tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8")).get("exceptions", [])
    exceptions = [exception | {"used": False} for exception in exceptions if exception["lesson"] == name]
    for position, quote, message in unsupported(notebook):
        texts = [notebook.cells[position].source, *texts_of(notebook.cells[position])[1]]
        for exception in exceptions:
            if quote in exception["text"] and exception["text"] in " ".join(" ".join(texts).split()):
                exception["used"] = True
                break
        else:
            yield f"cell {position}: {quote!r}: {message}"
    for exception in exceptions:
        if not exception["used"]:
            yield f"lesson_numbers.toml has an exception that is not needed: {exception['text']!r}"


def unsupported(notebook):
    """The claims that nothing shows, as (position of the cell, quote, what is wrong)."""
    sections, section = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for heading in re.findall(r"^## (.*)$", re.sub(r"^```.*?^```", "", cell.source, flags=re.M | re.S), re.M):
                section = heading
        sections.append(section)
    shown = []
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            shown += [*printed(cell, position), *literals(cell, position)]
    found = []
    for position, text, section in paragraphs(notebook, sections):
        if section in SKIPPED:
            continue
        for claim in claims(text):
            nearby = [one for one in shown if can_support(one, claim, position, section, sections, notebook)]
            if not any(supports(one, claim) for one in nearby):
                found.append((position, claim.quote, message(claim)))
    return found + vague(notebook, sections)


def paragraphs(notebook, sections):
    """The prose with its section: the markdown by its headings, and the descriptions of pictures."""
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            for description in texts_of(cell)[1]:
                yield position, description, sections[position]
            continue
        section = sections[position - 1] if position else ""
        for piece in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
            if heading := re.match(r"## (.*)", piece):
                section = heading[1]
            yield position, piece, section


def can_support(shown, claim, position, section, sections, notebook):
    if section in ANYWHERE:
        return True
    if shown.cell <= position and (sections[shown.cell] == section or claim.digits >= 3):
        return True
    following = next((i for i in range(position, len(sections)) if notebook.cells[i].cell_type == "code"), None)
    return bool(claim.digits) and shown.cell == following


def message(claim):
    low, high = (f"{bound:.4g}" for bound in (claim.low, claim.high))
    kind = f", in a line with {claim.unit!r}" if claim.unit else ""
    return f"expected an output from {low} to {high}{kind}, found none: print it, or say what is printed"


def vague(notebook, sections):
    """Quantities without a number next to pictures whose cells print none."""
    found = []
    for before, (position, cell) in zip(notebook.cells, list(enumerate(notebook.cells))[1:], strict=False):
        if cell.cell_type != "markdown" or sections[position - 1] in SKIPPED or before.cell_type != "code":
            continue
        texts, descriptions = texts_of(before)
        if descriptions and not any(re.search(r"\d", text) for text in texts):
            first = prose(cell.source).strip().partition("\n\n")[0]
            for text in [*descriptions, first]:
                for match in VAGUE.finditer(" ".join(text.split())):
                    found.append((position, match[0], "read off a picture: let its cell print the number, and say it"))
    return found
