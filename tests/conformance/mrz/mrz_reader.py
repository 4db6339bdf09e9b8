"""Runs beside the package mrz, in its own environment: answers one JSON line with one."""

import json
import sys
from collections.abc import Callable
from typing import Any

from mrz.base.functions import transliterate
from mrz.checker.td1 import TD1CodeChecker
from mrz.checker.td3 import TD3CodeChecker
from mrz.generator._transliterations import cyrillic
from mrz.generator.td1 import TD1CodeGenerator
from mrz.generator.td3 import TD3CodeGenerator

CHECKERS = {"TD1": TD1CodeChecker, "TD3": TD3CodeChecker}
GENERATORS = {"TD1": TD1CodeGenerator, "TD3": TD3CodeGenerator}
READ = ("surname", "name", "document_number", "birth_date", "sex", "expiry_date", "nationality")


def read(asked: dict[str, Any]) -> dict[str, str]:
    """Expired documents and old people are no matter of form: they are not asked about."""
    checker = CHECKERS[asked["kind"]]("\n".join(asked["lines"]), check_expiry=False)
    if not checker:
        raise ValueError(str(checker.report.falses))
    fields = checker.fields()
    return {name: getattr(fields, name) for name in READ}


def write(asked: dict[str, Any]) -> list[str]:
    return str(GENERATORS[asked["kind"]](**asked["fields"])).split("\n")


def transliterated(asked: dict[str, Any]) -> str:
    return str(transliterate(asked["name"], cyrillic()))


ANSWERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "read": read,
    "write": write,
    "transliterate": transliterated,
}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said = {"answer": ANSWERS[asked["do"]](asked)}
        except Exception as refusal:  # noqa: BLE001 the library raises whatever comes
            said = {"refused": f"{type(refusal).__name__}: {refusal}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
