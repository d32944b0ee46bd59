"""`python -m microsnoop_engine`: the `microsnoop` command."""

import sys

from .cli import main

sys.exit(main())
