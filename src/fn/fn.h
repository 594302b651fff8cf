/* fn.h - the WebAssembly sandbox: modules, instances, host calls, slices, metering.
 *
 * A struct cairn_fn is a node's sandbox (one Wasmtime engine).  Modules are compiled once,
 * on a background thread, and shared.  Each worker has a struct cairn_fn_worker with its own
 * instances.  One invocation is one struct cairn_run: it starts, may wait for calls, may be
 * set aside when its time slice is over, and ends.  What the host calls mean is told by a
 * struct cairn_host_ops that `object` fills in; this room checks pointers and moves bytes.
 *
 * How an invocation runs:
 *   plain   on the worker's own stack, in an instance used again after a reset that is provably
 *           complete.  If it turns out that it must wait or exceeds its slice, it is thrown
 *           away, restart() forgets its effects, and it starts over as a fiber; the method is
 *           remembered for that.  Only the first segment can be thrown away, and nothing of it
 *           has left the worker.
 *   fiber   on a stack of its own, in an instance that may be set aside and may wait.
 * Reset (plain and fiber): memory has not grown, memory is put back to its image (beyond the
 * instance's window nothing can have changed: it is write-protected until the first write
 * there, after which all of it is looked through), every mutable global is exported and put back, the module
 * validates with bulk-memory and reference-types off, no trap happened.  Everything else gets a
 * fresh instance.  An instance never serves two modules.
 *
 * Signals: when the first struct cairn_fn is made Wasmtime takes SIGSEGV, SIGILL and SIGFPE, to turn faults of guests
 * into traps, and this room SIGSEGV in front of it, for writes beyond a window; no other code may take them away later.
 *
 * Threads: cairn_fn and cairn_module functions may be called by any thread (modules are
 * reference counted); a worker's functions by its owner only.
 * Layer: fn; uses base and io.  ABI: docs/formats/guest-abi.md. */
#ifndef CAIRN_FN_FN_H
#define CAIRN_FN_FN_H

#include "base/bytes.h"
#include "base/err.h"
#include "base/hash.h"
#include "fn/limits.h"
#include "io/clock.h"
#include "io/disk.h"

/* The guest ABI of this node, and the oldest whose modules it runs. */
enum { CAIRN_ABI = 2, CAIRN_ABI_OLDEST = 1 };
enum { CAIRN_NAME_BYTES_MAX = 64, CAIRN_ID_BYTES_MAX = 512 };

/* [A-Za-z][A-Za-z0-9_]{0,63} */
bool cairn_name_valid(struct cairn_bytes name);

struct cairn_fn_options {
    struct cairn_clock *clock;
    struct cairn_disk *cache_disk; /* where compiled modules are kept; NULL: nowhere */
    const char *cache_dir;         /* below its root */
    uint64_t memory_bytes_max;     /* of one instance; 0: 16 MiB */
    uint64_t module_bytes_max;     /* 0: 32 MiB */
    uint32_t workers;              /* how many struct cairn_fn_worker there will be */
    uint32_t fibers_per_worker; /* instances that can wait or be set aside at once; 0: 512, fewer beyond 32 workers */
    uint64_t share_bytes;       /* memory of instances, over all workers, beyond 64 KiB of each; 0: 256 MiB (share.c) */
    uint64_t slice_ns;          /* 0: 500 us */
    /* The program that compiles, run with the argument compile-module, which has to call cairn_fn_compile_child();
     * NULL: modules are compiled in this process, for as long as it takes. */
    const char *compiler;
    uint64_t compile_memory_bytes; /* of the compiler for one module; 0: 2 GiB */
    uint32_t compile_cpu_seconds;  /* 0: 60; and ten times that by the clock */
    bool deterministic;            /* simulation: slices and CPU time by fuel, no ticker thread */
};

struct cairn_fn;
enum cairn_code cairn_fn_create(const struct cairn_fn_options *options, struct cairn_fn **ret_fn,
                                struct cairn_err *err);
