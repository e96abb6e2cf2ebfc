"""`python -m streamvos`, the same as the command `streamvos`."""

from __future__ import annotations

import importlib
import sys

if __name__ == "__main__":
    sys.exit(importlib.import_module("apps.cli").main())  # by name: the command line lies in a layer above
