#!/usr/bin/env python3
"""table.py RESULTS.jsonl: Markdown tables, one for each data set, of what the harness measured.

Every figure is a median over rounds. CPU is client and server together. The quotient to the floor is the median of the
quotients within one round (the floor's run that came last before the tool's), because other work on the machine raises
everybody's CPU seconds at the same time. `quiet` counts the rounds in which others burnt less than half a CPU.
"""
import collections
import json
import statistics
import sys

OPERATIONS = ["initial", "nochange", "change", "cluster", "restore", "verify"]
TOOLS = ["tarzstd", "strongroom", "bupstash", "restic", "rustic", "borg1"]
FLOOR = "tarzstd"
MIB = 1 << 20


def read(path):
    """The good lines as {set: {tool: {operation: [line]}}}, each with its CPU, quotient to the floor and added bytes."""
    table = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(list)))
    floor, before = {}, {}
    for line in map(json.loads, open(path)):
        kind, tool = line["set"], line["tool"]
        if line["op"] == "compare" or line["rc"]:
            table[kind][tool][line["op"] + " failed"] += [line] if line["rc"] else []
            continue
        line["total_cpu"] = line["cpu"] + line.get("srv_cpu", 0)
        if tool == FLOOR:
            floor[kind, line["op"]] = line["total_cpu"]
        base = floor.get((kind, line["op"]))
        line["quotient"] = line["total_cpu"] / base if base else None
        key = (kind, tool)
        line["added"] = line["repo"] - (0 if line["op"] == "initial" else before.get(key, 0))
        before[key] = line["repo"]
        table[kind][tool][line["op"]].append(line)
    return table


def middle(lines, key):
    values = [line[key] for line in lines if line.get(key) is not None]
    return statistics.median(values) if values else None


def cell(lines):
    """wall / CPU (quotient to the floor)"""
    if not lines:
        return ""
    wall, cpu, quotient = (middle(lines, key) for key in ("wall", "total_cpu", "quotient"))
    digits = 2 if cpu < 1 else 1
    times = "" if quotient is None or lines[0]["tool"] == FLOOR else f" ({quotient:.2f}×)"
    return f"{wall:.{digits}f} / **{cpu:.{digits}f}**{times}"


def row(tool, rows, operations):
    initial = rows["initial"]
    quiet = sum(line["others_cpu"] < 0.5 * max(line["wall"], 1) for line in initial)
    cells = [cell(rows.get(operation, [])) for operation in operations]
    every = [line for operation in operations for line in rows.get(operation, [])]
    client = max(line.get("rss_mb", 0) for line in every)
    server = max(line.get("srv_rss_mb", 0) for line in every)
    added = " / ".join(f"{middle(rows[o], 'added') / MIB:.2f}" for o in ("nochange", "change", "cluster") if rows.get(o))
    size = f"{middle(initial, 'repo') / MIB:.0f}" if initial else ""
    failed = sum(len(lines) for name, lines in rows.items() if name.endswith("failed"))
    note = f" ({failed} failed)" if failed else ""
    return [tool + note, f"{quiet}/{len(initial)}", *cells, size, added, f"{client} + {server}"]


def main():
    for kind, tools in read(sys.argv[1]).items():
        operations = [o for o in OPERATIONS if any(tools[t].get(o) for t in tools)]
        head = ["tool", "quiet/rounds", *operations, "vault MiB", "MiB added by nochange / change / cluster", "RSS MiB client + server"]
        print(f"\n**{kind}**: wall s / **CPU s** of client and server (× floor)\n")
        print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
        for tool in sorted(tools, key=lambda t: TOOLS.index(t) if t in TOOLS else 99):
            print("| " + " | ".join(row(tool, tools[tool], operations)) + " |")


if __name__ == "__main__":
    main()
