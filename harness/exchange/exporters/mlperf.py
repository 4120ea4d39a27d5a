"""The result file of the MLPerf Mobile app: one file per device, one benchmark per cell. Latencies are seconds.

Only a run with profile ``mlperf`` follows the rules of MLPerf Mobile; any other is marked as not valid.
"""

from __future__ import annotations

import uuid
from typing import Any

from harness import __version__
from harness.exchange.definitions import MLPERF_SCORE
from harness.exchange.outgoing import (
    ACCELERATORS,
    SECOND,
    Files,
    Outgoing,
    delegate_used,
    json_file,
    safe_name,
    stated_mean,
)
from harness.records.device import DeviceInfo
from harness.records.origin import StatedName
from harness.records.stated_metrics import stated_figure
from harness.report.view import CellView
from harness.spec.profiles import PROFILES, ProfileName

_UNKNOWN = "unknown"
# Ids are made from the run's, so that the same run gives the same file.
_NAMESPACE = uuid.UUID("7d1f6a52-6c0e-4b7e-9f3b-0b6f7f4d5a10")


def results(outgoing: Outgoing) -> Files:
    """Return the file of each device with results."""
    keys = dict.fromkeys(view.cell.device for view in outgoing.ok)
    return {f"{safe_name(key)}.json": json_file(_file(outgoing, key)) for key in keys}


def _file(outgoing: Outgoing, key: str) -> dict[str, Any]:
    views = [view for view in outgoing.ok if view.cell.device == key]
    return {
        "meta": {
            "uuid": str(uuid.uuid5(_NAMESPACE, f"{outgoing.head.id}/{key}")),
            "creation_date": outgoing.head.created_at,
            "upload_date": None,
            "run_mode": None,
        },
        "results": [_result(outgoing, view) for view in views],
        "environment_info": _environment(outgoing.device(views[0])),
        "build_info": {
            "version": __version__,
            "build_number": outgoing.head.id,
            "build_date": outgoing.head.created_at,
            "official_release_flag": False,
            "dev_test_flag": True,
            "backend_list": list(dict.fromkeys(_runtime(view) for view in views)),
            "git_branch": "",
            "git_commit": outgoing.head.commit or "",
            "git_dirty_flag": False,
        },
    }


