"""The things of a maze as SVG, each in a cell of 20 × 20 units."""

_STAR = "M10 2.6L12.2 7.6L17.6 8.1L13.5 11.7L14.7 17L10 14.2L5.3 17L6.5 11.7L2.4 8.1L7.8 7.6Z"
_CHEESE = (
    '<g class="cheese"><path d="M2.6 12L14.6 5.4C16.6 7 17.4 9.2 17.4 12Z"/><path d="M2.6 12H17.4V16.4H2.6Z"/>'
    '<circle cx="7" cy="14.2" r="1.1"/><circle cx="12.8" cy="13.8" r="1.4"/><circle cx="12.6" cy="9.4" r="1.1"/></g>'
)
_SHAPES = {
    "cheese": _CHEESE,
    "dish": '<ellipse cx="10" cy="15.6" rx="8.6" ry="2.8" fill="#d9e1ec" stroke="#64748b" stroke-width=".9"/>',
    "star": f'<path d="{_STAR}" fill="#fde047" stroke="#a16207" stroke-width=".9"/>',
    "key": '<g fill="none" stroke="#a16207" stroke-width="1.8"><circle cx="6" cy="10" r="3"/>'
    '<path d="M9 10H17M14 10V13.4M16.6 10V12.8"/></g>',
    "chest": '<rect x="3" y="7" width="14" height="9.6" rx="1.4" fill="#a16207" stroke="#713f12"/>'
    '<path d="M3 11H17" stroke="#713f12"/><rect x="8.8" y="9.6" width="2.4" height="3.2" fill="#fde68a"/>',
    "guide": '<circle cx="10" cy="10" r="5.4" fill="#86efac" stroke="#15803d"/>'
    '<circle cx="8.2" cy="9" r=".9"/><circle cx="11.8" cy="9" r=".9"/>',
    "beacon": '<path d="M7.4 17L9 6H11L12.6 17Z" fill="#fca5a5" stroke="#b91c1c"/>'
    '<circle cx="10" cy="4.4" r="2" fill="#fde047" stroke="#a16207" stroke-width=".7"/>',
    "lava": '<rect x="1" y="1" width="18" height="18" fill="#f97316"/>'
    '<path d="M3 8Q6 5 9 8T15 8M5 14Q8 11 11 14T17 14" fill="none" stroke="#7c2d12" stroke-width="1.3"/>',
    "gem": '<path d="M5 8L7.6 4.6H12.4L15 8L10 16.4Z" fill="{colour}" stroke="#374151" stroke-width=".9"/>',
    "line": '<path d="M4 16L16 4" stroke="{colour}" stroke-width="3.4" stroke-linecap="round"/>',
}
_COLOURS = {"yellow": "#facc15", "red": "#ef4444"}
_OTHER = '<rect x="5" y="5" width="10" height="10" rx="2" fill="#cbd5e1" stroke="#475569"/>'


def thing_shape(name: str) -> str:
    """The drawing of a thing by its name: `key_2` is a key, `yellow_gem` a gem in yellow; a tile for what is new."""
    words = [word for word in name.split("_") if not word.isdigit()]
    colour = next((_COLOURS[word] for word in words if word in _COLOURS), "#94a3b8")
    kind = next((word for word in words if word in _SHAPES), None)
    return _OTHER if kind is None else _SHAPES[kind].replace("{colour}", colour)
