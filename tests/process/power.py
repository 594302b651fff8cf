"""A file system on a loop device that can lose power: FS_IOC_SHUTDOWN stops it at once, without writing its journal's memory
out. Mounted again it has what was synced, and what happened to be written.

Needs root and loop devices, and a mount namespace of its own (disk_full.with_mounts).
"""
import fcntl
import os
import struct
import subprocess

from cairnproc import Skip, check

FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = struct.pack("I", 2)


def run(*words):
    path = os.environ.get("PATH", "") + ":/sbin:/usr/sbin"
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
                          env=dict(os.environ, PATH=path))


class Machine:
    """A file system that can lose power."""

    def __init__(self, folder, kind):
        self.image, self.path = os.path.join(folder, f"{kind}.image"), os.path.join(folder, kind)
        if os.geteuid() != 0:
            raise Skip("mounting a file system needs root")
        if run("sh", "-c", f"command -v mkfs.{kind}").returncode != 0:
            raise Skip(f"there is no mkfs.{kind} (Debian: {'xfsprogs' if kind == 'xfs' else 'e2fsprogs'})")
        os.makedirs(self.path)
        run("truncate", "-s", "400M", self.image)
        force = "-f" if kind == "xfs" else "-F"
        made = run(f"mkfs.{kind}", "-q", force, self.image)
        check(made.returncode == 0, made.stdout)
        mounted = self.mount()
        if mounted.returncode != 0:
            raise Skip(f"a loop device cannot be mounted here: {mounted.stdout.strip()}")

    def mount(self):
        return run("mount", "-o", "loop", self.image, self.path)

    def cut(self):
        root = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(root, FS_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(root)

    def again(self):
        run("umount", self.path)
        mounted = self.mount()
        check(mounted.returncode == 0, mounted.stdout)

    def close(self):
        run("umount", "-l", self.path)
