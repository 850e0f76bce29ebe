# SPDX-License-Identifier: Apache-2.0
"""Collects lines of C, indents them and breaks the long ones."""

LINE_MAX = 100
MARKS = (", ", "; ", " && ", " || ", " + ", " : ")


def split_top_level(text):
    """Pieces of text that end after a comma, semicolon or operator outside of any bracket."""
    pieces, depth, start, place = [], 0, 0, 0
    while place < len(text):
        depth += (text[place] in "({") - (text[place] in ")}")
        mark = next((each for each in MARKS if depth == 0 and text.startswith(each, place)), None)
        if mark is not None:
            pieces.append(text[start:place + len(mark)].rstrip())
            start = place = place + len(mark)
        else:
            place += 1
    return pieces + [text[start:]]


def pack(pieces, first, column):
    """Lines that begin with first and hold as many pieces as fit; later lines begin at column."""
    lines, line, is_fresh = [], first, True
    for piece in pieces:
        candidate = line + ("" if is_fresh else " ") + piece
        if len(candidate) > LINE_MAX and not is_fresh:
            lines.append(line)
            line = " " * column + piece
        else:
            line = candidate
        is_fresh = False
    return lines + [line]


def wrap(line):
    """The line, broken inside of its outermost bracket, or at operators where it has none."""
    start = len(line) - len(line.lstrip())
    if len(line) <= LINE_MAX or line.lstrip().startswith(("/*", "*")):
        return [line]
    pieces = split_top_level(line[start:])
    if len(pieces) > 1:
        return [part for each in pack(pieces, " " * start, start + 4) for part in wrap(each)]
    opening = line.find("(")
    closing = line.rfind(")")
    if opening < 0 or closing < opening:
        return [line]
    pieces = split_top_level(line[opening + 1:closing])
    pieces[-1] += line[closing:]
    lines = pack(pieces, line[:opening + 1], opening + 1)
    if any(len(each) > LINE_MAX for each in lines):
        lines = [line[:opening + 1]] + pack(pieces, " " * (start + 4), start + 4)
    return lines


class Text:
    def __init__(self):
        self.lines = []
        self.depth = 0

    def add(self, line=""):
        if line.startswith("}"):
            self.depth -= 1
        self.lines += wrap("    " * self.depth + line) if line else [""]
        if line.endswith("{"):
            self.depth += 1

    def __str__(self):
        return "\n".join(self.lines) + "\n"
