"""Applications in Java as processes: servers that write a log, and programs that are told what to do, line by line."""
import os
import queue
import subprocess
import threading

from cairnproc import check

# What libraries of those years reach into, and Java no longer lets them.
OPENS = [word for package in ("java.lang", "java.lang.reflect", "java.nio", "java.util", "java.util.concurrent", "sun.nio.ch",
                              "jdk.internal.ref") for word in ("--add-opens", f"java.base/{package}=ALL-UNNAMED")]


def java(path, *words, heap=384):
    return ["java", f"-Xmx{heap}m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *OPENS, "-cp", path, *words]


class Server:
    """A process with its log in folder/NAME.output, which is shown if the test fails."""

    def __init__(self, folder, name, words, environment=None):
        self.name, self.words = name, words
        self.environment = {**os.environ, **(environment or {})}
        self.log = os.path.join(folder, name + ".output")
        self.process = None
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment)

    def check(self):
        check(self.process.poll() is None, f"{self.name} has ended with {self.process.returncode}; {self.log} says why")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Program:
    """It is told a line, and answers with lines of which the last is "done"."""

    def __init__(self, folder, name, words):
        self.log = os.path.join(folder, name + ".output")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def tell(self, line, seconds=240):
        """What it answers before "done"."""
        print(f"  {line}", flush=True)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        said = []
        while True:
            try:
                answer = self.lines.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"'{line}' was not done within {seconds} s; {self.log} may say why") from None
            check(answer is not None, f"the program has ended over '{line}'; {self.log} says why")
            if answer == "done":
                return said
            said.append(answer)

    def kill(self):
        self.process.kill()
        self.process.wait()


def operations(node):
    """How many of its ZooKeeper operations the node has answered, by name."""
    prefix = 'cairn_zk_operations_total{operation="'
    return {name[len(prefix):-2]: int(count) for name, count in node.metrics().items() if name.startswith(prefix)}


READS = {"exists", "getData", "getACL", "getChildren", "getChildren2", "sync", "multiRead", "getEphemerals",
         "getAllChildrenNumber", "whoAmI"}
WRITES = {"create", "create2", "createContainer", "createTTL", "delete", "setData", "setACL", "multi", "check"}


def print_mix(counts, of_what):
    """As FaaSKeeper's paper looks at HBase: how many of its requests are reads, and what they are."""
    reads, writes = (sum(counts.get(name, 0) for name in names) for names in (READS, WRITES))
    print(f"  {of_what}: {reads} reads, {writes} writes ({100 * reads / max(1, reads + writes):.1f} % reads); "
          + ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda one: -one[1])), flush=True)
    return reads, writes
