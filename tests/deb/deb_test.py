"""The Debian package in a fresh Debian: installs, is started as its unit says, serves, is upgraded
over itself with its state, removed, purged.

    deb_test.py [--work DIR] [--keep] [SUITE...]

For each suite (default: the one of this machine) debootstrap makes a folder; the package is built
in a second one when the suite is not this machine's. Takes root, debootstrap and a mirror
($DEBIAN_MIRROR); without them the test says why and is skipped. The broker and all that is started
here lives in process and network namespaces of its own, and ends with them. Too slow for every
time: ./dev deb-test.
"""
import argparse
import glob
import http.client
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "wire"))
import mqtt  # noqa: E402  the client of the wire tests

MIRROR = os.environ.get("DEBIAN_MIRROR")  # without it debootstrap's own
APT = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "-q", "-y",
       "--no-install-recommends"]
UNIT = "/lib/systemd/system/skald.service"
MARK = "\n# an administrator was here\n"


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        raise Failed(f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


class Debian:
    """A folder with a Debian in it."""

    def __init__(self, path, suite):
        self.path = path
        run("debootstrap", "--variant=minbase", suite, path, *([MIRROR] if MIRROR else []))
        with open(self.at("/usr/sbin/policy-rc.d"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 101\n")  # nothing is started by packages
        os.chmod(file.name, 0o755)
        run(*self.inside("apt-get", "-q", "update"))

    def at(self, path):
        return self.path + path

    def inside(self, *command):
        """`command` in here; whatever it leaves running ends with it."""
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child",
                f"--mount-proc={self.path}/proc", "chroot", self.path, *command]

    def run(self, *command):
        return run(*self.inside(*command))

    def install(self, *packages):
        return self.run(*APT, "install", *packages)

    def read(self, path):
        with open(self.at(path), encoding="utf-8") as file:
            return file.read()

    def fails(self, *command):
        return subprocess.run(self.inside(*command), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode != 0


# -- the package

def suite_of_this_machine():
    for line in open("/etc/os-release", encoding="utf-8"):
        if line.startswith("VERSION_CODENAME="):
            return line.split("=")[1].strip()
    return None


def build(suite, work):
    """The package for `suite`."""
    if suite == suite_of_this_machine():
        run(os.path.join(ROOT, "dev"), "deb", cwd=ROOT)
        [package] = glob.glob(os.path.join(ROOT, "build", "skald_*.deb"))
        return package
    debian = Debian(os.path.join(work, suite + "-build"), suite)
    source = debian.at("/src")
    os.mkdir(source)
    files = run("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others",
                "--exclude-standard")
    run("tar", "-C", ROOT, "--null", "-T", "-", "-cf", debian.at("/src.tar"), input=files)
    run("tar", "-C", source, "-xf", debian.at("/src.tar"))
    debian.run("env", "JOBS=" + os.environ.get("JOBS", str(os.cpu_count())), "/src/dev", "deb")
    [package] = glob.glob(source + "/build/skald_*.deb")
    return package


def newer(package, work):
    """The same package as a later version."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        run("dpkg-deb", "-R", package, folder + "/root")
        control = folder + "/root/DEBIAN/control"
        with open(control, encoding="utf-8") as file:
            text = re.sub(r"(?m)^(Version: .*)$", r"\1+later", file.read())
        with open(control, "w", encoding="utf-8") as file:
            file.write(text)
        out = os.path.join(work, os.path.basename(package).replace(".deb", "+later.deb"))
        run("dpkg-deb", "--root-owner-group", "--build", folder + "/root", out)
    return out


# -- the steps

def installs(debian, package):
    shutil.copy(package, debian.at("/skald.deb"))
    debian.install("/skald.deb")
    user = debian.run("getent", "passwd", "skald").split(":")
    check(user[6].strip().endswith("nologin"), f"a shell for the user: {user}")
    modes = debian.run("stat", "-c", "%n %U:%G %a", "/etc/skald", "/etc/skald/skald.toml",
                       "/var/lib/skald", "/var/log/skald", "/usr/bin/skald").split("\n")
    wanted = ["/etc/skald root:skald 750", "/etc/skald/skald.toml root:skald 640",
              "/var/lib/skald skald:skald 750", "/var/log/skald skald:skald 750",
              "/usr/bin/skald root:root 755", ""]
    check(modes == wanted, f"owners and modes: {modes}")
    check("not found" not in debian.run("ldd", "/usr/bin/skald"), "a library is not declared")
    check(os.path.islink(debian.at("/etc/systemd/system/multi-user.target.wants/skald.service")),
          "the unit is not enabled")
    check("ok" in debian.run("/usr/bin/skald", "node", "--check", "--config",
                             "/etc/skald/skald.toml"), "its own configuration")


def unit_is_good(debian):
    debian.install("systemd")
    said = debian.run("env", "LC_ALL=C", "systemd-analyze", "verify", UNIT)
    check("skald" not in said, f"systemd-analyze verify: {said}")
    score = debian.run("env", "SYSTEMD_COLORS=0", "SYSTEMD_URLIFY=0", "systemd-analyze",
                       "security", "--offline=true", "--no-pager", "skald.service")
    print("   " + score.strip().split("\n")[-1].strip())


def serves(debian, kept):
    """In a network of its own, so that the unit's ports are free."""
    run("unshare", "--net", "--pid", "--fork", "--kill-child", sys.executable, __file__,
        "--serve", debian.path, *(["--kept"] if kept else []))


def upgrades(debian, package, work):
    with open(debian.at("/etc/skald/skald.toml"), "a", encoding="utf-8") as file:
        file.write(MARK)
    debian.install("--reinstall", "/skald.deb")
    shutil.copy(newer(package, work), debian.at("/later.deb"))
    debian.install("/later.deb")
    version = debian.run("dpkg-query", "-W", "-f=${Version} ${Status}", "skald")
    check("+later install ok installed" in version, version)
    check(MARK in debian.read("/etc/skald/skald.toml"), "the configuration was replaced")


def removes(debian):
    debian.run(*APT, "remove", "skald")
    for gone in ("/usr/bin/skald", UNIT, "/usr/share/doc/skald"):
        check(not os.path.exists(debian.at(gone)), f"{gone} is still there")
    check(os.listdir(debian.at("/var/lib/skald")), "the state is gone")
    check(MARK in debian.read("/etc/skald/skald.toml"), "the configuration is gone")


def purges(debian):
    debian.run(*APT, "purge", "skald")
    check(debian.fails("getent", "passwd", "skald"), "the user is still there")
    check(debian.fails("getent", "group", "skald"), "the group is still there")
    check(debian.fails("dpkg-query", "-W", "skald"), "dpkg still knows it")
    found = debian.run("find", "/etc", "/usr", "/var", "/lib/", "/run", "-name", "*skald*").split()
    found = [path for path in found if not path.startswith(("/var/cache/apt", "/var/log/apt"))]
    check(not found, f"left behind: {found}")


def test(suite, work):
    package = build(suite, work)
    size = os.path.getsize(package) // 1024
    print(f"== {suite}: {os.path.basename(package)}, {size} KiB", flush=True)
    debian = Debian(os.path.join(work, suite), suite)
    steps = [
        ("installs", lambda: installs(debian, package)),
        ("its unit is verified", lambda: unit_is_good(debian)),
        ("serves", lambda: serves(debian, False)),
        ("upgrades over itself", lambda: upgrades(debian, package, work)),
        ("serves what it had", lambda: serves(debian, True)),
        ("removes, state kept", lambda: removes(debian)),
        ("installs again over its state", lambda: debian.install("/skald.deb")),
        ("serves what it still had", lambda: serves(debian, True)),
        ("purges everything", lambda: purges(debian)),
    ]
    for name, step in steps:
        begun = time.monotonic()
        step()
        print(f"ok {suite}: {name} ({time.monotonic() - begun:.1f} s)", flush=True)
    return len(steps)


# -- the broker, as its unit starts it

class Service:
    """Starts the unit's ExecStart as its User, with a notify socket and a watchdog."""

    def __init__(self, root):
        with open(root + UNIT, encoding="utf-8") as file:
            unit = dict(line.split("=", 1) for line in file.read().split("\n") if "=" in line)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify = "/run/notify-of-the-test"
        if os.path.exists(root + notify):
            os.unlink(root + notify)
        self.manager.bind(root + notify)
        os.chmod(root + notify, 0o666)
        self.manager.settimeout(30)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": notify,
                       "WATCHDOG_USEC": str(int(unit["WatchdogSec"]) * 1_000_000)}
        self.process = subprocess.Popen(
            ["chroot", root, "setpriv", "--reuid", unit["User"], "--regid", unit["Group"],
             "--clear-groups", "--no-new-privs", "--bounding-set", "-all",
             *shlex.split(unit["ExecStart"])], env=environment)
        self.expect("READY=1")

    def expect(self, word):
        while word not in self.manager.recv(4096).decode():
            pass

    def http(self, path):
        link = http.client.HTTPConnection("127.0.0.1", 9883, timeout=10)
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, answer.read().decode()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.expect("STOPPING=1")
        check(self.process.wait(30) == 0, f"exit code {self.process.returncode}")


def exchange(link, packet, wanted=None):
    link.send(packet)
    got = link.next()
    check(wanted is None or got.type == wanted, f"{got}")
    return got


def serve(root, kept):
    """A retained message and a session with a message that waits; or what was kept of both."""
    run("ip", "link", "set", "lo", "up")
    service = Service(root)
    reload_and_look(service)
    expiry = mqtt.prop(0x11, 100_000)

    def client(name, clean=True):
        link = mqtt.Client(1883, 5)
        connack = exchange(link, mqtt.connect(name, 5, clean=clean, properties=expiry), 2)
        return link, connack
    if not kept:
        sleeper, _ = client("sleeper")
        exchange(sleeper, mqtt.subscribe(1, ("deb/#", 1)), 9)
        sleeper.close()
        sender, _ = client("sender")
        exchange(sender, mqtt.publish("deb/kept", "a message", 1, 1, retain=True), 4)
    else:
        sleeper, connack = client("sleeper", clean=False)
        check(connack.present == 1, "the session is gone")
        got = sleeper.next()
        check((got.topic, got.payload) == ("deb/kept", b"a message"), f"queued: {got}")
        sleeper.close()  # not acknowledged: it waits for the next time too
        fresh, _ = client("fresh")
        fresh.send(mqtt.subscribe(1, ("deb/kept", 0)))
        check(fresh.next().type == 9, "SUBACK")
        check(fresh.next().payload == b"a message", "the retained message")
    service.end()


def reload_and_look(service):
    service.process.send_signal(signal.SIGHUP)
    service.expect("RELOADING=1")
    service.expect("READY=1")
    until = time.monotonic() + 20
    while service.http("/readyz")[0] != 200:
        check(time.monotonic() < until, service.http("/readyz"))
        time.sleep(0.1)
    check(service.http("/livez")[0] == 200, "livez")
    check("skald_build_info" in service.http("/metrics")[1], "metrics")


# -- main

def why_not():
    if os.geteuid() != 0:
        return "it takes root"
    for program in ("debootstrap", "unshare", "dpkg-deb", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if subprocess.run(["unshare", "--net", "--pid", "--mount", "--fork", "true"], check=False,
                      stderr=subprocess.DEVNULL).returncode != 0:
        return "namespaces are not allowed here"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("suites", nargs="*")
    parser.add_argument("--work", help="where the folders are made; default: a temporary one")
    parser.add_argument("--keep", action="store_true", help="leaves the folders")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--kept", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.kept)
        return 0
    if why := why_not():
        print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
        return 0
    passed, failed = 0, 0
    work = tempfile.mkdtemp(prefix="skald-deb-", dir=arguments.work)
    try:
        for suite in arguments.suites or [suite_of_this_machine()]:
            try:
                passed += test(suite, work)
            except (Failed, mqtt.WireError, OSError) as error:
                failed += 1
                print(f"failed {suite}: {error}", flush=True)
    finally:
        if not arguments.keep:
            shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
