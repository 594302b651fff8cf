"""cairn's state engines for Python: an embedded key-value store with incremental snapshots and rollback.

    import cairn_state

    with cairn_state.State("counts") as state:
        state[b"word"] = b"1"
        version = state.snapshot(b"offset 17")

What is set is durable with the next snapshot; a crash brings back the version that was current, whole, with its
metadata.  With a log it brings back what came after, too.  Keys and values are bytes, or anything that has the buffer
protocol.

This is ctypes over libcairn-engine.so.0, whose header, cairn/engine.h, says what each call promises.  The library is
the file that the environment's CAIRN_ENGINE_LIBRARY names, or else the one that the wheel brought along, or else what
the system's linker finds.
"""
import _thread
import ctypes
import ctypes.util
import errno
import operator
import os
import struct
import tempfile
import threading
from typing import NamedTuple

__all__ = ["State", "Version", "Stats", "Ticket", "Error", "BadRequest", "NotFound", "Limit", "Conflict", "Unavailable",
           "Full", "Corrupt", "IoError", "Permission", "Locked", "UnknownFormat", "NoMemory"]
__version__ = "0.1.0"

SONAME = "libcairn-engine.so.0"
ITEMS_MEMORY_BYTES = 16 << 20  # of what items() has collected; what is more lies in a temporary file


# --- errors ---

class Error(Exception):
    """A call of the library failed; `code` is the stable name of the reason, the text says what happened to what."""

    def __init__(self, code, text):
        Exception.__init__(self, code, text)  # not OSError's, which would read the two as errno and text
        self.code = code

    def __str__(self):
        return self.args[1]


class BadRequest(Error, ValueError):
    """A key, an option or a name that cannot be."""


class Limit(Error, ValueError):
    """Larger than may be."""


class NotFound(Error, LookupError):
    """There is no such version.  (A key that is not there is a KeyError, of [] and del.)"""


class Conflict(Error):
    """Not now: a snapshot is being made, the version is the current one, the folder is of another engine."""


class Unavailable(Error):
    """A sync failed: nothing more can be changed until the folder is opened again."""


class Full(Error, OSError):
    """No room on the disk; it heals when there is some."""
    errno = errno.ENOSPC


class Corrupt(Error):
    """A file is damaged; the text names it."""


class IoError(Error, OSError):
    """The operating system failed a call."""


class Permission(Error, PermissionError):
    """The operating system refused a call."""
    errno = errno.EACCES


class Locked(Error):
    """The folder is open already, here or in another process."""


class UnknownFormat(Error):
    """The folder is in a format that this library does not know."""


class NoMemory(Error, MemoryError):
    """There is no memory for this."""


_ERRORS = {"bad_request": BadRequest, "not_found": NotFound, "limit": Limit, "conflict": Conflict,
           "unavailable": Unavailable, "disk_full": Full, "corrupt": Corrupt, "io": IoError, "permission": Permission, "auth": Permission,
           "locked": Locked, "version": UnknownFormat, "no_memory": NoMemory}


# --- the header, in ctypes; tests/sdk/python_test.py compares them ---

class _Err(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int),
                ("text", ctypes.c_char * 512)]


class _Options(ctypes.Structure):
    _fields_ = [("options_bytes", ctypes.c_size_t),
                ("engine", ctypes.c_char_p),
                ("version", ctypes.c_uint64),
                ("memory_bytes", ctypes.c_size_t),
                ("blob", ctypes.c_char_p),
                ("blob_grace_s", ctypes.c_uint),
                ("progress", ctypes.c_void_p),
                ("progress_context", ctypes.c_void_p),
                ("log", ctypes.c_int),
                ("interval_ms", ctypes.c_uint),
                ("log_bytes_max", ctypes.c_uint64),
                ("log_file_bytes", ctypes.c_uint64),
                ("mem_segment_len", ctypes.c_size_t),
                ("ro_lag_interval", ctypes.c_size_t),
                ("flush_interval", ctypes.c_size_t),
                ("threshold", ctypes.c_size_t),
                ("memtable_bytes_limit", ctypes.c_size_t),
                ("density_factor", ctypes.c_uint),
                ("max_runs_per_level", ctypes.c_uint),
                ("filter_bits", ctypes.c_uint),
                ("open_files_max", ctypes.c_uint),
                ("compression", ctypes.c_char_p)]


