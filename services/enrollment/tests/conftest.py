"""Lets the tests of this folder share `counter`, the persons and papers they speak of."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
