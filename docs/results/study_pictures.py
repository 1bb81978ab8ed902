"""Figures of a study's report as pictures, for the pages of docs/results.

    python docs/results/study_pictures.py runs/studies/methods/report.html 2 docs/results/methods-corner.png

Wants the development tools (playwright) and Debian's chromium.
"""

import argparse
from pathlib import Path

from picture import opened


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("number", type=int, help="of the figure, as the report counts them")
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1060, help="of the page")
    args = parser.parse_args()
    with opened(args.report, width=args.width) as page:
        page.locator(f"figure:has(.number:text-is('Figure {args.number}')) .plots").screenshot(path=args.out)


if __name__ == "__main__":
    main()
