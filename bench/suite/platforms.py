"""The same Post on other platforms for stateful functions: workerd's Durable Objects and Restate, from npm.

Equal: the load generator, over HTTP, USERS users with 10 followers each, CLIENTS clients; an object per user, a
call of its own per follower, all at once; answered when durable.  Not equal: they run JavaScript, cairn WebAssembly; each
platform has its own defaults for everything else (peers/*/ say more).  They are slow: few posts suffice.

They are installed into the cache beside Wasmtime, never into the checkout.  Without npm this is left out, aloud.
"""
import json
import os
import shutil
import subprocess
import time
import urllib.request

from .base import Broken, Cairn, Process, free_ports, median

USERS, FOLLOWERS, CLIENTS = 50, 10, 16


def install(bench):
    """The folder with node_modules, or None."""
    cache = os.environ.get("CAIRN_CACHE", os.path.expanduser("~/.cache/cairn"))
    folder = os.path.join(cache, "bench-peers")
    package = os.path.join(bench.source, "bench", "peers", "package.json")
    if not shutil.which("npm") or not shutil.which("node"):
        return None
    with open(package, encoding="utf-8") as file:
        wanted = json.load(file)["dependencies"]

    def missing():
        try:
            return any(version(folder, name) != number for name, number in wanted.items())
        except OSError:
            return True

    if missing():
        bench.say("  installing " + ", ".join(wanted) + " with npm")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(package, folder)
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=600)
        if done.returncode or missing():
            bench.say(f"  npm could not: {done.stdout[-500:]}")
            return None
    return folder


def beside(bench, modules, *path):
    """The peer's script, copied to where node looks for modules from: beside them."""
    script = os.path.join(modules, path[-1])
    shutil.copy(os.path.join(bench.source, "bench", "peers", *path), script)
    return script


def version(modules, name):
    with open(os.path.join(modules, "node_modules", name, "package.json"), encoding="utf-8") as file:
        return json.load(file)["version"]


def binary(folder, scope, start, name):
    """npm puts the binary for this machine into a package of its own."""
    parent = os.path.join(folder, "node_modules", scope)
    for package in sorted(os.listdir(parent)):
        path = os.path.join(parent, package, "bin", name)
        if package.startswith(start) and os.access(path, os.X_OK):
            return path
    raise Broken(f"npm has no {name} for this machine")


class Workerd:
    peer_name = "workerd Durable Objects"
    http = {"http": "/User/%s/%s", "body": "array"}

    def __init__(self, bench, modules):
        self.port, = free_ports(1)
        config = os.path.join(bench.source, "bench", "peers", "workerd", "config.capnp")
        process = Process(bench, [binary(modules, "@cloudflare", "workerd-", "workerd"), "serve", config,
                                  "--socket-addr", f"http=127.0.0.1:{self.port}",
                                  "--directory-path", f"state={bench.new_folder('workerd')}"], "workerd")
        process.wait_for_port(self.port)


class Restate:
    peer_name = "Restate"
    http = {"http": "/User/%s/%s", "body": "one"}

    def __init__(self, bench, modules, name="retwis"):
        """name: of the script in peers/restate; `extra` is a second port for what it may tell."""
        service, self.port, admin, fabric, self.extra = free_ports(5)
        script = beside(bench, modules, "restate", name + ".mjs")
        node = Process(bench, ["node", script, str(service), str(self.extra)], "restate-service")
        node.wait_for_port(service)
        server = Process(
            bench, [binary(modules, "@restatedev", "restate-server-", "restate-server"), "--no-logo", "--node-name",
                    "bench", "--base-dir", bench.new_folder("restate")], "restate",
            environment={"RESTATE_LISTEN_MODE": "tcp", "RESTATE_DISABLE_TELEMETRY": "true",
                         "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{self.port}",
                         "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
                         "RESTATE_BIND_ADDRESS": f"127.0.0.1:{fabric}"})
        server.wait_for_port(self.port)
        server.wait_for_port(admin)
        self.register(f"http://127.0.0.1:{admin}/deployments", {"uri": f"http://127.0.0.1:{service}"})

    @staticmethod
    def register(url, body):
        for _ in range(60):
            request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=10):
                    time.sleep(1)
                    return
            except OSError:
                time.sleep(0.5)
        raise Broken("Restate did not take the service")


class CairnHttp:
    http = {"http": "/v1/objects/User/%s/%s", "body": "array"}

    def __init__(self, bench):
        self.port = Cairn(bench).deploy("retwis").http


def run(bench):
    modules = install(bench)
    if not modules:
        bench.say("  SKIPPED: workerd and Restate come from npm, which is not there or cannot install them")
        bench.note("workerd and Restate: skipped, there is no working npm")
        return
    cairn = CairnHttp(bench)
    bench.load(cairn, "graph", users=USERS, followers=FOLLOWERS, connections=CLIENTS, **cairn.http)
    systems = [cairn]
    for platform in (Workerd, Restate):
        try:
            system = platform(bench, modules)
            bench.load(system, "graph", users=USERS, followers=FOLLOWERS, connections=CLIENTS, **system.http)
            systems.append(system)
        except Broken as error:
            bench.say(f"  LEFT OUT: {platform.peer_name}: {error}")
            bench.note(f"{platform.peer_name}: left out, it did not work here")
    figures = {system: [] for system in systems}
    for _, system in bench.turns(systems):
        figures[system].append(bench.load(system, "post", users=USERS, connections=CLIENTS, seconds=bench.seconds,
                                          **system.http))
    for peer in systems[1:]:
        bench.row("Post over HTTP", "requests/s", median([one["throughput"] for one in figures[cairn]]),
                  median([one["throughput"] for one in figures[peer]]), peer.peer_name)
        bench.row("Post over HTTP p50", "ms", median([one["p50_us"] for one in figures[cairn]]) / 1e3,
                  median([one["p50_us"] for one in figures[peer]]) / 1e3, peer.peer_name)
