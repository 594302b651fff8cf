"""etcd, Debian's, beside the keeper: the same works, by a client of etcd's own.

Equal: one server on the same machine; every write is synced before it is answered (etcd's WAL); keys of 1 KB drawn from as
many; reads from the server that is asked, without a round of consensus (ZooKeeper's and the keeper's reads are such, too).
Not equal: etcd speaks gRPC, and only its Go client does so well: on few cores that client takes more of them than
bench_zk_load does, so these are figures to report, and no race.
"""
import os
import shutil
import subprocess

from .base import Process, free_ports

PEER = "etcd"
SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers", "etcd")


class Missing(Exception):
    """What is not there; the text says how to have it."""


def client(bench):
    """The load generator, which Go compiles from bench/peers/etcd and fetches the rest of."""
    go = shutil.which("go")
    if not go:
        raise Missing("go is not installed (apt-get install golang-go)")
    program = os.path.join(bench.folder, "etcd_load")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    try:
        done = subprocess.run([go, "build", "-o", program, "."], cwd=SOURCE, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired:
        raise Missing("its client was not compiled within 900 s") from None
    if done.returncode:
        raise Missing(f"its client could not be compiled: {' '.join(done.stdout.split())[-200:]}")
    return program


class Etcd:
    def __init__(self, bench):
        if not shutil.which("etcd"):
            raise Missing("etcd is not installed (apt-get install etcd-server)")
        self.program = client(bench)
        self.port, peers = free_ports(2)
        here, there = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peers}"
        self.process = Process(bench, ["etcd", "--name", "one", "--data-dir", os.path.join(bench.new_folder("etcd"), "data"),
                                       "--log-level", "error", "--listen-client-urls", here, "--advertise-client-urls", here,
                                       "--listen-peer-urls", there, "--initial-advertise-peer-urls", there,
                                       "--initial-cluster", f"one={there}"], "etcd")
        self.process.wait_for_port(self.port)

    def load(self, bench, workload, **options):
        command = [self.program, "--port", str(self.port), "--workload", workload]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        return bench.run(command, 180)

    def kill(self):
        self.process.kill()
