from epassport_sandbox.measuring import Snapshot, costs, loop_ms, megabytes

START = Snapshot({"kafka": 10.0}, {"kafka": 100_000_000}, 50, 70, 1_000, 5_000, 200, 88.04)
END = Snapshot(
    {"kafka": 12.0, "a: work": 0.5},
    {"kafka": 150_000_000, "a: work": 7_000_000},
    350,
    570,
    11_000,
    25_000,
    2_200,
    176.26,
)


def test_costs_are_what_was_added_since_the_start_for_each_passport() -> None:
    assert costs(START, END, passports=10, seconds=5.0) == {
        "cpu_seconds": {"kafka": 2.0, "a: work": 0.5},
        "cpu_ms_per_passport": {"kafka": 200.0, "a: work": 50.0, "all": 250.0},
        "events_per_second": 60.0,
        "events_per_passport": 30.0,
        "commits_per_passport": 50.0,
        "bytes_per_passport": {"postgres": 1_000, "postgres_log": 2_000, "kafka": 200},
    }


def test_memory_is_told_for_every_process_at_every_moment() -> None:
    assert megabytes({"start": START, "end": END}) == {
        "a: work": {"start": 0, "end": 7},
        "kafka": {"start": 100, "end": 150},
    }


def test_what_the_machine_was_worth_is_told_at_every_moment() -> None:
    assert loop_ms({"start": START, "end": END}) == {"start": 88.0, "end": 176.3}
