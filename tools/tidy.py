#!/usr/bin/env python3
"""The rules of the house that a machine can check; a test (tests/house) and `./dev tidy`.

Usage: tidy.py [ROOT]. Prints one complaint a line, `path:line: rule: what to do`, and what is near
a limit; exits with 1 when there is a complaint. Exceptions stand in EXCEPTIONS, with their reason.
"""
import collections
import fnmatch
import os
import re
import sys

# Who may include whom. tests/ may include all.
LAYERS = {
    "config": {"config"},
    "kv": {"config", "kv"},
    "gossip": {"config", "gossip"},
    "balancers": {"config", "kv", "balancers"},
    "mqtt": {"config", "kv", "mqtt"},
    "actors": {"config", "kv", "gossip", "balancers", "mqtt", "actors"},
    "tools": {"config", "kv", "gossip", "balancers", "mqtt", "actors", "tools"},
}
CORES = ["config/*", "kv/*", "gossip/*", "balancers/*", "mqtt/*"]
CODE = [*CORES, "actors/*", "tools/*", "tests/*"]
WITH_TESTS = ["kv", "gossip", "balancers", "mqtt"]

Ban = collections.namedtuple("Ban", "rule pattern where but instead")
# Patterns are searched line by line, with comments and the insides of strings blanked.
BANS = [
    Ban("caf", r"#include <caf/", CODE, ["actors/*", "tests/actors/*"],
        "CAF stays in actors/; a core returns what to do"),
    Ban("leveldb", r"#include <leveldb/", CODE, ["kv/store/*", "tests/store/*"],
        "use the engine interface of kv/store/"),
    Ban("toml", r"#include <toml\+\+/", CODE, ["config/*.cc"], "use config/load.h"),
    Ban("capnp-rpc", r"#include <(capnp/rpc|capnp/ez-rpc|kj/async)", CODE, ["actors/rpc/*"],
        "RPC stays in actors/rpc/"),
    Ban("capnp", r'#include (<(capnp|kj)/|"[^"]*\.capnp\.h")', CODE,
        ["actors/*", "*codec*.cc", "mqtt/wire/*.cc", "tests/*"],
        "turn it into plain structs in the codec file of its schema"),
    Ban("command-line", r"#include <CLI/", CODE, ["tools/*"], "take options by arguments"),
    Ban("socket", r"#include <(sys/socket|netinet/|sys/epoll|sys/eventfd|poll\.h|event2/)", CORES,
        ["kv/store/*env*"], "bytes come in and go out by arguments; sockets live in actors/"),
    Ban("thread", r"#include <(thread|future|pthread\.h|stop_token)>|\bstd::(j?thread|async)\b",
        CORES, ["kv/store/*env*"], "cores are single-threaded values; threads live in actors/"),
    Ban("lock", r"#include <(mutex|shared_mutex|condition_variable|semaphore|latch|atomic)>|"
        r"\bstd::(mutex|shared_mutex|atomic\w*|condition_variable)\b", CORES, ["kv/store/*"],
        "cores are single-threaded values; share by publishing snapshots, from actors/"),
    Ban("clock", r"#include <(chrono|ctime|time\.h|sys/time\.h)>|\b(clock_gettime|gettimeofday)\b",
        CORES, ["kv/store/*env*"], "take ticks or stamps by arguments"),
    Ban("random", r"\b(random_device|mt19937|s?rand\(|default_random_engine|drand48)", CODE,
        ["tools/*", "actors/*"], "use skald::Random (config/base/random.h), seeded by the caller"),
    Ban("environment", r"\bgetenv\b|\benviron\b", CODE, ["tools/*", "tests/*"],
        "config::load takes the environment by argument"),
    Ban("stdio", r"#include <iostream>|\bstd::f?printf\b|\bstd::puts\b", CORES,
        ["config/base/assert.cc"], "return it; the shell logs"),
    Ban("file", r"#include <(fstream|filesystem)>|\bfopen\b", CORES,
        ["config/file.cc", "kv/store/*"], "bytes come in by arguments; files live in kv/store/"),
    Ban("throw", r"\bthrow\b", CODE, ["tests/*"], "return a Result or a Status"),
    Ban("capture", r"\[=", CODE, [], "list what is captured"),
    Ban("using-namespace", r"\busing namespace\b", ["*.h"], [], "name it, or alias it in the .cc"),
    Ban("boost-included", r"#include <boost/test/included/", CODE, [],
        "link Boost.Test: its included/ header costs 10 s a file"),
    Ban("sleep", r"\b(u|nano)?sleep(_for|_until)?\s*\(", ["tests/*.cc", "tests/*.h"],
        ["tests/wire/*", "tests/chaos/*", "tests/bench/*"], "drive time by ticks"),
]

