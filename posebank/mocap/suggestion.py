"""Tell a user which joints of a file are not known, and write a first ``--joints`` file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from posebank.skeleton import JOINT_NAMES

_MOST_NAMES = 80
_LONGEST = 40


def not_found(
    kind: str,
    names: Sequence[str],
    guess: Mapping[str, str],
    usual: Mapping[str, str] | None = None,
) -> str:
    """Return the message for a file whose names no scheme knows.

    Parameters
    ----------
    kind : str
        What the names are of, such as ``joint`` or ``marker``.
    names : sequence of str
        All names in the file.
    guess : mapping
        ``lcrnet13`` name -> name in the file, for the joints that were found.
    usual : mapping or None
        ``lcrnet13`` name -> the one name that was looked for, where there is only one
        scheme.
    """
    missing = [
        f"{joint} ({usual[joint]})" if usual else joint
        for joint in JOINT_NAMES
        if joint not in guess
    ]
    found = ", ".join(f"{j} = {_short(guess[j])}" for j in JOINT_NAMES if j in guess)
    listed = ", ".join(_short(name) for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    best = f" (the best guess has {found})" if found else ""
    return (
        f"expected {kind} names of a known scheme, found none for {', '.join(missing)}{best}; "
        f"the file's {kind}s are {listed}{more}; say which is which with --joints MAP.toml, which "
        "posebank inspect FILE --suggest-joints begins"
    )


def suggested_toml(kind: str, names: Sequence[str], guess: Mapping[str, str]) -> str:
    """Return the text of a ``--joints`` file with the guess, to be completed by hand.

    Parameters
    ----------
    kind : str
        What the names are of, such as ``joint`` or ``marker``.
    names : sequence of str
        All names in the file, indented as they should be listed.
    guess : mapping
        ``lcrnet13`` name -> name in the file, for the joints that were found.
    """
    lines = [
        f"# Names in the file of the 13 joints; a list of {kind}s means the middle of them.",
        *(
            [
                '# "head" is the joint at the base of the skull, whose top is then found or',
                "# completed, or a joint at the top whose name ends in end, top, tip or nub.",
            ]
            if kind == "joint"
            else []
        ),
        "",
    ]
    for joint in JOINT_NAMES:
        if joint in guess:
            lines.append(f"{joint} = {json.dumps(guess[joint], ensure_ascii=False)}")
        else:
            lines.append(f'# {joint} = ""  # not found: name it and remove the first #')
    lines += ["", f"# {kind}s of the file:", *(f"#   {name}" for name in names), ""]
    return "\n".join(lines)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."
