"""`python -m verification <command>`."""

import sys

from epassport.main import main
from verification.service import build

if __name__ == "__main__":
    sys.exit(main("verification", build))