class _Version(ctypes.Structure):
    _fields_ = [("number", ctypes.c_uint64),
                ("parent", ctypes.c_uint64),
                ("time_ms", ctypes.c_uint64),
                ("bytes", ctypes.c_uint64),
                ("current", ctypes.c_bool),
                ("pinned", ctypes.c_bool),
                ("metadata", ctypes.c_void_p),
                ("metadata_bytes", ctypes.c_size_t)]


class _Stats(ctypes.Structure):
    _fields_ = [("memory_bytes", ctypes.c_uint64),
                ("disk_bytes", ctypes.c_uint64),
                ("files", ctypes.c_uint64),
                ("flushes", ctypes.c_uint64),
                ("merges", ctypes.c_uint64),
                ("merged_bytes", ctypes.c_uint64)]


class _Change(ctypes.Structure):
    _fields_ = [("key", ctypes.c_char_p),  # keeps the bytes that are assigned alive, as value does; any bytes
                ("key_bytes", ctypes.c_size_t),
                ("value", ctypes.c_char_p),
                ("value_bytes", ctypes.c_size_t),
                ("removes", ctypes.c_bool)]


class _Key(ctypes.Structure):
    _fields_ = [("key", ctypes.c_char_p),  # keeps the bytes that are assigned alive; any bytes
                ("key_bytes", ctypes.c_size_t)]


class _Retention(ctypes.Structure):
    _fields_ = [("last", ctypes.c_uint),
                ("interval_ms", ctypes.c_uint64),
                ("intervals", ctypes.c_uint)]


_STRUCTURES = {"cairn_err": _Err, "cairn_state_options": _Options, "cairn_state_version": _Version,
               "cairn_state_stats": _Stats, "cairn_state_change": _Change, "cairn_state_retention": _Retention,
               "cairn_state_key": _Key}
_LOGS = {"off": 0, "always": 1, "interval": 2, "none": 3}  # enum cairn_state_log
# State's own parameters tell the first six; the others are called back, which an interrupt would not survive.
_OPTIONS_APART = ("options_bytes", "engine", "version", "memory_bytes", "log", "interval_ms", "progress",
                  "progress_context")
_PARAMETERS = {name: kind for name, kind in _Options._fields_ if name not in _OPTIONS_APART}

_EACH_ITEM = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p,
                              ctypes.c_size_t)
_EACH_VERSION = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.POINTER(_Version))

_STATE, _BYTES, _SIZE, _NUMBER = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64
_RET_NUMBER = ctypes.POINTER(ctypes.c_uint64)
_AT = ctypes.c_void_p  # the address of something that a State has for all its calls: half the time of a POINTER
_FUNCTIONS = {  # name: (result, parameters)
    "cairn_code_name": (ctypes.c_char_p, [ctypes.c_int]),
    "cairn_state_open": (ctypes.c_int, [ctypes.c_char_p, ctypes.POINTER(_Options), ctypes.POINTER(_STATE), _AT]),
    "cairn_state_close": (ctypes.c_void_p, [_STATE]),
    "cairn_state_get": (ctypes.c_int, [_STATE, _BYTES, _SIZE, _AT, _AT, _AT, _AT]),
    "cairn_state_prefetch": (None, [_STATE, ctypes.POINTER(_Key), _SIZE]),
    "cairn_state_put": (ctypes.c_int, [_STATE, _BYTES, _SIZE, _BYTES, _SIZE, _AT]),
    "cairn_state_remove": (ctypes.c_int, [_STATE, _BYTES, _SIZE, _AT]),
    "cairn_state_write": (ctypes.c_int, [_STATE, ctypes.POINTER(_Change), _SIZE, _RET_NUMBER, _AT]),
    "cairn_state_await": (ctypes.c_int, [_STATE, _NUMBER, _AT]),
    "cairn_state_visit": (ctypes.c_int, [_STATE, _EACH_ITEM, ctypes.c_void_p, _AT]),
    "cairn_state_snapshot": (ctypes.c_int, [_STATE, _BYTES, _SIZE, _RET_NUMBER, _AT]),
    "cairn_state_snapshot_begin": (ctypes.c_int, [_STATE, _BYTES, _SIZE, _AT]),
    "cairn_state_snapshot_is_done": (ctypes.c_bool, [_STATE]),
    "cairn_state_snapshot_end": (ctypes.c_int, [_STATE, _RET_NUMBER, _AT]),
    "cairn_state_versions": (None, [_STATE, _EACH_VERSION, ctypes.c_void_p]),
    "cairn_state_restore": (ctypes.c_int, [_STATE, _NUMBER, _AT]),
    "cairn_state_pin": (ctypes.c_int, [_STATE, _NUMBER, ctypes.c_bool, _AT]),
    "cairn_state_forget": (ctypes.c_int, [_STATE, _NUMBER, _AT]),
    "cairn_state_retain": (ctypes.c_int, [_STATE, ctypes.POINTER(_Retention), _RET_NUMBER, _AT]),
    "cairn_state_collect": (ctypes.c_int, [_STATE, _RET_NUMBER, _AT]),
    "cairn_state_get_stats": (None, [_STATE, ctypes.POINTER(_Stats)]),
}


