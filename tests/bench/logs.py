#!/usr/bin/env python3
"""What sending log files to CloudWatch Logs costs: one file that grows fast, a hundred that do not, and ten thousand of one line.

Starts the release build with an endpoint of its own on loopback, which takes everything, and reads the process's times from /proc.
With `--peer` the same files are sent by AWS's earlier agent, too: the plugin awscli-cwlogs of the `aws` command line, from PyPI.
"""

import argparse
import http.server
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")


class Taker(http.server.BaseHTTPRequestHandler):
    """Counts the events of PutLogEvents, and answers everything with success."""

    protocol_version = "HTTP/1.1"
    events = 0
    requests = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("x-amz-target", "").endswith("PutLogEvents"):
            Taker.events += body.count(b'"timestamp"')
            Taker.requests += 1
        is_json = "json" in self.headers.get("content-type", "")
        answer = b"{}" if is_json else b"\xa0"
        self.send_response(200)
        self.send_header("content-type", self.headers["content-type"])
        self.send_header("smithy-protocol", "rpc-v2-cbor")
        self.send_header("x-amzn-requestid", "a")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


CREDENTIALS = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Sender:
    """A process that sends, and what it needs."""

    def start(self, command, environment, folder):
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        time.sleep(3)

    def seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")")[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def precise_seconds(self):
        """Of the threads that there are: those that come and go do nothing here."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident(self, name="VmHWM"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1]) * 1024 / 1e6

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Daemon(Sender):
    name = "cwbridge"

    def __init__(self, folder, port, paths, stream="${hostname}/${file}"):
        config = "alarms = []\n"
        if paths:
            config += f'[[logs.file]]\ngroup = "/bench"\nstream = "{stream}"\npaths = ["{paths}"]\n'
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.listen = free.getsockname()[1]
        path = folder / "cwbridge.toml"
        path.write_text(config)
        environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        program = ROOT / "target/release/cwbridge"
        arguments = ["run", "--config", path, "--state-dir", folder / "state"]
        arguments += ["--listen", f"127.0.0.1:{self.listen}"]
        self.start([program, *arguments], environment, folder)


class Peer(Sender):
    """It wants a section for each file, and has threads for each."""

    name = "awscli-cwlogs"
    program = None

    def __init__(self, folder, port, paths):
        (folder / "aws").write_text("[plugins]\ncwlogs = cwlogs\n")
        config = f"[general]\nstate_file = {folder}/peer.state\nuse_gzip_http_content_encoding = false\n"
        for number, path in enumerate(sorted(folder.glob(pathlib.Path(paths).name) if paths else [])):
            config += f"[{number}]\nfile = {path}\nlog_group_name = /bench\nlog_stream_name = {number}\n"
            config += "initial_position = start_of_file\nbatch_count = 10000\nbatch_size = 1048576\n"
        (folder / "peer.conf").write_text(config)
        environment = {**CREDENTIALS, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_CONFIG_FILE": str(folder / "aws")}
        command = [self.program, "logs", "push", "--config-file", folder / "peer.conf"]
        self.start([*command, "--endpoint-url", f"http://127.0.0.1:{port}"], environment, folder)


def busy(sender, port, seconds, rate, length):
    """One file that grows by so many lines a second."""
    Taker.events = Taker.requests = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        log = folder / "app.log"
        log.touch()
        daemon = sender(folder, port, log)
        before, start = daemon.seconds(), time.monotonic()
        line = ("x" * (length - 1) + "\n").encode() * (rate // 20)
        written = 0
        with open(log, "ab", buffering=0) as out:
            for step in range(seconds * 20):
                out.write(line)
                written += rate // 20
                time.sleep(max(0, start + (step + 1) / 20 - time.monotonic()))
        wrote_in = time.monotonic() - start
        while Taker.events < written and time.monotonic() - start < 4 * seconds:
            time.sleep(0.05)
        took = time.monotonic() - start
        used = daemon.seconds() - before
        print(f"{sender.name}: {written} lines of {length} bytes written in {wrote_in:.1f} s, {Taker.events} taken after {took:.1f} s in {Taker.requests} requests")
        print(f"  {used / took:.3f} of a core, {daemon.resident():.1f} MB resident at most")
        daemon.stop()
        return Taker.events == written


def idle(sender, port, seconds, files):
    """So many files of which nothing is heard, against none."""
    used = []
    # The peer does not start without a file.
    for count in (0 if sender is Daemon else 1, files):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for number in range(count):
                (folder / f"{number}.log").write_text("one line\n")
            daemon = sender(folder, port, f"{folder}/*.log" if count else None)
            time.sleep(15)
            before = daemon.precise_seconds()
            time.sleep(seconds)
            used.append((daemon.precise_seconds() - before) / seconds)
            resident = daemon.resident("VmRSS")
            daemon.stop()
    less = "none" if sender is Daemon else "one"
    print(f"{sender.name}: idle with {files} files: {100 * used[1]:.3f} % of a core, with {less} {100 * used[0]:.3f} %; {resident:.1f} MB resident")


def many(port, files, seconds):
    """So many files of one line each, at once."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for number in range(files):
            (folder / f"{number}.log").write_text("one line\n")
        before, start = Taker.events, time.monotonic()
        daemon = Daemon(folder, port, f"{folder}/*.log", "${file}")
        while Taker.events - before < files and time.monotonic() - start < 300:
            time.sleep(0.05)
        took, taken = time.monotonic() - start, Taker.events - before
        print(f"{files} files of one line: {taken} lines taken after {took:.1f} s, {daemon.seconds():.1f} s of a core, {daemon.resident():.1f} MB resident at most")
        time.sleep(15)
        used = daemon.precise_seconds()
        time.sleep(seconds)
        used = (daemon.precise_seconds() - used) / seconds
        print(f"  idle with them: {100 * used:.3f} % of a core, {daemon.resident('VmRSS'):.1f} MB resident")
        daemon.stop()
        return taken == files


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=50_000, help="lines a second")
    parser.add_argument("--length", type=int, default=100, help="bytes of a line")
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--many", type=int, default=10_000, help="files of one line")
    parser.add_argument("--peer", metavar="AWS", help="an `aws` with the plugin awscli-cwlogs")
    arguments = parser.parse_args()
    Peer.program = arguments.peer
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    whole = True
    for sender in [Daemon, Peer] if Peer.program else [Daemon]:
        taken = busy(sender, port, arguments.seconds, arguments.rate, arguments.length)
        whole &= taken or sender is Peer
        if arguments.files:
            idle(sender, port, arguments.idle_seconds, arguments.files)
    whole &= many(port, arguments.many, arguments.idle_seconds)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
