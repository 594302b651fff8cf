#!/usr/bin/env python3
"""Data folders that a real node must refuse: in use, of another version, incomplete, or not its user's.

Each refusal ends with status 1, names the file, says what to do, and leaves the folder as it was; put right again, the
node starts and has everything.  Catches a node that starts on what it does not understand, and one that writes first.
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess

import cairnproc
from cairnproc import Node, Skip, check, equal, main
from contents import Contents, crc32c, files_of, stamps

NOBODY = 65534


def filled(folder, killed=False):
    """A folder with checkpoints, and if it was killed with a log behind them."""
    with Node(folder, name="made") as node:
        contents = Contents().fill(node)
        node.stop()
        if killed:
            node.start()
            contents.fill(node)
        node.kill()
        return node.data, contents


def refused(node, *says):
    """Starts it; nothing may be changed."""
    before = stamps(node.data)
    said = node.refuses()
    check(said.startswith("cairn: "), f"what a node says that refuses: {said}")
    for words in says:
        check(words in said, f"'{words}' is not told: {said}")
    equal(stamps(node.data), before, "the folder after a refusal")
    return said


def test_two_nodes_on_one_folder(folder):
    with Node(folder) as node:
        contents = Contents().fill(node)
        for number in range(3):
            other = Node(folder, name=f"second{number}")
            said = other.refuses()
            check("in use by another node" in said and node.data in said, f"a second node said {said}")
        node.check_alive()
        contents.fill(node).verify(node)  # the first one does not notice
        node.kill()
        with Node(folder, name="after") as other:  # the lock dies with its owner
            contents.verify(other)
        node.start()
        contents.verify(node)


# --- versions ---

def page_of(path, at):
    """The version is at offset 8 and the checksum at offset 508 of a page."""
    def change(data, version):
        page = data[at:at + 8] + version.to_bytes(4, "little") + data[at + 12:at + 508]
        return data[:at] + page + crc32c(page).to_bytes(4, "little") + data[at + 512:]
    return path, change


def format_file(data, version):
    lines = re.sub(r"version \d+\n", f"version {version}\n", data.decode()).split("crc32c")[0].encode()
    return lines + f"crc32c {crc32c(lines):08x}\n".encode()


def manifest(data, version):
    data = data[:8] + version.to_bytes(4, "little") + data[12:-4]
    return data + crc32c(data).to_bytes(4, "little")


def checkpoint(data, version):
    head = data[:8] + version.to_bytes(4, "little") + data[12:36]
    return head + crc32c(head).to_bytes(4, "little") + data[40:]


def both_slots(data, version):
    for at in (0, 4096):
        data = page_of("", at)[1](data, version)
    return data


def test_unknown_versions(folder):
    data, contents = filled(folder, killed=True)
    segment = max((path for path in glob.glob(os.path.join(data, "log", "*.log"))), key=os.path.getmtime)
    largest = max(glob.glob(os.path.join(data, "checkpoints", "*.ckpt")), key=os.path.getsize)
    node = Node(folder, data=data)
    for path, change in (("FORMAT", format_file), ("checkpoints/MANIFEST", manifest),
                         (os.path.relpath(largest, data), checkpoint), page_of(os.path.relpath(segment, data), 0),
                         ("log/mark", both_slots)):
        whole = os.path.join(data, path)
        with open(whole, "rb") as file:
            before = file.read()
        own = 3 if path == "FORMAT" else 1
        equal(change(before, own) == before, True, f"{path}: the version is changed to what it is")
        for version in (own + 2, own - 1, 0, 0x7FFFFFFF):
            with open(whole, "wb") as file:
                file.write(change(before, version))
            said = refused(node, f"version {version}")
            check(os.path.basename(path) in said or path == "FORMAT" and "the data folder has" in said,
                  f"{path} is not named: {said}")
            check("use the program that wrote it" in said,
                  f"what to do with version {version} of {path} is not told: {said}")
        with open(whole, "wb") as file:
            file.write(before)
    node.start()
    contents.verify(node)
    node.stop()


def test_an_earlier_folder(folder):
    """As it was made before objects were placed by slots, with the engine `memory` and with another."""
    data, contents = filled(folder)
    node = Node(folder, data=data)
    path = os.path.join(data, "FORMAT")
    with open(path, "rb") as file:
        before = file.read()
    for rest in ("version 1\nshards 16\n", "version 2\nshards 16\nengine lsm\n"):
        lines = f"cairn data folder\n{rest}".encode()
        with open(path, "wb") as file:
            file.write(lines + f"crc32c {crc32c(lines):08x}\n".encode())
        refused(node, "an earlier version of cairn", f"cairn export --data {data} FILE", "cairn import --data NEW FILE")
    with open(path, "wb") as file:
        file.write(before)
    node.start()
    contents.verify(node)
    node.stop()


# --- what is missing, and what is no data folder ---

def test_incomplete_folders(folder):
    data, contents = filled(folder, killed=True)
    used = min(glob.glob(os.path.join(data, "log", "*.log")))  # the one with records
    node = Node(folder, data=data)
    for path in ("FORMAT", "checkpoints/MANIFEST", "log/mark", os.path.relpath(used, data),
                 os.path.relpath(max(glob.glob(os.path.join(data, "checkpoints", "*.ckpt"))), data)):
        whole, aside = os.path.join(data, path), os.path.join(folder, "aside")
        os.rename(whole, aside)
        said = refused(node)
        check(re.search(r"(missing|has lost|cannot open|needs|ends)", said) and re.search("backup|copy", said),
              f"that {path} is missing, and what to do, is not told: {said}")
        check(os.path.basename(path) in said or path.endswith(".log"), f"{path} is not named: {said}")
        os.rename(aside, whole)
        # Cut off is no better.  Half of the mark would do: it is there twice.
        shutil.copyfile(whole, aside)
        os.truncate(whole, os.path.getsize(whole) // (20 if path == "log/mark" else 2))
        refused(node, os.path.basename(path))
        shutil.copyfile(aside, whole)
        os.remove(aside)
    node.start()
    contents.verify(node)
    node.stop()
    path = os.path.join(folder, "file")
    with open(path, "w", encoding="ascii") as file:
        file.write("hello")
    said = Node(folder, data=path, name="file").refuses()
    check(path in said, f"a file as data folder: {said}")
    said = Node(folder, data=os.path.join(path, "data"), name="below").refuses()
    check(path in said, f"a folder below a file: {said}")


# --- permissions ---

def needs_root():
    """Words that drop root, whom permissions do not bind."""
    if os.geteuid() != 0:
        raise Skip("dropping to another user needs root")
    if not shutil.which("setpriv"):
        raise Skip("setpriv is not installed")
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*words, cairnproc.CAIRN, "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                      timeout=60, check=False).returncode != 0:
        raise Skip(f"user {NOBODY} cannot run {cairnproc.CAIRN}")
    return words


def give(path, user):
    for where, folders, names in os.walk(path):
        for name in (".", *folders, *names):
            os.chown(os.path.join(where, name), user, user)


@contextlib.contextmanager
def taken_away(path, mode=0):
    """Root's for a while, and so that others may do what `mode` lets them."""
    before = os.stat(path)
    os.chown(path, 0, 0)
    os.chmod(path, mode)
    try:
        yield
    finally:
        os.chmod(path, before.st_mode & 0o7777)
        os.chown(path, before.st_uid, before.st_gid)