def _load():
    named = os.environ.get("CAIRN_ENGINE_LIBRARY")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
    try:
        try:
            library = ctypes.CDLL(named or (beside if os.path.exists(beside) else SONAME))
        except OSError:
            found = None if named else ctypes.util.find_library("cairn-engine")
            if not found:
                raise
            library = ctypes.CDLL(found)
        for function, (result, parameters) in _FUNCTIONS.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = parameters
        return library
    except (OSError, AttributeError) as error:  # not there; not the one
        hint = "" if named else " (install cairn and run ldconfig, or let CAIRN_ENGINE_LIBRARY name the file)"
        raise ImportError(f"cairn_state needs {SONAME}: {error}{hint}") from error


_library = _load()


def _roomy(structure):
    """A zeroed structure with zeros behind it, for what a later library's has at its end."""
    return structure.from_buffer(ctypes.create_string_buffer(ctypes.sizeof(structure) + 1024))


def _failure(err):
    code = _library.cairn_code_name(err.code).decode()
    return _ERRORS.get(code, Error)(code, err.text.decode("utf-8", "replace"))


# --- arguments ---

def _bytes(value, what):
    if type(value) is bytes:
        return value
    try:
        return bytes(memoryview(value))  # a copy: nobody changes it during the call
    except TypeError:
        raise TypeError(f"{what} has to be bytes, or have the buffer protocol; it is {type(value).__name__}") from None


def _number(value, bits, what):
    number = operator.index(value)
    if not 0 <= number < 1 << bits:  # ctypes would cut it
        raise ValueError(f"{what} is {number} and has to be from 0 to {(1 << bits) - 1}")
    return number


def _version_number(value):
    number = operator.index(value)
    if not 0 < number < 1 << 64:  # the library takes 0 for the current one, which is None here
        raise NotFound("not_found", f"there is no version {number}")
    return number


def _c_string(value, what):
    if b"\0" in value:
        raise ValueError(f"{what} has a NUL in it")
    return value


def _options(engine, log, memory_bytes, version, parameters):
    options = _roomy(_Options)
    options.options_bytes = ctypes.sizeof(_Options)
    if engine is not None:
        if not isinstance(engine, str):
            raise TypeError(f"engine has to be a str; it is {type(engine).__name__}")
        options.engine = _c_string(engine.encode(), "engine")
    if version is not None:
        options.version = _version_number(version)
    if isinstance(log, str):
        if log not in _LOGS:
            raise ValueError(f"log is {log!r} and has to be one of {', '.join(_LOGS)}, or seconds")
        options.log = _LOGS[log]
    elif isinstance(log, (int, float)) and not isinstance(log, bool):
        if not .001 <= log <= 1_000_000:
            raise ValueError(f"log is an interval of {log} seconds, and has to be from 0.001 to 1000000")
        options.log = _LOGS["interval"]
        options.interval_ms = round(log * 1000)
    else:
        raise TypeError(f"log has to be a str or a number of seconds; it is {type(log).__name__}")
    if memory_bytes is not None:
        options.memory_bytes = _number(memory_bytes, 8 * _Options.memory_bytes.size, "memory_bytes")
    for name, value in parameters.items():
        if name not in _PARAMETERS:
            raise TypeError(f"State has no parameter {name!r}; these it has: {', '.join(_PARAMETERS)}")
        if value is None:
            continue
        if _PARAMETERS[name] is ctypes.c_char_p:
            setattr(options, name, _c_string(os.fsencode(value), name))
        else:
            setattr(options, name, _number(value, 8 * getattr(_Options, name).size, name))
    return options


# --- results ---

class Version(NamedTuple):
    """What a snapshot has left.  One whose file cannot be read has only its number."""
    number: int
    parent: int  # the version that the state was at before; 0: none
    time: float  # of its making, as time.time() counts
    bytes: int  # of all its files, which it may share with other versions
    current: bool
    pinned: bool
    metadata: "bytes"