# (rule, path pattern): why it is allowed there.
EXCEPTIONS = {
    ("pragma-once", "*_pch.h"): "a precompiled header is compiled as a main file",
    ("untested", "mqtt/publication.cc"): "its users test it: tests/session, tests/dispatch",
    ("untested", "mqtt/publication_codec.cc"): "its users test it: tests/retain",
    ("lock", "mqtt/publication.h"): "counts references to payloads that loops share",
    ("lock", "mqtt/topic/counted.h"): "counts references to route snapshots that loops share",
    ("marker", "tools/tidy.py"): "names the words it looks for",
    ("marker", "tests/house/*"): "holds examples of what is refused",
}

MAX_COLUMNS = 100
MAX_FUNCTION_LINES = 70
LISTED_FILE_LINES = 500
MAX_FILE_LINES = 800
SOURCES = (".h", ".cc", ".py", ".capnp")
NOT_A_FUNCTION = re.compile(r"^(if|else|for|while|switch|do|try|catch|namespace|class|struct|union|"
                            r"enum|extern|return|case|default)\b")
HASH_MAP = r"(?:std::unordered_(?:multi)?|absl::(?:flat|node)_hash_)(?:map|set)\b"


def matches(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def blanked(text):
    """The text with comments and the insides of literals as spaces; lines stay where they are."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|(?<![\w])\'(?:\\.|[^\'\\\n])+\'|'
                       r'#include "[^"\n]*"|"(?:\\.|[^"\\\n])*"', re.S)

    def blank(found):
        token_text = found.group(0)
        if token_text.startswith("#include"):
            return token_text
        return re.sub(r"[^\n]", " ", token_text)
    return token.sub(blank, text)


def functions(code):
    """(name, first line, length in lines) of each function body in blanked code."""
    stack, head_start = [], 0
    for at in re.finditer(r"[{};]|^#.*$", code, re.M):
        if at.group() == "{":
            head = code[head_start:at.start()]
            stripped = re.sub(r"^\s*((public|private|protected):\s*)?", "", head)
            first = head_start + len(head) - len(stripped)
            # A lambda or an initialiser belongs to the function around it.
            plain = re.sub(r"operator\W+\(|[=!<>]=", "(", stripped.split(") :")[0])
            is_function = ("(" in plain and "=" not in re.sub(r"\([^()]*\)", "", plain)
                           and "[" not in re.sub(r"\w\[|\[\[.*?\]\]", "", plain)
                           and not NOT_A_FUNCTION.match(stripped))
            name = re.search(r"(operator\W+|[\w~:]+)\s*\(", stripped)
            stack.append((name.group(1) if is_function and name else None, first))
        elif at.group() == "}" and stack:
            name, first = stack.pop()
            if name:
                line = code.count("\n", 0, first) + 1
                yield name, line, code.count("\n", first, at.start()) + 1
        head_start = at.end()


def hash_maps(code):
    """Names of variables of a hash map type, as far as a regular expression can tell."""
    aliases = re.findall(r"using (\w+) =\s*" + HASH_MAP, code)
    kinds = "|".join([HASH_MAP + r"\s*<[^;{}()]*>", *(rf"\b{alias}\b" for alias in aliases)])
    return set(re.findall(rf"(?:{kinds})\s*[&*]?\s+(\w+)\s*[;{{=,)]", code))


class Tidy:
    def __init__(self, root):
        self.root = root
        self.complaints = []
        self.near = []
        self.files = {}
        for folder, names, files in os.walk(root):
            names[:] = [n for n in names if not n.startswith((".", "build", "data", "__"))]
            for name in files:
                path = os.path.relpath(os.path.join(folder, name), root)
                if name.endswith(SOURCES) or name in ("meson.build", "dev"):
                    with open(os.path.join(root, path), encoding="utf-8") as file:
                        self.files[path] = file.read()
        self.code = {path: blanked(text) for path, text in self.files.items()
                     if path.endswith((".h", ".cc"))}
        self.included = {name for text in self.code.values()
                         for name in re.findall(r'#include "([^"]+)"', text)}

    def complain(self, rule, path, line, what):
        if not any(rule == r and fnmatch.fnmatch(path, p) for r, p in EXCEPTIONS):
            self.complaints.append(f"{path}:{line}: {rule}: {what}")

    def run(self):
        for path in sorted(self.files):
            self.shape(path)
            self.referenced(path)
            if path in self.code:
                self.bans(path)
                self.includes(path)
                self.function_lengths(path)
                self.hash_iteration(path)
                self.has_test(path)

    def shape(self, path):
        lines = self.files[path].splitlines()
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS:
                self.complain("columns", path, number, f"{len(line)}, at most {MAX_COLUMNS}")
            if re.search(r"\b(FIXME|TODO|XXX)\b", line):
                self.complain("marker", path, number, "do it, or say it in an issue")
        if len(lines) > MAX_FILE_LINES:
            self.complain("file-length", path, 1, f"{len(lines)} lines: find the second concept")
        elif len(lines) > LISTED_FILE_LINES:
            self.near.append(f"{path}: {len(lines)} lines")
        if path.endswith(".h"):
            if not lines or not lines[0].startswith("// "):
                self.complain("opening-comment", path, 1, "say what it is, who owns it, invariants")
            if "#pragma once" not in lines:
                self.complain("pragma-once", path, 1, "add #pragma once")

    def referenced(self, path):
        folder, name = os.path.split(path)
        if path.endswith((".cc", ".capnp")):
            while True:
                build = self.files.get(os.path.join(folder, "meson.build"), "")
                stem = os.path.splitext(os.path.relpath(path, folder or "."))[0]
                # A list that is looped over holds stems, that of the fuzz targets less than that.
                stem = re.escape(stem.removesuffix("_fuzz")) + "(_fuzz)?"
                if re.search(rf"'{stem}(\.\w+)?'", build):
                    return
                if not folder:
                    break
                folder = os.path.dirname(folder)
            self.complain("unreferenced", path, 1, "no meson.build names it")
        elif path.endswith(".h") and path not in self.included:
            if not matches(path, ["*_pch.h"]):
                self.complain("unreferenced", path, 1, "nothing includes it")
        elif path.endswith(".py"):
            stem = re.escape(name[:-3])
            if not any(re.search(rf"\b{stem}\b", text) for other, text in self.files.items()
                       if other != path and not other.endswith((".h", ".cc"))):
                self.complain("unreferenced", path, 1, "no meson.build or script names it")

    def bans(self, path):
        for ban in BANS:
            if not matches(path, ban.where) or matches(path, ban.but):
                continue
            for number, line in enumerate(self.code[path].splitlines(), 1):
                if re.search(ban.pattern, line):
                    self.complain(ban.rule, path, number, ban.instead)

    def includes(self, path):
        layer = path.split("/")[0]
        for number, line in enumerate(self.code[path].splitlines(), 1):
            found = re.match(r'#include "([^"]+)"', line)
            if not found:
                continue
            target = found.group(1)
            if target.split("/")[0] not in {*LAYERS, "tests"}:
                self.complain("include-path", path, number,
                              f"{target}: ours from the root, all others in <>")
                continue
            if target not in self.files and target.removesuffix(".h") not in self.files:
                self.complain("include-path", path, number, f"{target}: write it from the root")
            if layer in LAYERS and target.split("/")[0] not in LAYERS[layer]:
                self.complain("layer", path, number, f"{layer}/ must not know {target}")

    def function_lengths(self, path):
        for name, line, length in functions(self.code[path]):
            if length > MAX_FUNCTION_LINES:
                self.complain("function-length", path, line,
                              f"{name} has {length} lines, at most {MAX_FUNCTION_LINES}")

    def hash_iteration(self, path):
        if not matches(path, CORES):
            return
        code = self.code[path]
        names = hash_maps(code) | hash_maps(self.code.get(path.removesuffix(".cc") + ".h", ""))
        for name in names:
            loop = rf"for \([^;()]*:\s*(?:[\w>.()-]+(?:\.|->))?{name}\)|\b{name}(?:\.|->)c?begin\("
            for found in re.finditer(loop, code):
                self.complain("hash-iteration", path, code.count("\n", 0, found.start()) + 1,
                              f"the order of {name} differs between runs; use an ordered container")

    def has_test(self, path):
        parts = path.split("/")
        if parts[0] not in WITH_TESTS or not path.endswith(".cc"):
            return
        tests = f"tests/{parts[-2]}/"
        if not any(other.startswith(tests) and other.endswith(".cc") for other in self.files):
            self.complain("untested", path, 1, f"{tests} has no test")


def main():
    tidy = Tidy(sys.argv[1] if len(sys.argv) > 1 else
                os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    tidy.run()
    for line in tidy.near:
        print(f"near a limit: {line}")
    for line in tidy.complaints:
        print(line)
    print(f"tidy: {len(tidy.files)} files, {len(tidy.complaints)} complaints")
    return 1 if tidy.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
