"""Prints `N passed, N failed` from meson's testlog.json: the last line of ./dev test.

A Boost.Test executable counts its cases (it reports them under BOOST_TEST_REPORT_LEVEL=short), a
script its own `N passed, N failed` line, anything else counts as one by its exit code. A test that
ends badly without having counted a failure (a crash, a time-out) adds one failed.
"""
import json
import re
import sys

BOOST = re.compile(r"^ +(\d+) test cases? out of \d+ (passed|failed|skipped)", re.M)
SCRIPT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)


def count(test):
    """(passed, failed, skipped) of one entry of the log."""
    output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    sums = {"passed": 0, "failed": 0, "skipped": 0}
    boost, script = BOOST.findall(output), SCRIPT.findall(output)
    if boost:
        for number, what in boost:
            sums[what] += int(number)
    elif script:
        passed, failed, skipped = script[-1]
        sums = {"passed": int(passed), "failed": int(failed), "skipped": int(skipped or 0)}
    elif test["result"] == "SKIP":
        sums["skipped"] = 1
    elif test["result"] == "OK":
        sums["passed"] = 1
    if test["result"] not in ("OK", "SKIP") and sums["failed"] == 0:
        sums["failed"] = 1
    return sums["passed"], sums["failed"], sums["skipped"]


def main(path):
    try:
        with open(path, encoding="utf-8") as log:
            tests = [json.loads(line) for line in log if line.strip()]
    except OSError as error:
        print(f"no test has run: {error}")
        tests = [{"result": "ERROR"}]
    for test in tests:
        if test["result"] not in ("OK", "SKIP"):
            print(f"{test['result']}: {test.get('name', 'the test runner')}")
    passed, failed, skipped = (sum(column) for column in zip((0, 0, 0), *map(count, tests)))
    if skipped:
        print(f"{skipped} skipped: what they need is not here")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
