"""The sections of the study of timing: when goals are learned, and what late directions carry."""

from typing import Any

from .inputs import dig
from .page import Exhibit, Section, Table
from .study_figures import Cloud, Row, env_steps, learning_curves, points, scatter, spread
from .style import INK, PAID, PROXY, VIOLET, decimal

GRADIENTS = {"path": "averaged over the path from θ₀ to θ", "end": "at the end of training"}


def sections(results: dict[str, Any]) -> list[Section]:
    """In reading order."""
    variants = results["summary"]["variants"]
    return [_when(results, variants), _relation(variants), _modules(variants)]


def findings(results: dict[str, Any]) -> list[str]:
    """When the goals part in each variant, and whether any kind of row relates time with what directions carry."""
    told = []
    for name, variant in results["summary"]["variants"].items():
        share = dig(variant, "over_seeds", "0.7", "share")
        if share is None:
            told.append(f"{name}: no seed has both goals pass 0.7.")
            continue
        text = (
            f"{name}: the paid goal passes 0.7 after the proxy goal by {spread(share['iqm'])} of the training "
            f"({share['seeds']} of {len(variant['crossings'])} seeds)"
        )
        kinds = [kind for kind, found in variant["relation"].items() if found["path"]["holm_p"] <= 0.05]
        among = (
            f"; of {len(variant['relation'])} kinds of rows, time and what a direction carries go together"
        )
        if variant["relation"]:
            text += f"{among} over seeds in {', '.join(kinds) or 'none'} (Holm, 0.05)"
        told.append(f"{text}.")
    return told


def _when(results: dict[str, Any], variants: dict[str, Any]) -> Section:
    plots = [
        learning_curves(results["curves"][name], variant["goals"], name) for name, variant in variants.items()
    ]
    exhibits = [
        Exhibit(
            "Retention of each goal while training: 0 is the untrained agent, 1 the trained one. A thin line is a "
            "seed, the thick one their median.",
            plots,
            2,
        )
    ]
    for level in ("0.5", "0.7"):
        rows = [
            Row(
                name,
                list(map(int, variant["crossings"])),
                [of_seed[level]["share"] for of_seed in variant["crossings"].values()],
                dig(variant, "over_seeds", level, "share", "iqm"),
                strong=name == "default",
            )
            for name, variant in variants.items()
        ]
        caption = (
            f"How long after the proxy goal the paid one passes {level} of its final change, as a share of the whole "
            "training; right of 0 the proxy goal comes first."
        )
        exhibits.append(Exhibit(caption, [points(rows, "gap, share of all env steps")]))
    headings = [
        "variant",
        "seeds",
        "proxy passes 0.7",
        "paid passes 0.7",
        "gap",
        "paid goal's retention there",
    ]
    table = [
        (
            name,
            [
                str(len(variant["crossings"])),
                *(env_steps(dig(variant, "over_seeds", "0.7", of, "iqm")) for of in ("proxy", "paid", "gap")),
                spread(dig(variant, "over_seeds", "0.7", "paid_there", "iqm")),
            ],
        )
        for name, variant in variants.items()
    ]
    caption = "Env steps at which each goal passes 0.7: interquartile means over seeds, with 95 % intervals."
    return Section(
        "when",
        "When each goal is learned",
        "Exact measures every few rollouts say when each goal appears in what the agent does.",
        exhibits,
        [Table(caption, headings, table)],
    )


def _relation(variants: dict[str, Any]) -> Section:
    lead = (
        "For every direction: the centre of mass of its profile, and its causal share of each goal, the first-order "
        "change of the exact measure when what training moved along it is taken back. Spearman's ρ of time with (share "
        "of the paid goal − share of the proxy goal), over the directions of one run; 1 is what the idea predicts. The "
        "grey band is the mean over seeds of the 95 % interval under permuted time."
    )
    exhibits, tables = [], []
    rows = [_relation_row(name, variant["doses"]) for name, variant in variants.items() if variant["doses"]]
    if rows:
        caption = (
            "By tuned doses: Spearman's ρ of time with (dose that removes the paid goal − dose that removes the proxy "
            "goal), where each direction has one dose in either tuned cut."
        )
        exhibits.append(Exhibit(caption, [points(rows, "ρ over directions")]))
    for name, variant in variants.items():
        if not variant["relation"]:
            continue
        raw = variant["relation"].get("raw")
        if raw:
            exhibits.append(_every_direction(name, variant["goals"], raw["path"]))
        for which, told in GRADIENTS.items():
            rows = [_relation_row(kind, found[which]) for kind, found in variant["relation"].items()]
            exhibits.append(
                Exhibit(f"{name}: gradient of the measures {told}.", [points(rows, "ρ over directions")])
            )
        headings = [
            "rows, gradient",
            "seeds",
            "ρ, interquartile mean",
            "p (Holm)",
            "sign-flip p",
            *_null_names(variant),
        ]
        table = [
            (
                f"{kind}, {which}",
                _tested(found[which], _null_names(variant)),
            )
            for kind, found in variant["relation"].items()
            for which in GRADIENTS
        ]
        if variant["doses"]:
            table.append(("raw, all kept, tuned doses", _tested(variant["doses"], _null_names(variant))))
        caption = (
            f"{name}: p of the mean ρ over seeds, where time is permuted in every run (do these agents have a "
            "relation?), and of a sign-flip test over seeds (would fresh ones?); then in how many seeds ρ passes each "
            "null at 0.05, and p of their mean under it."
        )
        tables.append(Table(caption, headings, table))
    return Section("directions", "What late directions carry", lead, exhibits, tables)