Stats = NamedTuple("Stats", [(name, int) for name, _ in _Stats._fields_])
Stats.__doc__ = """What the engine keeps, in memory (estimated) and on disk, and what it did since it was opened."""


class Ticket:
    """What write(changes, wait=False) returns."""
    __slots__ = "origin", "number"

    def __init__(self, origin, number):
        self.origin, self.number = origin, number


_SIZES = struct.Struct("=II")


def _read_items(file):
    with file:
        while True:
            sizes = file.read(_SIZES.size)
            if not sizes:
                return
            key_bytes, value_bytes = _SIZES.unpack(sizes)
            yield file.read(key_bytes), file.read(value_bytes)


# --- the state ---

_generation = object()  # another one in a child after a fork


def _forked():
    global _generation
    _generation = object()


os.register_at_fork(after_in_child=_forked)


class State:
    """The state in a folder, which is made if it is not there.

    engine: "hybridlog", "appendlog", "lsm" or "memory"; None: the folder's, or for a new folder "hybridlog".
    log: whether changes are durable before the next snapshot.  "off": they are not; "always": when the call that made
    them returns; a number: with the operating system then, and synced every so many seconds ("interval": every 0.1);
    "none": with the operating system then, and synced when that likes.
    memory_bytes: for everything that is kept in memory, but by the engine "memory"; 64 MiB.
    version: to open at, as restore() does; also when the current one is damaged.
    parameters: the other options of cairn/engine.h by their names there: threshold, compression, blob and so on.

    close() drops what is neither in a snapshot nor in a log, and so does the end of a `with`.

    A state works for one thread at a time; others wait.  A call that comes up inside of another on the same thread,
    from a signal's handler, is refused with RuntimeError: let the handler set a flag instead.  After a fork the state
    is the parent's and the child cannot use it; but a child that lives on keeps the folder locked.
    """

    _handle = None  # nothing is open: for __del__ after a failed __init__, too

    def __init__(self, folder, engine=None, *, log="off", memory_bytes=None, version=None, **parameters):
        options = _options(engine, log, memory_bytes, version, parameters)
        path = _c_string(os.fsencode(folder), "folder")
        self._folder = os.fsdecode(folder)
        self._born = _generation
        self._lock = threading.RLock()  # which knows its owner; it is never taken twice
        self._tickets = object()  # by which it knows its own
        self._found, self._value, self._value_bytes = ctypes.c_bool(), ctypes.c_void_p(), ctypes.c_size_t()
        self._err = _roomy(_Err)
        self._at_err = ctypes.addressof(self._err)
        self._at_get = tuple(map(ctypes.addressof, (self._found, self._value, self._value_bytes, self._err)))
        # Known to __del__ whatever comes up between here and there.
        self._handle = ctypes.c_void_p()
        if _library.cairn_state_open(path, options, self._handle, self._at_err):
            self._handle = None
            raise _failure(self._err)

    # Everything below takes the lock with a `with` on it directly: an exception that a signal's handler raises anywhere
    # leaves it free.  (Before Python 3.11 every `with` has a gap of some instructions in its end where it does not.)

    def _enter(self):
        """Before the lock is taken: may this thread?"""
        if self._born is not _generation:
            raise ValueError("this state was opened before a fork, and is the parent's")
        if self._lock._is_owned():
            raise RuntimeError("a call for this state is going on in this thread: is this a signal's handler?")

    def _opened(self):
        if self._handle is None:
            raise ValueError("this state is closed")
        return self._handle

    def _call(self, function, *arguments):
        """A call that may fail and hands out no bytes of the library's own."""
        self._enter()
        with self._lock:
            if function(self._opened(), *arguments, self._at_err):
                raise _failure(self._err)

    def _ask(self, function, *arguments):
        """A call that cannot fail and hands out no bytes of the library's own."""
        self._enter()
        with self._lock:
            return function(self._opened(), *arguments)

    def _walk(self, function, kind, take):
        """function(state, callback, NULL): take is called with what the callback gets.

        An exception that a signal's handler raises just when the library calls back, before the callback's first line,
        would be lost, and what it was called with, too.  Handlers run on the main thread: callbacks run on another.
        """
        stopped = []  # the exception that ended it

        def each(_, *element):
            try:
                if not stopped:
                    take(*element)
            except BaseException as error:
                stopped.append(error)
            return not stopped

        callback, ended, begun, over = kind(each), threading.Lock(), False, []
        ended.acquire()

        def walk():
            try:
                if not stopped:
                    function(callback, None)
            except BaseException as error:
                stopped.append(error)
            over.append(True)
            ended.release()

        self._enter()
        if threading.current_thread() is not threading.main_thread():
            walk()
        else:
            # Not threading.Thread and Event: they do not bear handlers that raise.
            try:
                _thread.start_new_thread(walk, ())
                begun = True
                ended.acquire()
            except BaseException:  # the thread keeps the state's lock until it has seen that
                stopped.append(None)
                if begun and not over:
                    ended.acquire()
                raise
        if stopped:
            raise stopped.pop()  # no longer there: its traceback leads to this frame

    # --- keys ---

    def _get(self, key, default, read):
        key = _bytes(key, "the key")
        self._enter()
        with self._lock:
            if _library.cairn_state_get(self._opened(), key, len(key), *self._at_get):
                raise _failure(self._err)
            if not self._found.value:
                return default
            return read(self._value, self._value_bytes.value)

    def get(self, key, default=None):
        """The value, as bytes.  May read the disk."""
        return self._get(key, default, ctypes.string_at)

    def prefetch(self, keys):
        """A hint: these keys, up to 32, are about to be asked for.  Reads no disk, and changes nothing."""
        names = [_bytes(key, "a key") for key in keys]
        array = (_Key * len(names))(*[(name, len(name)) for name in names])
        self._enter()
        with self._lock:
            _library.cairn_state_prefetch(self._opened(), array, len(names))

    def set(self, key, value):
        """Keys have 1 byte to 1 MiB, values up to 64 MiB."""
        key, value = _bytes(key, "the key"), _bytes(value, "the value")
        self._call(_library.cairn_state_put, key, len(key), value, len(value))

    def delete(self, key):
        """Deleting what is not there does nothing."""
        key = _bytes(key, "the key")
        self._call(_library.cairn_state_remove, key, len(key))

    def __getitem__(self, key):
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    __setitem__ = set

    def __delitem__(self, key):
        if key not in self:
            raise KeyError(key)
        self.delete(key)

    def __contains__(self, key):
        return self._get(key, False, lambda *_: True)

    __iter__ = None  # else [] would be tried with 0, 1, 2

    def write(self, changes, wait=True):
        """Makes all changes, in their order, or none: also after a crash.

        changes: pairs of a key and its value, or None to delete it; or a dict.  At most 64 MiB of keys and values,
        unless it is one.  Reads see them at once.  With wait=False it does not wait for the log and returns a Ticket
        for wait().
        """
        if hasattr(changes, "items"):
            changes = changes.items()
        pairs = [(_bytes(key, "a key"), None if value is None else _bytes(value, "a value")) for key, value in changes]
        # A length of few kinds: ctypes never forgets an array's type.
        array = (_Change * (1 << len(pairs).bit_length()))()
        for change, (key, value) in zip(array, pairs):
            change.key, change.key_bytes = key, len(key)
            if value is None:
                change.removes = True
            else:
                change.value, change.value_bytes = value, len(value)
        if wait:
            self._call(_library.cairn_state_write, array, len(pairs), None)
            return None
        ticket = ctypes.c_uint64()
        self._call(_library.cairn_state_write, array, len(pairs), ticket)
        return Ticket(self._tickets, ticket.value)

    def wait(self, ticket):
        """Until that batch, and all before it, is as durable as `log` says."""
        if not isinstance(ticket, Ticket):
            raise TypeError(f"a Ticket of write() is needed; this is {type(ticket).__name__}")
        if ticket.origin is not self._tickets:  # the library would wait for what may never come
            raise ValueError("the ticket is of another state, or of before it was closed")
        self._call(_library.cairn_state_await, ticket.number)

    def items(self):
        """An iterator over pairs of key and value, all that are there now, in any order.

        They are collected first, so the state may be changed meanwhile: 16 MiB in memory, the rest in a temporary file,
        which is where Python's tempfile puts it.
        """
        file = tempfile.SpooledTemporaryFile(ITEMS_MEMORY_BYTES)

        def take(key, key_bytes, value, value_bytes):
            file.write(_SIZES.pack(key_bytes, value_bytes) + ctypes.string_at(key, key_bytes)
                       + ctypes.string_at(value, value_bytes))

        def visit(callback, context):
            self._call(_library.cairn_state_visit, callback, context)

        try:
            self._walk(visit, _EACH_ITEM, take)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return _read_items(file)

    # --- versions ---

    def snapshot(self, metadata=b""):
        """Makes a version of everything, with up to 64 KiB of metadata; durable when it returns its number.

        It costs what has changed since the last one.
        """
        metadata, version = _bytes(metadata, "metadata"), ctypes.c_uint64()
        self._call(_library.cairn_state_snapshot, metadata, len(metadata), version)
        return version.value

    def snapshot_begin(self, metadata=b""):
        """The same in two steps, so that one can go on between them: the version has what is there at begin.

        Until snapshot_end() was called another one, restore, pin and forget are refused with Conflict.
        """
        metadata = _bytes(metadata, "metadata")
        self._call(_library.cairn_state_snapshot_begin, metadata, len(metadata))

    def snapshot_done(self):
        """Whether snapshot_end() would not wait."""
        return self._ask(_library.cairn_state_snapshot_is_done)

    def snapshot_end(self):
        """Waits until the version is durable; its number."""
        version = ctypes.c_uint64()
        self._call(_library.cairn_state_snapshot_end, version)
        return version.value

    def versions(self):
        """A list of Version: all that were not forgotten, in ascending order."""
        versions = []

        def take(pointer):
            version = pointer.contents
            metadata = ctypes.string_at(version.metadata, version.metadata_bytes) if version.metadata_bytes else b""
            versions.append(Version(version.number, version.parent, version.time_ms / 1000, version.bytes,
                                    version.current, version.pinned, metadata))

        def visit(callback, context):
            self._ask(_library.cairn_state_versions, callback, context)

        self._walk(visit, _EACH_VERSION, take)
        return versions

    def restore(self, version=None):
        """Goes back, or forth, to a version, or to the current one; drops what is not in a snapshot.

        The next snapshot has it as its parent.
        """
        self._call(_library.cairn_state_restore, 0 if version is None else _version_number(version))

    def pin(self, version):
        """A pinned version cannot be forgotten."""
        self._call(_library.cairn_state_pin, _version_number(version), True)

    def unpin(self, version):
        """It can be forgotten again."""
        self._call(_library.cairn_state_pin, _version_number(version), False)

    def forget(self, version):
        """Takes a version off the list; Conflict for the current and for a pinned one."""
        self._call(_library.cairn_state_forget, _version_number(version))

    def retain(self, last=0, interval=0, intervals=0):
        """Forgets all versions but the current one, pinned ones, the `last` newest (the current one and pinned ones
        count as well), and of as many stretches of `interval` seconds as `intervals` says the newest one of each.
        Returns how many were forgotten."""
        if not 0 <= interval <= 1e12:
            raise ValueError(f"interval is {interval} and has to be from 0 to 1e12 seconds")
        rule, forgotten = _roomy(_Retention), ctypes.c_uint64()
        rule.last, rule.intervals = _number(last, 32, "last"), _number(intervals, 32, "intervals")
        rule.interval_ms = round(interval * 1000)
        self._call(_library.cairn_state_retain, rule, forgotten)
        return forgotten.value

    def collect(self):
        """Removes files that no version needs; how many bytes that made free."""
        freed = ctypes.c_uint64()
        self._call(_library.cairn_state_collect, freed)
        return freed.value

    # --- itself ---

    def stats(self):
        """Stats: of memory, disk, and work in the background."""
        stats = _roomy(_Stats)
        self._ask(_library.cairn_state_get_stats, stats)
        return Stats(*(getattr(stats, name) for name in Stats._fields))

    @property
    def folder(self):
        """As it was given."""
        return self._folder

    @property
    def closed(self):
        """Whether it was closed."""
        return self._handle is None

    def close(self):
        """Waits for background work, and drops what is neither in a snapshot nor in a log.  Twice is once."""
        if self._born is not _generation:
            self._handle = None
        if self._handle is None:
            return
        self._enter()
        with self._lock:
            # Given up first: an exception in between leaves it open, but never closes it twice.
            handle, self._handle = self._handle, None
            if handle is not None:
                _library.cairn_state_close(handle)

    def __enter__(self):
        self._enter()
        self._opened()
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self, close=_library.cairn_state_close):
        if self._handle is not None and self._handle and self._born is _generation:
            handle, self._handle = self._handle, None
            close(handle)

    def __repr__(self):
        return f"<cairn_state.State {self._folder!r}{' (closed)' if self._handle is None else ''}>"

    def __reduce__(self):
        raise TypeError("a State is an open folder and cannot be copied or pickled")
