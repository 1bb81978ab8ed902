"""README's picture: the mazes of a report, the trained agent beside its two tuned cuts.

    python docs/results/picture.py RUN/report.html docs/picture.png

Wants the development tools (playwright) and Debian's chromium.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
SHOWN, LEVELS, MARGIN = ("trained", "tuned: remove"), 3, 18
_ONLY = """([board, wanted, levels]) => {
    const cells = [...board.children];
    const names = cells.filter(cell => cell.matches('.agent')).map(cell => cell.textContent);
    const kept = names.map(name => wanted.some(start => name.startsWith(start)));
    let place = 0, rows = 0;
    for (const cell of cells) {
        if (cell.matches('.rowhead')) { place = 0; rows++; }
        else if (!kept[place++ % names.length]) cell.remove();
        if (rows > levels + 1) cell.remove();
    }
    board.style.setProperty('--agents', kept.filter(Boolean).length);
    board.style.width = 'fit-content';
    for (const told of board.querySelectorAll('.controls')) told.remove();
}"""


@contextmanager
def opened(report: Path, *, width: int = 1060, scale: float = 1.0) -> Iterator[Page]:
    """A report in a browser."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, device_scale_factor=scale)
        page.goto(report.resolve().as_uri())
        yield page
        browser.close()


def mazes(page: Page, out: Path) -> None:
    """The board of mazes with the columns of `SHOWN` alone, and its key."""
    board = page.locator(".board").first
    page.evaluate(_ONLY, [board.element_handle(), SHOWN, LEVELS])
    boxes = [
        board.bounding_box(),
        page.locator(".board ~ .key, .scroll:has(.board) ~ .key").first.bounding_box(),
    ]
    above, below = (box for box in boxes if box is not None)
    height = below["y"] + below["height"] - above["y"]
    clip = {
        "x": above["x"] - MARGIN,
        "y": above["y"] - MARGIN,
        "width": above["width"] + 2 * MARGIN,
        "height": height + 2 * MARGIN,
    }
    page.screenshot(path=out, clip=clip, full_page=True)  # pyright: ignore[reportArgumentType]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with opened(args.report, scale=1.25) as page:
        mazes(page, args.out)


if __name__ == "__main__":
    main()
