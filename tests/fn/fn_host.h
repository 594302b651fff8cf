/* fn_host.h - for tests of fn/: one object in memory behind the host calls, and the sandbox around it. */
#ifndef CAIRN_TESTS_FN_FN_HOST_H
#define CAIRN_TESTS_FN_FN_HOST_H

#include "base/random.h"
#include "base/value.h"
#include "fn/fn.h"
#include "fn/fn_internal.h"

enum { FN_HOST_FIELDS = 8, FN_HOST_ENTRIES = 20000, FN_HOST_CALLS = 4096 };

struct fn_host_string {
    uint8_t *data;
    size_t size;
};

struct fn_host_call {
    struct fn_host_string type, id, method, args, result;
    bool ready;
};

/* What one invocation sees and does. */
struct fn_host {
    struct fn_host_string values[FN_HOST_FIELDS]; /* data NULL: none */
    struct fn_host_string list[FN_HOST_ENTRIES];  /* of every list field */
    size_t list_count, list_bytes;
    struct fn_host_string keys[FN_HOST_ENTRIES], map[FN_HOST_ENTRIES];
    size_t map_count;
    /* What a restart goes back to: what was there at the start (entries of lists and maps must not be changed or
     * removed by a run that starts over). */
    struct fn_host_string kept_values[FN_HOST_FIELDS];
    size_t kept_list, kept_map;
    struct cairn_buf args, result, fail_code, fail_message, log, shown;
    bool deleted, no_caller;
    struct fn_host_call calls[FN_HOST_CALLS];
    uint32_t call_count, args_read, undone;
    uint64_t restarts, host_calls;
    int64_t now_ms;
    struct cairn_random random;
    /* Fails the host call of that name with `fail_with`. */
    const char *fail_call;
    enum cairn_code fail_with;
};

extern const struct cairn_host_ops fn_host_ops;

/* Forgets everything but the arguments' memory. */
void fn_host_clear(struct fn_host *host);
void fn_host_done(struct fn_host *host);
/* A run begins. */
void fn_host_begin(struct fn_host *host);
/* Sets the arguments; ends with NULL. */
void fn_host_args(struct fn_host *host, ...);
/* Ends call `i` (or all: UINT32_MAX) with an encoded value. */
void fn_host_finish(struct fn_host *host, uint32_t i, struct cairn_bytes value);

/* The result as text, e.g. [1 "a" nil !code:message], unprintable bytes as dots; borrowed until the next. */
const char *fn_host_result(struct fn_host *host);

/* --- the sandbox --- */

/* For each test, right after its sandbox has been made: cmocka sets handlers of its own for SIGSEGV, SIGILL and SIGFPE
 * before every test, in the place of Wasmtime's, which turn guests' faults into traps and are set once per process.
 * This puts them back. */
void fn_host_keep_signals(void);

struct fn_lab {
    struct cairn_fn *fn;
    struct cairn_fn_worker *worker;
    struct fn_host *host;
    struct cairn_run_meter meter;
    struct cairn_err err;
    struct cairn_run *run;
    enum cairn_run_state state;
    uint64_t cpu_ns_max, memory_max;
};

/* Options NULL: those of a node with one worker.  Fails the test when it cannot. */
struct fn_lab *fn_lab_create(const struct cairn_fn_options *options);
void fn_lab_destroy(struct fn_lab *lab);
/* <name>.wasm of the build. */
struct cairn_buf fn_lab_wasm(const char *name);
struct cairn_module *fn_lab_module(struct fn_lab *lab, const char *name);
/* TYPE.METHOD */
const struct cairn_method_decl *fn_lab_method(struct cairn_module *module, const char *name);
/* From now on it runs as a fiber, or plain again. */
void fn_lab_force(const struct cairn_method_decl *method, bool fiber);

/* Starts or resumes; the state, in lab->state too.  Slices are passed over, unless _slice. */
enum cairn_run_state fn_lab_start(struct fn_lab *lab, struct cairn_module *module, const char *method);
enum cairn_run_state fn_lab_start_slice(struct fn_lab *lab, struct cairn_module *module, const char *method);
enum cairn_run_state fn_lab_resume(struct fn_lab *lab);
enum cairn_run_state fn_lab_resume_slice(struct fn_lab *lab);
/* Starts and resumes (calls, which all return their arguments as bytes) to the end. */
enum cairn_run_state fn_lab_run(struct fn_lab *lab, struct cairn_module *module, const char *method);

/* --- hand-made modules --- */

struct fn_binary {
    const char *types; /* cairn.types; NULL: a module `m` with type T and method T.f */
    bool no_types, two_types;
    const char *import_module, *import_name; /* one import */
    uint8_t import_kind;                     /* 0 function () -> (), 2 memory, 3 global */
    bool no_memory, no_memory_export, two_memories;
    uint32_t pages; /* 0: 1 */
    bool start;
    const char *export_name; /* NULL: T.f */
    bool export_missing, with_result;
    const uint8_t *code; /* the method's body without locals and end; two i32 locals are there */
    size_t code_bytes;
    bool global, global_exported; /* a mutable i32 of 7, number 0 */
    bool table;                   /* funcref, 4 elements, the method in the first two */
    uint32_t data_at;             /* 0: none; else one byte there */
    uint8_t version;              /* 0: 1 */
};

struct cairn_buf fn_binary_make(const struct fn_binary *binary);

#endif
