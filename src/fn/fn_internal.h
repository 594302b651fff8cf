/* fn_internal.h - what the files of this room share.
 *
 *   fn.c        the engine, its ticker            module.c    compiling, references
 *   types.c     the section cairn.types           cache.c     compiled code on disk
 *   wasm.c      what a binary tells by itself     instance.c  making, resetting, dropping instances
 *   wasm_code.c which instructions are known      fail.c      Wasmtime's errors
 *   host*.c     the host calls                    worker.c    a worker's instances
 *   check.c     what must hold of a module        window.c    what of an instance may be written
 *   run.c       invocations                       compile.c   compiling, in a child
 *   share.c     the memory of a worker's instances
 *
 * An instance belongs to one worker; everything in it is touched by that worker only.  A module is
 * immutable but for its atomics and for caches[], of which each worker touches its own entry. */
#ifndef CAIRN_FN_FN_INTERNAL_H
#define CAIRN_FN_FN_INTERNAL_H

#include "base/list.h"
#include "fn/fn.h"
#include "fn/types.h"
#include "fn/wasm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <wasm.h>
#include <wasmtime.h>

/* What Wasmtime's C API lacks: third_party/wasmtime/src/lib.rs. */
void cairn_wasmtime_config_only_wasm2(wasm_config_t *config);
/* Takes the config. */
wasmtime_error_t *cairn_wasmtime_engine_new(wasm_config_t *config, wasm_engine_t **ret_engine);

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define FN_THREAD_SANITIZED 1
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || defined(FN_THREAD_SANITIZED)
#define FN_SANITIZED 1
#endif

enum {
    /* Native stack of a guest.  Host calls run on the same stack below it: sanitizers make their frames larger. */
    FN_WASM_STACK_BYTES = 64 << 10,
#ifdef FN_SANITIZED
    FN_FIBER_STACK_BYTES = 384 << 10,
#else
    FN_FIBER_STACK_BYTES = 128 << 10,
#endif
    FN_PLAIN_CACHED_MAX = 128,   /* plain instances that a worker keeps */
    FN_IDLE_FIBERS = 16,         /* kept when a worker trims */
    FN_SPARE_SLOTS = 8,          /* for trial instances of modules being compiled */
    FN_FIBERS_TOTAL_MAX = 16384, /* over all workers: each takes several of the process's 65,530 mappings */
    FN_PLAIN_TICKS = 2,          /* a plain run is thrown away after one to two slices */
    FN_SLICES_MAX = 8,           /* what a run can have used before a tick stops it, bulk operations included */
    FN_SKIP_PLAIN = 1000,        /* at most, starts for which a slow method goes straight to a fiber */
    FN_SKIP_CALLS = 32,          /* starts that do so after calls could not be run at once: starting over costs 5 us */
    FN_STACK_BYTES = 4 << 10,    /* in an instance's window: the top of the guest's own stack, */
    FN_HEAP_BYTES = 8 << 10,     /* its data, and of its heap as much as its methods use, but no more than this */
    FN_LARGE_BYTES = 4 << 20,    /* a module whose run has used so much gets huge pages */
    FN_RESETS_OPEN = 64,         /* an opened window is closed again after so many: opening costs about 5 us */
    FN_BLOCK_BYTES = 256,        /* what is compared and copied as one when memory is reset */
    FN_PAGE_BYTES = 4096,
    FN_RESET_BYTES_MAX = 256 << 10, /* a memory larger than this is cheaper to make anew than to look through */
    FN_KEPT_BYTES = 16 << 10,       /* of a free slot's memory: more costs memory, and measures no faster */
    FN_FREE_BYTES = 64 << 10, /* of an instance's memory that is in no account: bounded by the number of instances */
    FN_TABLE_ELEMENTS_MAX = 20000,
    FN_WASM_PAGE_BYTES = 64 << 10,
};

#define FN_SKIP_ALWAYS UINT32_MAX

struct cairn_fn {
    struct cairn_fn_options options; /* with defaults filled in */
    wasm_engine_t *engine;
    wasmtime_linker_t *plain, *fiber;
    uint8_t engine_key[CAIRN_SHA256_BYTES]; /* of everything that decides whether compiled code fits */
    uint64_t reservation;                   /* address space of a memory */
    atomic_bool compiling_stopped;

