"""Julia in this process: whether it can run, starting it, and calling it.

The only module that imports juliacall.

Julia starts once per process, at the first solve, never at import. What is fixed at that
moment: the number of its threads (PBPK_HYBRID_THREADS, or PYTHON_JULIACALL_THREADS, or
all cores) and its signal handling. Ctrl-C keeps its Python meaning.

Julia's garbage collector waits for every thread that has run Julia, unless the thread has
said that it is elsewhere. Threads that Python starts say so whenever a call returns; the
one that started Julia does not, so :func:`_step_aside` says it once for good.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from ..._core.errors import BackendUnavailableError, InputError, SolveError
from ..._core.optional import install_hint
from ..base import Availability
from ..threads import thread_count

_SETUP = "run `pbpk-hybrid julia setup`"
_lock = threading.RLock()
_bridge: Any = None  # the Julia module that holds PBPKHybrid
_home: int | None = None  # the thread that is Julia's first


def available() -> Availability:
    """Whether Julia is ready, and why (not). Downloads and starts nothing."""
    if _bridge is not None:
        return Availability(True, "Julia runs in this process")
    if importlib.util.find_spec("juliacall") is None:
        return Availability(
            False, f"juliacall is not installed; {install_hint('julia')}, then {_SETUP}"
        )
    exe, project = (os.environ.get(f"PYTHON_JULIACALL_{name}", "") for name in ("EXE", "PROJECT"))
    if exe or project:
        return _named_by_environment(exe, project)
    try:
        # what `juliapkg.resolve(dry_run=True)` returns, which would make the project's
        # folder and a lock in it first
        from juliapkg.deps import can_skip_resolve

        record = can_skip_resolve()
    except Exception as err:  # juliapkg raises plain exceptions, for a record it can't read too
        return Availability(False, f"Julia is not set up ({err}); {_SETUP}")
    if not record:
        return Availability(False, f"Julia or its packages are not installed; {_SETUP}")
    return Availability(True, f"Julia at {record['executable']}")


def is_running() -> bool:
    """Whether Julia runs in this process already."""
    return _bridge is not None


def stamp() -> tuple[object, ...]:
    """What the answer of :func:`available` depends on, cheap to read: when it changes,
    the answer is looked up again.
    """
    named = (os.environ.get(f"PYTHON_JULIACALL_{name}", "") for name in ("EXE", "PROJECT"))
    return _bridge is not None, *named, _changed(juliapkg_state().get("meta", ""))


def juliapkg_state() -> dict[str, Any]:
    """juliapkg's folders and files as it has worked them out; empty without juliapkg.

    Resolves and writes nothing.
    """
    try:
        from juliapkg.state import STATE
    except ImportError:
        return {}
    return dict(STATE)


def _changed(path: str) -> float | None:
    """When a file was last written; None if there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def _named_by_environment(exe: str, project: str) -> Availability:
    if not (exe and project):
        return Availability(
            False, "PYTHON_JULIACALL_EXE and PYTHON_JULIACALL_PROJECT must be given together"
        )
    if not Path(exe).exists():
        return Availability(False, f"PYTHON_JULIACALL_EXE names {exe}, which does not exist")
    manifests = list(Path(project).glob("*Manifest*.toml"))
    if not any("deps.PBPKHybrid]" in m.read_text(encoding="utf-8") for m in manifests):
        return Availability(
            False,
            f"the project {project} (PYTHON_JULIACALL_PROJECT) does not hold the package "
            "PBPKHybrid",
        )
    return Availability(True, f"Julia at {exe}")


