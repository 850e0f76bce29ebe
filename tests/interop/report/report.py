"""What the conformance programs in Python have in common: one line on standard output for each check."""
import sys
import traceback


class Skip(Exception):
    """The client has no such call."""


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def one_line(error):
    text = str(error) or type(error).__name__
    return " ".join(text.split())[:300]


def run_checks(checks):
    """Runs (name, function) pairs in their order; the number that failed."""
    failed = 0
    for name, check in checks:
        try:
            check()
            print(f"ok {name}", flush=True)
        except Skip as reason:
            print(f"skip {name}: {one_line(reason)}", flush=True)
        except Exception as error:  # whatever a client throws is a finding
            failed += 1
            print(f"not ok {name}: {one_line(error)}", flush=True)
            traceback.print_exc(file=sys.stderr)
    return failed
