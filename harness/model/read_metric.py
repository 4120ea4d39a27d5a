"""The key ``metric`` of a model card: a metric that is ready, a function of the folder, or a table with either."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from harness.errors import UsageError, suggestion
from harness.model.card import CARD_FILE, MetricOptions
from harness.model.ready_metrics import ReadyMetric, metric_facts, ready_metric
from harness.model.static_names import check_defined
from harness.model.user_code import EXTRAS, find_module, is_reference, split_reference
from harness.spec.decode import check_keys, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class _MetricTable(MetricOptions):
    """The table ``metric = {name = ..., ...}``."""

    name: str


def read_metric(value: object, folder: Path, where: str) -> tuple[str | None, MetricOptions]:
    """Return the metric and its options, after checking that what they name exists. Raises `UsageError`."""
    if value is None:
        return None, MetricOptions()
    where = f"metric in {where}"
    table = _table(value, where)
    _check_numbers(table, where)
    ready = ready_metric(table.name)
    if ready is None and not is_reference(table.name):
        names = [metric.value for metric in ReadyMetric]
        msg = (
            f"{where} is {table.name!r}; {suggestion(table.name, names)}, or write module:function, with the module "
            f"beside {CARD_FILE}"
        )
        raise UsageError(msg)
    for reference in (table.name if ready is None else None, table.decode):
        if reference is not None:
            check_module(reference, folder, f"{where} is {reference!r}")
    if ready is not None and metric_facts(ready).needs_decode and table.decode is None:
        msg = (
            f"{where} is {ready.value!r}, which compares texts or boxes; write metric = "
            f'{{name = "{ready.value}", decode = "module:function"}}, with a function that turns the outputs into these'
        )
        raise UsageError(msg)
    options = MetricOptions(**{field.name: getattr(table, field.name) for field in fields(MetricOptions)})
    return table.name if ready is None else ready.value, options


def _table(value: object, where: str) -> _MetricTable:
    if isinstance(value, str):
        return _MetricTable(name=value)
    if not isinstance(value, dict):
        msg = f'{where} is {value!r}; write a name, or a table such as {{name = "module:function", unit = "mm"}}'
        raise UsageError(msg)
    check_keys(value, tuple(field.name for field in fields(_MetricTable)), where=where)
    return decode(value, _MetricTable, where=where)


def _check_numbers(table: _MetricTable, where: str) -> None:
    for key in ("tolerance", "data_range"):
        number = getattr(table, key)
        if number is not None and not 0 < number < float("inf"):
            msg = f"{key} is {number} in {where}; it must be more than 0"
            raise UsageError(msg)
    if table.decode is not None and not is_reference(table.decode):
        msg = f"decode is {table.decode!r} in {where}; write module:function, with the module beside {CARD_FILE}"
        raise UsageError(msg)


def check_module(reference: str, folder: Path | None, what: str) -> None:
    """Refuse a reference to a missing module or name. A package of an extra may stay missing until it is needed."""
    module, name = split_reference(reference)
    file = find_module(module, folder)
    if file is not None:
        check_defined(name, file, what)
    elif module.partition(".")[0] not in EXTRAS:
        beside = sorted(p.stem for p in (folder or Path.cwd()).glob("*.py"))
        place = f"beside {CARD_FILE}" if folder is not None else "in this folder"
        near = suggestion(module, beside)
        msg = f"{what}: there is no {module}.py {place} and no installed module {module!r}; {near}"
        raise UsageError(msg)
