"""What the acts of tools/demo print, and how one of them fails."""
import os
import sys

COLOURED = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


class Broken(Exception):
    """Something that was promised did not hold."""


def paint(code, text):
    return "\x1b[%sm%s\x1b[0m" % (code, text) if COLOURED else text


def heading(text):
    print("\n" + paint("1;36", text), flush=True)


def say(text):
    print("  " + text, flush=True)


def number(value):
    return paint("1", "{:,}".format(value))


def shell(command):
    say(paint("2", "$ " + command))


def proven(text):
    say(paint("1;32", "✔ ") + text)


def must(holds, text):
    if not holds:
        raise Broken(text)
