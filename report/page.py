"""What a page is made of: an opening, a table of measures, sections, and how to repeat the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from .inputs import Inputs, dig, without_cut
from .style import finites

Missing = tuple[str, str]
"""What is left out and why, and the command that makes it."""


def anchor_of(*words: str) -> str:
    """The anchor of a section on something of these names; names of variants may hold dots."""
    return "-".join(words).replace(".", "-")


@dataclass(frozen=True)
class Plot:
    """One plotly figure, so many pixels high."""

    figure: go.Figure
    height: int
    square: bool = False


@dataclass(frozen=True)
class Exhibit:
    """A figure of the report: one or more plots, or a block of its own markup, under one sentence.

    `key` names the lines that share a look; `linked` plots zoom along x together.
    """

    caption: str
    plots: list[Plot] = field(default_factory=list)
    columns: int = 1
    key: list[tuple[str, str]] = field(default_factory=list)
    linked: bool = False
    block: Markup | None = None


@dataclass(frozen=True)
class Table:
    """A small table: what each row is, then cells as they are written; `quiet` columns are the controls.

    A `wide` one may be wider than the text and scrolls by itself.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    quiet: frozenset[int] = frozenset()
    wide: bool = False


@dataclass(frozen=True)
class CutCell:
    """One figure of a cut, with its interval where it has one."""

    value: Any
    interval: Any = None


@dataclass(frozen=True)
class CutTable:
    """All cuts and controls.

    Attributes:
        unit: what the intervals are over.
        headings: of the columns after selectivity.
        rows: each row of the ablation, what it is called below its cut, and its cells under `headings`.
        references: agents to compare with, by cells under the last of the headings.
    """

    unit: str
    headings: Sequence[str]
    rows: Sequence[tuple[dict[str, Any], str, Sequence[CutCell]]]
    references: Sequence[tuple[str, Sequence[float | None]]]


@dataclass(frozen=True)
class Section:
    """One section; `missing` stands in its place where its files are not there yet, `lacks` below its exhibits."""

    anchor: str
    title: str
    lead: str = ""
    exhibits: list[Exhibit] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    cuts: CutTable | None = None
    lacks: Missing | None = None
    missing: Missing | None = None


@dataclass(frozen=True)
class MeasureTable:
    """Every measure of every agent: caption, agents' names, and each row's name, colour, meaning and values."""

    caption: str
    agents: Sequence[str]
    rows: Sequence[tuple[str, str, str, Sequence[Mapping[str, float | None]]]]


@dataclass(frozen=True)
class Page:
    """One report.

    Attributes:
        opening: paragraphs that say what was trained and what it learned.
        measures: the table below them; None where nothing is measured.
        lacks: what the table lacks.
        glossary: word → what it means.
        sections: in reading order.
    """

    opening: list[str]
    measures: MeasureTable | None
    lacks: Missing | None
    glossary: Mapping[str, str]
    sections: list[Section]


def cut_rows(inputs: Inputs[Any]) -> list[dict[str, Any]]:
    """Rows of the table: every cut followed by its controls, then controls of nothing."""
    ordered = [row for cut in inputs.cuts for row in (cut, *inputs.controls_of(cut))]
    return ordered + [row for row in inputs.controls if row not in ordered]


def cut_table(
    inputs: Inputs[Any],
    unit: str,
    cells: Sequence[Sequence[CutCell]],
    headings: Sequence[str],
    references: Sequence[tuple[str, Sequence[float | None]]],
) -> CutTable:
    """The table of cuts, its `cells` in the order of `cut_rows`."""
    rows = cut_rows(inputs)
    named = [(row, without_cut(row), of_row) for row, of_row in zip(rows, cells, strict=True)]
    return CutTable(unit, headings, named, references)


def measured_cells(row: dict[str, Any], names: Sequence[str], kind: str, intervals: str) -> list[CutCell]:
    """A row's figures of some measures: `retention` and `retention_intervals`, or `measures` and `intervals`."""
    return [CutCell(dig(row, kind, name), finites(dig(row, intervals, name))) for name in names]