    /* The ticker.  `asleep` is written under the lock and read without it by workers that become busy:
     * a worker stores its busy flag before it loads asleep, the ticker stores asleep before it loads the
     * flags, both in sequentially consistent order, so one of them sees the other. */
    pthread_t ticker;
    pthread_mutex_t lock; /* workers[], stopping, asleep */
    pthread_cond_t wake;
    _Atomic bool asleep;
    bool stopping, ticking;
    struct cairn_fn_worker **workers; /* options.workers entries */

    pthread_mutex_t quiet; /* see fn_quiet_lock() */
};

/* Memory goes from one thread to another inside Wasmtime, under locks that ThreadSanitizer does not see.  For it
 * alone there is one that it does, around what allocates and frees there. */
static inline void fn_quiet_lock(struct cairn_fn *fn)
{
    (void)fn;
#ifdef FN_THREAD_SANITIZED
    pthread_mutex_lock(&fn->quiet);
#endif
}

static inline void fn_quiet_unlock(struct cairn_fn *fn)
{
    (void)fn;
#ifdef FN_THREAD_SANITIZED
    pthread_mutex_unlock(&fn->quiet);
#endif
}

/* --- modules --- */

/* Memory right after instantiation: zero but for these, in order; multiples of FN_BLOCK_BYTES. */
struct fn_extent {
    uint32_t at, bytes;
    const uint8_t *data;
};

struct cairn_method_private {
    struct fn_module *module;
    char *export;
    uint32_t index; /* in fn_instance.funcs */
    /* What plain runs have taught.  Hints that workers share: relaxed, and an update lost costs one more try.
     * skip_plain: starts left that go straight to a fiber; FN_SKIP_ALWAYS: the method waits.
     * useless: plain runs thrown away in a row; the skips double with it. */
    _Atomic uint32_t skip_plain, useless;
    /* Memory of its runs as fibers lately + 1; 0: none has ended or waited yet. */
    _Atomic uint64_t memory_peak;
};

struct fn_module {
    struct cairn_module module;
    struct cairn_fn *fn;
    _Atomic uint32_t users;   /* references held by others */
    _Atomic uint32_t holders; /* workers' caches, and 1 for all users together */
    wasmtime_module_t *code;
    wasmtime_instance_pre_t *plain, *fiber;
    struct cairn_method_private *methods;
    uint32_t method_count;
    char **globals; /* names of mutable globals, when reusable */
    uint32_t global_count;
    uint32_t memory_bytes;              /* of a fresh instance */
    uint32_t window_at, window_end_max; /* see window.c */
    _Atomic uint32_t window_end;        /* grows, up to window_end_max; by any thread */
    bool again;                         /* its instances are used again: reusable, and the window small enough */
    struct fn_extent *image;            /* when reusable */
    uint32_t image_count;
    struct fn_cache **caches; /* by worker index */
    atomic_bool large;        /* a run has used FN_LARGE_BYTES: further instances ask for huge pages */
};

static inline struct fn_module *fn_module(struct cairn_module *module)
{
    return cairn_container(module, struct fn_module, module);
}

/* TYPE.METHOD, as methods are exported. */
enum { FN_EXPORT_BYTES = 2 * CAIRN_NAME_BYTES_MAX + 2 };
void fn_export_name(const struct cairn_type_decl *type, const struct cairn_method_decl *method,
                    char name[FN_EXPORT_BYTES]);

/* A worker's hold on a module; see `holders`. */
void fn_module_hold(struct fn_module *module);
void fn_module_release(struct fn_module *module);
static inline bool fn_module_unused(struct fn_module *module)
{
    return atomic_load_explicit(&module->users, memory_order_acquire) == 0;
}

/* Compiled code from the cache, or NULL: none, damaged, or of another engine. */
wasmtime_module_t *fn_cache_load(struct cairn_fn *fn, const uint8_t hash[CAIRN_SHA256_BYTES]);
/* Keeps it (as serialized by this node or its compiler) for the next start, if that can be done. */
void fn_cache_store(struct cairn_fn *fn, const uint8_t hash[CAIRN_SHA256_BYTES], struct cairn_bytes code);

/* Compiled code, serialized.  Adds to *ret_code on success. */
enum cairn_code fn_compile(struct cairn_fn *fn, struct cairn_bytes wasm, struct cairn_buf *ret_code,
                           struct cairn_err *err);
