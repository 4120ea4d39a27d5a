"""What is fuzzed of that which devices and clouds send: replies in logs, reports of crashes, keys, archives."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.errors import PhonebenchError
from tests.fuzz.target import Target, new_folder, on_file

_TURNS = (("Prefill", 8), ("Decode", 4))


def _logged_reply() -> Target:
    from harness.devices.android.app.results import logged_reply

    def seeds() -> list[bytes]:
        reply = b'{"schema": 1}'
        packed = base64.b64encode(gzip.compress(reply, mtime=0)).decode()
        line = "11-30 10:00:00.000  100  100 I phonebench: reply j1"
        sha256 = hashlib.sha256(reply).hexdigest()
        return [f"{line} 1/2 {sha256} {packed[:9]}\n{line} 2/2 {sha256} {packed[9:]}\n".encode()]

    return Target(
        name="logged-reply",
        read=lambda data: logged_reply(data.decode(errors="replace"), "j1"),
        refuses=(),
        seeds=seeds,
    )


def _iphone_death() -> Target:
    from harness.devices.ios.deaths import JETSAM, Ending, Report, classify_death

    def read(data: bytes) -> object:
        text = data.decode(errors="replace")
        reports = tuple(Report(name=name, text=text) for name in (f"{JETSAM}1.ips", "Runner-1.ips"))
        return classify_death(Ending(pid=7, code=None, signal=None, reports=reports))

    def seeds() -> list[bytes]:
        processes = [{"pid": 7, "reason": "per-process-limit", "rpages": 1000}]
        crash = {
            "pid": 7,
            "exception": {"signal": "SIGSEGV"},
            "termination": {"code": 11},
            "threads": [{"triggered": True, "frames": [{"imageIndex": 0}]}],
            "usedImages": [{"name": "Runner"}],
        }
        bodies = ({"memoryStatus": {"pageSize": 16384}, "processes": processes}, crash)
        return [f"{{}}\n{json.dumps(body)}".encode() for body in bodies]

    return Target(name="iphone-death", read=read, refuses=(), seeds=seeds)


def _android_death() -> Target:
    from harness.devices.android.app.deaths import Ending, classify_death

    def read(data: bytes) -> object:
        log, _, exits = data.decode(errors="replace").partition("\0\n")
        return classify_death(Ending(log=log, exits=exits, app_id="org.phonebench", pid=100))

    return Target(
        name="android-death",
        read=read,
        refuses=(),
        seeds=lambda: [
            b"11-30 10:00:00.000  1  1 I lowmemorykiller: Kill 'org.phonebench' (100), uid 1, oom_score_adj 0\n\0\n"
            b"        ApplicationExitInfo #0:\n pid=100 process=org.phonebench reason=3 (LOW_MEMORY) status=9\n"
        ],
    )


def _phone_key() -> Target:
    from harness.devices.encryption import wrap_key
    from harness.wire import EncryptionKey, KeyWrap

    def read(data: bytes) -> object:
        ways = list(KeyWrap)
        algorithm = ways[data[0] % len(ways)] if data else ways[0]
        key = EncryptionKey(algorithm=algorithm, public_key=base64.b64encode(data[1:]).decode())
        return wrap_key(bytes(32), key)

    def seeds() -> list[bytes]:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        first, second = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return [b"\0" + first.public_key().public_bytes(*form), b"\1" + second.public_key().public_bytes(*form)]

    return Target(name="phone-key", read=read, refuses=(PhonebenchError,), seeds=seeds)


def _ipa() -> Target:
    from harness.devices.ios.ipa import read_ipa

    def seeds() -> list[bytes]:
        import plistlib

        info = {"CFBundleIdentifier": "org.phonebench.runner", "CFBundleExecutable": "Runner", "CFBundleVersion": "1"}
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            archive.writestr("Payload/Runner.app/Info.plist", plistlib.dumps(info))
            archive.writestr("Payload/Runner.app/Runner", b"\xcf\xfa\xed\xfe\x0c\0\0\1" + bytes(56))
        return [written.getvalue()]

    return Target(name="ipa", read=on_file(".ipa", read_ipa), refuses=(PhonebenchError,), seeds=seeds)


def _loop_file() -> Target:
    from harness.clouds.loop_results import read_loop_file

    def seeds() -> list[bytes]:
        outputs = base64.b64encode(bytes(8)).decode()
        plain = {
            "schema": 1,
            "job": "j",
            "scenario": 1,
            "request_sha256": "0" * 64,
            "reply": {},
            "outputs": outputs,
            "outputs_sha256": hashlib.sha256(bytes(8)).hexdigest(),
        }
        return [json.dumps(plain).encode()]

    return Target(name="loop-file", read=read_loop_file, refuses=(ValueError,), seeds=seeds)


def _cloud_run() -> Target:
    from harness.clouds.take import take_run

    results = new_folder()

    def seeds() -> list[bytes]:
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w") as archive:
            info = tarfile.TarInfo("results/run.txt")
            info.size = 5
            archive.addfile(info, io.BytesIO(b"hello"))
        return [written.getvalue(), gzip.compress(written.getvalue(), mtime=0)]

    return Target(
        name="cloud-run",
        read=on_file(".tar.gz", lambda path: take_run(path, results, "a cloud")),
        refuses=(PhonebenchError,),
        seeds=seeds,
    )


def _cloud_archive() -> Target:
    from harness.clouds.aws import taken_out
    from harness.clouds.cloud import RESULT_FILE

    there = new_folder()

    def seeds() -> list[bytes]:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"Host/{RESULT_FILE}", bytes(100))
        return [written.getvalue()]

    return Target(
        name="cloud-archive",
        read=on_file(".zip", lambda path: taken_out(path, there)),
        refuses=(PhonebenchError,),
        seeds=seeds,
    )


def _shell_tools() -> Target:
    from harness.devices.android.shell.shellreply import read_text
    from harness.devices.android.shell.tools.registry import LANGUAGE_TOOLS, TOOLS
    from harness.devices.android.shell.tools.tool import ToolJob
    from harness.wire import Delegate, LatencyPass, MeasurePass, WarmupPass

    latency = LatencyPass(
        warmup=WarmupPass(min_calls=1, min_ns=1), measure=MeasurePass(min_calls=1, min_ns=1, max_ns=9)
    )
    job = ToolJob(
        program="program",
        model="model",
        inputs=("x",),
        shapes=((1, 2),),
        delegate=Delegate.CPU,
        threads=1,
        latency=latency,
        prompt_tokens=8,
        new_tokens=4,
    )

    def read(data: bytes) -> object:
        text = data.decode(errors="replace")
        tools = (*TOOLS.values(), *LANGUAGE_TOOLS.values())
        return [read_text(tool, text, replace(job, calls=tool.calls(latency, None))) for tool in tools]

    def seeds() -> list[bytes]:
        rows = [{"n_prompt": p, "n_gen": n, "samples_ns": [100, 110]} for p, n in ((8, 0), (0, 4), (8, 4))]
        lines = [json.dumps(row) for row in rows]
        lines += [f"{kind} Turn {n}: Processed {c} tokens in 1m2.5ms duration" for n in range(9) for kind, c in _TURNS]
        lines += ["Iteration 0 of 2: 1.5 ms", "Model loaded in 2.5 ms", "Model executed successfully"]
        lines += [
            "Inference timings in us: Init: 1.5, First inference: 2e3",
            "count=5 first=1 curr=2 min=1 max=3 avg=2",
        ]
        lines.append("Replacing 1 out of 2 node(s) with delegate (TfLiteXNNPackDelegate)")
        return ["\n".join(lines).encode()]

    return Target(name="shell-tools", read=read, refuses=(), seeds=seeds)


def _genai() -> Target:
    from harness.model.language import read_ready
    from harness.readers.genai import read_genai
    from harness.wire import Format

    def read(path: Path) -> object:
        try:
            return read_genai(path)
        finally:
            read_ready(path, Format.GENAI)

    return Target(
        name="genai",
        read=on_file(".json", read),
        refuses=(ValueError, OSError, PhonebenchError),
        seeds=lambda: [b'{"model": {"type": "llama", "context_length": 64, "vocab_size": 9, "decoder": {}}}'],
    )


def _language_config() -> Target:
    from harness.model.language import read_config

    there = new_folder()
    for name in ("model.safetensors", "tokenizer.json"):
        (there / name).write_bytes(b"")

    def read(data: bytes) -> object:
        (there / "config.json").write_bytes(data)
        return read_config(there)

    return Target(
        name="language-config",
        read=read,
        refuses=(PhonebenchError,),
        seeds=lambda: [b'{"model_type": "llama", "num_hidden_layers": 2, "vocab_size": 9, "hidden_size": 8}'],
    )


def _phone_texts() -> Target:
    from harness.devices.android import texts
    from harness.devices.android.adb.server import parse_phones
    from harness.devices.android.clusters import parse_clocks
    from harness.devices.android.facts import parse_facts
    from harness.devices.android.phone_store import parse_kept
    from harness.devices.android.state import parse_state
    from harness.devices.cores import mask_of
    from harness.spec.phone_settings import Cores

    def read(data: bytes) -> object:
        text = data.decode(errors="replace")
        parsers = (texts.parse_properties, texts.parse_battery, texts.parse_thermal, texts.parse_window)
        others = (texts.parse_power, texts.parse_free_bytes, texts.parse_numbers, texts.sections)
        whole = (parse_state, parse_phones, parse_kept, lambda text: parse_facts("1", text).info("android:1"))
        found = [parse(text) for parse in (*parsers, *others, *whole)]
        mask = mask_of(parse_clocks(text), Cores.BIG)
        return [*found, mask, texts.parse_package(text, "org.phonebench"), texts.parse_memory_bytes(text, "MemTotal")]

    return Target(
        name="phone-texts",
        read=read,
        refuses=(),
        seeds=lambda: [
            b"[ro.product.model]: [Pixel]\n  level: 90\n  scale: 100\n  temperature: 300\n  Charge counter: 3000\n"
            b"Thermal Status: 0\nTemperature{mValue=30.5, mType=0, mName=CPU, mStatus=0}\nMemTotal: 100 kB\n1\n2\n",
            b"@@uptime\n5000.5 100.0\n@@load\n0.5 0.4 0.3 1/2 3\n@@cost\n5\n@@cores\n0-3,6\n@@page\n4096\n@@user\n0\n",
            b"cpu0/cpufreq/cpuinfo_max_freq:1800000\ncpu7/cpufreq/cpuinfo_max_freq:2800000\nname 12 1700000000\n"
            b"emulator-5554 device product:x model:Pixel_8\n@@properties\n[ro.build.version.sdk]: [34]\n",
        ],
    )


DEVICE_TARGETS: dict[str, Callable[[], Target]] = {
    "logged-reply": _logged_reply,
    "iphone-death": _iphone_death,
    "android-death": _android_death,
    "phone-texts": _phone_texts,
    "shell-tools": _shell_tools,
    "phone-key": _phone_key,
    "ipa": _ipa,
    "loop-file": _loop_file,
    "cloud-run": _cloud_run,
    "cloud-archive": _cloud_archive,
    "genai": _genai,
    "language-config": _language_config,
}
