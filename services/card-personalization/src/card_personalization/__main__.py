"""`python -m card_personalization <command>`."""

import sys

from card_personalization.service import build
from epassport.main import main

if __name__ == "__main__":
    sys.exit(main("card_personalization", build))
