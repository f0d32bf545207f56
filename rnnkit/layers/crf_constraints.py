"""Which sequences of tags a `CRF` allows: by the names of the tags, by a table, or by a list of moves."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from keras import ops

from rnnkit.text import legal_transitions
from rnnkit.text.schemes import Scheme, Tag, guess_scheme, scheme_of
from rnnkit.text.tags import Transitions, read_tag_list, resolve

START, END = "start", "end"


def is_names(constraints: Any) -> bool:
    """Returns whether constraints are the names of the tags."""
    return isinstance(constraints, Iterable) and any(isinstance(x, str) for x in constraints)


def allowed_moves(constraints: Any, num_tags: int, scheme: str | None, ignore: Sequence[str]) -> Transitions:
    """Returns which tags may be first, follow a tag, and be last: boolean arrays.

    Args:
        constraints: names of all tags; a table of moves `(num_tags, num_tags)`; start, table and end as in
            `Transitions`; or pairs of numbers of tags, with `"start"` and `"end"` instead of a number.
        num_tags: how many tags there are.
        scheme: the scheme of the names, or None.
        ignore: names that are no tags.

    Raises:
        ValueError: the constraints are nothing of this.
    """
    if is_names(constraints):
        return _of_names(constraints, num_tags, scheme, ignore)
    if scheme is not None or ignore:
        raise ValueError(
            f"CRF expected constraints, the names of all tags, along with scheme={scheme!r} and ignore="
            f"{list(ignore)!r}, received {'none' if constraints is None else repr(constraints)}."
        )
    allowed = _of_arrays(constraints, num_tags) or _of_pairs(constraints, num_tags)
    if not (allowed.start.any() and allowed.end.any()):
        raise _not_constraints(num_tags, "constraints under which no sequence can start, or none can end")
    return allowed


def entities(names: Sequence[str], scheme: str | None, ignore: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns two tables: whether the column's tag continues the row's entity, and whether both have one type."""
    outside = Tag("O", "")
    tags = [tag or outside for tag in read_tag_list("CRF", names, _scheme(names, scheme, ignore), ignore)]
    goes_on = [[after.goes_on_after(before) for after in tags] for before in tags]
    alike = [[(a.role == "O", a.type) == (b.role == "O", b.type) for b in tags] for a in tags]
    return np.array(goes_on), np.array(alike)


def _of_names(names, num_tags, scheme, ignore):
    if isinstance(names, str) or len(list(names)) != num_tags:
        raise ValueError(
            f"CRF expected constraints to be the names of its {num_tags} tags, received {len(list(names))}: {names!r}. "
            "Padding needs no tag, only a mask."
        )
    names = list(names)
    scheme, special = _scheme(names, scheme, ignore), {"", *ignore}
    tags = [name for name in names if name not in special]
    unknown = [tag for tag in tags if scheme.read(tag) is None]
    if unknown and all(isinstance(tag, str) for tag in tags) and (alike := guess_scheme(tags)) is not None:
        raise ValueError(
            f"CRF expected constraints of the scheme {str(scheme)!r}, received {unknown[0]!r} among {names!r}, which "
            f"looks like the scheme {str(alike)!r}: pass scheme={str(alike)!r}."
        )
    read_tag_list("CRF", names, scheme, ignore)
    first, moves, last = legal = legal_transitions(names, str(scheme), ignore)
    reached, leading = first, last
    for _ in names:
        reached, leading = reached | (reached @ moves), leading | (moves @ leading)
    lost = [name for name, used in zip(names, reached & leading, strict=True) if not used and name in tags]
    if lost:
        raise ValueError(
            f"CRF expected constraints in which every tag can occur, received {names!r}, where no {scheme} sequence "
            f"contains {lost!r}: give the scheme, or convert the tags of another one first."
        )
    if not (first & last & np.diag(moves)).any():
        raise ValueError(
            f"CRF expected constraints under which a sequence of any length is possible, received {names!r}: 'O' is "
            "missing, or a tag for an entity of one token."
        )
    return legal


def _scheme(names: Sequence[str], scheme: str | None, ignore: Sequence[str]) -> Scheme:
    if scheme is None:
        return scheme_of("BIOES" if any(str(name).startswith(("E-", "S-")) for name in names) else "BIO")
    return resolve(scheme, names, ignore)


def _of_arrays(constraints, num_tags):
    """The table, or start, table and end; None if it is something else."""
    is_table = True
    try:
        parts = list(constraints)
        if len(parts) == 3 and [np.ndim(part) for part in parts] == [1, 2, 1]:
            parts, is_table = [np.array(part) for part in parts], False
        elif all(isinstance(part, tuple) and len(part) == 2 for part in parts):
            return None
        else:
            table = np.array(
                constraints if isinstance(constraints, list | tuple) else ops.convert_to_numpy(constraints)
            )
            if table.shape != (num_tags, num_tags) and table.shape[1:] == (2,):
                return None
            parts = [np.ones(num_tags), table, np.ones(num_tags)]
    except (TypeError, ValueError):  # not an array
        return None
    if any(part.dtype.kind not in "bifu" for part in parts):
        return None
    if [part.shape for part in parts] != [(num_tags,), (num_tags, num_tags), (num_tags,)]:
        shapes = [part.shape for part in parts]
        received = f"a table of shape {shapes[1]}" if is_table else f"arrays of the shapes {shapes}"
        raise _not_constraints(num_tags, received)
    if not all(np.isin(part, (0, 1)).all() for part in parts):
        raise _not_constraints(num_tags, "other values than 0 and 1")
    return Transitions(*(part.astype(bool) for part in parts))


def _of_pairs(pairs, num_tags):
    allowed = Transitions(np.zeros(num_tags, bool), np.zeros((num_tags, num_tags), bool), np.zeros(num_tags, bool))

    def is_tag(value):
        return isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value < num_tags

    try:
        pairs = [tuple(pair) for pair in pairs]
    except TypeError:
        raise _not_constraints(num_tags, repr(pairs)) from None
    if not pairs:
        raise _not_constraints(num_tags, "an empty list")
    for pair in pairs:
        before, after = pair if len(pair) == 2 else (None, None)
        if is_tag(before) and is_tag(after):
            allowed.between[before, after] = True
        elif before == START and is_tag(after):
            allowed.start[after] = True
        elif is_tag(before) and after == END:
            allowed.end[before] = True
        else:
            raise _not_constraints(num_tags, repr(pair))
    for border in (allowed.start, allowed.end):
        if not border.any():  # no pair says anything of it
            border[:] = True
    return allowed


def _not_constraints(num_tags, received):
    return ValueError(
        f"CRF expected constraints: the names of its {num_tags} tags; a table of zeros and ones ({num_tags}, "
        f"{num_tags}), whether the tag of the column may follow that of the row; the arrays start, between and end as "
        f"rnnkit.text.legal_transitions returns them; or pairs (i, j) of tags from 0 to {num_tags - 1} that may follow "
        f"each other, ('start', j) and (i, 'end'). Received {received}."
    )
