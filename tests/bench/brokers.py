"""The brokers that `./dev bench` compares: how each is started on its own port, and stopped."""
import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
START_SECONDS = 10
STOP_SECONDS = 15


class BrokerFailed(Exception):
    """A broker did not start, or did not live to the end of its run."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_seconds(pid):
    """CPU time of a process, all threads, exact: Linux derives a clock id from the pid."""
    return time.clock_gettime((~pid << 3) | 2)


def commands(name, port, folder, paths):
    """(command, environment) that serve on 127.0.0.1:port."""
    environment = dict(os.environ)
    if name == "mosquitto":
        config = os.path.join(folder, "mosquitto.conf")
        with open(os.path.join(HERE, "mosquitto.conf"), encoding="utf-8") as source:
            text = re.sub(r"(?m)^listener \d+", f"listener {port}", source.read())
        with open(config, "w", encoding="utf-8") as target:
            target.write(text)
        os.chmod(folder, 0o755)  # Mosquitto leaves root behind
        return [paths["mosquitto"], "-c", config], environment
    if name == "plain":
        return [paths["plain"], str(port)], environment
    if name == "skald, 2 loops":
        environment["SKALD_NODE__LOOPS"] = "2"
    config = os.path.join(HERE, "skald.toml")
    return [paths["skald"], "node", "--config", config, "--port", str(port)], environment


def find_paths(skald):
    search = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return {"mosquitto": shutil.which("mosquitto", path=search),
            "skald": os.path.abspath(skald),
            "plain": os.path.join(os.path.dirname(os.path.abspath(skald)),
                                  "tests", "bench", "plain_broker")}


def wait_until_it_listens(process, port):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrokerFailed(f"ended at once with code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise BrokerFailed(f"does not listen after {START_SECONDS} s")


@contextlib.contextmanager
def serving(name, paths, cpus):
    """A fresh broker pinned to `cpus` (None: not pinned); gives (pid, port)."""
    with tempfile.TemporaryDirectory(prefix="skald-bench-") as folder:
        port = free_port()
        command, environment = commands(name, port, folder, paths)
        if cpus is not None:
            command = ["taskset", "-c", ",".join(map(str, cpus)), *command]
        log_path = os.path.join(folder, "log")
        with open(log_path, "wb") as log:
            process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL)
        try:
            wait_until_it_listens(process, port)
            yield process.pid, port
            if process.poll() is not None:
                raise BrokerFailed(f"died with code {process.returncode}")
        except BrokerFailed as failure:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                raise BrokerFailed(f"{name}: {failure}\n{log.read()[-2000:]}") from None
        finally:
            stop(process)


def stop(process):
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