/* Compilers that run, and those that would be started, are ended: their modules fail with CAIRN_EUNAVAILABLE. */
void cairn_fn_stop_compiling(struct cairn_fn *fn);
/* The whole of a compiler: reads a node's request from descriptor 0 and answers on 1.  The process's exit status. */
int cairn_fn_compile_child(void);
struct cairn_fn *cairn_fn_destroy(struct cairn_fn *fn);  /* all workers and modules are gone */
uint64_t cairn_fn_memory_max(const struct cairn_fn *fn); /* bytes of one instance */

/* --- modules --- */

enum cairn_field_kind {
    CAIRN_FIELD_VALUE = 1,
    CAIRN_FIELD_LIST = 2,
    CAIRN_FIELD_MAP = 3,
    CAIRN_FIELD_ORDERED = 4, /* since ABI 2 */
};
enum { CAIRN_FIELD_KINDS_END = CAIRN_FIELD_ORDERED + 1 };
/* "value", "list", "map", "ordered". */
const char *cairn_field_kind_name(enum cairn_field_kind kind);
enum { CAIRN_FIELD_NUMBER_MAX = 1023, CAIRN_MODULE_TYPES_MAX = 256, CAIRN_TYPE_METHODS_MAX = 1024 };

struct cairn_field_decl {
    char *name;
    enum cairn_field_kind kind;
    uint32_t number; /* the module's own: what host calls name */
};

enum { CAIRN_RETRIES_MAX = 1000, CAIRN_RETRY_MS_MAX = 7 * 24 * 3600 * 1000 };

struct cairn_method_decl {
    char *name;
    bool is_public, read_only, deterministic, uncached, transaction, durable;
    struct cairn_retries {
        uint32_t attempts; /* 0: it does not say */
        uint32_t first_ms, longest_ms;
    } retries;                             /* of messages */
    uint64_t limits[CAIRN_METHOD_LIMITS];  /* 0: it does not say */
    struct cairn_method_private *private_; /* fn's: export, what was learned */
};

struct cairn_type_decl {
    char *name;
    struct cairn_field_decl *fields;
    size_t field_count;
    struct cairn_method_decl *methods;
    size_t method_count;
    uint64_t limits[CAIRN_METHOD_LIMITS]; /* of methods that do not say otherwise; 0: it does not say */
    bool uncached;                        /* all of its methods are */
};

/* Immutable once compiled. */
struct cairn_module {
    char *name;                       /* from cairn.types */
    uint8_t hash[CAIRN_SHA256_BYTES]; /* of the .wasm */
    struct cairn_type_decl *types;
    size_t type_count;
    size_t wasm_bytes;
    bool reusable; /* its instances may be used again */
};

/* Checks (CAIRN_EMODULE with the reason: not a module, unknown import, no or bad cairn.types,
 * missing export, memory larger than the limit; CAIRN_EVERSION: ABI number; CAIRN_ELIMIT: too large),
 * compiles or takes the compiled code from the cache (a damaged cache file is rebuilt).  CAIRN_ELIMIT with what to do:
 * the compiler used up its memory or time.
 * Blocks for as long as compiling takes.  The module has one reference. */
enum cairn_code cairn_module_compile(struct cairn_fn *fn, struct cairn_bytes wasm, struct cairn_module **ret_module,
                                     struct cairn_err *err);
struct cairn_module *cairn_module_ref(struct cairn_module *module);
void cairn_module_unref(struct cairn_module *module); /* accepts NULL */

/* --- what the guest may ask for --- */

enum cairn_who {
    CAIRN_WHO_SELF_TYPE,
    CAIRN_WHO_SELF_ID,
    CAIRN_WHO_CALLER_TYPE,
    CAIRN_WHO_CALLER_ID,
    CAIRN_WHO_REQUEST_KEY, /* the client's idempotency key */
};