/* What decides what code is made: of the options memory_bytes_max and deterministic. */
wasm_config_t *fn_engine_config(const struct cairn_fn_options *options, uint64_t reservation);
void fn_engine_key(const struct cairn_fn_options *options, uint64_t reservation, uint8_t key[CAIRN_SHA256_BYTES]);

/* Takes the error (or trap) and tells it in err. */
enum cairn_code fn_fail_error(struct cairn_err *err, enum cairn_code code, const char *what, wasmtime_error_t *error);

/* --- host calls --- */

bool fn_host_knows(struct cairn_bytes name);
/* Defines every host call; `wait` suspends if `fiber`, else it stops the run so that it starts over. */
void fn_host_define(wasmtime_linker_t *linker, bool fiber);

/* --- instances --- */

struct fn_global {
    wasmtime_global_t global;
    wasmtime_val_t initial;
};

struct fn_instance {
    struct cairn_run *run; /* whose guest is in it */
    uint8_t *memory;
    size_t memory_bytes;              /* as last seen: it may have grown */
    size_t writable_at, writable_end; /* the window; 0, SIZE_MAX: all of it, grown or not */
    uint32_t resets_open;             /* since the window was opened */
    uint64_t charged;                 /* to the worker's share: a fiber's, in use or idle */
    wasmtime_context_t *context;
    wasmtime_func_t *funcs; /* by method index; store_id 0: not looked up yet */
    struct fn_global *globals;
    struct fn_module *module;
    wasmtime_store_t *store;
    wasmtime_instance_t instance;
    wasmtime_memory_t exported;
    bool fiber;
    bool has_stack;         /* a fiber takes one from the pool when it first runs, and keeps it */
    struct cairn_link idle; /* in its cache's idle list */
    struct cairn_link lru;  /* in its worker's */
};

/* One that will be used again gets its window. */
enum cairn_code fn_instance_create(struct fn_module *module, bool fiber, struct fn_instance **ret_instance,
                                   struct cairn_err *err);
void fn_instance_destroy(struct fn_instance *instance); /* accepts NULL */
/* Its memory may grow up to so much from here on; 0: up to what the sandbox gives.  No future of it is alive. */
void fn_instance_limit(struct fn_instance *instance, uint64_t memory_max);
/* Puts everything back to how it was when made; false if that cannot be: drop it then.  memory_bytes is up to date. */
bool fn_instance_reset(struct fn_instance *instance);
/* The method's function; NULL if it is not exported (checked when compiling). */
const wasmtime_func_t *fn_instance_func(struct fn_instance *instance, const struct cairn_method_private *method);
/* memory_bytes brought up to date. */
size_t fn_instance_memory_bytes(struct fn_instance *instance, const wasmtime_context_t *context);
/* Makes a first instance, to see that it can be made, and notes what a fresh memory looks like. */
enum cairn_code fn_instance_study(struct fn_module *module, struct cairn_err *err);

/* --- windows --- */

/* From an instance as it was made; notes window_at, window_end and window_end_max. */
void fn_window_choose(struct fn_module *module, const struct fn_instance *instance);
void fn_window_close(struct fn_instance *instance);
void fn_window_open(struct fn_instance *instance); /* all of the memory is writable */
/* The same because something is written to byte `at` of it, which the module's windows learn from. */
void fn_window_open_at(struct fn_instance *instance, size_t at);
/* Puts the handler of faults in front of Wasmtime's, once in the process. */
void fn_window_take_faults(void);
/* This thread runs guests in that instance now; NULL: in none.  Returns the one before. */
struct fn_instance *fn_window_enter(struct fn_instance *instance);

/* --- workers, runs --- */

/* A worker's instances of one module. */
/* A plain run, and one that it is waiting for (run_calls). */
enum { FN_PLAIN_LEVELS = 2 };

struct fn_cache {
    struct fn_module *module;
    struct fn_instance *plain[FN_PLAIN_LEVELS];
    bool plain_taken[FN_PLAIN_LEVELS];
    bool plain_used; /* since the last eviction looked */
    struct cairn_link idle_fibers;
    uint32_t runs;          /* fibers in use */
    struct cairn_link link; /* in worker.caches */
};

/* Why a guest was stopped from inside a host call. */
enum fn_stop {
    FN_STOP_NOT,
    FN_STOP_FAILED,   /* code and err tell */
    FN_STOP_EXIT,     /* the guest asked to end here, well */
    FN_STOP_WAIT,     /* plain: it must wait, as always */
    FN_STOP_WAIT_NOW, /* plain: it must wait this time */
};

