"""`python -m tests.faults.receiver <command>`; with a bug where the environment asks for one."""

import sys

from epassport.main import main
from tests.faults.planted import plant
from tests.faults.receiver.service import build

if __name__ == "__main__":
    plant()
    sys.exit(main("tests.faults.receiver", build))
