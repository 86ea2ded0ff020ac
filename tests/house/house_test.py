"""Proves that each rule of tools/tidy.py can fail, that the tree keeps them all, and that tests are
counted as they went.

Prints `N passed, N failed` last.
"""
import contextlib
import io
import json
import os
import re
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import count_tests  # noqa: E402
import tidy  # noqa: E402

HEADER = "// What it is.\n#pragma once\n"
# A small tree that keeps all rules: the bad file of a case is put on top of it.
CLEAN = {
    "kv/raft/meson.build": "files('raft.cc')\n",
    "kv/raft/raft.h": HEADER,
    "kv/raft/raft.cc": '#include "kv/raft/raft.h"\n',
    "tests/raft/meson.build": "files('raft_test.cc')\n",
    "tests/raft/raft_test.cc": '#include "kv/raft/raft.h"\n',
}
LONG_BODY = "  step();\n" * 70
RAFT = "kv/raft/raft.cc"
TEST = "tests/raft/raft_test.cc"

# (rule, file, its text): refused with that rule.
REFUSED = [
    ("layer", RAFT, '#include "mqtt/a.h"\n'),
    ("layer", "config/a.cc", '#include "kv/raft/raft.h"\n'),
    ("layer", "gossip/a.cc", '#include "kv/raft/raft.h"\n'),
    ("include-path", RAFT, '#include "raft.h"\n'),
    ("include-path", RAFT, '#include "absl/hash/hash.h"\n'),
    ("include-path", RAFT, '#include "kv/raft/no.h"\n'),
    ("caf", RAFT, "#include <caf/actor.hpp>\n"),
    ("caf", "tools/a.cc", "#include <caf/actor.hpp>\n"),
    ("leveldb", RAFT, "#include <leveldb/db.h>\n"),
    ("leveldb", "actors/a.cc", "#include <leveldb/db.h>\n"),
    ("toml", RAFT, "#include <toml++/toml.h>\n"),
    ("toml", "config/a.h", HEADER + "#include <toml++/toml.h>\n"),
    ("capnp-rpc", "actors/a.cc", "#include <kj/async-io.h>\n"),
    ("capnp-rpc", RAFT, "#include <capnp/rpc.h>\n"),
    ("capnp", RAFT, "#include <kj/array.h>\n"),
    ("capnp", RAFT, '#include "kv/raft/raft.capnp.h"\n'),
    ("command-line", RAFT, "#include <CLI/CLI.hpp>\n"),
    ("socket", RAFT, "#include <sys/socket.h>\n"),
    ("socket", "mqtt/a.cc", "#include <event2/event.h>\n"),
    ("thread", RAFT, "#include <thread>\n"),
    ("thread", "kv/store/log.cc", "std::thread t;\n"),
    ("lock", RAFT, "#include <mutex>\n"),
    ("thread", RAFT, "std::jthread worker;\n"),
    ("lock", RAFT, "std::atomic<int> a;\n"),
    ("clock", RAFT, "#include <chrono>\n"),
    ("clock", "kv/raft/raft.h", HEADER + "clock_gettime(CLOCK_BOOTTIME, &t);\n"),
    ("random", RAFT, "std::mt19937 r;\n"),
    ("random", TEST, "std::random_device r;\n"),
    ("environment", "actors/a.cc", 'getenv("HOME");\n'),
    ("stdio", RAFT, "#include <iostream>\n"),
    ("file", RAFT, "#include <fstream>\n"),
    ("throw", RAFT, "throw 1;\n"),
    ("capture", "actors/a.cc", "auto f = [=] { return 1; };\n"),
    ("capture", "actors/a.cc", "auto f = [=, this](int a) { return a; };\n"),
    ("using-namespace", "kv/raft/raft.h", HEADER + "using namespace std;\n"),
    ("boost-included", TEST, "#include <boost/test/included/unit_test.hpp>\n"),
    ("sleep", TEST, "usleep(10);\n"),
    ("sleep", TEST, "std::this_thread::sleep_for(a);\n"),
    ("columns", RAFT, "//" + "x" * 99 + "\n"),
    ("columns", "dev", "x" * 101 + "\n"),
    ("marker", RAFT, "// TODO: later\n"),
    ("marker", "kv/raft/meson.build", "files('raft.cc') # FIXME\n"),
    ("file-length", RAFT, "\n" * 801),
    ("opening-comment", "kv/raft/raft.h", "#pragma once\n"),
    ("pragma-once", "kv/raft/raft.h", "// What it is.\n"),
    ("unreferenced", "kv/raft/lost.cc", ""),
    ("unreferenced", "kv/raft/lost.h", HEADER),
    ("unreferenced", "kv/raft/lost.capnp", ""),
    ("unreferenced", "tools/lost.py", ""),
    ("function-length", RAFT, "void f() {\n" + LONG_BODY + "}\n"),
    ("function-length", RAFT,
     "class A {\n public:\n  A(int a) : a_(a) {\n" + LONG_BODY + "  }\n};\n"),
    ("function-length", RAFT, "auto A::f(int a = 1) const -> int {\n" + LONG_BODY + "}\n"),
    ("function-length", RAFT, "bool operator==(A a, A b) {\n" + LONG_BODY + "}\n"),
    ("function-length", RAFT, "void f() {\n  auto g = [a](int b) {\n" + LONG_BODY + "  };\n}\n"),
    ("function-length", TEST, "BOOST_AUTO_TEST_CASE(a) {\n" + LONG_BODY + "}\n"),
    ("hash-iteration", RAFT, "std::unordered_map<int, A> m_;\nfor (auto& [a, b] : m_) f();\n"),
    ("hash-iteration", RAFT,
     "absl::flat_hash_map<Id, std::vector<A>> m_;\nfor (auto a : m_) f();\n"),
    ("hash-iteration", RAFT, "std::unordered_set<A> all;\nf(all.begin());\n"),
    ("hash-iteration", RAFT, "using Map =\n    std::unordered_map<A, B>;\nMap m;\n"
     "for (auto& a : state.m) f();\n"),
    ("untested", "balancers/a.cc", ""),
]

