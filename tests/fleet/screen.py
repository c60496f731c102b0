"""What the demonstration prints: a live table on a terminal, plain lines otherwise."""
import shutil
import sys
import time

COLUMNS = (("box", 10), ("side", 4), ("runs", 7), ("state", 20), ("says", 0))


class Screen:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.live = out.isatty()
        self.started = time.monotonic()
        self.shown = 0   # lines of the table that is on the terminal
        self.last = {}   # what was last printed of each box

    def write(self, text):
        self.out.write(text)
        self.out.flush()

    def step(self, title):
        bold, plain = ("\x1b[1m", "\x1b[0m") if self.live else ("", "")
        self.write(f"\n{bold}{time.monotonic() - self.started:6.1f} s  {title}{plain}\n")

    def say(self, text):
        self.write(f"          {text}\n")

    def seen(self, text):
        self.write(f"   seen   {text}\n")

    @staticmethod
    def line(row):
        return "  ".join(str(row[name]).ljust(width) for name, width in COLUMNS).rstrip()

    def table(self, rows):
        if self.live:
            self.draw(rows)
        else:
            self.print_changes(rows)

    def draw(self, rows):
        width = shutil.get_terminal_size().columns
        lines = [self.line({name: name for name, _ in COLUMNS})] + [self.line(r) for r in rows]
        up = f"\x1b[{self.shown}A" if self.shown else ""
        self.write(up + "".join(f"\r\x1b[2K{line[:width - 1]}\n" for line in lines))
        self.shown = len(lines)

    def print_changes(self, rows):
        for row in rows:
            line = self.line(row)
            if self.last.get(row["box"]) != line:
                self.last[row["box"]] = line
                self.write(f"{time.monotonic() - self.started:6.1f} s  {line}\n")

    def end_table(self):
        """What is printed next goes below the table, which stays."""
        self.shown = 0
