"""The page of a transformer's residual stream: channels of each distance in tokens, beside both controls."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from ..agents.files import read_json, write_atomically
from .html import page_html
from .inputs import dig
from .page import Exhibit, Page, Plot, Section, Table
from .style import GREY, INK, count, decimal, finite, finites, short

Saved = Mapping[str, Any]
"""The content of residual-stream.json."""

_LOOKS = {
    "trained": {"color": INK, "width": 2.5},
    "untrained": {"color": GREY, "width": 2, "dash": "dot"},
    "permuted": {"color": GREY, "width": 2, "dash": "dash"},
}
_KEY = [("ink", "trained"), ("dot", "untrained"), ("dash", "permuted weights")]
_SHOWN = 6
_WORDS = {
    "residual stream": "What the blocks of a transformer read and add to, one vector per token.",
    "channels": "Early directions along which late tokens change: large singular values of the Jacobian.",
    "effective rank": "How many channels count; here the participation ratio (Σσ²)² / Σσ⁴, and how many hold 90 % "
    "of Σσ².",
    "permuted": "The same weights in random places of each parameter.",
}


def write_residual_report(path: Path) -> Path:
    """Write residual-stream.html beside residual-stream.json; returns its path.

    Raises:
        RunFileError: the file is missing or damaged.
    """
    page = path.with_suffix(".html")
    write_atomically(page, residual_html(read_json(path)).encode())
    return page


def residual_html(saved: Saved) -> str:
    """The whole page."""
    settings = saved["settings"]
    opening = [
        f"The claim on trial: {saved['claim']}. Jacobians of the stream after the last block with respect to the "
        f"stream after the first, of {count(settings['sequences'])} sequences of {count(settings['context'])} "
        "tokens, stacked over sequences for each distance between the two tokens.",
    ]
    same = {name: dig(saved, "figures", "models", name, "0", "ranks", "stacked") for name in _LOOKS}
    if all(same.values()):
        opening.append(
            "Of the same token the effective rank is "
            + ", ".join(
                f"{short(dig(of, 'participation'))} {'' if name == 'trained' else name}".strip()
                for name, of in same.items()
            )
            + "; few channels would show as a rank well below both controls."
        )
    section = Section("channels", "Channels by distance", "", _exhibits(saved), [residual_table(saved)])
    page = Page(opening, None, None, _WORDS, [section])
    return page_html(
        page,
        kicker="a residual stream",
        name=Path(str(settings["model"])).name,
        goal_class={},
        unfinished=None,
        repeat={
            "command": _command(settings),
            "settings": [(f"residual.{name}", str(value)) for name, value in settings["residual"].items()],
            "facts": [("model", str(settings["model"])), ("checksum of the tokens", str(settings["tokens"]))],
        },
    )


def residual_table(saved: Saved) -> Table:
    """A row per distance, the model beside its controls; the terminal prints the same."""
    rows = []
    models = dig(saved, "figures", "models") or {}
    for apart, of in (models.get("trained") or {}).items():
        controls = [dig(models, name, apart) for name in ("untrained", "permuted")]
        ranks, shared = of.get("ranks"), of.get("shared_late_space")
        cells = [
            *(short(dig(one, "ranks", "stacked", "participation")) for one in (of, *controls)),
            short(dig(ranks, "stacked", "energy_90")),
            short(dig(ranks, "per_input", "participation")),
            short(of.get("energy"), 2),
            decimal(dig(shared, "other_half")),
            decimal(dig(shared, "chance")),
            decimal(dig(of, "covariance", "agreement", "cosine")),
            decimal(dig(of, "covariance", "agreement", "cosine_chance")),
        ]
        rows.append((_distance(apart, short=True), cells))
    caption = (
        "By distance in tokens: effective rank of the stacked Jacobian (participation ratio) beside that of the "
        "untrained model and of permuted weights, directions of 90 % of its energy, rank of single Jacobians, "
        "energy E‖J‖², the share of what one half of the early directions causes that lies in the other half's "
        "leading late ones, and how far E[JJᵀ] and the covariance of the late stream agree."
    )
    headings = (
        *("tokens apart", "rank", "untrained", "permuted", "90 %", "per input", "energy"),
        *("shared", "by chance", "cosine with covariance", "by chance"),
    )
    return Table(caption, headings, rows, quiet=frozenset((1, 2, 7, 9)))


def _exhibits(saved: Saved) -> list[Exhibit]:
    models = dig(saved, "figures", "models") or {}
    distances = list(models.get("trained") or {})
    spectra = [Plot(_spectra(models, apart), 260) for apart in _spread(distances)]
    seen = (
        "Singular values over the largest, by distance in tokens: few channels would show as a dark line that "
        "falls sooner than both grey ones."
    )
    exhibits = [Exhibit(seen, spectra, 3, _KEY)]
    if len(distances) > 1:
        against = [
            _by_distance(models, distances, lambda of: finite(dig(of, "energy")), "energy E‖J‖²"),
            _by_distance(
                models,
                distances,
                lambda of: finite(dig(of, "ranks", "stacked", "participation")),
                "participation ratio",
            ),
        ]
        seen = (
            "What reaches a token from earlier ones, and through how many channels: the dark line is the model as "
            "trained, the grey ones are its controls."
        )
        exhibits.append(Exhibit(seen, [Plot(figure, 300) for figure in against], 2, _KEY))
    return exhibits


def _spread(distances: list[str]) -> list[str]:
    """At most so many, evenly over all."""
    if len(distances) <= _SHOWN:
        return distances
    step = (len(distances) - 1) / (_SHOWN - 1)
    return [distances[round(place * step)] for place in range(_SHOWN)]


def _spectra(models: Mapping[str, Any], apart: str) -> go.Figure:
    figure = go.Figure()
    for name, line in _LOOKS.items():
        values = [v for v in finites(dig(models, name, apart, "singular_values")) if v is not None]
        if values and values[0] > 0:
            # Far below the largest they are rounding.
            shown = [v / values[0] if v > 1e-8 * values[0] else None for v in values]
            figure.add_scatter(x=list(range(1, len(shown) + 1)), y=shown, mode="lines", name=name, line=line)
    figure.update_yaxes(type="log", title={"text": "over the largest"}, exponentformat="power", dtick=1)
    figure.update_xaxes(title={"text": "channel"})
    figure.update_layout(title={"text": _distance(apart)}, showlegend=False)
    return figure


def _by_distance(models: Mapping[str, Any], distances: list[str], of: Any, title: str) -> go.Figure:
    figure = go.Figure()
    for name, line in _LOOKS.items():
        figure.add_scatter(
            x=[_distance(apart, short=True) for apart in distances],
            y=[of(dig(models, name, apart)) for apart in distances],
            mode="lines+markers",
            name=name,
            line=line,
        )
    figure.update_xaxes(type="category", title={"text": "tokens apart"})
    figure.update_yaxes(title={"text": title})
    if "energy" in title:
        figure.update_yaxes(type="log", exponentformat="power")
    else:
        figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=False)
    return figure


def _distance(apart: str, *, short: bool = False) -> str:
    if apart == "0":
        return "same" if short else "same token"
    return apart if short else f"{apart} token{'' if apart == '1' else 's'} apart"


def _command(settings: Mapping[str, Any]) -> str:
    return (
        f"goalcut lens residual-stream {settings['model']} --text FILE --context {settings['context']} "
        f"--sequences {settings['sequences']}"
    )
