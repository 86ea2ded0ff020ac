"""The tables of what is shown by which test, and their pages.

    conformance.py write            writes tests/CONFORMANCE.md and tests/ATTACKS.md
    conformance.py measure SKALD    runs the wire cases of attacks.txt against a node, notes what
                                    they cost in attack_measured.txt, and writes the pages

Rows are in mqtt-3.1.1.txt, mqtt-5.0.txt and attacks.txt: a line with the number and the statement
in our words, and indented lines below it:

    unit <folder>: <suite>/<case>   a Boost.Test case of tests/<folder>
    golden <file>: <case>           a case of tests/golden/mqtt/<file>.txt, in one version at least
    wire <name>: <case>             test_<case> of tests/wire/<name>_test.py
    fuzz <name>                     tests/fuzz/<name>_fuzz.cc
    n/a <kind>: <reason>            does not apply; tests may show what meets who breaks it
    pending: <what is missing>      its tests wait for that
    untested: <reason>
    failing: <what is wrong>
    reply <what the broker does>    attacks only

A row without one of the four states is tested and needs a test. tests/conformance is the test of
all this: numbers are complete, tests exist, pages are those of the rows.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
STATES = ("tested", "n/a", "pending", "untested", "failing")
KINDS = ("unit", "golden", "wire", "fuzz")

# Section -> its last number in appendix B; those of 2.2.1 begin with 2 in 5.0.
NUMBERS_311 = {
    "1.5.3": 3, "2.2.2": 2, "2.3.1": 7, "3.1.0": 2, "3.1.2": 24, "3.1.3": 11, "3.1.4": 5,
    "3.2.0": 1, "3.2.2": 6, "3.3.1": 12, "3.3.2": 3, "3.3.4": 1, "3.3.5": 2, "3.6.1": 1,
    "3.8.1": 1, "3.8.3": 4, "3.8.4": 6, "3.9.3": 2, "3.10.1": 1, "3.10.3": 2, "3.10.4": 6,
    "3.12.4": 1, "3.14.1": 1, "3.14.4": 3, "4.1.0": 2, "4.3.1": 1, "4.3.2": 2, "4.3.3": 2,
    "4.4.0": 1, "4.5.0": 2, "4.6.0": 6, "4.7.1": 3, "4.7.2": 1, "4.7.3": 4, "4.8.0": 2,
    "6.0.0": 4, "7.0.0": 2, "7.1.1": 1, "7.1.2": 1}
NUMBERS_5 = {
    "1.5.4": 3, "1.5.5": 1, "1.5.7": 1, "2.1.3": 1, "2.2.1": 6, "2.2.2": 1, "3.1.0": 2,
    "3.1.2": 30, "3.1.3": 12, "3.1.4": 6, "3.2.0": 2, "3.2.2": 22, "3.3.1": 13, "3.3.2": 20,
    "3.3.4": 10, "3.4.2": 3, "3.5.2": 3, "3.6.1": 1, "3.6.2": 3, "3.7.2": 3, "3.8.1": 1,
    "3.8.3": 5, "3.8.4": 8, "3.9.2": 2, "3.9.3": 2, "3.10.1": 1, "3.10.3": 2, "3.10.4": 6,
    "3.11.2": 2, "3.11.3": 2, "3.12.4": 1, "3.14.0": 1, "3.14.1": 1, "3.14.2": 4, "3.14.4": 3,
    "3.15.1": 1, "3.15.2": 3, "4.1.0": 2, "4.2.0": 1, "4.3.1": 1, "4.3.2": 5, "4.3.3": 13,
    "4.4.0": 2, "4.5.0": 2, "4.6.0": 6, "4.7.0": 1, "4.7.1": 2, "4.7.2": 1, "4.7.3": 4,
    "4.8.2": 6, "4.9.0": 3, "4.12.0": 7, "4.12.1": 2, "4.13.1": 1, "4.13.2": 1, "6.0.0": 4}


def numbers(sections, first=None):
    return [f"MQTT-{section}-{n}" for section, last in sections.items()
            for n in range((first or {}).get(section, 1), last + 1)]


TABLES = {
    "mqtt-3.1.1.txt": ("MQTT 3.1.1", numbers(NUMBERS_311)),
    "mqtt-5.0.txt": ("MQTT 5.0", numbers(NUMBERS_5, {"2.2.1": 2})),
    "attacks.txt": ("Attacks", [str(n) for n in range(1, 48)]),
}


class Row:
    def __init__(self, number, statement):
        self.number, self.statement, self.section = number, statement, ""
        self.tests, self.state, self.note, self.reply = [], "tested", "", ""


def parse(text, complain):
    """Rows in order; what cannot be understood goes to `complain`."""
    rows, section = [], ""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("== "):
            section = line[3:]
        elif not line.startswith("  "):
            number, _, statement = line.partition(" ")
            rows.append(Row(number, statement))
            rows[-1].section = section
            if not statement:
                complain(f"{number}: no statement")
        elif not rows:
            complain(f"no row for: {line.strip()}")
        else:
            read_detail(rows[-1], line.strip(), complain)
    for row in rows:
        if row.state in ("tested", "pending") and not row.tests:
            complain(f"{row.number}: {row.state} by no test")
    return rows


def read_detail(row, line, complain):
    word, _, rest = line.partition(" ")
    if word in KINDS and rest:
        row.tests.append((word, *[part.strip() for part in rest.partition(":")[::2]]))
    elif word == "reply" and rest:
        row.reply = rest
    elif word in ("n/a", "pending:", "untested:", "failing:"):
        if row.state != "tested" or not rest or (word == "n/a" and ": " not in rest):
            complain(f"{row.number}: a second state, or no reason: {line}")
        row.state, row.note = word.rstrip(":"), rest
    else:
        complain(f"{row.number}: what is: {line}")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def boost_cases(folder):
    """suite/suite/case of all cases of a folder."""
    found = set()
    if not os.path.isdir(folder):
        return found
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".cc"):
            continue
        suites = []
        for kind, word in re.findall(r"^\s*BOOST_(AUTO_TEST_SUITE|AUTO_TEST_SUITE_END|FIXTURE_TEST_"
                                     r"SUITE|AUTO_TEST_CASE|FIXTURE_TEST_CASE|DATA_TEST_CASE)"
                                     r"\((\w*)", read(os.path.join(folder, name)), re.M):
            if kind.endswith("SUITE_END"):
                suites.pop()
            elif kind.endswith("SUITE"):
                suites.append(word)
            else:
                found.add("/".join([*suites, word]))
    return found


class Tests:
    """Which tests there are under `root`."""

    def __init__(self, root=TESTS):
        self.root, self.known = root, {}

    def exists(self, kind, name, case):
        key = (kind, name)
        if key not in self.known:
            self.known[key] = self.cases(kind, name)
        return case in self.known[key]

    def cases(self, kind, name):
        if kind == "unit":
            return boost_cases(os.path.join(self.root, name))
        if kind == "fuzz":
            there = os.path.exists(os.path.join(self.root, "fuzz", f"{name}_fuzz.cc"))
            return {""} if there else set()
        path = (os.path.join(self.root, "golden", "mqtt", f"{name}.txt") if kind == "golden" else
                os.path.join(self.root, "wire", f"{name}_test.py"))
        if not os.path.exists(path):
            return set()
        if kind == "golden":
            return set(re.findall(r"^case: (.*)$", read(path), re.M))
        # A file that no meson.build names is never run.
        run = f"'{name}_test'" in read(os.path.join(self.root, "wire", "meson.build"))
        return set(re.findall(r"^def test_(\w+)\(", read(path), re.M)) if run else set()


def check_rows(rows, wanted, tests, complain):
    got = [row.number for row in rows]
    for number in wanted:
        if got.count(number) != 1:
            complain(f"{number}: {got.count(number)} rows")
    for number in got:
        if number not in wanted:
            complain(f"{number}: no such number")
    if not complain.lines and got != wanted:
        complain("rows are out of order")
    for row in rows:
        for kind, name, case in row.tests:
            if not tests.exists(kind, name, case):
                complain(f"{row.number}: no test: {kind} {name}: {case}")


class Complaints:
    def __init__(self):
        self.lines = []

    def __call__(self, line):
        self.lines.append(line)


def load(name, complain, folder=HERE):
    return parse(read(os.path.join(folder, name)), complain)


# -- pages

def shown(test):
    kind, name, case = test
    return f"{kind} {name}" + (f": {case}" if case else "")


def cell(text):
    return text.replace("|", "\\|")


def counted(rows):
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def conformance_page(tables):
    out = ["# Conformance", "",
           "Every normative statement of MQTT 3.1.1 and 5.0 (appendix B of each), in our words, "
           "and",
           "the tests that show it. Made by `tests/conformance/conformance.py write` from the "
           "files",
           "beside it, which say what the columns mean; a test fails when this page is not theirs.",
           ""]
    for name, rows in tables:
        out.append(f"* {TABLES[name][0]}: {len(rows)} statements: {counted(rows)}")
    for name, rows in tables:
        out += ["", f"## {TABLES[name][0]}"]
        section = None
        for row in rows:
            if row.section != section:
                section = row.section
                out += ["", f"### {section}", "", "| number | statement | state | tests |",
                        "|---|---|---|---|"]
            state = row.state + (f": {row.note}" if row.note else "")
            out.append(f"| {row.number[5:]} | {cell(row.statement)} | {cell(state)} | "
                       f"{cell('<br>'.join(map(shown, row.tests)))} |")
    return "\n".join(out) + "\n"


def measured(folder=HERE):
    """wire case -> (peak bytes, growth in bytes, its bound, worst answer in ms or -1)."""
    found = {}
    path = os.path.join(folder, "attack_measured.txt")
    for line in read(path).splitlines() if os.path.exists(path) else []:
        if not line.startswith("#"):
            name, *values = line.rsplit(" ", 4)
            found[name] = tuple(map(float, values))
    return found


def attack_page(rows, costs):
    out = ["# Attacks", "",
           "The project's list of attack classes: what the broker does, and the tests that show",
           "it. Memory is that of the node's process: its peak during the case, how much that is",
           "more than before it, and what it may be: each run of a case prints these and fails",
           "above the bound. *Others* is the longest that another client of the node waited for",
           "PINGRESP meanwhile; after each case the runner also checks that it is served. Measured",
           "on two busy cores.", "",
           "`./dev asan`, a step of `./dev check`, runs all of them against a node with ASan and",
           "UBSan, which end it at the first error; a node that ends, or exits with another code",
           "than 0, fails its case. Bounds of memory and time are larger there, for the reason",
           "that `slack` of `tests/wire/harness.py` gives.", "",
           "Made by `tests/conformance/conformance.py` from the files beside it.", "",
           f"{len(rows)} classes: {counted(rows)}", "",
           "| class | what | reply | test | peak, MB | more, MB | bound, MB | others, ms |",
           "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        reply = row.reply if not row.note else f"{row.reply} {row.state}: {row.note}".strip()
        lines = [shown(test) for test in row.tests] or [""]
        known = [costs.get(line) for line in lines]
        known = [cost if cost and cost[0] else None for cost in known]  # 0: no node was started
        columns = [[f"{cost[i] / unit:.1f}" if cost and cost[i] >= 0 else "" for cost in known]
                   for i, unit in ((0, 1 << 20), (1, 1 << 20), (2, 1 << 20), (3, 1))]
        out.append(f"| {row.number} | {cell(row.statement)} | {cell(reply)} | "
                   + " | ".join("<br>".join(column) for column in [lines, *columns]) + " |")
    return "\n".join(out) + "\n"


def pages(complain):
    """Path -> text of each page."""
    tables = [(name, load(name, complain)) for name in TABLES]
    return {
        os.path.join(TESTS, "CONFORMANCE.md"): conformance_page(tables[:2]),
        os.path.join(TESTS, "ATTACKS.md"): attack_page(tables[2][1], measured()),
    }


def measure(node):
    """Runs the wire files of attacks.txt; harness.py notes what each case costs."""
    rows = load("attacks.txt", print)
    wanted = {shown(test) for row in rows for test in row.tests if test[0] == "wire"}
    costs = measured()
    with tempfile.TemporaryDirectory() as folder:
        notes = os.path.join(folder, "notes")
        for name in sorted({line.split(":")[0].split()[1] for line in wanted}):
            subprocess.run([sys.executable, os.path.join(TESTS, "wire", f"{name}_test.py"), node],
                           env={**os.environ, "SKALD_WIRE_COSTS": notes}, check=False)
        fresh = {}
        for line in read(notes).splitlines():
            case, *values = line.rsplit(" ", 4)
            values = tuple(map(float, values))
            if case in wanted:  # the worst of the configurations
                fresh[case] = tuple(map(max, zip(values, fresh.get(case, values))))
    costs = {case: fresh.get(case, costs.get(case)) for case in sorted(wanted)}
    with open(os.path.join(HERE, "attack_measured.txt"), "w", encoding="utf-8") as file:
        file.write("# case; in bytes: peak, growth, bound; longest wait of another client in ms\n")
        for case, values in costs.items():
            if values:
                file.write(f"{case} {values[0]:.0f} {values[1]:.0f} {values[2]:.0f} "
                           f"{values[3]:.1f}\n")


def main():
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "measure" and len(sys.argv) > 2:
        measure(sys.argv[2])
    elif command != "write":
        print(__doc__)
        return 1
    complain = Complaints()
    for path, text in pages(complain).items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    for line in complain.lines:
        print(line)
    return 1 if complain.lines else 0


if __name__ == "__main__":
    sys.exit(main())