/* `run` is the context given to cairn_run_start.  A code other than CAIRN_OK ends the segment
 * with that error (the guest never runs on).  Bytes returned are borrowed until the next host
 * call of the same run; bytes passed are in guest memory, borrowed for the call.
 * Host calls do bounded work and do not block. */
enum cairn_calls {
    CAIRN_CALLS_DONE,    /* all of them have their results */
    CAIRN_CALLS_NOT_NOW, /* another run of the method may have more luck */
    CAIRN_CALLS_NEVER,   /* the method is no such method */
};

/* A stretch of an ordered map: keys at or above `low`, and below `high`. */
struct cairn_range {
    struct cairn_bytes low, high;
    bool above_low; /* without `low` itself */
    bool with_high; /* with `high` itself */
    bool no_high;   /* to the last key */
    bool backward;  /* the last of them comes first */
};

/* Is given what is read, at most `want` entries, until take returns false. */
struct cairn_taker {
    bool (*take)(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value);
    uint32_t want;
    bool keys_only; /* values are not looked up: empty */
};

/* A timer as a guest asks for it. */
struct cairn_timer_spec {
    struct cairn_bytes name, method, args;
    bool repeats;
    int64_t at_ms;                 /* when it does not */
    int64_t period_ms;             /* when it does and has no cron line */
    struct cairn_bytes cron, zone; /* zone empty: UTC */
};

enum { CAIRN_PROMISE_ID_BYTES = 64 };

struct cairn_host_ops {
    /* The run starts over: forget every effect of the segment so far (log lines may stay). */
    void (*restart)(void *run);

    /* Packed arguments: per argument u32 size little-endian, bytes. */
    struct cairn_bytes (*args)(void *run);
    /* The guest says that it has read only so many of them. */
    void (*args_read)(void *run, uint32_t count);
    /* data NULL: there is none (a client called). */
    struct cairn_bytes (*who)(void *run, enum cairn_who which);
    enum cairn_code (*result)(void *run, struct cairn_bytes encoded_value, struct cairn_err *err);
    /* The method's own error; the guest returns right after, the segment leaves nothing. */
    enum cairn_code (*fail)(void *run, struct cairn_bytes code, struct cairn_bytes message, struct cairn_err *err);

