"""The client libraries of other projects, fetched once into a cache outside of the checkout, pinned by version."""
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "process"))

from cairnproc import Skip  # noqa: E402 (its folder had to be named first)

CACHE = os.path.join(os.environ.get("CAIRN_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "cairn"), "clients")
HERE = os.path.dirname(os.path.abspath(__file__))


def need(program):
    path = shutil.which(program)
    if not path:
        raise Skip(f"{program} is not installed")
    return path


@contextlib.contextmanager
def lock(name):
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, name + ".lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fetch(name, command, seconds=240, environment=None):
    """The folder that `command(folder)`, words to run, fills; made once, and whole or not at all."""
    place = os.path.join(CACHE, name)
    with lock(name):
        if os.path.isdir(place):
            return place
        half = place + ".tmp"
        shutil.rmtree(half, ignore_errors=True)
        os.makedirs(half)
        try:
            done = subprocess.run(command(half), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
                                  env={**os.environ, **(environment or {})}, cwd=half)
            failed, said = done.returncode != 0, done.stdout.strip()
        except subprocess.TimeoutExpired:
            failed, said = True, f"it took over {seconds} s"
        if failed:
            shutil.rmtree(half, ignore_errors=True)
            raise Skip(f"{name} could not be fetched: {' '.join(said.split())[-200:]}")
        os.rename(half, place)
    return place


def from_pip(package, version):
    """What to put before PYTHONPATH."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Skip("pip is not installed (Debian: python3-pip)")
    return fetch(f"{package}-py-{version}", lambda folder: [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries=1",
        "--timeout=20", "--no-compile", "--target", folder, f"{package}=={version}"])


def from_npm(package, version):
    """The folder with node_modules."""
    need("node")
    npm = need("npm")
    return fetch(f"{package}-{version}", lambda folder: [
        npm, "install", "--prefix", folder, "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save",
        "--fetch-retries=1", "--fetch-timeout=30000", f"{package}@{version}"])


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>cairn</groupId><artifactId>clients</artifactId><version>1</version><dependencies>{}</dependencies></project>
"""
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def from_maven(name, *coordinates, seconds=240):
    """A class path: the jars of GROUP:ARTIFACT:VERSION... and all that these need, from where this machine's Maven gets
    them."""
    need("java")
    need("javac")
    maven = need("mvn")

    def command(folder):
        with open(os.path.join(folder, "pom.xml"), "w", encoding="utf-8") as pom:
            pom.write(POM.format("".join(DEPENDENCY.format(*one.split(":")) for one in coordinates)))
        return [maven, "--quiet", "--batch-mode", "dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars"]

    return os.path.join(fetch(name, command, seconds), "jars", "*")


def compiled(folder, name, path):
    """Compiles tests/wire/NAME.java.in into the folder, which is the class path that it is run with, with `path`."""
    source = os.path.join(folder, name + ".java")
    shutil.copy(os.path.join(HERE, name + ".java.in"), source)
    subprocess.run(["javac", "-nowarn", "-cp", path, "-d", folder, source], check=True, timeout=120)
    return f"{folder}:{path}"


def from_go(name, source, module, version):
    """A program: the Go file with what it imports of MODULE@VERSION, from where this machine's Go gets modules."""
    go = need("go")
    environment = {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}

    def command(folder):
        shutil.copy(source, os.path.join(folder, "main.go"))
        with open(os.path.join(folder, "go.mod"), "w", encoding="utf-8") as file:
            file.write(f"module client\n\ngo 1.19\n\nrequire {module} {version}\n")
        return [go, "build", "-o", name]

    with open(source, "rb") as file:  # another source is another program
        stamp = hashlib.sha256(file.read()).hexdigest()[:12]
    return os.path.join(fetch(f"{name}-{version}-{stamp}", command, environment=environment), name)


def node_major():
    said = subprocess.run([need("node"), "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(said.strip().lstrip("v").split(".")[0])


def run_client(words, environment, seconds=60):
    """Runs a client's script; it must end with status 0.  Returns what it said."""
    done = subprocess.run(words, env=dict(os.environ, **environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words[:2])} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout.strip()
