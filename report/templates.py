"""The page's templates, with the filters that write numbers."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from . import style
from .page import Plot


def text_of(name: str) -> str:
    """A file that lies beside this one."""
    return (files(__package__ or "goalcut.report") / name).read_text()


def render(template: str, /, **values: Any) -> Markup:
    """A template, filled."""
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(text_of),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "decimal": style.decimal,
        "between": style.between,
        "short": style.short,
        "count": style.count,
        "finite": style.finite,
        "spec": _spec,
        "breakable": _breakable,
    }
    return Markup(environment.get_template(template).render(**values))


def _breakable(name: str) -> Markup:
    """A name that may break after an underscore, in narrow columns."""
    return Markup("_<wbr>").join(name.split("_"))


def _spec(plot: Plot) -> dict[str, Any]:
    """A figure as lean JSON; the template is on the page once."""
    spec = plot.figure.to_plotly_json()
    spec["layout"].pop("template", None)
    return style.rounded({"data": spec["data"], "layout": spec["layout"]})
