"""`python -m enrollment <command>`."""

import sys

from enrollment.service import build
from epassport.main import main

if __name__ == "__main__":
    sys.exit(main("enrollment", build))
