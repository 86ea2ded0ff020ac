#!/usr/bin/env python3
"""`./dev bench`: Skald beside Mosquitto on this machine, with the ratios that must hold.

Each run gets a fresh broker on one core and the load generator on another; runs of the brokers
take turns. Figures are medians with the least and the most. Exits with 1 when a gate does not hold.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import brokers
import scenarios

SKALD, MOSQUITTO, TWO_LOOPS = "skald", "mosquitto", "skald, 2 loops"
DISTURBED = 0.15  # of a core, by other processes
ROW = "{:<26} {:<15} {:>26} {:>7} {:>6} {:>11} {:>10}  {}"


class Bench:
    def __init__(self, options):
        self.options = options
        self.paths = brokers.find_paths(options.skald)
        cpus = sorted(os.sched_getaffinity(0))
        self.pinned = len(cpus) >= 2
        self.broker_cpus = cpus[:1] if self.pinned else None
        self.generator_cpus = cpus[1:2] if self.pinned else None
        self.failures = []
        self.others_most = 0.0
        self.record = {"runs": []}

    # One run.

    def generate(self, pid, port, arguments):
        """Runs the load generator once; gives its figures."""
        command = [self.paths["skald"], "bench", *arguments, "--port", str(port), "--broker-pid",
                   str(pid), "--quiet"]
        if self.pinned:
            command = ["taskset", "-c", ",".join(map(str, self.generator_cpus)), *command]
        with tempfile.NamedTemporaryFile(prefix="skald-bench-", suffix=".json") as out:
            done = subprocess.run([*command, "--json", out.name], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, timeout=300, check=False)
            text = out.read()
        if not text:
            raise brokers.BrokerFailed(f"{' '.join(command)}: {done.stderr.strip()}")
        return json.loads(text)

    def run(self, broker, arguments):
        cpus = self.broker_cpus
        if broker == TWO_LOOPS and self.pinned:
            cpus = self.broker_cpus + self.generator_cpus
        with brokers.serving(broker, self.paths, cpus) as (pid, port):
            before = self.machine(pid)
            figures = self.generate(pid, port, arguments)
            figures["others"] = self.others(before, self.machine(pid))
        self.record["runs"].append({"broker": broker, "arguments": arguments, **figures})
        return figures

    @staticmethod
    def machine(pid):
        """(now, CPU seconds of everybody, CPU seconds of broker and generators so far)."""
        with open("/proc/stat", encoding="ascii") as stat:
            fields = [int(field) for field in stat.readline().split()[1:9]]
        busy = (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = children.ru_utime + children.ru_stime + brokers.cpu_seconds(pid)
        return time.monotonic(), busy, ours

    def others(self, before, after):
        """What neither broker nor generator used, in cores: a run with much of it is disturbed."""
        seconds, busy, ours = (b - a for a, b in zip(before, after))
        share = max(0.0, (busy - ours) / seconds)
        self.others_most = max(self.others_most, share)
        return share

    def runs(self, names, arguments):
        """The figures of each broker, run in turns."""
        figures = {name: [] for name in names}
        for _ in range(self.options.runs):
            for name in names:
                figures[name].append(self.run(name, arguments))
                print(".", end="", file=sys.stderr, flush=True)
        print(end="\r", file=sys.stderr, flush=True)
        return figures

    # Tables.

    def gate(self, what, value, limit):
        """The words for a gate that `value` is under, and a note of it when it is not."""
        if limit is None:
            return ""
        if value <= limit:
            return "PASS"
        self.failures.append(f"{what}: {value:.3g}, at most {limit:.3g}")
        return "FAIL"

    def traffic(self):
        print(ROW.format("scenario", "broker", "CPU s for 100,000", "ratio", "gate",
                         "delivered/s", "saturated", "checks"))
        timing = ["--duration", str(self.options.seconds), "--warmup", str(self.options.warmup)]
        for scenario in self.chosen(scenarios.SCENARIOS):
            names = list(self.options.brokers)
            if self.options.two_loops and scenario.name in scenarios.TWO_LOOPS:
                names.append(TWO_LOOPS)
            figures = self.runs(names, [*scenario.arguments, *timing])
            for name in names:
                self.traffic_row(scenario, name, figures)
            self.latency_rows(scenario, figures)

    def traffic_row(self, scenario, name, figures):
        cpu = [run["broker_cpu_s_per_100k"] for run in figures[name]]
        ratio, gate, verdict = "", "", ""
        if name in (SKALD, TWO_LOOPS) and MOSQUITTO in figures:
            value = median(cpu) / median([run["broker_cpu_s_per_100k"]
                                          for run in figures[MOSQUITTO]])
            ratio = f"{value:.3f}"
            if name == SKALD:
                gate = f"{scenario.gate:g}"
                verdict = self.gate(f"{scenario.name}: CPU", value, scenario.gate)
        broken = checks(figures[name])
        if broken and name != MOSQUITTO:
            self.failures.append(f"{scenario.name}: {name}: {broken}")
        saturated = sorted({run["saturated"] for run in figures[name]})
        others = max(run["others"] for run in figures[name])
        disturbed = f" (others used {100 * others:.0f} % of a core)" if others > DISTURBED else ""
        rate = median([run["delivered_per_s"] for run in figures[name]])
        words = f"{verdict} {broken or 'ok'}{disturbed}".strip()
        print(ROW.format(scenario.name, name, spread(cpu, "{:.4f}"), ratio, gate, f"{rate:,.0f}",
                         "/".join(saturated), words), flush=True)

    def latency_rows(self, scenario, figures):
        if scenario.latency_gate is None:
            return
        for key in ("p50_us", "p99_us"):
            values = {name: [run["delivery"][key] for run in figures[name]] for name in figures}
            for name, samples in values.items():
                ratio, gate, verdict = "", "", ""
                if name == SKALD and MOSQUITTO in values:
                    value = median(samples) / median(values[MOSQUITTO])
                    ratio, gate = f"{value:.3f}", f"{scenario.latency_gate:g}"
                    verdict = self.gate(f"{scenario.name}: {key}", value, scenario.latency_gate)
                print(ROW.format(f"  latency {key}", name, spread(samples, "{:.0f}"), ratio, gate,
                                 "", "", verdict), flush=True)

    def connections(self):
        limit = brokers.raise_file_limit()
        count = min(scenarios.CONNECTIONS, limit - scenarios.RESERVED_FILES)
        hold = 2 if self.options.quick else scenarios.IDLE_SECONDS
        arguments = ["conn", "-m", str(count), "--topic", "conn/%i/filter", "--duration", str(hold),
                     "--warmup", "1", "--source", scenarios.SOURCES]
        figures = self.runs(self.options.brokers, arguments)
        print(f"\n{count:,} connections, each with a filter of its own")
        for name in self.options.brokers:
            size = [run["bytes_per_connection"] for run in figures[name]]
            rate = median([run["connects_per_s"] for run in figures[name]])
            share = median([run["broker_share"] for run in figures[name]])
            ready = min(run["ready"] for run in figures[name])
            verdict = ""
            if name == SKALD:
                verdict = self.gate("bytes a connection", median(size),
                                    scenarios.BYTES_PER_CONNECTION)
                if ready != count:
                    self.failures.append(f"connections: only {ready} of {count}")
            print(f"  {name:<15} {spread(size, '{:.0f}')} bytes a connection {verdict}, "
                  f"{rate:,.0f} connects/s, then {100 * share:.2f} % of a core, "
                  f"{ready:,} connected", flush=True)

    def idle(self):
        seconds = 3 if self.options.quick else scenarios.IDLE_SECONDS
        print(f"\nCPU for {seconds} s without connections, and at {scenarios.SLOW_RATE} messages/s")
        slow = ["pair", "--qos", "1", "--rate", str(scenarios.SLOW_RATE), "--duration",
                str(seconds), *scenarios.PUBLISHERS]
        for name in self.options.brokers:
            with brokers.serving(name, self.paths, self.broker_cpus) as (pid, _):
                time.sleep(1)  # what starting costs is not idleness
                before = brokers.cpu_seconds(pid)
                time.sleep(seconds)
                idle = (brokers.cpu_seconds(pid) - before) / seconds
            share = self.run(name, slow)["broker_share"]
            verdicts = ["", ""]
            if name == SKALD:
                verdicts = [self.gate("idle CPU", idle, scenarios.IDLE_SHARE),
                            self.gate("CPU at 100/s", share, scenarios.SLOW_SHARE)]
            print(f"  {name:<15} idle {100 * idle:.3f} % {verdicts[0]}  "
                  f"slow {100 * share:.2f} % {verdicts[1]}", flush=True)

    def chosen(self, table):
        return [one for one in table if self.wants(one.name)]

    def wants(self, name):
        only = self.options.only
        return not only or any(word.lower() in name.lower() for word in only)


def median(values):
    return statistics.median(values)


def spread(values, form):
    low, middle, high = (form.format(v) for v in (min(values), median(values), max(values)))
    return f"{middle} ({low}-{high})" if len(values) > 1 else middle


def checks(runs):
    """What went wrong, loss at QoS 0 too; empty when all was right."""
    words = []
    for key in ("lost", "duplicates", "disordered"):
        most = max(run[key] for run in runs)
        if most:
            share = 100 * most / max(1, runs[0]["expected"])
            words.append(f"{key} {most} ({share:.3f} %)")
    told = {failure.split(" ", 1)[1] for run in runs for failure in run["failures"]}
    words += sorted(text for text in told if not text.startswith(("lost", "dupl", "out of")))
    return ", ".join(words)


def arguments_of(argv):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skald", default=os.path.join(brokers.ROOT, "build", "skald"))
    parser.add_argument("--quick", action="store_true", help="one run of 3 s each")
    parser.add_argument("--only", action="append", metavar="WORD",
                        help="scenarios whose name holds it; also: connections, idle")
    parser.add_argument("--runs", type=int, help="of each broker and scenario; 5")
    parser.add_argument("--seconds", type=float, help="measured in each run; 4")
    parser.add_argument("--two-loops", action="store_true",
                        help="tells Skald with two loops beside one, on both cores")
    parser.add_argument("--brokers", default="mosquitto,skald",
                        help="also: plain, the trivial broker of the tests, for what the "
                             "generator can reach")
    parser.add_argument("--json", help="writes the figures of all runs")
    options = parser.parse_args(argv)
    options.runs = options.runs or (1 if options.quick else 5)
    options.seconds = options.seconds or (3 if options.quick else 4)
    options.warmup = 0.5
    options.brokers = options.brokers.split(",")
    return options


def main(argv):
    bench = Bench(arguments_of(argv))
    for name in bench.options.brokers:
        if not bench.paths.get(name) or not os.path.exists(bench.paths[name]):
            print(f"{name}: not there ({bench.paths.get(name)})", file=sys.stderr)
            return 2
    where = "broker and generator on a core each" if bench.pinned else "NOT pinned: one core only"
    print(f"{bench.options.runs} runs of {bench.options.seconds:g} s each, medians (least-most); "
          f"{where}; load average {os.getloadavg()[0]:.2f}")
    started = time.monotonic()
    try:
        bench.traffic()
        if bench.wants("connections"):
            bench.connections()
        if bench.wants("idle"):
            bench.idle()
    except brokers.BrokerFailed as failure:
        bench.failures.append(str(failure))
    if bench.options.json:
        with open(bench.options.json, "w", encoding="utf-8") as out:
            json.dump(bench.record, out)
    print(f"\n{time.monotonic() - started:.0f} s; other processes used up to "
          f"{100 * bench.others_most:.0f} % of a core during a run")
    for failure in bench.failures:
        print(f"FAIL {failure}")
    if not bench.failures:
        print("all gates hold" if set(bench.options.brokers) >= {SKALD, MOSQUITTO}
              else "no gate was judged: that takes mosquitto and skald")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
