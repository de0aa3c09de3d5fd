#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""bench/report.py RAW: what bench/run found, as a table, JSON, a chart, history.

Systems that RAW says nothing of keep what build/bench-results/result.json knew.
"""
import datetime
import json
import math
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULT = TOP + "/build/bench-results/result.json"
CHART = TOP + "/docs/bench.svg"
HISTORY = TOP + "/docs/bench-history.csv"
PAGE = TOP + "/docs/BENCHMARKS.md"

SYSTEMS = [  # name, heading, colour
    ("native", "native", "#999999"),
    ("lguest", "lguest", "#0072b2"),
    ("xen", "Xen PV", "#009e73"),
    ("kvm", "KVM on emulated SVM", "#e69f00"),
    ("uml", "User-mode Linux", "#d55e00"),
    ("gvisor", "gVisor", "#cc79a7"),
    ("tcg", "QEMU TCG in the lab", "#000000"),
]
TARGETS = {  # world switches per operation
    "null_syscall": 0.005, "read_1": 0.005, "write_1": 0.005, "stat": 0.005,
    "signal_self": 0.005, "clock_gettime": 0.005, "pipe_pingpong": 0.005,
    "fpu_pingpong": 0.005,
    "touch_random": 1.1, "touch_sequential": 0.2, "touch_fresh": 1.1,
    "mprotect_page": 2, "timer_tick": 2,
}
PER_FAULT = {"fork_exit": 1.2}


def git(*words):
    return subprocess.run(("git", "-C", TOP) + words, capture_output=True,
                          text=True, check=False).stdout.strip()


def revision():
    dirty = git("status", "--porcelain", "host", "guest", "launcher", "include")
    return git("rev-parse", "--short", "HEAD") + ("+" if dirty else "")


# ---- reading

def read_raw(path, stamp):
    found, system = {}, None
    for line in open(path, errors="replace"):
        line = line.strip()
        if line.startswith("@why "):
            name, why = line[5:].split(" ", 1)
            found.setdefault(name, {})["why"] = why
        elif line.startswith("@ "):
            system = found.setdefault(line[2:], {})
            system.update(stamp)
        elif line.startswith("{") and system is not None:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row["name"] == "boot":
                system.setdefault("boot", []).append(row["seconds"])
                system.setdefault("kernel", []).append(row["kernel_seconds"])
            elif row["name"] == "idle":
                system["idle"] = row
            else:
                system.setdefault("rows", {})[row["name"]] = row
    return found


def merge(found):
    try:
        result = json.load(open(RESULT))
    except (OSError, ValueError):
        result = {}
    for name, system in found.items():
        old = result.get(name, {})
        kept = {key: old[key] for key in ("boot", "kernel") if key in old}
        result[name] = {**kept, **system, "rows": {**old.get("rows", {}),
                                                   **system.get("rows", {})}}
    return result


# ---- the figures

def rows(result, system):
    return result.get(system, {}).get("rows", {})


def ns(result, system, name):
    row = rows(result, system).get(name)
    return row["ns_min"] if row else None


def ratio(result, system, name):
    mine, base = ns(result, system, name), ns(result, "native", name)
    return mine / base if mine and base else None


def short(x):
    """Three figures are enough for anybody."""
    if x is None:
        return "-"
    if x >= 100:
        return f"{x:,.0f}"
    return f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def time_text(value):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if value >= size:
            return f"{short(value / size)} {unit}"
    return f"{short(value)} ns"


def verdict(name, row):
    if name in PER_FAULT and row["guest_faults"]:
        met = row["switches"] / row["guest_faults"] <= PER_FAULT[name]
        return f"{'yes' if met else 'no'} ({short(row['switches'] / row['guest_faults'])} per fault, wanted {PER_FAULT[name]})"
    if name in TARGETS:
        wanted = TARGETS[name]
        return f"{'yes' if row['switches'] <= wanted else 'no'} (wanted {0 if wanted < .01 else wanted})"
    return ""


def present(result):
    return [s for s in SYSTEMS if rows(result, s[0])]


def main_table(result):
    shown = [s for s in present(result) if s[0] != "native"]
    head = ["operation", "native"] + [s[1] for s in shown] + ["world switches"]
    table = [head]
    for name in rows(result, "native"):
        line = [name, time_text(ns(result, "native", name))]
        line += [short(ratio(result, s[0], name)) for s in shown]
        count = rows(result, "counts").get(name)
        line.append(f"{count['switches']:.2f}" if count else "-")
        table.append(line)
    return table


def counts_table(result):
    table = [["operation", "world switches", "guest's page faults", "with time", "target met"]]
    for name, row in rows(result, "counts").items():
        table.append([name, f"{row['switches']:.3f}", f"{row['guest_faults']:.2f}",
                      f"{row['with_time']:.3f}", verdict(name, row)])
    return table


def boot_table(result):
    table = [["machine", "start to init", "of it in the kernel"]]
    for name, heading in [("bare", "the same kernel on the bare emulated machine")] + \
            [s[:2] for s in SYSTEMS]:
        boot = result.get(name, {}).get("boot")
        if boot:
            table.append([heading, f"{min(boot):.2f} s",
                          f"{min(result[name]['kernel']):.2f} s"])
    return table


def numbered(result, prefix):
    found = [(int(n[len(prefix):]), s) for n, s in result.items() if n.startswith(prefix)]
    return sorted(found, key=lambda pair: pair[0])


def memory_table(result):
    return [["guest memory", "start to init"]] + [
        [f"{size} MiB", f"{min(s['boot']):.2f} s"]
        for size, s in numbered(result, "memory-") if s.get("boot")]


def fleet_table(result):
    table = [["guests at once (64 MiB)", "up", "last one at init", "idle: host CPU",
              "launcher, each", "guest memory touched, each", "shadow tables, each"]]
    for n, s in numbered(result, "fleet-"):
        if "idle" in s:
            i = s["idle"]
            table.append([str(n), str(i["up"]), f"{i['last_boot']:.1f} s",
                          f"{i['cpu_percent']:.1f} %", f"{i['own_kib']} KiB",
                          f"{i['guest_kib'] / 1024:.1f} MiB", f"{i['shadow_kib']} KiB"])
    return table


def disk_table(result):
    host, guest = rows(result, "fio-host"), rows(result, "fio-guest")
    count = guest.get("fio_disk")
    table = [["fio", "host", "guest", "guest of host", "target met"]]
    for name in host:
        if name in guest:
            part = guest[name]["iops"] / max(host[name]["iops"], 1)
            table.append([name, f"{host[name]['iops']:,}/s", f"{guest[name]['iops']:,}/s",
                          f"{part:.0%}", f"{'yes' if part >= .6 else 'no'} (wanted 60%)"
                          if "read" in name else ""])
    if count:
        for what in ("notifications", "interrupts"):
            table.append([what + " per request", "", f"{count[what] / count['requests']:.2f}", "", ""])
    return table


def net_table(result):
    host = rows(result, "net-host")
    table = [["iperf3", "Mbit/s", "of the host's own", "target met"]]
    for system, way, heading in [
            ("net-host", "to", "host: one namespace to another"),
            ("net-tap", "to", "tap: guest to host"), ("net-tap", "from", "tap: host to guest"),
            ("net-switch", "to", "switch: guest to guest"),
            ("net-switch", "from", "switch: the other way")]:
        row = rows(result, system).get("iperf_" + way)
        if row and host.get("iperf_" + way, {}).get("mbit"):
            part = row["mbit"] / host["iperf_" + way]["mbit"]
            table.append([heading, f"{row['mbit']:,}", f"{part:.0%}",
                          f"{'yes' if part >= .6 else 'no'} (wanted 60%)"
                          if system == "net-tap" else ""])
    for queue, heading in (("0", "received"), ("1", "sent")):
        row = rows(result, "net-tap").get("iperf_queue" + queue)
        if row and row["requests"]:
            table.append([f"tap: per frame {heading}",
                          "", f"{row['notifications'] / row['requests']:.3f} notifications",
                          f"{row['interrupts'] / row['requests']:.3f} interrupts"])
    return table


def smp_table(result):
    """Times as multiples of native's own with as many CPUs, if there are so many."""
    table = [["work, CPUs or vCPUs", "native", "lguest", "QEMU TCG in the lab",
              "world switches, each operation"]]
    for name in ("hackbench", "build", "fork_storm", "mmap_storm"):
        for n in (1, 2, 4):
            native, mine, tcg = (rows(result, f"smp-{s}-{n}").get(f"{name}_{n}")
                                 for s in ("native", "lguest", "tcg"))
            if not mine:
                continue
            base = native["ns_min"] if native else None
            show = (lambda row: "-" if not row else short(row["ns_min"] / base) if base
                    else time_text(row["ns_min"]))
            table.append([f"{name}, {n}", time_text(base) if base else "-", show(mine), show(tcg),
                          short(mine["switches"] / 3 / mine["operations"])])
    return table