# (file, its text): not refused, though it looks alike.
ACCEPTED = [
    (RAFT, "// <caf/actor.hpp>, std::thread, throw and [=] are only talked about\n"),
    (RAFT, 'auto a = "throw std::mutex";\n'),
    (RAFT, "bool a = b[i] == c;\nauto f = [a, &b](int c) { return c; };\n"),
    (RAFT,
     "std::unordered_map<int, A> m;\nauto found = m.find(1);\nfor (auto& a : v) f(m.end());\n"),
    (RAFT, "void f() {\n" + "  step();\n" * 68 + "}\n"),
    (RAFT, "namespace a {\n" + "void f() {}\n" * 80 + "}\n"),
    (RAFT, "struct A {\n" + "  int a = f(1);\n" * 80 + "};\n"),
    (RAFT, "constexpr A kAll[] = {\n" + "    {a(1)},\n" * 80 + "};\n"),
    (RAFT, "// " + "x" * 97 + "\n"),
    (RAFT, "\n" * 700),
    ("kv/store/disk_env.h", HEADER + "#include <mutex>\n"),
    ("tests/raft/raft_test.cc", '#include "kv/raft/raft.h"\nvoid f() { throw 1; }\n'),
]

# (what the runner wrote down, what it counts as)
COUNTED = [
    ({"result": "OK", "stdout": "Running 6 test cases...\n", "stderr":
      'Test module "a" has passed with:\n  6 test cases out of 6 passed\n  9 assertions out of 9 '
      "passed\n"}, (6, 0, 0)),
    ({"result": "FAIL", "stderr":
      'Test module "a" has failed with:\n  2 test cases out of 7 passed\n  1 test case out of 7 '
      "passed with warnings\n  3 test cases out of 7 failed\n  1 test case out of 7 skipped\n"
      "  2 test cases out of 7 aborted\n"}, (3, 3, 1)),
    ({"result": "FAIL", "stdout": "Running 6 test cases...\nAborted\n"}, (0, 1, 0)),
    ({"result": "TIMEOUT", "stdout": "3 passed, 0 failed\n"}, (3, 1, 0)),
    ({"result": "OK", "stdout": "a\n4 passed, 0 failed, 2 skipped\n"}, (4, 0, 2)),
    ({"result": "OK", "stdout": "fine\n"}, (1, 0, 0)),
    ({"result": "SKIP"}, (0, 0, 1)),
    ({"result": "ERROR"}, (0, 1, 0)),
]


def complaints(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        checked = tidy.Tidy(root)
        checked.run()
        return checked.complaints


def check_rules():
    yield "a clean tree", complaints(CLEAN) == []
    for rule, path, text in REFUSED:
        found = complaints({**CLEAN, path: text})
        refused = any(re.match(rf"{re.escape(path)}:\d+: {rule}: ", line) for line in found)
        yield f"{rule} in {path}: {text[:60]!r}", refused
    for path, text in ACCEPTED:
        rules = [line for line in complaints({**CLEAN, path: text}) if "unreferenced" not in line]
        yield f"{path} is fine: {text[:60]!r} {rules}", not rules
    with open(os.path.join(ROOT, "tools", "tidy.py"), encoding="utf-8") as file:
        rules = set(re.findall(r'complain\("([\w-]+)"', file.read())) | {b.rule for b in tidy.BANS}
    yield f"all rules are tried: {rules}", rules == {rule for rule, _, _ in REFUSED}


def check_counting():
    for entry, expected in COUNTED:
        yield f"{entry} counts {expected}", count_tests.count(entry) == expected
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "testlog.json")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            codes = [count_tests.main(log)]
            with open(log, "w", encoding="utf-8") as file:
                file.write(json.dumps({"name": "a", "result": "OK"}) + "\n")
            codes.append(count_tests.main(log))
        yield "no log is a failure", codes == [1, 0] and "0 passed, 1 failed\n" in out.getvalue()


def check_tree():
    tree = tidy.Tidy(ROOT)
    tree.run()
    for line in tree.complaints:
        print(line)
    yield "the tree keeps the rules", not tree.complaints


def main():
    passed = failed = 0
    for what, good in [*check_rules(), *check_counting(), *check_tree()]:
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"failed: {what}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
