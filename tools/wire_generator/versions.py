# SPDX-License-Identifier: Apache-2.0
"""Ranges of message versions: "0+", "3-5", "2", "none"."""

from dataclasses import dataclass

NEWEST = 32767


@dataclass(frozen=True)
class Versions:
    """An inclusive range; empty when least > most."""

    least: int
    most: int

    @staticmethod
    def parse(text):
        if text == "none":
            return Versions(1, 0)
        if text.endswith("+"):
            return Versions(int(text[:-1]), NEWEST)
        if "-" in text:
            least, most = text.split("-")
            return Versions(int(least), int(most))
        return Versions(int(text), int(text))

    @property
    def is_empty(self):
        return self.least > self.most

    def __contains__(self, version):
        return self.least <= version <= self.most

    def __iter__(self):
        return iter(range(self.least, self.most + 1))

    def intersect(self, other):
        return Versions(max(self.least, other.least), min(self.most, other.most))

    def covers(self, other):
        return other.is_empty or (self.least <= other.least and other.most <= self.most)

    def condition(self, context):
        """The C expression for "version is in this range", given that it is in context: "true" and
        "false" where context decides it."""
        both = self.intersect(context)
        if both.is_empty:
            return "false"
        if self.covers(context):
            return "true"
        if both.least == both.most and both.least not in (context.least, context.most):
            return f"version == {both.least}"
        parts = []
        if both.least > context.least:
            parts.append(f"version >= {both.least}")
        if both.most < context.most:
            parts.append(f"version <= {both.most}")
        return " && ".join(parts)
