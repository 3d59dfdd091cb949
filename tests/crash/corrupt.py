#!/usr/bin/env python3
"""Damages a file of a data directory, the way storage does. Only for servers that are stopped.

    tests/crash/corrupt.py flip FILE OFFSET [BIT]       one bit
    tests/crash/corrupt.py zero FILE OFFSET LENGTH      zeros, as after a lost write
    tests/crash/corrupt.py copy FILE FROM TO LENGTH     another place's bytes: a misdirected write
    tests/crash/corrupt.py scribble FILE OFFSET LENGTH  noise
    tests/crash/corrupt.py truncate FILE LENGTH
    tests/crash/corrupt.py delete FILE
    tests/crash/corrupt.py blocks FILE                  lists the blocks
"""
import os
import random
import struct
import sys

BLOCK = 4096
MAGIC = b"MSTMBLK1"
FOOTER = 8
MARK = 2


def flip(path, offset, bit=0):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def zero(path, offset, length):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(bytes(length))


def copy(path, source, target, length):
    with open(path, "r+b") as file:
        file.seek(source)
        taken = file.read(length)
        file.seek(target)
        file.write(taken)


def scribble(path, offset, length):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(random.Random(length).randbytes(length))


def truncate(path, length):
    os.truncate(path, length)


def delete(path):
    os.unlink(path)


def blocks(path):
    """The blocks of a segment by their headers alone: (offset, length, entries, flags, first
    position, records). src/log/block.h has the table."""
    found, offset, size = [], 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while offset + 128 <= size:
            file.seek(offset)
            header = file.read(128)
            if header[:8] != MAGIC:
                break
            flags, = struct.unpack_from("<H", header, 10)
            first, entries, records, length = struct.unpack_from("<QIIQ", header, 56)
            found.append((offset, length, entries, flags, first, records))
            offset += (length + BLOCK - 1) // BLOCK * BLOCK
    return found


ACTIONS = {action.__name__: action for action in (flip, zero, copy, scribble, truncate, delete)}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in list(ACTIONS) + ["blocks"]:
        sys.exit(__doc__)
    if sys.argv[1] == "blocks":
        for block in blocks(sys.argv[2]):
            print("%10d %8d bytes %6d entries, flags %d, position %d, %d records" % block)
    else:
        ACTIONS[sys.argv[1]](sys.argv[2], *[int(number, 0) for number in sys.argv[3:]])
