"""Whether tests of Procgen can run: they fail, and do not pass unseen, where it has a wheel and is not installed."""

import importlib.util
import platform
import sys

import pytest

# As the marker of the extra in pyproject.toml has it.
HAS_WHEEL = sys.version_info < (3, 13) and sys.platform == "linux" and platform.machine() == "x86_64"
needs_procgen = pytest.mark.skipif(
    importlib.util.find_spec("procgen") is None and not HAS_WHEEL,
    reason="Procgen has no wheel for this Python or system",
)
