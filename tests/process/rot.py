"""One flipped bit in a data folder: the node refuses to start and says where, or all that was acknowledged is right.

A folder is made by a real node, a bit is flipped, and the node is started on it.  In the used part of each file, blocks
of 4 KiB have their turn one by one; the zeros behind (prepared log) are flipped in every block at once.
"""
import os
import random
import re
import shutil
import tempfile
import time

from cairnproc import Died, Node, check, copy_tree
from contents import Contents, files_of, stamps

BLOCK = 4096
CHUNK_BYTES_MAX = 1 << 18  # of a checkpoint: what one checksum covers, the record of a log is smaller here
WHOLE = ("FORMAT", "checkpoints/MANIFEST")  # under one checksum, and that is told as the place

# What must be refused wherever it is hit, and what must not stop a node.  Of the log, it depends on the place.
REFUSED = ("FORMAT", "checkpoints", "modules")
STARTED = ("cache", "lock", "mark")


def kind_of(path):
    return {"log/mark": "mark"}.get(path) or path.split("/")[0]


def used_bytes(path):
    """Up to the last byte that is not zero."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


class Rot:
    def __init__(self, folder, killed, scale=1, seed=None):
        self.seed = random.randrange(1 << 31) if seed is None else seed
        self.dice = random.Random(self.seed)
        # In memory if there is a place for it: a start prepares 48 MiB of log, and this is hundreds of them.
        self.memory = tempfile.mkdtemp(prefix="cairn-rot-", dir="/dev/shm") if os.access("/dev/shm", os.W_OK) else None
        self.folder, self.killed = self.memory or folder, killed
        self.whole, self.data = os.path.join(self.folder, "whole"), os.path.join(self.folder, "data")
        self.contents = Contents(scale)
        self.outcomes, self.dirty = {}, True
        with Node(folder, data=self.whole, name="made") as node:
            self.contents.fill(node)
            node.stop()
            node.start()
            self.contents.fill(node)
            if killed:
                time.sleep(.5)  # by then the mark has it: what it does not have yet could be taken for torn
            else:
                node.stop()
        self.node = Node(folder, data=self.data, name="flipped")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.kill()
        if self.memory:
            shutil.rmtree(self.memory, ignore_errors=True)

    def places(self):
        """[(path, offsets)], one per 4 KiB of what is used, and one for all zeros of a file."""
        found = []
        for path, size in files_of(self.whole).items():
            used = used_bytes(os.path.join(self.whole, path))
            used = size if size - used < BLOCK else (used + 7) // 8 * 8
            for start in range(0, used, BLOCK):
                found.append((path, [self.dice.randrange(start, min(used, start + BLOCK))]))
            if used < size:
                found.append((path, [self.dice.randrange(start, min(size, start + BLOCK))
                                     for start in range(used, size, BLOCK)]))
        return found

    def flip(self, path, offsets):
        """Flips a bit at each offset."""
        if self.dirty:
            copy_tree(self.whole, self.data)
        self.dirty = True
        with open(os.path.join(self.data, path), "r+b") as file:
            for offset in offsets:
                file.seek(offset)
                byte = file.read(1)[0] ^ 1 << self.dice.randrange(8)
                file.seek(offset)
                file.write(bytes([byte]))

    def restore(self, path):
        """After a refusal only the flipped file differs."""
        shutil.copyfile(os.path.join(self.whole, path), os.path.join(self.data, path))
        self.dirty = False

    def check_refusal(self, path, offsets, said):
        """It must name the file and the place."""
        check(os.path.basename(path) in said, f"the file is not named: {said}")
        numbers = [int(one) for one in re.findall(r"\bbyte (\d+)", said)]
        check(numbers or kind_of(path) == "modules", f"the place is not told: {said}")
        check(path in WHOLE or not numbers or any(offsets[0] - CHUNK_BYTES_MAX <= one <= offsets[0] + 64
                                                 for one in numbers),
              f"{numbers} is not the place, which is {offsets[0]}: {said}")
        check(re.search(r"restore .* from a (backup|copy)|put .* back there", said), f"what to do is not told: {said}")

    def try_one(self, path, offsets):
        self.flip(path, offsets)
        label = f"seed {self.seed}: {path} flipped at {offsets[0]}" + (f" and {len(offsets) - 1} more" * (len(offsets) > 1))
        before = stamps(self.data)
        kind = kind_of(path)
        try:
            self.node.start()
        except Died as died:
            status, said = self.node.process.returncode, self.node.output()
            self.node.kill()
            check(status == 1, f"{label}: {died}")
            check(kind not in STARTED, f"{label} was refused: {said}")
            try:
                self.check_refusal(path, offsets, said)
                # Modules are looked at when the log is open, which has begun a new epoch then.
                check(kind == "modules" or stamps(self.data) == before, "a node that refused has changed files")
            except AssertionError as fault:
                raise AssertionError(f"{label}: {fault}") from None
            if kind != "modules":
                self.restore(path)
            outcome = "refused"
        else:
            check(kind not in REFUSED, f"{label} was not found: {self.node.output()}")
            try:
                self.contents.verify(self.node)
            except AssertionError as fault:
                raise AssertionError(f"{label}, then: {fault}\n{self.node.output()}") from None
            finally:
                self.node.kill()
            outcome = "right"
        self.outcomes[kind, outcome] = self.outcomes.get((kind, outcome), 0) + 1
        return outcome

    def try_all(self, places, seconds):
        """Tries them in a drawn order until the time is over, and that what must be found was."""
        begin, places = time.monotonic(), list(places)
        self.dice.shuffle(places)
        left = len(places)
        for path, offsets in places:
            if time.monotonic() - begin > seconds:
                break
            self.try_one(path, offsets)
            left -= 1
        print(f"    {'killed' if self.killed else 'stopped'}, seed {self.seed}, {time.monotonic() - begin:.0f} s: " + ", ".join(
            f"{kind} {outcome} {count}" for (kind, outcome), count in sorted(self.outcomes.items())) + (
                f"; {left} places had no time" if left else ""))
        if not left:
            want = {(kind, "refused") for kind in (*REFUSED, "log")} | {(kind, "right") for kind in ("cache", "mark", "log")}
            check(want <= set(self.outcomes), f"nothing was seen of {sorted(want - set(self.outcomes))}")
