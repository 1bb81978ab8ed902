"""What a person looks at: one HTML file per run, and a summary in the terminal."""

from .html import write_report
from .terminal import print_summary

__all__ = ["print_summary", "write_report"]