def start() -> Any:
    """Start Julia if it does not run yet and load PBPKHybrid; the Julia module.

    Raises
    ------
    BackendUnavailableError : Julia cannot be started; the reason is in ``__cause__``
    """
    global _bridge, _home
    with _lock:
        if _bridge is not None:
            return _bridge
        state = available()
        if not state.ok:
            raise BackendUnavailableError(f"Julia cannot run here: {state.reason}")
        os.environ.setdefault("PYTHON_JULIACALL_THREADS", str(thread_count(None)))
        os.environ.setdefault(
            "PYTHON_JULIACALL_HANDLE_SIGNALS", "yes"
        )  # needed by more than one Julia thread
        os.environ.setdefault("PYTHON_JULIACALL_AUTOLOAD_IPYTHON_EXTENSION", "no")
        if "torch" in sys.modules and "juliacall" not in sys.modules:
            warnings.warn(
                "torch was imported before Julia was started, which has crashed on some "
                "platforms; if it does, call "
                "pbpk_hybrid.solvers.julia.runtime.start() before importing torch, or set "
                "PBPK_HYBRID_BACKEND=embedded",
                RuntimeWarning,
                stacklevel=2,
            )
        try:
            with _keep_ctrl_c():
                import juliacall

                # not juliacall.newmodule: its first call alone takes Julia seconds to compile
                juliacall.Main.seval("module PBPKHybridBridge import PBPKHybrid end")
                module = juliacall.Main.PBPKHybridBridge
        except (
            Exception
        ) as err:  # a missing package, a version that does not fit: juliacall raises many kinds
            raise BackendUnavailableError(
                f"Julia could not be started ({_first_line(err)}); {_SETUP}"
            ) from err
        _bridge = module.PBPKHybrid
        at_home()
        return _bridge


class _keep_ctrl_c:
    """Julia takes SIGINT for itself when it handles signals; give it back to Python's
    main thread.
    """

    def __enter__(self) -> None:
        self.main = threading.current_thread() is threading.main_thread()
        self.handler = signal.getsignal(signal.SIGINT) if self.main else None

    def __exit__(self, *_: object) -> None:
        if self.main and self.handler is not None:
            signal.signal(signal.SIGINT, self.handler)
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def threads() -> int:
    """Threads that Julia was started with, or would be started with."""
    if _bridge is None:
        return int(os.environ.get("PYTHON_JULIACALL_THREADS") or thread_count(None))
    import juliacall

    return int(juliacall.Base.Threads.nthreads())


def at_home() -> bool:
    """Whether this is the thread that started Julia, here or in someone else's import.

    Only there may Julia switch tasks.
    """
    global _home
    if _home is None:
        import juliacall

        if int(juliacall.Base.Threads.threadid()) == 1:
            _home = threading.get_ident()
            _step_aside(juliacall)
    return threading.get_ident() == _home


def may_collect() -> bool:
    """Whether Julia may collect garbage in a call from a thread that is not its first."""
    return _home is not None


def _step_aside(juliacall) -> None:
    """Julia's first thread counts as outside Julia while it runs Python; a call into
    Julia is then announced as from any.
    """

    def address(name: str) -> int:
        return int(juliacall.Main.seval(f"UInt(cglobal(:{name}))"))

    enter = ctypes.PYFUNCTYPE(ctypes.c_int8)(address("jl_gc_safe_enter"))
    leave = ctypes.PYFUNCTYPE(None, ctypes.c_int8)(address("jl_gc_safe_leave"))
    before = enter()

    @atexit.register  # undone before juliacall ends Julia, if that happens on this thread
    def come_back() -> None:
        if threading.get_ident() == _home:
            leave(before)


def call(name: str, *args: int | str) -> None:
    """Call a function of PBPKHybrid with Python's lock released.

    Raises
    ------
    InputError : Julia refused an argument
    SolveError : anything else went wrong in Julia; its own error and trace are in ``__cause__``
    """
    bridge = start()
    import juliacall

    try:
        with _lock:
            getattr(bridge, name)._jl_call_nogil(*args)
    except juliacall.JuliaError as err:
        text = _first_line(err)
        if "InterruptException" in text:
            raise KeyboardInterrupt from err
        if text.startswith("ArgumentError: "):
            field, _, rest = text.removeprefix("ArgumentError: ").partition(":")
            raise InputError(field, hint=rest.strip()) from err
        raise SolveError(f"Julia could not integrate this problem: {text}") from err


def versions() -> dict[str, str]:
    """Versions of the running Julia and its packages; empty if it does not run."""
    if _bridge is None:
        return {}
    return {str(k): str(v) for k, v in _bridge.versions().items()}


def _first_line(err: BaseException) -> str:
    lines = str(err).strip().splitlines()
    return lines[0] if lines else type(err).__name__