struct cairn_run {
    struct cairn_fn_worker *worker;
    const struct cairn_host_ops *host;
    void *context;
    struct cairn_err *err; /* the caller's, while the guest runs */
    enum fn_stop stop;
    enum cairn_code code;
    struct fn_instance *instance;
    struct cairn_method_private *method;
    uint64_t cpu_ns, cpu_ns_max;
    uint64_t memory_max; /* less than the sandbox gives; 0: what it gives */
    uint64_t fuel;       /* deterministic: given to this run when its fiber started */
    uint64_t fuel_cpu;   /* and cpu_ns then */
    uint32_t slices;
    uint64_t ended_ns; /* as in struct cairn_run_meter */
    bool was_aside;    /* its slice was over once */
    bool is_waiting;   /* counted in worker->fibers_waiting */

    /* Fibers only. */
    bool waiting;
    uint32_t waits_for;
    wasmtime_call_future_t *future;
    wasm_trap_t *trap;
    wasmtime_error_t *error;
    struct cairn_run *next_free;
};

struct cairn_fn_worker {
    struct cairn_fn *fn;
    struct cairn_host_ops host;
    uint32_t index;
    uint32_t plain_level; /* plain runs under way */
    uint64_t plain_ns;    /* what all plain runs have used */
    struct cairn_run *free_runs;
    struct cairn_link caches;
    struct cairn_link idle_fibers; /* of all modules, longest unused first */
    uint32_t plain_count, fiber_count, fibers_in_use, fibers_waiting;
    uint64_t share_bytes, used_bytes, idle_bytes; /* share.c; charged for instances in use, and for idle ones */
    uint64_t typical_bytes;                       /* charged for a fiber, lately at most */
    bool busy;

    /* Read by the ticker. */
    _Alignas(64) _Atomic bool busy_seen;
    _Atomic uint32_t turns;
};

static inline uint64_t fn_clock_ns(const struct cairn_fn_worker *worker)
{
    return worker->fn->options.clock->monotonic_ns(worker->fn->options.clock);
}

/* ticker.c: unless deterministic, which needs none. */
enum cairn_code fn_ticker_start(struct cairn_fn *fn, struct cairn_err *err);
void fn_ticker_stop(struct cairn_fn *fn);

/* meter.c */
void fn_fuel_set(wasmtime_context_t *context, uint64_t fuel);
uint64_t fn_fuel_left(const wasmtime_context_t *context);
/* Deterministic: brings cpu_ns up to date from within a host call; otherwise nothing. */
void fn_run_meter_fuel(struct cairn_run *run, const wasmtime_context_t *context);

/* share.c: the run has given control back, and waits or is set aside; or it ended well with so much memory. */
void fn_share_charge(struct cairn_run *run);
void fn_share_learn(struct cairn_method_private *method, uint64_t memory_bytes);
void fn_share_shed(struct cairn_fn_worker *worker);
/* From in use to idle, or back; before it is destroyed, while idle. */
void fn_share_idle(struct cairn_fn_worker *worker, struct fn_instance *instance);
void fn_share_use(struct cairn_fn_worker *worker, struct fn_instance *instance);
void fn_share_drop(struct cairn_fn_worker *worker, struct fn_instance *instance);
/* Drops the instance, which is idle or in no list. */
void fn_worker_drop_fiber(struct cairn_fn_worker *worker, struct fn_instance *instance);

struct fn_cache *fn_worker_cache(struct cairn_fn_worker *worker, struct fn_module *module);
/* A plain instance for one run; give it back with put. */
enum cairn_code fn_worker_take_plain(struct cairn_fn_worker *worker, struct fn_module *module,
                                     struct fn_instance **ret_instance, struct cairn_err *err);
/* `clean`: the run ended well, so a reset may do; else the instance is dropped. */
void fn_worker_put_plain(struct cairn_fn_worker *worker, struct fn_instance *instance, bool clean);
/* *ret_instance NULL on success: all fibers are in use. */
enum cairn_code fn_worker_take_fiber(struct cairn_fn_worker *worker, struct fn_module *module,
                                     struct fn_instance **ret_instance, struct cairn_err *err);
void fn_worker_put_fiber(struct cairn_fn_worker *worker, struct fn_instance *instance, bool clean);

#endif
