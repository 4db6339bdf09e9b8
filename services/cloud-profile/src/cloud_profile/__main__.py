"""`python -m cloud_profile <command>`."""

import sys

from cloud_profile.service import build
from epassport.main import main

if __name__ == "__main__":
    sys.exit(main("cloud_profile", build))