TITLES = [
    (main_table, "Times, as multiples of native (the least of many windows), and world switches per operation in lguest"),
    (counts_table, "World switches per operation in lguest"),
    (boot_table, "Boot"),
    (memory_table, "lguest: boot as memory grows"),
    (fleet_table, "lguest: many at once"),
    (disk_table, "Disk: 4 KiB at random, 32 at once, on the same disk of the lab's host"),
    (smp_table, "Several CPUs, on a lab with two: times, as multiples of native with as many (of four: times)"),
    (net_table, "Network: TCP by iperf3, one connection"),
]


def missing(result):
    named = {s[0]: s[1] for s in SYSTEMS}
    return [f"{named.get(n, n)}: {s['why']}" for n, s in result.items() if s.get("why")]


# ---- writing

def as_text(table):
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(w) if not i else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(line, widths)))
                     for line in table)


def as_markdown(table):
    lines = ["| " + " | ".join(line) + " |" for line in table]
    lines.insert(1, "|---|" + "---:|" * (len(table[0]) - 1))
    return "\n".join(lines)


def write_page(result):
    parts = []
    for make, title in TITLES:
        table = make(result)
        if len(table) > 1:
            parts.append(f"### {title}\n\n{as_markdown(table)}\n")
    if missing(result):
        parts.append("Not measured, and why:\n\n" +
                     "\n".join("- " + m for m in missing(result)) + "\n")
    when = ", ".join(f"{n} {s['revision']}" for n, s in result.items()
                     if n in ("native", "lguest", "counts") and "revision" in s)
    parts.append(f"Revisions: {when}; a `+` marks a changed tree.\n")
    text = open(PAGE).read()
    begin, end = "<!-- results -->\n", "<!-- end of results -->"
    head, rest = text.split(begin, 1)
    tail = rest.split(end, 1)[1]
    open(PAGE, "w").write(head + begin + "\n" + "\n".join(parts) + "\n" + end + tail)


