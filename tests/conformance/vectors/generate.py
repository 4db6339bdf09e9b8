"""`python -m tests.conformance.vectors.generate v2`: write a new version of our vectors.

A version once published is never written again: readers, ours and others', keep reading it.
Each case says beforehand what every stage must answer; what the code answers is compared
before anything is written.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.vectors import (
    cards,
    chip_data,
    chips,
    lists,
    messages,
    online,
    phones,
    travel_lines,
)
from tests.conformance.vectors.case import Case
from tests.conformance.vectors.judging import judge
from tests.conformance.vectors.world import context, world_of

HERE = Path(__file__).parent


def all_cases() -> Mapping[str, Sequence[Case]]:
    return {
        "card-qr": cards.cases(),
        "mobile-qr": phones.cases(),
        "cose-sign1": messages.cases(),
        "status-list": lists.status_lists(),
        "trust-list": lists.trust_lists(),
        "offline-pack": lists.offline_packs(),
        "mrz": travel_lines.cases(),
        "status-history": online.histories(),
        "sd-jwt-vc": online.credentials(),
        "openid4vp-request": online.requests(),
        "openid4vp-response": online.responses(),
        "lds": chip_data.single_files(),
        "chip-files": chip_data.whole_chips(),
        "chip": chips.conversations(),
    }


def main() -> None:
    folder = HERE / sys.argv[1]
    if folder.exists():
        sys.exit(f"{folder.name} is published: choose the next number")
    surroundings = context()
    world = world_of(surroundings)
    wrong = []
    for form, cases in all_cases().items():
        for case in cases:
            answered = judge(form, case.inputs, case.now, world)
            if answered != case.stages:
                wrong.append(f"{form}, {case.name}: {answered} and not {case.stages}")
    if wrong:
        sys.exit("\n".join(wrong))
    folder.mkdir()
    _write(folder / "context.json", surroundings)
    for form, cases in all_cases().items():
        _write(folder / f"{form}.json", {"cases": [case.written() for case in cases]})


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
