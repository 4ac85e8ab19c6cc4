#!/usr/bin/env python3
"""shares.py RECORDING.perf…: what kinds of work took the CPU time, in per cent of each recording's samples."""
import re
import subprocess
import sys

# The first pattern that matches a function (or, in the kernel, the system call that it works for) wins.
KINDS = [
    ("zstd: compress", r"^ZSTD_(?!decompress|decode|buildFSE|execSequence)|^HUF_(?!dec|read)|^FSE_(?!dec)|^HIST_|^ZSTDMT"),
    ("zstd: decompress", r"^ZSTD_|^HUF_|^FSE_"),
    ("BLAKE3", r"blake3"),
    ("AES-GCM", r"aes_gcm|aes_hw|gcm_|AES_|_ghash"),
    ("random numbers: jitter entropy", r"jent_|^rol64$|xoshiro|jitter"),
    ("SHA, curves, signatures", r"[Ss][Hh][Aa](1|2|3|512|256)|keccak|25519|p256|ecp_nistz|bignum|RSA_"),
    ("copying and clearing memory", r"mem(move|cpy|set|cmp)"),
    ("allocator", r"malloc|_int_free|^cfree|realloc|calloc|unlink_chunk|arena|madvise"),
    ("cutter", r"[Cc]utter"),
    ("SQLite", r"sqlite|sqlx|Btree|pcache|pager|vdbe"),
    ("TLS, HTTP (rustls, hyper, h1)", r"rustls|hyper|reqwest|axum|http|h2::"),
    ("walk, compare (sources)", r"strongroom_sources"),
    ("pages, leaves, entries (format)", r"strongroom_format|strongroom_model"),
    ("engine", r"strongroom_engine"),
    ("tokio, channels, locks", r"tokio|crossbeam|park|futex|mio::|parking_lot"),
]
SYSCALLS = {
    "read": r"sys_(read|pread64|readv)$", "write": r"sys_(write|pwrite64|writev|pwritev)$", "socket": r"sys_(send|recv|sendto|recvfrom|sendmsg|recvmsg)",
    "open, close": r"sys_(openat|open|close|openat2)", "stat": r"sys_(newfstatat|statx|fstat|newfstat|lstat)", "xattr": r"sys_.*xattr",
    "getdents": r"sys_getdents", "fsync": r"sys_(fsync|fdatasync|syncfs|sync_file_range)", "rename, unlink, mkdir": r"sys_(rename|unlink|mkdir|link|symlink)",
    "times, mode, owner": r"sys_(utimens|fch|ch)", "futex": r"sys_futex", "epoll": r"sys_epoll", "mmap, page faults": r"sys_(mmap|munmap|madvise|mremap|brk|mprotect)|exc_page_fault|asm_exc_page",
    "interrupts": r"asm_(sysvec|common_interrupt)|irq",
    "read-ahead, lseek, truncate": r"sys_(fadvise|lseek|ftruncate|fallocate|ioctl)",
}


def samples(path):
    """Call chains, innermost first, as lists of (function, object)."""
    text = subprocess.run(["perf", "script", "-i", path, "-F", "comm,ip,sym,dso"], capture_output=True, text=True).stdout
    for block in text.split("\n\n"):
        lines = block.strip().split("\n")[1:]
        chain = [re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", line) for line in lines]
        chain = [(m.group(1).split("+0x")[0], m.group(2)) for m in chain if m]
        if chain:
            yield chain


def kind(chain):
    name, place = chain[0]
    if "kernel" in place or "vdso" in place:
        for what, pattern in SYSCALLS.items():
            if any(re.search(pattern, function) for function, _ in chain[-14:] + chain):
                return "kernel: " + what
        return "kernel: other"
    for what, pattern in KINDS:
        if re.search(pattern, name):
            return what
    return "other: " + (name if len(name) < 50 else name[:47] + "…")


def main():
    for path in sys.argv[1:]:
        count, total = {}, 0
        for chain in samples(path):
            total += 1
            count[kind(chain)] = count.get(kind(chain), 0) + 1
        print(f"\n## {path} ({total} samples at 999 Hz = {total / 999:.2f} CPU s)")
        for what, number in sorted(count.items(), key=lambda item: -item[1]):
            if number * 100 >= total * 0.8:
                print(f"{number * 100 / max(total, 1):5.1f} %  {what}")


if __name__ == "__main__":
    main()
