"""`python -m microsnoop_engine`: the `microsnoop` command."""

import sys

from .cli.main import main

sys.exit(main())
