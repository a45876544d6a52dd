"""Measurements as tables in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from models.names import name_of


def print_metrics(console: Console, version: str, metrics: Mapping[str, Any]) -> None:
    """One classifier: by source, language, category and label, as prompts and as answers are cut."""
    for way, said in (("as_prompt", "as prompts"), ("as_answer", "as answers")):
        table = Table(
            "slice",
            "unsafe",
            "benign",
            "recall",
            "precision",
            "false alarms",
            "AUC",
            title=f"{version}, {said}",
        )
        table.add_row("all", *_cells(metrics[way]["overall"]))
        for group in ("by_source", "by_lang", "by_category", "by_label"):
            table.add_section()
            for name, row in metrics[way][group].items():
                table.add_row(name, *_cells(row))
        console.print(table)
    console.print(f"64 tokens: {metrics['speed']['p50_ms']} ms p50, {metrics['speed']['p95_ms']} ms p95")


def print_comparison(console: Console, report: Mapping[str, Any]) -> None:
    """Several classifiers: side by side, by slice, and in pairs."""
    models = report["models"]
    rows = report["rows"]
    console.print(
        f"{report['data']}: {rows['all']} rows: {rows['unsafe']} unsafe, {rows['look_alike']} look-alike and safe, "
        f"{rows['plain']} plain"
    )
    rate = f"{report['rate']:.1%}"
    if rows["plain"] * report["rate"] < 1:
        console.print(f"Too few plain rows to tell a rate of {rate}: none of them may be acted on.")
    for number, item in enumerate(models):
        console.print(f"[bold]{chr(ord('A') + number)}[/] {item['name']}: {item['speed']['p50_ms']} ms for 64 tokens")
    for at, said in (("at_threshold", f"acted on from {report['threshold']}"), ("at_rate", f"at {rate} false alarms")):
        if at == "at_threshold" or all(item["point"] is not None for item in models):
            console.print(_by_slice(models, at, said))
    for number, pair in enumerate(report["pairs"], start=1):
        console.print(_paired(pair, "A", chr(ord("A") + number)))
        console.print(verdict(pair, "A", chr(ord("A") + number), rate))


def verdict(pair: Mapping[str, Any], first: str, second: str, rate: str) -> str:
    """One sentence on whether the second is better."""
    found = pair["at_rate"]
    if found is None:
        return "No recall at equal false alarms: unsafe or plain rows are missing."
    low, high = found["interval"]
    said = "better" if low > 0 else "worse" if high < 0 else ""
    ends = f"{second} is {said} than {first} by more than noise" if said else "no more than noise"
    return (
        f"Recall at {rate} false alarms, {second} less {first}: {_points(found['difference'])} points "
        f"(95 %: {_points(low)} to {_points(high)}): {ends}."
    )


def _by_slice(models: list[dict[str, Any]], at: str, said: str) -> Table:
    table = Table(
        "slice", "unsafe", "alike", "plain", title=f"recall, and false alarms on look-alike / plain rows, {said}"
    )
    for number in range(len(models)):
        letter = chr(ord("A") + number)
        table.add_column(f"{letter} recall", justify="right")
        table.add_column(f"{letter} alarms", justify="right")
    for way, parts in models[0]["slices"].items():
        table.add_section()
        for name, row in parts.items():
            cells = [cell for item in models for cell in _outcome(item["slices"][way][name][at])]
            said = name_of(name).en if name not in {"zh", "en"} else name
            table.add_row(said, str(row["unsafe"]), str(row["look_alike"]), str(row["plain"]), *cells)
    return table


def _outcome(row: Mapping[str, float | None]) -> tuple[str, str]:
    alarms = f"{_share(row['look_alike_alarms'])} / {_share(row['plain_alarms'], 2)}"
    return _share(row["recall"]), "" if alarms == "– / –" else alarms


def _paired(pair: Mapping[str, Any], first: str, second: str) -> Table:
    table = Table(
        "rows", "both", f"only {first}", f"only {second}", "neither", "points", "95 %", "p",
        title=f"acted on by {first} and by {second}",
    )  # fmt: skip
    for kind, row in pair["at_threshold"].items():
        if row is not None:
            table.add_row(f"{kind.replace('_', '-')}, at threshold", *_differing(row))
    table.add_section()
    for name, row in pair["by_category"].items():
        table.add_row(f"{name_of(name).en}, at equal false alarms", *_differing(row))
    return table


def _differing(row: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = row["interval"]
    counts = (str(row[key]) for key in ("both", "only_first", "only_second", "neither"))
    p = "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
    return (*counts, _points(row["difference"]), f"{_points(low)} to {_points(high)}", p)


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        str(row["unsafe"]),
        str(row["benign"]),
        _share(row["recall"]),
        _share(row["precision"]),
        _share(row["false_alarm_rate"], 2),
        "–" if row["auc"] is None else f"{row['auc']:.3f}",
    ]


def _points(value: float) -> str:
    return f"{value * 100:+.1f}"


def _share(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}%}"
