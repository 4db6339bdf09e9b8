"""`python -m tests.conformance.qr.read_back [shots]`: how often a symbol is read back."""

import sys

import zxingcpp

from tests.conformance.qr.symbols import CONDITIONS, Condition, Symbol, our_symbols, shots


def times_read(symbol: Symbol, condition: Condition, number: int) -> int:
    return sum(
        any(seen.text == symbol.text for seen in zxingcpp.read_barcodes(picture))
        for picture in shots(symbol, condition, number)
    )


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    symbols = our_symbols()
    print(f"| condition | | {' | '.join(symbol.name for symbol in symbols)} |")
    print("| --- " * (2 + len(symbols)) + "|")
    for condition in CONDITIONS:
        rates = [f"{times_read(symbol, condition, number)}/{number}" for symbol in symbols]
        print(f"| {condition.name} | {condition.what} | {' | '.join(rates)} |")


if __name__ == "__main__":
    main()
