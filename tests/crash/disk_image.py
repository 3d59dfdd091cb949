"""A disk whose power can be cut: ext4 in a loop-mounted image of our own, shut down the way xfstests
does it (FS_IOC_SHUTDOWN). What was not synced is lost. Only in a private mount namespace.
"""
import fcntl
import os
import struct
import subprocess
import time

import campaign

FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
FLAGS = {"nothing flushed": 2, "journal flushed": 1}
PROFILES = (
    ("default", ""),
    ("A", "commit=300,noauto_da_alloc"),
    ("B", "data=writeback,commit=300,noauto_da_alloc,nodelalloc"),
)
IMAGE_MIB = 512
STALE_MIB = 64


def options_of(number):
    """Of a cut: its profile's name, the mount options, how it is cut, and the flag for that."""
    name, options = PROFILES[number % len(PROFILES)]
    how, flag = sorted(FLAGS.items())[number % len(FLAGS)]
    return name, options, how, flag


class Image:
    def __init__(self, place):
        self.file = os.path.join(place, "image")
        self.path = os.path.join(place, "disk")
        os.makedirs(self.path)
        with open(self.file, "wb") as image:
            image.truncate(IMAGE_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.file], check=True)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        self.mount("")
        self.leave_stale_bytes()

    def mount(self, options):
        wanted = "loop" + ("," + options if options else "")
        subprocess.run(["mount", "-o", wanted, self.file, self.path], check=True)

    def unmount(self):
        for _ in range(100):  # the last of a killed process may take a moment to go
            if subprocess.run(["umount", self.path], capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        subprocess.run(["umount", self.path], check=True)

    def leave_stale_bytes(self):
        """Free blocks hold other bytes than zeros, as on a disk that was in use."""
        stale = os.path.join(self.path, "stale")
        with open(stale, "wb") as file:
            for _ in range(STALE_MIB):
                file.write(b"stale bytes of another file " * ((1 << 20) // 28))
            os.fsync(file.fileno())
        os.unlink(stale)
        os.sync()

    def cut(self, flag):
        directory = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, FS_IOC_SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(directory)


def why_not():
    """Why there can be no such disk here; None when there can."""
    reason = campaign.can_mount()
    if reason is None:
        probe = subprocess.run(["losetup", "-f"], capture_output=True, text=True)
        reason = None if probe.returncode == 0 else "no loop device: " + probe.stderr.strip()
    return reason
