"""Every test of the workspace may ask for the real stack."""

pytest_plugins = ["epassport_sandbox.pytest_stack"]
