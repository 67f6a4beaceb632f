#!/usr/bin/env python3
"""What `cwbridge run` costs: size, start, memory, CPU, and requests per second beside node_exporter in the same run.

    cargo build --release && tests/bench/daemon.py [--minutes 10] [--seconds 10]

Publishes to LocalStack if `tests/run` has installed it, and is scraped every 15 seconds meanwhile. Needs wrk and
prometheus-node-exporter (Debian packages) for the comparison. Everything stays on loopback.
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/cwbridge"
PYTHON = pathlib.Path(os.environ.get("CWBRIDGE_TEST_VENV", ROOT / "target/test-venv")) / "bin/python"


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


def measure_footprint(minutes: float, environment: dict[str, str], arguments: list[str]) -> None:
    process, port, _ = start_cwbridge(environment, arguments)
    end = time.monotonic() + minutes * 60
    peak = 0.0
    while time.monotonic() < end:
        time.sleep(min(15, max(0.1, end - time.monotonic())))
        peak = max(peak, own(port, "process_resident_memory_bytes"))
    cpu = own(port, "process_cpu_seconds_total")
    published = own(port, "cwbridge_datapoints_published_total")
    process.terminate()
    process.wait()
    print(f"over {minutes:g} min: resident at most {peak / 1e6:.1f} MB, CPU {100 * cpu / (minutes * 60):.3f} % of a core, {published:.0f} datapoints published")


def compare_with_node_exporter(seconds: int) -> None:
    exporter = shutil.which("prometheus-node-exporter")
    if not (exporter and shutil.which("wrk")):
        print("wrk or prometheus-node-exporter is not installed: requests per second are not measured")
        return
    baseline = free_port()
    families = [f"--collector.{name}" for name in ("cpu", "loadavg", "meminfo", "os", "stat")]
    command = [exporter, "--collector.disable-defaults", *families, f"--web.listen-address=127.0.0.1:{baseline}"]
    node = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(baseline, "/metrics", 10)
    process, port, _ = start_cwbridge({})
    theirs, ours = requests_per_second(baseline, seconds), requests_per_second(port, seconds)
    print(f"/metrics: {ours:.0f} requests/s, node_exporter (cpu, loadavg, meminfo, os, stat) {theirs:.0f}: ratio {ours / theirs:.0f}")
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
