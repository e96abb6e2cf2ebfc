"""`python -m streamvos`, the same as the command `streamvos`."""

from __future__ import annotations

import sys

from apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
