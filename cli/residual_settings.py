"""What `goalcut lens residual-stream` takes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from ..agents.run_directory import check_device
from ..analysis.residual_stream import LONGEST, ResidualSettings

NAME = "residual-stream"


@dataclass(frozen=True)
class ResidualStreamCommand:
    """Through how many channels does the residual stream of a causal transformer run, from its first block to its last?

    Of one token to itself and to later ones, beside the same model untrained and with its weights permuted. The model
    is a folder as `save_pretrained` of transformers writes it, weights as safetensors; nothing is downloaded. Writes
    residual-stream.json, its directions and residual-stream.html. It takes a backward pass per row of the Jacobian:
    for models of more than a few hundred dimensions take fewer rows. Example: `goalcut lens residual-stream models/gpt2
    --text book.txt --context 256 --residual.rows 64 --residual.precision float32`.

    Attributes:
        model: folder of the model.
        text: a text file, which the folder's own tokenizer reads.
        tokens: in place of `text`, a file of token numbers with white space between them.
        context: tokens of a sequence, at most 1,024.
        sequences: so many, evenly spread over the text; fewer where they would overlap.
        out: the directory of the results, made if missing; default runs/residual-stream-MODEL.
        device: where the model lies, `cpu` or `cuda`.
        residual: settings of the lens.
    """

    model: Annotated[Path, tyro.conf.Positional]
    text: Path | None = None
    tokens: Path | None = None
    context: int = 128
    sequences: int = 4
    out: Path | None = None
    device: str = "cpu"
    residual: ResidualSettings = field(default_factory=ResidualSettings)

    def check(self) -> None:
        """Refuse what no model could take.

        Raises:
            ValueError: with what to give.
        """
        check_device(self.device)
        if (self.text is None) == (self.tokens is None):
            raise ValueError("text or tokens: give one of --text FILE and --tokens FILE")
        if not 2 <= self.context <= LONGEST:
            raise ValueError(f"context is {self.context}: give 2 to {LONGEST} tokens")
        if self.sequences < 1:
            raise ValueError(f"sequences is {self.sequences}: give at least 1")

    @property
    def directory(self) -> Path:
        """Where results lie."""
        return self.out or Path("runs") / f"{NAME}-{self.model.resolve().name}"
