"""`python -m apps.live` is `streamvos demo`."""

import sys

from apps.cli import main

sys.exit(main(["demo", *sys.argv[1:]]))
