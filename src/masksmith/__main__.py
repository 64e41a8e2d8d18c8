"""``python -m masksmith``."""

import sys

from masksmith.cli import main

sys.exit(main())
