"""`python -m biometrics <command>`."""

import sys

from biometrics.service import build
from epassport.main import main

if __name__ == "__main__":
    sys.exit(main("biometrics", build))
