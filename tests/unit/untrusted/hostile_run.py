"""Runs the corpus of hostile inputs, each in a child of its own with bounds on memory and seconds.

    python hostile_run.py FOLDER OUT.json [NAME ...]

Written for every input: what was raised, with its words; processor time; growth of memory; and
the signal that ended the child, if one did.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

#: processor time [s], time by the clock [s], memory [byte]
SECONDS, WAIT, MEMORY = 12, 300, 700 * 1024**2


def _status(field: str) -> int:
    """[byte] of this process, from the kernel."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    return 0


def _child(builder, folder: Path, out: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    call = builder(folder)
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    before, size = _status("VmRSS"), _status("VmSize")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    resource.setrlimit(resource.RLIMIT_CPU, (used + SECONDS, used + SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    signal.alarm(WAIT)  # what waits for a pipe uses no processor
    start = time.process_time()
    found = {"raised": "", "words": "", "trace": "", "memory_error": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except BaseException as error:
        chain, at = [], error
        while at is not None and len(chain) < 10:
            chain.append(type(at).__name__)
            at = at.__cause__ or at.__context__
        found = {
            "raised": type(error).__name__,
            "ours": any(k.__name__ == "PBPKError" for k in type(error).__mro__),
            "words": str(error),
            "trace": "".join(traceback.format_exception(error)[-6:])[-3000:],
            "memory_error": "MemoryError" in chain,
        }
    found["seconds"] = time.process_time() - start
    found["bytes"] = max(0, _status("VmHWM") - before)
    found["pwned"] = (folder / "pwned").exists()
    os.write(out, json.dumps(found).encode())
    os._exit(0)


def main(folder: Path, out: Path, names: list[str]) -> None:
    """All inputs of the corpus, or those named."""
    sys.path.insert(0, str(Path(__file__).parent))
    corpus = importlib.import_module("hostile_corpus")
    corpus.warm(folder)
    results = {}
    for name, case in corpus.CASES.items():
        if names and not name.startswith(tuple(names)):
            continue
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(receive)
            try:
                _child(case.build, folder / name, send)
            except BaseException:
                os.write(send, json.dumps({"broken": traceback.format_exc()}).encode())
            os._exit(1)
        os.close(send)
        text = b""
        while piece := os.read(receive, 1 << 16):
            text += piece
        os.close(receive)
        _, status = os.waitpid(child, 0)
        found = json.loads(text) if text else {"raised": "", "words": ""}
        found["signal"] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        results[name] = found
        print(f"{name}: {found.get('raised')} {found.get('seconds', -1):.2f} s", flush=True)
        out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
