"""Keeps a file system in a file: makes and mounts it, shuts it down and mounts it again.

Reads one order a line and answers each with one line. When there are no more orders, because whoever
gave them is done or dead, it unmounts the file system and removes the file.
"""

import fcntl
import os
import signal
import struct
import subprocess
import sys

# _IOR('X', 125, __u32), and not to write the journal out first.
EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2

IMAGE_BYTES = 32 << 20

folder = sys.argv[1]
image = os.path.join(folder, "image")
point = os.path.join(folder, "mounted")


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise OSError(f"{command[0]}: {lines[0] if lines else done.returncode}")


def mount():
    run("mount", "-t", "ext4", "-o", "loop", image, point)


def begin():
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    run("mkfs.ext4", "-q", "-F", image)
    os.mkdir(point)
    mount()


def cut():
    directory = os.open(point, os.O_RDONLY)
    try:
        fcntl.ioctl(directory, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
    finally:
        os.close(directory)


def restore():
    run("umount", point)
    mount()


def end():
    if os.path.ismount(point):
        try:
            run("umount", point)
        except OSError:
            run("umount", "--lazy", point)
    for path, remove in ((image, os.remove), (point, os.rmdir), (folder, os.rmdir)):
        try:
            remove(path)
        except OSError:
            pass


ORDERS = {"begin": begin, "cut": cut, "restore": restore}

signal.signal(signal.SIGINT, signal.SIG_IGN)
try:
    for line in sys.stdin:
        try:
            ORDERS[line.strip()]()
            answer = "done"
        except OSError as error:
            answer = f"failed: {error}"
        print(answer, flush=True)
except BrokenPipeError:
    pass
finally:
    end()
