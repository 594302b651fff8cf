"""The two figures of the paper, drawn with gnuplot from bench.json: normalized throughput; median and p99."""
import json
import os
import shutil
import subprocess

from . import paper

COLOURS = ["#1b6ca8", "#c0504d", "#e39b4f", "#8a8a8a"]


def read(path):
    """{workload: {system: {figure: value}}}, systems in order."""
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    found, systems = {}, ["aggregated (cairn)"]
    for row in rows:
        if not row["name"].startswith(paper.PREFIX):
            continue
        work, figure = row["name"][len(paper.PREFIX):].rsplit(" ", 1)
        of = found.setdefault(work, {})
        of.setdefault(systems[0], {})[figure] = row["cairn"]
        of.setdefault(row["peer_name"], {})[figure] = row["peer"]
        if row["peer_name"] not in systems:
            systems.append(row["peer_name"])
    return found, systems


def plot(commands, out, width=720):
    script = f"set terminal svg size {width},360 font 'sans,12' background 'white'\nset output '{out}'\n" + commands
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    with open(out, "r+", encoding="utf-8") as file:  # without the blanks that gnuplot leaves at ends of lines
        lines = [line.rstrip() for line in file]
        file.seek(0)
        file.truncate()
        file.write("\n".join(lines) + "\n")


def table(found, columns):
    """gnuplot's inline data: a line per workload."""
    lines = []
    for work, systems in found.items():
        lines.append(" ".join([f'"{work}"'] + [f"{value(systems):.6g}" for value in columns]))
    return "$data << EOD\n" + "\n".join(lines) + "\nEOD\n"


def draw(path, folder):
    found, systems = read(path)
    if not found:
        return
    if not shutil.which("gnuplot"):
        print("bench: gnuplot is not there; no figures are drawn")
        return
    folder = os.path.join(folder, "figures")
    os.makedirs(folder, exist_ok=True)
    style = ("set style data histograms\nset style histogram clustered gap 1\nset style fill solid 0.9 border -1\n"
             "set boxwidth 0.9\nset grid ytics\nset key outside top center horizontal maxrows 2\nset xtics scale 0\n")

    def throughput(system):
        return lambda of: of[system]["throughput"] / of[systems[0]]["throughput"]

    bars = ", ".join(f"$data using {i + 2}:xtic(1) title '{system}' lc rgb '{COLOURS[i % 4]}'"
                     for i, system in enumerate(systems))
    plot(table(found, [throughput(system) for system in systems]) + style +
         "set ylabel 'throughput, aggregated = 1'\nset yrange [0:*]\nplot " + bars + "\n",
         os.path.join(folder, "throughput.svg"))

    columns = [lambda of, system=system, figure=figure: of[system][figure]
               for figure in ("median", "p99") for system in systems]
    top = 2 * max(column(of) for of in found.values() for column in columns)
    low = min(column(of) for of in found.values() for column in columns) / 2
    panels = []
    for i, figure in enumerate(("median", "p99")):
        bars = ", ".join(f"$data using {i * len(systems) + k + 2}:xtic(1) title '{system}' lc rgb '{COLOURS[k % 4]}'"
                         for k, system in enumerate(systems))
        key = "off" if i else "at screen 0.5, screen 0.98 center top vertical"
        panels.append(f"set title '{figure}' offset 0,-0.5\nset key {key}\nplot {bars}\n")
    plot(table(found, columns) + style + f"set ylabel 'latency, ms'\nset logscale y\nset yrange [{low}:{top}]\n"
         "set multiplot layout 1,2 margins 0.08,0.98,0.1,0.78 spacing 0.1\n" + "".join(panels) + "unset multiplot\n", os.path.join(folder, "latency.svg"), 900)
    print(f"figures drawn into {folder}")
