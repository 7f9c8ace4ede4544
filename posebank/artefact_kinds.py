"""The kinds of artefacts: the one table that everything which lists them reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ArtefactKind:
    """One kind of artefact.

    Parameters
    ----------
    name : name of the kind and of its folder in a workspace.
    stage : stage, and command, that makes it.
    version : version of its content; an artefact of another version is made again.
    in_run : whether ``posebank run`` makes it in the workspace.
    """

    name: str
    stage: str
    version: int = 1
    in_run: bool = True


KINDS = {
    kind.name: kind
    for kind in (
        ArtefactKind("bank", "ingest"),
        ArtefactKind("annotations", "annotate"),
        ArtefactKind("index", "index"),
        ArtefactKind("matches", "match", version=2),
        ArtefactKind("lifter", "label"),
        ArtefactKind("labels", "label"),
        ArtefactKind("anchors", "anchors"),
        ArtefactKind("shards", "shards", version=2),
        ArtefactKind("runs", "train"),
        ArtefactKind("evaluation", "evaluate"),
        ArtefactKind("predictions", "predict", in_run=False),
    )
}
"""Every kind by name, in the order in which a run makes them."""

STAGES = tuple(dict.fromkeys(kind.stage for kind in KINDS.values() if kind.in_run))
"""Stages of a run, in order."""
