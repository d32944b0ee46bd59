"""Run the ``microsnoop`` command by ``python -m microsnoop_engine``, as hosts do."""

import sys

from .cli.main import main

sys.exit(main())