def write_chart(result):
    shown = present(result)
    names = [n for n in rows(result, "native") if ratio(result, "lguest", n)]
    ratios = [r for n in names for s in shown for r in [ratio(result, s[0], n)] if r]
    if not names:
        return
    low, high = math.floor(math.log10(min(ratios))), math.ceil(math.log10(max(ratios)))
    # A letter is taken as 8 to 9 wide: fonts differ, and no label may be cut.
    left, width, step, top = 24 + 9 * max(map(len, names)), 560, 24, 92
    bottom = top + step * len(names)
    total = max(left + width + 130, sum(30 + 8 * len(s[1]) for s in shown))

    def x(value):
        return left + width * (math.log10(value) - low) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{bottom + 46}" '
           f'viewBox="0 0 {total} {bottom + 46}" font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           '<text x="12" y="24" font-size="16" font-weight="bold">'
           'Time per operation, as a multiple of native (left is faster)</text>']
    at = 12
    for _, heading, colour in shown:
        out.append(f'<circle cx="{at + 6}" cy="46" r="5" fill="{colour}"/>'
                   f'<text x="{at + 16}" y="50">{heading}</text>')
        at += 30 + 8 * len(heading)
    for power in range(low, high + 1):
        at = x(10 ** power)
        label = f"{10 ** power:,}x" if power >= 0 else f"{10 ** power}x"
        out.append(f'<line x1="{at:.1f}" y1="{top - 8}" x2="{at:.1f}" y2="{bottom}" stroke="#ddd"/>'
                   f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    out.append(f'<text x="{total - 12}" y="{top - 14}" text-anchor="end">world switches</text>')
    for i, name in enumerate(names):
        y = top + step * i + step // 2
        if i % 2:
            out.append(f'<rect x="0" y="{y - step // 2}" width="{total}" height="{step}" '
                       'fill="#000" fill-opacity="0.035"/>')
        out.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{name}</text>')
        for system, heading, colour in shown[::-1]:
            value = ratio(result, system, name)
            if value:
                size = 6 if system == "lguest" else 4.5
                out.append(f'<circle cx="{x(value):.1f}" cy="{y}" r="{size}" fill="{colour}">'
                           f'<title>{heading}: {short(value)} x native</title></circle>')
        count = rows(result, "counts").get(name)
        if count:
            out.append(f'<text x="{total - 12}" y="{y + 4}" text-anchor="end">'
                       f'{count["switches"]:.2f}</text>')
    out.append(f'<text x="12" y="{bottom + 38}" fill="#555" font-size="12">One boot of the lab '
               '(QEMU TCG; Xen PV: a boot of its own), one binary, one CPU. '
               'World switches: lguest, per operation.</text></svg>')
    open(CHART, "w").write("\n".join(out) + "\n")


def figures(found, result):
    """What this run measured of lguest, for the history."""
    if "lguest" in found:
        for name in rows(found, "lguest"):
            yield "time_ns", name, ns(result, "lguest", name)
            if ratio(result, "lguest", name):
                yield "times_native", name, ratio(result, "lguest", name)
    for name in rows(found, "counts"):
        yield "world_switches", name, rows(found, "counts")[name]["switches"]
    for name, system in found.items():
        if system.get("boot"):
            yield "boot_s", name, min(system["boot"])
        for row, values in rows(found, name).items():
            if "iops" in values:
                yield "iops", f"{name}/{row}", values["iops"]
        if "idle" in system:
            for key in ("cpu_percent", "own_kib", "guest_kib", "shadow_kib", "last_boot"):
                yield "fleet_" + key, name, system["idle"][key]


def write_history(found, result, stamp):
    """Returns the exact counts that grew since they were last measured."""
    last, worse = {}, []
    if os.path.exists(HISTORY):
        for line in open(HISTORY).readlines()[1:]:
            _, _, figure, name, value = line.strip().split(",")
            last[figure, name] = float(value)
    new = not os.path.exists(HISTORY)
    with open(HISTORY, "a") as history:
        if new:
            history.write("date,revision,figure,name,value\n")
        for figure, name, value in figures(found, result):
            history.write(f"{stamp['date']},{stamp['revision']},{figure},{name},{value:.4g}\n")
            before = last.get((figure, name))
            if figure == "world_switches" and before is not None and \
                    value > before * 1.1 + 0.05:
                worse.append(f"{name}: {value:.2f} world switches, before {before:.2f}")
    return worse


def main():
    stamp = {"date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
             "revision": revision()}
    found = read_raw(sys.argv[1], stamp)
    result = merge(found)
    with open(RESULT, "w") as file:
        json.dump(result, file, indent=1)
    for make, title in TITLES:
        table = make(result)
        if len(table) > 1:
            print(f"\n{title}\n\n{as_text(table)}")
    for line in missing(result):
        print("\nnot measured: " + line)
    worse = write_history(found, result, stamp)
    write_page(result)
    write_chart(result)
    for line in worse:
        print("REGRESSION: " + line)
    print(f"\n{os.path.relpath(RESULT)}, {os.path.relpath(CHART)}, {os.path.relpath(PAGE)}, {os.path.relpath(HISTORY)}")
    return bool(worse)


sys.exit(main())
