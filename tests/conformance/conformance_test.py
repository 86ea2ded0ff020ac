"""The tables of tests/conformance: complete, true of the tests that there are, their pages up to
date; and each of these checks can fail.

Prints `N passed, N failed` last.
"""
import os
import sys
import tempfile

import conformance
from conformance import TABLES, Complaints, Tests, check_rows, numbers, pages, parse, read

ROW = "MQTT-1.0.0-1 statement\n  wire attack: case\n"


def complaints(text, wanted=("MQTT-1.0.0-1",), files=None):
    files = {"wire/meson.build": "'attack_test'", "wire/attack_test.py": "def test_case():\n",
             **(files or {})}
    complain = Complaints()
    with tempfile.TemporaryDirectory() as root:
        for path, content in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(content)
        check_rows(parse(text, complain), list(wanted), Tests(root), complain)
    return complain.lines


SUITES = {"unit/a.cc": "BOOST_AUTO_TEST_SUITE(s)\nBOOST_AUTO_TEST_CASE(c) {\n}\n"
                       "BOOST_AUTO_TEST_SUITE_END()\nBOOST_AUTO_TEST_CASE(d) {\n"}
GOOD = [
    (ROW, {}),
    ("# comment\n== section\n\n" + ROW, {}),
    ("MQTT-1.0.0-1 s\n  unit unit: s/c\n  unit unit: d\n", SUITES),
    ("MQTT-1.0.0-1 s\n  golden g: a case, with: all\n",
     {"golden/mqtt/g.txt": "case: a case, with: all\nhex: 00\n"}),
    ("MQTT-1.0.0-1 s\n  n/a client: reason\n", {}),
    ("MQTT-1.0.0-1 s\n  pending: reason\n  wire attack: case\n", {}),
    ("MQTT-1.0.0-1 s\n  fuzz f\n  reply the end\n", {"fuzz/f_fuzz.cc": ""}),
]
BAD = [
    ("", {}), (ROW + ROW, {}), (ROW + ROW.replace("0-1", "0-2"), {}),
    ("MQTT-1.0.0-1\n  wire attack: case\n", {}),
    ("MQTT-1.0.0-1 s\n", {}),
    ("MQTT-1.0.0-1 s\n  pending: reason\n", {}),
    ("MQTT-1.0.0-1 s\n  n/a client\n", {}), ("MQTT-1.0.0-1 s\n  untested:\n", {}),
    ("MQTT-1.0.0-1 s\n  n/a client: a\n  failing: b\n", {}),
    ("MQTT-1.0.0-1 s\n  wired attack: case\n", {}),
    ("  wire attack: case\n" + ROW, {}),
    (ROW.replace("case", "other"), {}), (ROW.replace("attack", "other"), {}),
    (ROW, {"wire/meson.build": "'other_test'"}),
    (ROW, {"wire/attack_test.py": "    def test_case():\n"}),
    ("MQTT-1.0.0-1 s\n  unit unit: c\n", SUITES), ("MQTT-1.0.0-1 s\n  unit unit: s/d\n", SUITES),
    ("MQTT-1.0.0-1 s\n  golden g: a\n", {"golden/mqtt/g.txt": "case: a case\n"}),
    ("MQTT-1.0.0-1 s\n  fuzz f\n", {}),
]


def checks():
    for text, files in GOOD:
        found = complaints(text, files=files)
        yield f"fine: {text!r}: {found}", not found
    for text, files in BAD:
        yield f"refused: {text!r}", complaints(text, files=files)
    yield "out of order", complaints(ROW.replace("0-1", "0-2") + ROW,
                                     ("MQTT-1.0.0-1", "MQTT-1.0.0-2"))
    yield "141 statements", len(numbers(conformance.NUMBERS_311)) == 141
    yield "251 statements", len(TABLES["mqtt-5.0.txt"][1]) == 251
    tests = Tests()
    for name, (title, wanted) in TABLES.items():
        complain = Complaints()
        rows = conformance.load(name, complain)
        check_rows(rows, wanted, tests, complain)
        for line in complain.lines:
            print(line)
        yield f"{title}: rows and tests", not complain.lines
        broken = [row.number for row in rows if row.state == "failing"]
        yield f"{title}: failing: {broken}", not broken
    costs = conformance.measured()
    cases = [conformance.shown(test) for row in conformance.load("attacks.txt", print)
             for test in row.tests if test[0] == "wire"]
    bad = [case for case in cases if case not in costs or costs[case][1] > costs[case][2]]
    yield f"no measured peak within its bound: run conformance.py measure: {bad}", not bad
    for path, text in pages(Complaints()).items():
        good = os.path.exists(path) and read(path) == text
        yield f"{path} is stale: run tests/conformance/conformance.py write", good


def main():
    passed = failed = 0
    for what, good in checks():
        passed, failed = passed + bool(good), failed + (not good)
        if not good:
            print(f"failed: {what}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
