"""`python -m goalcut.cli`."""

from . import main

main()
