#!/usr/bin/env python3
"""What `cwbridge run` costs: size, start, memory, CPU, and requests per second, with the same collectors as node_exporter in the
same run.

    cargo build --release && tests/bench/daemon.py [--minutes 10] [--seconds 10]

Publishes to LocalStack if `tests/run` has installed it, and both are scraped every 10 seconds meanwhile. Needs wrk and
prometheus-node-exporter (Debian packages) for the comparison. Everything stays on loopback.
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/cwbridge"
PYTHON = pathlib.Path(os.environ.get("CWBRIDGE_TEST_VENV", ROOT / "target/test-venv")) / "bin/python"


# What both look at; `cpu` and `stat` are one here.
FAMILIES = (
    "conntrack", "cpu", "diskstats", "entropy", "filefd", "filesystem", "loadavg", "meminfo", "netclass", "netdev", "netstat",
    "os", "pressure", "processes", "sockstat", "stat", "tcpstat", "time", "uname", "vmstat",
)  # fmt: skip
CONFIG = "[collectors.processes]\nenabled = true\n[collectors.tcpstat]\nenabled = true\n"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def wait_for(port: int, path: str, limit: float) -> float:
    """Seconds until the page is there."""
    start = time.monotonic()
    while True:
        try:
            get(port, path)
            return time.monotonic() - start
        except OSError:
            if time.monotonic() - start > limit:
                sys.exit(f"nothing answers on port {port}")
            time.sleep(0.001)


def start_localstack() -> tuple[subprocess.Popen | None, dict[str, str]]:
    if not PYTHON.exists():
        print("LocalStack is not installed: publishing is not measured")
        return None, {}
    port = free_port()
    settings = {
        "SERVICES": "cloudwatch",
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "LOCALSTACK_SKIP_INFRA_DOWNLOADS": "1",
        "FILESYSTEM_ROOT": tempfile.mkdtemp(),
        "OVERRIDE_IN_DOCKER": "0",
    }
    command = [str(PYTHON), str(ROOT / "tests/run-localstack.py")]
    process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port, "/_localstack/health", 120)
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    return process, credentials | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


def start_cwbridge(environment: dict[str, str], arguments: list[str] = []) -> tuple[subprocess.Popen, int, float]:
    """The process, its port, and the seconds until its first scrape was answered."""
    port = free_port()
    own_environment = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "STATE_DIRECTORY": tempfile.mkdtemp()}
    environment = own_environment | environment
    command = [str(PROGRAM), "run", "--listen", f"127.0.0.1:{port}", *arguments]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    return process, port, wait_for(port, "/metrics", 10)


def own(port: int, name: str) -> float:
    return float(re.search(rf"^{name} (\S+)$", get(port, "/metrics"), re.MULTILINE)[1])


def requests_per_second(port: int, seconds: int) -> float:
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", f"http://127.0.0.1:{port}/metrics"]
    return float(re.search(r"Requests/sec:\s+(\S+)", subprocess.run(command, capture_output=True, text=True, check=True).stdout)[1])


def start_node_exporter() -> tuple[subprocess.Popen, int] | None:
    exporter = shutil.which("prometheus-node-exporter")
    if not exporter:
        print("prometheus-node-exporter is not installed: nothing is compared with it")
        return None
    port = free_port()
    families = [f"--collector.{name}" for name in FAMILIES]
    command = [exporter, "--collector.disable-defaults", *families, f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(port, "/metrics", 10)
    return process, port


def durations(port: int) -> dict[str, float]:
    pattern = r'^node_scrape_collector_duration_seconds\{collector="(\w+)"\} (\S+)$'
    return {name: float(value) for name, value in re.findall(pattern, get(port, "/metrics"), re.MULTILINE)}


def measure_footprint(minutes: float, environment: dict[str, str], arguments: list[str]) -> None:
    process, port, _ = start_cwbridge(environment, arguments)
    node = start_node_exporter()
    end = time.monotonic() + minutes * 60
    peak, theirs, took = 0.0, 0.0, {}
    while time.monotonic() < end:
        time.sleep(min(10, max(0.1, end - time.monotonic())))
        peak = max(peak, own(port, "process_resident_memory_bytes"))
        if node:
            theirs = max(theirs, own(node[1], "process_resident_memory_bytes"))
            for which, seen in enumerate((durations(port), durations(node[1]))):
                for name, seconds in seen.items():
                    took.setdefault(name, ([], []))[which].append(seconds)
    cpu = own(port, "process_cpu_seconds_total")
    published = own(port, "cwbridge_datapoints_published_total")
    print(f"over {minutes:g} min: resident at most {peak / 1e6:.1f} MB, CPU {100 * cpu / (minutes * 60):.3f} % of a core, {published:.0f} datapoints published")
    process.terminate()
    process.wait()
    if node:
        spent = own(node[1], "process_cpu_seconds_total")
        print(f"node_exporter, scraped every 10 s: resident at most {theirs / 1e6:.1f} MB, CPU {100 * spent / (minutes * 60):.3f} %: {spent / cpu:.1f} times as much")
        both = {name: (statistics.median(ours), statistics.median(other)) for name, (ours, other) in took.items() if ours and other}
        slower = {name: f"{ours / other:.2f}" for name, (ours, other) in sorted(both.items()) if ours > other}
        print(f"a look takes less than node_exporter's in {len(both) - len(slower)} of {len(both)} collectors; more in {slower}")
        node[0].terminate()
        node[0].wait()


def compare_with_node_exporter(seconds: int) -> None:
    if not shutil.which("wrk"):
        print("wrk is not installed: requests per second are not measured")
        return
    started = start_node_exporter()
    if not started:
        return
    node, baseline = started
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(CONFIG)
        config.flush()
        process, port, _ = start_cwbridge({}, ["--config", config.name])
    theirs, ours = requests_per_second(baseline, seconds), requests_per_second(port, seconds)
    print(f"/metrics with the same {len(FAMILIES)} collectors: {ours:.0f} requests/s, node_exporter {theirs:.0f}: ratio {ours / theirs:.0f}")
    for child in (node, process):
        child.terminate()
        child.wait()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--seconds", type=int, default=10)
    arguments.add_argument("--config", help="configuration of the program while its footprint is measured")
    options = arguments.parse_args()
    print(f"binary: {PROGRAM.stat().st_size / 1e6:.2f} MB")
    starts = []
    for _ in range(10):
        process, _, took = start_cwbridge({})
        process.terminate()
        process.wait()
        starts.append(took)
    print(f"start to first answered scrape: {1000 * sorted(starts)[5]:.0f} ms (median of 10), {1000 * max(starts):.0f} ms at most")
    compare_with_node_exporter(options.seconds)
    localstack, environment = start_localstack()
    measure_footprint(options.minutes, environment, ["--config", options.config] if options.config else [])
    if localstack:
        localstack.terminate()


if __name__ == "__main__":
    main()
