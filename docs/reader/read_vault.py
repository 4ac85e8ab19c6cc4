#!/usr/bin/env python3
"""Reads a Strongroom vault with nothing but its stored objects and the passphrase.

Written from docs/format.md alone, to show that the page suffices; section numbers refer to it. Not fast, not for daily
use: `strongroom rescue` is. Needs what requirements.txt names from PyPI: `docs/reader/prepare` makes a Python that has it.

    read_vault.py STORE PASSPHRASE_FILE points
    read_vault.py STORE PASSPHRASE_FILE ls POINT
    read_vault.py STORE PASSPHRASE_FILE extract POINT DIR

STORE is the folder that holds vault.json; POINT an id, a prefix of one, or `latest`; DIR must not exist yet.
"""
import json, os, struct, sys, uuid
from functools import lru_cache
from pathlib import Path

import zstandard
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK, PAGE, POINT_BODY, MASTER_KEY = 1, 2, 3, 4
CONTEXT = "Strongroom 2026-11-21 format 1: "


class Damaged(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Damaged(what)


def sub_key(parent, purpose):  # section 3
    return blake3(parent, derive_key_context=CONTEXT + purpose).digest()


def padded(length):  # section 4.2
    step = max((1 << (max(length, 1).bit_length() - 1)) >> 6, 64)
    return -(-max(length, 1) // step) * step


class Keys:  # section 4.1
    def __init__(self, tag_key, cipher_key):
        self.tag_key, self.cipher_key = tag_key, cipher_key

    def open(self, kind, aad, sealed):
        tag, rest = sealed[:32], sealed[32:]
        need(len(sealed) >= 48 + 5, "a sealed blob is cut short")
        aes_key = blake3(tag, key=self.cipher_key).digest()
        payload = AESGCM(aes_key).decrypt(bytes(12), rest, bytes([kind]) + aad)
        whole = bytes([kind]) + struct.pack("<Q", len(aad)) + aad + payload
        need(blake3(whole, key=self.tag_key).digest() == tag, "a sealed blob is not authentic")
        codec, length = struct.unpack_from("<BI", payload)
        body, padding = payload[5 : 5 + length], payload[5 + length :]
        need(len(body) + len(padding) == padded(length) and not any(padding), "wrong padding")
        need(codec in (0, 1), "unknown codec")
        return zstandard.ZstdDecompressor().decompress(body, 1 << 30) if codec else body


def open_key_set(text, passphrase):  # section 3
    key_set = json.loads(text)
    need(key_set["format"] == 1, "the key set has another format")
    costs, salt = key_set["kdf"], bytes.fromhex(key_set["salt"])
    need(19 << 10 <= costs["memory_kib"] <= 1 << 20 and costs["passes"] <= 16 and costs["lanes"] <= 16, "odd costs")
    kek = hash_secret_raw(passphrase, salt, costs["passes"], costs["memory_kib"], costs["lanes"], 32, Type.ID, 0x13)
    keys = Keys(sub_key(kek, "tags of wrapped master keys"), sub_key(kek, "AES keys of wrapped master keys"))
    master = keys.open(MASTER_KEY, uuid.UUID(key_set["id"]).bytes, bytes.fromhex(key_set["wrapped_master"]))
    membership = sub_key(master, "proof of membership in a key set")
    need(blake3(membership).hexdigest() == key_set["verifier"], "the verifier is another key set's")
    return key_set["verifier"], Keys(sub_key(master, "tags of sealed blobs"), sub_key(master, "AES keys of sealed blobs"))


class Cursor:  # section 2
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        need(self.at + length <= len(self.data), "the bytes end inside a value")
        self.at += length
        return self.data[self.at - length : self.at]

    def varint(self):
        (byte,) = self.take(1)
        return byte if byte < 0x80 else byte - 0x80 + (self.varint() << 7)

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def counted(self):
        return self.take(self.varint())

    def path(self, before):
        shared = self.varint()
        return before[:shared] + self.counted()


class Store:
    def __init__(self, root):
        self.root, self.blobs = Path(root), {}
        need(json.loads((self.root / "vault.json").read_text())["format"] == 1, "vault.json has another format")
        for path in (self.root / "packs").glob("??/*"):
            self.index(path)

    def index(self, path):  # section 5
        with open(path, "rb") as pack:
            end = pack.seek(-12, os.SEEK_END)
            length, magic = struct.unpack("<I8s", pack.read(12))
            need(magic == b"SRPACK01", f"{path} does not end as a pack")
            pack.seek(end - length)
            toc = pack.read(length)
        need(blake3(toc).hexdigest() == path.name and toc[:4] == b"SRT1", f"{path} is not the pack of this name")
        offset = 0
        for identity, _kind, size in struct.iter_unpack("<32sBI", toc[8:]):
            self.blobs[identity] = (path, offset, size)
            offset += size

    def blob(self, identity):
        need(identity in self.blobs, f"no pack holds {identity.hex()}")
        path, offset, size = self.blobs[identity]
        with open(path, "rb") as pack:
            pack.seek(offset)
            data = pack.read(size)
        need(blake3(data).digest() == identity, f"blob {identity.hex()} in {path} is damaged")
        return data


class Vault:
    def __init__(self, root, passphrase):
        self.store, self.keys = Store(root), {}
        opened, paths = {}, list((Path(root) / "keys").iterdir())
        for path in paths:
            try:
                verifier, keys = open_key_set(path.read_bytes(), passphrase)
                opened[verifier] = keys
            except Exception as why:
                print(f"key set {path.name} stays closed: {why or type(why).__name__}", file=sys.stderr)
        for path in paths:  # those that another passphrase opens may hold the same master key
            verifier = json.loads(path.read_bytes()).get("verifier")
            if verifier in opened:
                self.keys[path.name] = opened[verifier]
        self.chunk = lru_cache(maxsize=16)(self.chunk)

    def points(self):  # section 8
        for path in sorted((self.store.root / "points").glob("*/*"), key=lambda path: path.name):
            data = path.read_bytes()
            magic, length = struct.unpack_from("<4sI", data)
            need(magic == b"SRR1" and data[8] == 1, f"{path} has another format")
            ids = [str(uuid.UUID(bytes=data[at : at + 16])) for at in (9, 25, 41, 57)]
            key_set, root, created = ids[3], data[73:105], struct.unpack_from("<q", data, 105)[0]
            if key_set in self.keys:
                body = Cursor(self.keys[key_set].open(POINT_BODY, data[: 8 + length], data[8 + length :]))
                yield {"id": ids[2], "keys": self.keys[key_set], "root": root, "created": created,
                       "machine": body.counted().decode()}

    def point(self, wanted):
        points = [point for point in self.points() if wanted == "latest" or point["id"].startswith(wanted)]
        need(points and (wanted == "latest" or len(points) == 1), f"{wanted} names no recovery point, or several")
        return points[-1]

    def leaves(self, keys, identity, level=None):  # sections 6 and 7
        data = self.store.blob(identity)
        magic, found, count = struct.unpack_from("<4sBI", data)
        need(magic == b"SRP1" and level in (None, found), "not a page, or one of another level")
        end = 9 + 32 * count
        refs = [data[at : at + 32] for at in range(9, end, 32)]
        plain = Cursor(keys.open(PAGE, data[:end], data[end:]))
        need(plain.take(1) == b"\1", "the page has another format")
        if found == 0:
            yield from records(plain, refs)
        else:
            for ref in refs:  # what an inner page says of its children serves searching, not reading
                yield from self.leaves(keys, ref, found - 1)

    def chunk(self, keys, identity):
        return keys.open(CHUNK, b"", self.store.blob(identity))

    def write(self, keys, target, extents):
        for kind, length, ref, offset in extents:
            if kind == "hole":
                target.seek(length, os.SEEK_CUR)
            else:
                target.write(bytes(length) if kind == "zeros" else self.chunk(keys, ref)[offset : offset + length])
        target.truncate(target.tell())


KINDS = ["file", "folder", "symbolic link", "hard link", "fifo", "socket", "character device", "block device"]


def records(plain, refs):  # section 7
    lengths = [plain.varint() for _ in refs]
    path, last, mode, owner, mtime = b"", None, 0, (0, 0, b"", b""), (0, 0)
    for _ in range(plain.varint()):
        path = plain.path(path)
        need(not path.startswith(b"/") and not {b"", b".", b".."} & set(path.split(b"/")), "an unsafe path")
        flags, attributes, size, target = plain.varint(), [], 0, None
        kind = flags & 15
        if kind != 8:
            mode = mode if flags & 1 << 4 else plain.varint()
            if not flags & 1 << 5:
                owner = (plain.varint(), plain.varint(), plain.counted(), plain.counted())
            if not flags & 1 << 6:
                mtime = ((mtime[0] + plain.zigzag() + 2**63) % 2**64 - 2**63, plain.varint())
            plain.zigzag(), plain.zigzag()  # ctime and inode serve the next backup only
            if not flags & 1 << 7:
                plain.varint()
            if flags & 1 << 8:
                attributes = [(plain.counted(), plain.counted()) for _ in range(plain.varint())]
        if kind == 0:
            size = plain.varint()
        elif kind in (2, 3):
            target = plain.counted()
        elif kind in (6, 7):
            target = (plain.varint(), plain.varint())
        extents = []
        for _ in range(plain.varint() if kind in (0, 8) else 0):
            (tag,) = plain.take(1)
            if tag < 2:
                extents.append((["hole", "zeros"][tag], plain.varint(), None, 0))
                continue
            if tag < 4:
                plain.take(16)
            at, offset = last if tag == 3 else (plain.varint(), plain.varint())
            length = plain.varint()
            if tag == 4:
                plain.take(16 * -(-length // 65536))
            need(tag <= 4 and offset + length <= lengths[at], "an extent lies outside of its chunk")
            last = (at, offset + length)
            extents.append(("data", length, refs[at], offset))
        yield {"path": path, "kind": kind, "mode": mode, "owner": owner, "mtime": mtime, "size": size,
               "target": target, "attributes": attributes, "extents": extents}
    need(plain.at == len(plain.data), "bytes follow the last record")


def extract(vault, point, folder):
    folder, later = os.fsencode(folder), []
    os.makedirs(folder)
    for record in vault.leaves(point["keys"], point["root"]):
        path, kind = os.path.join(folder, record["path"]), record["kind"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if kind == 8:
            with open(path, "r+b") as target:
                target.seek(0, os.SEEK_END)
                vault.write(point["keys"], target, record["extents"])
            continue
        if kind == 0:
            with open(path, "wb") as target:
                vault.write(point["keys"], target, record["extents"])
        elif kind == 1:
            os.makedirs(path, exist_ok=True)
        elif kind == 4:
            os.mkfifo(path)
        elif kind in (6, 7) and os.geteuid() == 0:
            os.mknod(path, [0o20000, 0o60000][kind - 6] | 0o600, os.makedev(*record["target"]))
        later.append((path, record))
    # Links come last, so that nothing is written through one; times and modes after them, a folder's after its contents'.
    for path, record in later:
        if record["kind"] == 2:
            os.symlink(record["target"], path)
        elif record["kind"] == 3 and os.path.lexists(first := os.path.join(folder, record["target"])):
            os.link(first, path, follow_symlinks=False)
    for path, record in reversed(later):
        if record["kind"] != 3 and os.path.lexists(path):
            finish(path, record)


def finish(path, record):
    if os.geteuid() == 0:
        os.lchown(path, record["owner"][0], record["owner"][1])
    if record["kind"] != 2:
        os.chmod(path, record["mode"])
    for name, value in record["attributes"]:
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        except OSError as why:
            print(f"{os.fsdecode(path)}: {os.fsdecode(name)}: {why}", file=sys.stderr)
    moment = record["mtime"][0] * 10**9 + record["mtime"][1]
    os.utime(path, ns=(moment, moment), follow_symlinks=False)


def main(store, passphrase_file, command, *rest):
    vault = Vault(store, Path(passphrase_file).read_bytes().rstrip(b"\r\n"))
    if command == "points":
        for point in vault.points():
            print(point["id"], point["created"] / 1e9, point["machine"])
    elif command == "ls":
        point = vault.point(rest[0])
        for record in vault.leaves(point["keys"], point["root"]):
            if record["kind"] < 8:
                name = os.fsdecode(record["path"])
                print(f'{record["mode"]:04o} {record["size"]:12} {KINDS[record["kind"]]:16} {name}')
    else:
        extract(vault, vault.point(rest[0]), rest[1])


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5, 6) or sys.argv[3:4][0] not in ("points", "ls", "extract"):
        sys.exit(__doc__)
    sys.stdout.reconfigure(errors="surrogateescape")
    main(*sys.argv[1:])