def _result(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    cell, profile = view.cell, PROFILES[view.cell.profile]
    accelerator = ACCELERATORS.get(cell.delegate, _UNKNOWN)
    threads = [] if cell.threads is None else [_setting("threads", str(cell.threads))]
    return {
        "benchmark_id": cell.key,
        "benchmark_name": f"{cell.model} {cell.variant}",
        "loadgen_scenario": "SingleStream",
        "backend_settings": {
            "accelerator_code": accelerator,
            "accelerator_desc": accelerator.upper(),
            "framework": _runtime(view),
            "delegate": delegate_used(view),
            "model_path": f"{cell.model}-{cell.variant}.{cell.format.value}",
            "batch_size": 0,
            "extra_settings": [*threads, _setting("profile", cell.profile.value)],
        },
        "backend_info": {
            "filename": _runtime(view),
            "vendor_name": "phonebench",
            "backend_name": _runtime(view),
            "accelerator_name": accelerator.upper(),
        },
        "performance_run": _performance(outgoing, view),
        "accuracy_run": _accuracy(outgoing, view),
        "min_duration": profile.measure_ns / SECOND,
        "min_samples": profile.measure_calls,
    }


def _performance(outgoing: Outgoing, view: CellView) -> dict[str, Any] | None:
    latency = view.latency
    if latency is None:
        return _stated_performance(outgoing, view)
    calls = [call for launch in outgoing.calls(view) for call in launch]
    p90_ns = latency.p90_mlperf_ns or latency.p90_ns
    loadgen = None
    if p90_ns is not None and latency.mean_ns is not None:
        loadgen = _loadgen(view, (latency.mean_ns, p90_ns), sum(calls))
    throughput = {"value": SECOND / p90_ns} if p90_ns else None
    return _run(outgoing, view) | {
        "throughput": throughput,
        "measured_duration": sum(calls) / SECOND,
        "measured_samples": latency.calls or 0,
        "loadgen": loadgen,
    }


def _stated_performance(outgoing: Outgoing, view: CellView) -> dict[str, Any] | None:
    """What an imported cell states: its mean and p90 are those of the queries, as in a result of the app itself."""
    mean, p90, rate = (
        stated_mean(view),
        stated_figure(view.measurement, StatedName.P90),
        stated_figure(view.measurement, StatedName.THROUGHPUT),
    )
    # Other programs have rates of another kind.
    rate = rate if rate is not None and rate.definition == MLPERF_SCORE else None
    if mean is None and p90 is None and rate is None:
        return None
    loadgen = None
    if mean is not None and p90 is not None:
        loadgen = _loadgen(view, (mean.value, p90.value), 0)
    return _run(outgoing, view) | {
        "throughput": None if rate is None else {"value": rate.value},
        "measured_duration": 0.0,
        "measured_samples": mean.calls or 0 if mean else 0,
        "loadgen": loadgen,
    }


def _loadgen(view: CellView, times_ns: tuple[float, float], measured_ns: int) -> dict[str, Any]:
    profile, calls = PROFILES[view.cell.profile], view.latency.calls or 0 if view.latency else 0
    by_the_rules = view.cell.profile is ProfileName.MLPERF
    duration_met, queries_met = measured_ns >= profile.measure_ns, calls >= profile.measure_calls
    return {
        "query_count": calls,
        "latency_mean": times_ns[0] / SECOND,
        "latency90": times_ns[1] / SECOND,
        "latency_first_token_mean": 0.0,
        "latency_first_token90": 0.0,
        "token_throughput": 0.0,
        "is_min_duration_met": by_the_rules and duration_met,
        "is_min_query_met": by_the_rules and queries_met,
        "is_early_stopping_met": by_the_rules and view.latency is not None and view.latency.p90_mlperf_ns is not None,
        "is_token_based": False,
        "is_result_valid": by_the_rules and duration_met and queries_met,
    }


def _accuracy(outgoing: Outgoing, view: CellView) -> dict[str, Any] | None:
    told = stated_figure(view.measurement, StatedName.ACCURACY)
    if view.accuracy is not None:
        value, count = view.accuracy.value, view.accuracy.count
    elif told is not None:
        value, count = told.value, 0
    else:
        return None
    share = {"normalized": value, "formatted": f"{100 * value:.2f}%"}
    return _run(outgoing, view) | {"accuracy": share, "measured_duration": 0.0, "measured_samples": count}


def _run(outgoing: Outgoing, view: CellView) -> dict[str, Any]:
    started = view.measurement.started_at if view.measurement else ""
    return {
        "throughput": None,
        "accuracy": None,
        "accuracy2": None,
        # The app knows its own data sets alone.
        "dataset": {
            "name": f"test split of {view.cell.model}",
            "type": "UNKNOWN",
            "data_path": "",
            "groundtruth_path": "",
        },
        "start_datetime": started or outgoing.head.created_at,
        "loadgen": None,
    }


def _runtime(view: CellView) -> str:
    return view.runtime.name if view.runtime else _UNKNOWN


def _setting(name: str, value: str) -> dict[str, str]:
    return {"id": name, "name": name, "value": value, "value_name": value}


def _environment(device: DeviceInfo | None) -> dict[str, Any]:
    """The device. The app knows Android, iOS and Windows; any other system goes under Windows, the only computers."""
    kind = f"{device.kind} {device.os}".lower() if device else ""
    model, system = (device.model, device.os) if device else (_UNKNOWN, _UNKNOWN)
    cpu = device.cpu if device else _UNKNOWN
    version = system.partition(" ")[2] or system
    empty: dict[str, Any] = {"android": None, "ios": None, "windows": None}
    if "android" in kind:
        facts: dict[str, Any] = {
            "os_version": version,
            "manufacturer": None,
            "model_code": None,
            "model_name": model,
            "board_code": None,
            "proc_cpuinfo_soc_name": cpu,
            "props": [],
        }
        return {"platform": "android", "value": {**empty, "android": facts}}
    if "ios" in kind:
        facts = {"os_version": version, "model_code": None, "model_name": model, "soc_name": cpu}
        return {"platform": "ios", "value": {**empty, "ios": facts}}
    return {"platform": "windows", "value": {**empty, "windows": {"os_version": system, "cpu_full_name": cpu}}}