    enum cairn_code (*value_get)(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                 struct cairn_err *err);
    enum cairn_code (*value_set)(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
    enum cairn_code (*value_clear)(void *run, uint32_t field, struct cairn_err *err);

    enum cairn_code (*list_count)(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
    enum cairn_code (*list_push)(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err);
    /* index counts from the oldest entry, 0.. */
    enum cairn_code (*list_set)(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                                struct cairn_err *err);
    enum cairn_code (*list_get)(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                bool *ret_found, struct cairn_err *err);
    /* Removes up to `count` entries from the front (oldest) or the back; at most 4096 a call. */
    enum cairn_code (*list_drop)(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                                 struct cairn_err *err);

    enum cairn_code (*map_count)(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
    enum cairn_code (*map_get)(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                               bool *ret_found, struct cairn_err *err);
    enum cairn_code (*map_set)(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                               struct cairn_err *err);
    enum cairn_code (*map_remove)(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                  struct cairn_err *err);
    /* The entry at place `index` of the enumeration order, 0.. */
    enum cairn_code (*map_at)(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                              struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err);

    enum cairn_code (*ordered_count)(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err);
    enum cairn_code (*ordered_get)(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                   bool *ret_found, struct cairn_err *err);
    enum cairn_code (*ordered_set)(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                   struct cairn_err *err);
    enum cairn_code (*ordered_remove)(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                      struct cairn_err *err);
    /* Keys below `key`, or with `with_it` at or below it. */
    enum cairn_code (*ordered_rank)(void *run, uint32_t field, struct cairn_bytes key, bool with_it, uint64_t *ret_rank,
                                    struct cairn_err *err);
    enum cairn_code (*ordered_read)(void *run, uint32_t field, const struct cairn_range *range, struct cairn_taker *to,
                                    struct cairn_err *err);
    /* From the key with `place` keys below it on. */
    enum cairn_code (*ordered_read_at)(void *run, uint32_t field, uint64_t place, bool backward, struct cairn_taker *to,
                                       struct cairn_err *err);

    /* A hint, may be NULL: `count` entries of that list or map are read next, from `index` on, down if `down`. */
    void (*ahead)(void *run, uint32_t field, uint64_t index, bool down, uint64_t count);

    /* Deletes the object itself; it is empty from here on. */
    enum cairn_code (*delete_self)(void *run, struct cairn_err *err);
    /* Forgets what the segment has written so far, its calls, messages and timers too. */
    enum cairn_code (*undo)(void *run, struct cairn_err *err);

    /* Queues a call that leaves when the segment commits; *ret_call counts 0, 1, 2 ... per run. */
    enum cairn_code (*call)(void *run, struct cairn_bytes type, struct cairn_bytes id, struct cairn_bytes method,
                            struct cairn_bytes args, uint32_t *ret_call, struct cairn_err *err);
    /* A call that no object is asked for: it has its result, nil, when that much time has passed. */
    enum cairn_code (*sleep)(void *run, int64_t ms, uint32_t *ret_call, struct cairn_err *err);
    /* The same, of which something else says the result, by its id; or it is an error after within_ms (0: never). */
    enum cairn_code (*promise)(void *run, int64_t within_ms, uint8_t to[CAIRN_PROMISE_ID_BYTES], uint32_t *ret_call,
                               struct cairn_err *err);
    /* The promise with that id gets that encoded value, or error, for its outcome, some time after the segment commits;
     * unless it has one by then.  *ret_sent false: that text is no promise's id. */
    enum cairn_code (*promise_settle)(void *run, struct cairn_bytes id, struct cairn_bytes value, bool *ret_sent,
                                      struct cairn_err *err);
    /* Sends a message when the segment commits, to be run by itself; not before delay_ms have passed. */
    enum cairn_code (*send)(void *run, struct cairn_bytes type, struct cairn_bytes id, struct cairn_bytes method,
                            struct cairn_bytes args, int64_t delay_ms, struct cairn_err *err);
    /* As fail, with the code `retry`: a message is to be tried again, after delay_ms, or when it would be if 0. */
    enum cairn_code (*retry)(void *run, int64_t delay_ms, struct cairn_err *err);
    uint64_t (*attempts)(void *run); /* of this message that have failed; 0: none, or it is no message */
    /* Sets a timer of the object's own, in place of one of that name, when the segment commits. */
    enum cairn_code (*timer_set)(void *run, const struct cairn_timer_spec *spec, struct cairn_err *err);
    enum cairn_code (*timer_cancel)(void *run, struct cairn_bytes name, bool *ret_found, struct cairn_err *err);
    /* Of the firing that runs: when it was due, and how many times were missed since; 0: no timer has called. */
    uint64_t (*timer_due)(void *run);
    uint64_t (*timer_missed)(void *run);
    /* True if `call` (UINT32_MAX: all so far) has its result; an unknown call is CAIRN_ETRAP.  The run waits for it,
     * and may ask any number of times. */
    enum cairn_code (*ready)(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err);
    /* The same, asked by the guest, which goes on in any case. */
    enum cairn_code (*poll)(void *run, uint32_t call, bool *ret_ready, struct cairn_err *err);
    /* A plain run is about to wait, and would be started over as a fiber: runs the calls that it has issued, on this
     * stack, if none of them needs to wait.  What it starts with cairn_run_start stays plain (NO_FIBER if it cannot),
     * and is asked for no more of the same.  After anything but DONE the run is started over.  NULL: NEVER. */
    enum cairn_calls (*run_calls)(void *run);
    /* The encoded value (maybe an error value) of a finished call; kept until the run ends.
     * Not ready: CAIRN_ETRAP. */
    enum cairn_code (*call_result)(void *run, uint32_t call, struct cairn_bytes *ret_value, struct cairn_err *err);

    enum cairn_code (*now_ms)(void *run, int64_t *ret_ms, struct cairn_err *err);
    enum cairn_code (*random)(void *run, uint8_t *out, size_t size, struct cairn_err *err);
    void (*log)(void *run, uint32_t level, struct cairn_bytes line); /* 0 debug .. 3 error */
};

enum { CAIRN_AHEAD_MAX = 16 }; /* entries that one hint is good for; longer reads repeat it */

/* --- running --- */

struct cairn_fn_worker;
struct cairn_run;

enum cairn_run_state {
    CAIRN_RUN_DONE,     /* the method returned; the run is over */
    CAIRN_RUN_FAILED,   /* trap, limit, or a host call's error, told in err; the run is over */
    CAIRN_RUN_WAITS,    /* it waits for a call (or all): resume it when ready() would say true */
    CAIRN_RUN_SLICE,    /* its time slice is over: resume it later */
    CAIRN_RUN_NO_FIBER, /* needs a fiber, and all are in use, or it was started by run_calls: restart() was called;
                         * start it again later; nothing is held */
};

struct cairn_run_meter {
    uint64_t cpu_ns;            /* of the whole run so far (fuel when deterministic) */
    uint64_t memory_bytes_peak; /* the instance's memory */
    uint32_t slices;
    uint64_t ended_ns; /* monotonic, as the guest gave control back; 0: not read (deterministic, or set aside before) */
};

enum cairn_code cairn_fn_worker_create(struct cairn_fn *fn, const struct cairn_host_ops *host,
                                       struct cairn_fn_worker **ret_worker, struct cairn_err *err);
struct cairn_fn_worker *cairn_fn_worker_destroy(struct cairn_fn_worker *worker); /* all runs are over */

/* What a run may have. */
struct cairn_run_limits {
    uint64_t cpu_ns;       /* of the whole run: CAIRN_ECPU beyond */
    uint64_t memory_bytes; /* of its instance, where that is less than the sandbox gives; 0: what it gives */
};

/* Runs the method's first segment (or slice of it).  `host` has the run's host calls; NULL: the worker's.  *ret_run is
 * set if the state is WAITS or SLICE, else NULL.  *ret_meter is always set. */
enum cairn_run_state cairn_run_start(struct cairn_fn_worker *worker, struct cairn_module *module,
                                     const struct cairn_method_decl *method, const struct cairn_host_ops *host,
                                     void *context, const struct cairn_run_limits *limits, struct cairn_run **ret_run,
                                     struct cairn_run_meter *ret_meter, struct cairn_err *err);
/* Continues; when the state is DONE or FAILED the run has been freed. */
enum cairn_run_state cairn_run_resume(struct cairn_run *run, struct cairn_run_meter *ret_meter, struct cairn_err *err);
/* Gives a waiting or set-aside run up: frees it and its fiber. */
void cairn_run_cancel(struct cairn_run *run);

/* Fibers free right now: there are so many, and their memory has room in the worker's share. */
uint32_t cairn_fn_worker_fibers_free(const struct cairn_fn_worker *worker);
/* Memory of instances in use, beyond 64 KiB of each. */
uint64_t cairn_fn_worker_memory(const struct cairn_fn_worker *worker);
/* That is twice the worker's share: runs have grown since they began, and should end one after the other. */
bool cairn_fn_worker_pressed(const struct cairn_fn_worker *worker);
/* The worker is about to run guests, or has nothing to run (the ticker may sleep). */
void cairn_fn_worker_busy(struct cairn_fn_worker *worker, bool busy);
/* Drops cached instances of modules that have no other reference. */
void cairn_fn_worker_trim(struct cairn_fn_worker *worker);

#endif
