"""Writes docs/compatibility-matrix.md from the results of the clients' runs."""
import checks

HEAD = """# Which clients work

Made by `make interop` from what each client's program (`tests/interop`) found against a cluster of three
brokers; not written by hand. **yes**: the check passed; **no**: it failed, and why stands below the table;
–: the client has no such call, or the check cannot be made with it.

"""


def table(results, wanted):
    """results: client key -> its result; wanted: check name -> what it means."""
    keys = list(results)
    lines = ["| check | " + " | ".join(f"{results[key]['title']} {results[key]['version']}".strip()
                                       for key in keys) + " |",
             "|---|" + "---|" * len(keys)]
    words = {"ok": "yes", "not ok": "**no**", "skip": "–"}
    for name, meaning in wanted.items():
        cells = [words[results[key]["checks"][name]["verdict"]] for key in keys]
        lines.append(f"| {meaning} | " + " | ".join(cells) + " |")
    notes = []
    for key in keys:
        for name in wanted:
            row = results[key]["checks"][name]
            if row["verdict"] != "ok":
                notes.append(f"- {results[key]['title']}, `{name}`: {row['why']}")
    return lines + ([""] + notes if notes else [])


def text_of(results):
    """results: client key -> result, of those that ran or were skipped as a whole."""
    ran = {key: result for key, result in results.items() if not result["skipped"]}
    lines = []
    for heading, kind in (("Client libraries", "client"), ("Apache Kafka's command-line tools", "tool")):
        chosen = {key: result for key, result in ran.items() if result["kind"] == kind}
        if chosen:
            wanted = checks.CLIENT_CHECKS if kind == "client" else checks.TOOL_CHECKS
            lines += [f"## {heading}", "", *table(chosen, wanted), ""]
    skipped = [f"- {result['title']}: {result['skipped']}" for result in results.values()
               if result["skipped"]]
    if skipped:
        lines += ["## Not tried", "", *skipped, ""]
    return HEAD + "\n".join(lines)
