"""Runs one target inside the environment of atheris: `with_atheris.py TARGET libfuzzer-options`."""

import sys

import atheris

with atheris.instrument_imports(include=["epassport_credentials"]):
    from tests.fuzz.targets import TARGETS, one_input


def main() -> None:
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: one_input(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
