"""The ansatz per layer and function, beside its controls, and how far gradients are from a tight frame."""

from collections.abc import Mapping
from typing import Any

from goalcut.report.inputs import dig

from .block import Block, Rows


def ansatz(figures: Mapping[str, Any]) -> list[Block]:
    """Per layer and function the cosines, centred and of the movement too; singular vectors; the frame; each output."""
    told = [of for of in figures["summary"] if not of["identity_by_construction"]]
    layers = figures.get("layers") or {}

    def rows(columns: Mapping[str, str]) -> Rows:
        return {f"{of['layer']}, {of['of']}": {said: of.get(k) for said, k in columns.items()} for of in told}

    blocks = []
    for power, matrix in (("1", "M"), ("0.5", "M^½")):
        columns = {"W": "cosine", "same spectrum": "same_spectrum", "W_0": "initial"}
        found = rows({said: f"{name}_{power}" for said, name in columns.items()})
        blocks.append(Block(f"Cosine of WᵀW with {matrix}", found, "W", ("same spectrum", "W_0")))
        columns = {"W": "centred", "same spectrum": "centred_same_spectrum"}
        found = rows({said: f"{name}_{power}" for said, name in columns.items()})
        blocks.append(Block(f"The same, gradients centred, with {matrix}", found, "W", ("same spectrum",)))
        columns = {"W − W_0": "movement", "same spectrum": "movement_same_spectrum"}
        found = rows({said: f"{name}_{power}" for said, name in columns.items()})
        caption = f"Cosine of the movement with {matrix}"
        blocks.append(Block(caption, found, "W − W_0", ("same spectrum",)))
    each: Rows = {
        f"{layer}, {f} {place}": {
            "W": dig(one, "ansatz", "uncentred", "1", "cosine"),
            "same spectrum": dig(one, "ansatz", "uncentred", "1", "same_spectrum"),
            "W_0": dig(one, "ansatz", "uncentred", "1", "initial"),
        }
        for layer, of in layers.items()
        for f, found in list((of.get("functions") or {}).items())[:1]
        for place, one in enumerate(found.get("outputs") or [])
        if dig(one, "ansatz", "uncentred", "1", "cosine") is not None
    }
    blocks.append(Block("Cosine of WᵀW with M, of each output", each, "W", ("same spectrum", "W_0")))
    vectors = rows({"overlap": "overlap", "same spectrum": "overlap_same_spectrum"})
    for of in told:
        found = dig(layers, of["layer"], "functions", of["of"], "summed", "overlaps", str(of["overlap_k"]))
        vectors[f"{of['layer']}, {of['of']}"]["chance"] = dig(found, "chance")
    k = next((of["overlap_k"] for of in told if "overlap_k" in of), "k")
    caption = f"Span of W's leading {k} right singular vectors that M's leading eigenvectors share"
    blocks.append(Block(caption, vectors, "overlap", ("same spectrum", "chance")))
    frame = rows(
        {
            "lower bound": "lower",
            "upper bound": "upper",
            "condition number": "condition_number",
            "effective rank": "effective_rank",
            "of dimensions": "dimensions",
            "distance from tight": "distance",
        }
    )
    for of in told:
        found = dig(layers, of["layer"], "functions", of["of"], "summed", "frame", "uncentred")
        frame[f"{of['layer']}, {of['of']}"]["distance, isotropic"] = dig(found, "isotropic_distance")
    caption = "How far N is from a tight frame (0), beside as many isotropic vectors"
    blocks.append(Block(caption, frame, digits=None))
    left: Rows = {}
    for layer, of in layers.items():
        sides = {"E[zzᵀ]": dig(of, "left", "outputs", "uncentred")}
        sides |= {f"N of {f}": found for f, found in (dig(of, "left", "gradients") or {}).items()}
        for against, found in sides.items():
            if found:
                left[f"{layer}, {against}"] = {
                    "W": dig(found, "1", "cosine"),
                    "same spectrum": dig(found, "1", "same_spectrum"),
                    "W_0": dig(found, "1", "initial"),
                }
    caption = "The mirror image: cosine of WWᵀ with second moments of pre-activations and of their gradients"
    return [*blocks, Block(caption, left, "W", ("same spectrum", "W_0"))]
