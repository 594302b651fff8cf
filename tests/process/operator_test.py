#!/usr/bin/env python3
"""What an operator sees of a node: its log, its readiness, and what signals do to it.

Catches signals that end a node for no reason, a log that is lost by a rotation or stops the node when its disk is full,
events that nobody is told of, and a status that says failure where nothing was lost.
"""
import json
import os
import signal
import subprocess
import time

from cairnproc import CAIRN, Node, check, equal, main

HARMLESS = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXFSZ", "SIGIO", "SIGSTKFLT",
            "SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT", "SIGRTMIN", "SIGRTMAX"]


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def wait_for(path, event, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.path.exists(path):
            for line in lines(path):
                if line["event"] == event:
                    return line
        time.sleep(0.02)
    raise AssertionError(f"no line of {event} in {path}: {open(path).read() if os.path.exists(path) else 'no file'}")


def test_signals_that_do_not_end_it(folder):
    with Node(folder) as node, node.redis() as redis:
        for name in HARMLESS:
            node.signal(getattr(signal, name))
            for _ in range(3):
                equal(redis.call("PING"), "PONG", f"after {name}")
                time.sleep(0.01)
            node.check_alive()
        node.stop()  # with status 0
    for name in ("SIGINT", "SIGQUIT", "SIGXCPU"):
        with Node(folder) as node:
            node.signal(getattr(signal, name))
            equal(node.process.wait(60), 0, f"exit status after {name}")
            check("\nstopped\n" in node.output(), node.output())
            node.process = None


def test_log_of_a_life(folder):
    log = os.path.join(folder, "node.log")
    with Node(folder, "--engine=hybridlog", f"--log-file={log}", "--log-format=json") as node:
        ready = wait_for(log, "ready")
        equal((ready["level"], ready["from"], ready["workers"]), ("info", "node", 2), "the line of the start")
        check(len(ready["time"]) == 24 and ready["time"][10] == "T" and ready["time"].endswith("Z"), ready["time"])
        node.deploy("register")
        deployed = wait_for(log, "deploy")
        equal((deployed["module"], deployed["version"], len(deployed["hash"])), ("register", 1, 64), "the deploy's line")
        web = node.web()
        equal(web.ask("POST", "/v1/versions")[0], 201, "taking a version")
        equal(wait_for(log, "version")["version"], 1, "the version's line")
        os.rename(log, log + ".1")
        node.signal(signal.SIGHUP)
        wait_for(log, "reopened")
        equal(web.ask("DELETE", "/v1/versions/1")[0], 200, "deleting the version")
        equal(web.ask("PUT", "/v1/modules/broken", b"no module")[0], 422, "deploying what is no module")
        wait_for(log, "forget")
        refused = wait_for(log, "deploy")
        equal((refused["level"], refused["module"]), ("warning", "broken"), "a deploy that was refused")
        metrics = node.metrics()
        equal((metrics["cairn_ready"], metrics['cairn_check{name="log"}']), (1, 0), "readiness as metrics")
        check(metrics['cairn_journal_lines_total{level="warning"}'] >= 1, "lines told, as metrics")
        status, text = web.ask("GET", "/readyz?verbose")
        equal((status, text.splitlines()[-1]), (200, b"ready"), "readiness as text")
        check(web.json("GET", "/readyz")["ready"], "readiness as JSON")
        node.stop()
        equal(lines(log)[-1]["event"], "stopped", "the last line")


def test_log_that_cannot_be_written(folder):
    """The node goes on, and says in its metrics what was lost."""
    if not os.access("/dev/full", os.W_OK):
        return
    with Node(folder, "--log-file=/dev/full") as node:
        node.deploy("register")
        with node.redis() as redis:
            for number in range(100):
                equal(redis.call("FCALL", "Register.set", 1, "one", number), max(number - 1, 0), "a call")
        check(node.metrics()["cairn_journal_dropped_total"] > 0, "lines lost, as metrics")
        node.stop()


def test_log_flags_that_are_wrong(folder):
    for flags, text in ((["--log-level=loud"], "--log-level takes"), (["--log-format=xml"], "--log-format takes"),
                        (["--log-file=/nowhere/at/all"], "opening the log file (--log-file)"),
                        (["--trace=file:/nowhere/at/all"], "opening the file for traces (--trace)")):
        ended = subprocess.run([CAIRN, "serve", "--data", os.path.join(folder, "data"), *flags], capture_output=True,
                               text=True, timeout=60, check=False)
        check(ended.returncode in (1, 2) and text in ended.stderr, f"{flags}: {ended.returncode} {ended.stderr}")


def test_a_stop_whose_checkpoint_fails(folder):
    """Nothing is lost by that, so the status is 0, and a warning says what was not written."""
    log = os.path.join(folder, "node.log")
    node = Node(folder, f"--log-file={log}", "--log-format=json").start()
    node.deploy("register")
    with node.redis() as redis:
        equal(redis.ok("FCALL", "Counter.add", 1, "c", 5), 5, "a counter")
    checkpoints = os.path.join(node.data, "checkpoints")
    os.rename(checkpoints, checkpoints + "-away")
    node.stop()  # with status 0
    told = wait_for(log, "close")
    check(told["level"] == "warning" and "nothing is lost" in told["msg"], f"it told {told}")
    os.rename(checkpoints + "-away", checkpoints)
    node.start()
    with node.redis() as redis:
        equal(redis.ok("FCALL", "Counter.get", 1, "c"), 5, "the counter after that")
    node.stop()


def test_a_folder_that_had_a_blob_store(folder):
    log = os.path.join(folder, "node.log")
    blob = os.path.join(folder, "blob")
    node = Node(folder, "--engine=hybridlog", "--blob", blob).start()
    node.stop()
    for _ in range(2):  # each time, not only the first
        node = Node(folder, f"--log-file={log}", "--log-format=json").start()
        told = wait_for(log, "warning")
        check("without" in told["msg"] and "the loss of this machine costs" in told["msg"], f"it told {told}")
        node.stop()
        os.remove(log)
    node = Node(folder, "--blob", blob, f"--log-file={log}", "--log-format=json").start()
    node.stop()
    check(not any("is started without" in line["msg"] for line in lines(log)), "it warns although the store is given")


def test_memory_of_an_engine_that_has_none(folder):
    said = Node(folder, "--engine-memory=64").refuses()
    check("--engine-memory" in said and "--engine hybridlog" in said, f"it said {said!r}")
    node = Node(folder).start()  # nothing was made for good
    node.stop()
    said = Node(folder, "--engine-memory=64").refuses()
    check("--engine-memory" in said, f"of a folder with the engine memory it said {said!r}")
    node = Node(folder, "--engine=lsm", "--engine-memory=64", data=os.path.join(folder, "other")).start()
    node.stop()
    Node(folder, "--engine-memory=32", data=os.path.join(folder, "other")).start().stop()


if __name__ == "__main__":
    main([test_signals_that_do_not_end_it, test_log_of_a_life, test_log_that_cannot_be_written,
          test_log_flags_that_are_wrong,
          test_a_stop_whose_checkpoint_fails, test_a_folder_that_had_a_blob_store, test_memory_of_an_engine_that_has_none])
