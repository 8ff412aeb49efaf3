#!/usr/bin/env python3
"""Reads a ringdb database, checks every byte of it, and prints its rows.

    python3 read_ringdb.py DB

A line per row: its id, its coordinates and the bytes of its payload in hex, separated by tabs. Damage ends
the program with a message that names file and byte. It was written from docs/FORMAT.md and nothing else, to
know that the page suffices, and needs nothing but Python 3 and its standard library.
"""

import math
import os
import struct
import sys
from pathlib import Path
from zlib import crc32

NAMES = {2: "vectors.bin", 3: "payloads.bin", 4: "offsets.bin"}
# Their bytes are checked and passed over: all of them can be computed again from the rows.
DERIVED = {5: "codes.bin", 6: "fine.bin", 7: "prefix.bin", 8: "blocks.bin", 9: "order.bin"}
CODECS = {1: "bincode", 2: "json-text", 3: "postcard", 4: "raw", 5: "pod"}
BLOCK_BYTES = 65_536


class Damage(Exception):
    """A file, the byte at which it is not as it should be, and what is wrong there."""


class Frame:
    """A file with its header, body and note, after header, blocks, table, note and footer were checked."""

    def __init__(self, path, kind):
        self.path = path
        self.require(path.is_file(), 0, "no regular file")
        self.file = path.read_bytes()
        end = len(self.file)
        self.require(end >= 64 + 16, end, "too short for header and footer")
        (magic, found_kind, version, self.detail, self.uuid, self.generation, self.count, body_bytes,
         self.width, header_crc) = struct.unpack_from("<6sHII16sQQQII", self.file)
        self.require(magic == b"RINGDB", 0, "does not begin with RINGDB")
        self.require(version == 1, 8, f"format version {version}, this program reads version 1")
        self.require(crc32(self.file[:60]) == header_crc, 60, "checksum of the header")
        self.require(found_kind == kind, 6, f"kind {found_kind}, expected {kind}")

        note_bytes, tail_crc, header_crc_again, self.checksum = struct.unpack("<4I", self.file[-16:])
        self.require(crc32(self.file[-16:-4]) == self.checksum, end - 4, "checksum of the footer")
        self.require(header_crc_again == header_crc, end - 8, "the footer is of another header")
        table = 64 + body_bytes
        note = table + 4 * -(-body_bytes // BLOCK_BYTES)
        self.require(note_bytes <= 255, end - 16, f"a note of {note_bytes} bytes")
        self.require(note + note_bytes + 16 == end, end, "another length than the header says")
        self.require(crc32(self.file[table:-16]) == tail_crc, table, "checksum of table and note")
        for i, (block_crc,) in enumerate(struct.iter_unpack("<I", self.file[table:note])):
            block = 64 + i * BLOCK_BYTES
            block_end = min(block + BLOCK_BYTES, table)
            self.require(crc32(self.file[block:block_end]) == block_crc, block, f"checksum of block {i}")
        self.body, self.note = self.file[64:table], self.file[note:-16]

    def require(self, holds, byte, finding):
        if not holds:
            raise Damage(f"{self.path} at byte {byte}: {finding}")


def read(db):
    """The rows of the database in the directory `db`: a list of coordinates, as a tuple, and payload bytes."""
    manifest = Frame(Path(db, "MANIFEST"), 1)
    body, dims, require = manifest.body, manifest.detail, manifest.require
    require(1 <= dims <= 65_536, 12, f"{dims} dims")
    require(manifest.count == 1, 40, f"{manifest.count} segments")
    require(len(body) >= 32, 64, "too short for a segment")
    metric, element, codec, name_bytes = struct.unpack_from("<4I", body)
    require(metric == 1 and element == 1, 64, f"metric {metric}, elements of type {element}")
    require(codec in CODECS, 72, f"payload codec {codec}")
    segment, entries = 16 + name_bytes, 32 + name_bytes
    require(len(body) >= entries, 76, f"a name of {name_bytes} bytes")
    number, n_files, n_rows = struct.unpack_from("<IIQ", body, segment)
    require(len(body) == entries + 16 * n_files, 64 + segment + 4, f"{n_files} files")
    require(n_rows < 1 << 32, 64 + segment + 8, f"{n_rows} rows")

    frames = {}
    for i, (kind, flags, checksum, file_bytes) in enumerate(struct.iter_unpack("<HHIQ", body[entries:])):
        entry = 64 + entries + 16 * i
        name = NAMES.get(kind) or DERIVED.get(kind)
        require(name or flags & 1, entry, f"a file of kind {kind}, which is not known")
        require(kind not in frames, entry, f"two files of kind {kind}")
        if name:
            require(flags == (kind in DERIVED), entry + 2, f"flags {flags} of a file of kind {kind}")
            file = frames[kind] = Frame(Path(db, f"segment-{number:06}", name), kind)
            same = (file.uuid, file.generation) == (manifest.uuid, manifest.generation)
            file.require(same, 16, "of another database or another commit than MANIFEST")
            file.require(len(file.file) == file_bytes, len(file.file), f"MANIFEST says {file_bytes} bytes")
            file.require(file.checksum == checksum, len(file.file) - 4, "MANIFEST has another checksum")
    require(set(NAMES) <= set(frames), 64 + entries, f"names files of kinds {sorted(frames)} only")

    vectors, payloads, offsets = frames[2], frames[3], frames[4]
    derived = [frames[kind] for kind in DERIVED if kind in frames]
    for file, byte, what, found, expected in [
        (vectors, 12, "dims", vectors.detail, dims),
        (vectors, 40, "rows", vectors.count, n_rows),
        (vectors, 48, "bytes", len(vectors.body), 4 * dims * n_rows),
        (payloads, 12, "codec", payloads.detail, codec),
        (payloads, 40, "payloads", payloads.count, n_rows),
        (payloads, 64 + len(payloads.body), "type", payloads.note, body[16:segment]),
        (offsets, 12, "detail", offsets.detail, 0),
        (offsets, 40, "offsets", offsets.count, n_rows + 1),
        (offsets, 48, "bytes", len(offsets.body), 8 * (n_rows + 1)),
        *((file, 12, "dims", file.detail, dims) for file in derived),
        *((file, 40, "rows", file.count, n_rows) for file in derived),
        *((file, 56, "width", file.width, 0) for file in (manifest, vectors, offsets, *derived)),
        *((file, 48, "note", file.note, b"") for file in (manifest, vectors, offsets, *derived)),
    ]:
        file.require(found == expected, byte, f"{what} {found}, expected {expected}")
    rows = list(struct.iter_unpack(f"<{dims}f", vectors.body))
    for i, row in enumerate(rows):
        vectors.require(all(map(math.isfinite, row)), 64 + 4 * dims * i, f"row {i} is not finite: {row}")
    return list(zip(rows, read_payloads(payloads, offsets, CODECS[codec])))


def read_payloads(payloads, offsets, codec):
    """The payload of each record, after its checksum was compared."""
    found, width = [], payloads.width
    pod_bytes = (width + 4 + 15) // 16 * 16
    payloads.require(codec == "pod" or width == 0, 56, f"width {width} with codec {codec}")
    ends = [end for end, in struct.iter_unpack("<Q", offsets.body)]
    offsets.require(ends[0] == 0, 64, f"the first offset is {ends[0]}")
    offsets.require(ends[-1] == len(payloads.body), 56 + 8 * len(ends), f"the last offset is {ends[-1]}")
    for i, (start, end) in enumerate(zip(ends, ends[1:])):
        fits = end - start == pod_bytes if codec == "pod" else end - start >= 4
        offsets.require(fits, 72 + 8 * i, f"record {i} from {start} to {end}")
        place = payloads.uuid + struct.pack("<QI", payloads.generation, i)
        crc = crc32(place + payloads.body[start:end - 4])
        checksum = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        same = payloads.body[end - 4:end] == checksum.to_bytes(4, "little")
        payloads.require(same, 64 + start, f"checksum of payload {i}")
        payload_end = start + width if codec == "pod" else end - 4
        payloads.require(not any(payloads.body[payload_end:end - 4]), 64 + payload_end, "other than zeros")
        found.append(payloads.body[start:payload_end])
    return found


def printable(text):
    """The text with escapes for characters that a terminal would obey: any may be in the name of a file."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        contents = read(sys.argv[1])
    except (Damage, OSError) as error:
        sys.exit(printable(f"error: {error}"))
    try:
        for i, (row, payload) in enumerate(contents):
            print(i, *row, payload.hex(), sep="\t")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads this has seen enough. What is still in the buffer goes nowhere, without complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
