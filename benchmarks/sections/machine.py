"""The machine, its libraries, and the rate of its matrix product."""

from __future__ import annotations

import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import torch

import spleeter
from benchmarks.arithmetic import matrix_product
from benchmarks.clock import in_turn
from benchmarks.report import Row, Table, Value
from benchmarks.setting import Setting, log
from spleeter.backends.native.library import native_library


def run(setting: Setting) -> list[Table]:
    """Describe the machine."""
    log("machine: matrix product")
    product = {"product": matrix_product(setting.device)}
    with ThreadPoolExecutor(1) as passing:  # an OpenMP team ends with the thread that it computes for
        rates = passing.submit(in_turn, product, setting.options.n_rounds(3, 2)).result()["product"]
    library, reason = native_library()
    facts: dict[str, Value] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB",
        "system": f"{platform.system()}, {platform.machine()}",
        "Python": platform.python_version(),
        "spleeter": spleeter.__version__,
        "torch": torch.__version__,
        "torch's threads": torch.get_num_threads(),
        "torch's instructions": torch.backends.cpu.get_cpu_capability(),
        "AMX": "used by U-Nets on the CPU" if library is not None else f"not used: {reason}",
        "device": _device(setting.device),
        "matrix product": f"{median(rates):.0f} GFLOP/s, float32, 4096 × 4096",
        "music": setting.options.song.name if setting.options.song else "synthetic",
    }
    rows: list[Row] = [{"what": name, "value": value} for name, value in facts.items()]
    return [Table("Machine", rows)]


def _device(device: torch.device) -> str:
    return f"{device}, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


def _processor() -> str:
    """The processor's name, for which Python has no function."""
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
