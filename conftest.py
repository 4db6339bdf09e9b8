"""Every test of the workspace may ask for the real stack.

Properties draw the same examples each time, so that a check that was green stays green;
`HYPOTHESIS_PROFILE=explore` draws others, and `make fuzz` never stops at the same ones.
"""

import os

from hypothesis import settings

pytest_plugins = ["epassport_sandbox.pytest_stack"]

settings.register_profile("same", derandomize=True)
settings.register_profile("explore")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