def _every_direction(name: str, goals: list[str], found: dict[str, Any]) -> Exhibit:
    clouds = []
    for place, (goal, colour) in enumerate(zip(goals, (PROXY, PAID), strict=True), 1):
        points_of = [
            (seed, direction[0], direction[place], f"{goal}; direction {rank}")
            for seed, directions in zip(found["seeds"], found["directions"], strict=True)
            for rank, direction in enumerate(directions, 1)
        ]
        clouds.append(Cloud(goal, colour, points_of))
    caption = (
        f"{name}: every direction of the raw rows, of all seeds: when it was pushed, and its share of either goal, the "
        "gradient averaged over the path. Were the early goal trained early, blue points left of the middle would "
        "stand high, and the others right of it. Shares beyond −0.5 and 0.5 are drawn at the edge."
    )
    axes = ("centre of mass, share of the training", "share of the goal")
    return Exhibit(caption, [scatter(clouds, axes, limits=((0.0, 1.0), (-0.5, 0.5)), marks=((), (0,)))])


def _tested(found: dict[str, Any], nulls: list[str]) -> list[str]:
    """The figures of one relation: seeds, ρ, p over seeds (adjusted, where it is one of a family), and its nulls."""
    adjusted = f" ({decimal(found['holm_p'], 3)})" if "holm_p" in found else ""
    return [
        str(len(found["seeds"])),
        spread(dig(found, "over_seeds", "iqm")),
        f"{decimal(found['p'], 3)}{adjusted}",
        decimal(found["sign_flip_p"], 3),
        *(_passed(found, null) for null in nulls),
    ]


def _relation_row(kind: str, found: dict[str, Any]) -> Row:
    intervals = found["nulls"]["permuted time"]["intervals"]
    band = [sum(interval[end] for interval in intervals) / len(intervals) for end in (0, 1)]
    colour = {"raw": INK, "applied": VIOLET, "unit": PROXY, "cross-half": PAID}.get(kind, INK)
    return Row(kind, found["seeds"], found["correlations"], dig(found, "over_seeds", "iqm"), colour, band)


def _null_names(variant: dict[str, Any]) -> list[str]:
    first = next(iter(variant["relation"].values()))["path"]["nulls"]
    return list(first)


def _passed(found: dict[str, Any], null: str) -> str:
    entry = found["nulls"].get(null)
    if entry is None:
        return "–"
    return f"{entry['passed']} of {len(entry['p_values'])}; {decimal(entry['p_over_seeds'], 3)}"


def _modules(variants: dict[str, Any]) -> Section:
    tables = []
    for name, variant in variants.items():
        if not variant["modules"]:
            continue
        table = [
            (
                f"{module}, {which}",
                [
                    spread(dig(found[which], "over_seeds", "iqm")),
                    decimal(found[which]["p"], 3),
                    *(spread(dig(share, "iqm")) for share in found[which]["share"]),
                ],
            )
            for module, found in variant["modules"].items()
            for which in GRADIENTS
        ]
        headings = [
            "module, gradient",
            "ρ",
            "p",
            f"share of {variant['goals'][0]}",
            f"share of {variant['goals'][1]}",
        ]
        tables.append(
            Table(f"{name}: 40 strongest directions, interquartile means over seeds.", headings, table)
        )
    lead = "The same, of the part of each direction that lies in one module; the shares are summed over directions."
    return Section("modules", "By module", lead, tables=tables)