def test_permissions(folder):
    words = needs_root()
    os.chmod(folder, 0o755)
    data, contents = filled(folder, killed=True)
    give(data, NOBODY)
    node = Node(folder, data=data, before=words)
    chosen = {path.split("/")[0] + ("/" + os.path.basename(path).split(".")[-1]): path for path in files_of(data)}
    for path in [path for path in chosen.values() if not path.startswith("cache") and not path.endswith(".tmp")]:
        with taken_away(os.path.join(data, path)):
            before = stamps(data)
            said = node.refuses()
            check(os.path.basename(path) in said and "Permission denied" in said, f"{path} may not be read: {said}")
            check("owns" in said, f"what to do is not told: {said}")
            check(path.startswith("modules") or stamps(data) == before, f"{path} may not be read: files were changed")
    for path in ("", "log", "checkpoints"):
        with taken_away(os.path.join(data, path)):
            said = node.refuses()
            check((path or data) in said and "Permission denied" in said and "owns" in said,
                  f"the folder '{path}' is closed: {said}")
    with taken_away(os.path.join(data, "log"), 0o555):
        said = node.refuses()
        check("log/" in said and "Permission denied" in said and "owns" in said, f"log/ may not be written: {said}")
    # Compiled code can be made anew, and need not be kept.
    for mode in (0, 0o555):
        with taken_away(os.path.join(data, "cache"), mode):
            node.start()
            contents.verify(node)
            node.stop()
    node.start()
    contents.fill(node).verify(node)
    node.stop()
    # A new folder where none may be made, and one of somebody else's.
    said = Node(folder, data=os.path.join(folder, "new"), before=words, name="new").refuses()
    check("new" in said and "Permission denied" in said and "owns" in said, f"a folder that may not be made: {said}")
    give(data, 0)
    said = node.refuses()
    check(data in said and "Permission denied" in said and "owns" in said, f"a folder of another user: {said}")


if __name__ == "__main__":
    main([test_two_nodes_on_one_folder, test_unknown_versions, test_incomplete_folders, test_permissions])
