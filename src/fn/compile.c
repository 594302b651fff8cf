/* Compiling.  A module of a few KiB can take the compiler hours, or more memory than there is, and the compiler may
 * have faults of its own.  So a node compiles in a child: this same program, run with one argument, which takes the
 * settings and the module on its input and gives compiled code or a reason on its output (a byte that says which of
 * them, then its bytes).  Where options.compiler is not set (the simulator, tests) it is done in this process. */
#include "fn/fn_internal.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "io/child.h"

enum {
    HEAD_BYTES = 4 * 8 + CAIRN_SHA256_BYTES, /* see make_head */
    ANSWER_CODE = 0,
    ANSWER_REFUSED = 1,
    WALL_PER_CPU = 10, /* the child gets less of the processors than the node's threads do */
};

static const uint64_t code_bytes_max = (uint64_t)1 << 30;

/* --- settings --- */

void fn_engine_key(const struct cairn_fn_options *o, uint64_t reservation, uint8_t key[CAIRN_SHA256_BYTES])
{
    char text[256];

    snprintf(text, sizeof text,
             "wasmtime " WASMTIME_VERSION " fuel %d reservation %llu memory %llu stack %d abi %d rules 2",
             o->deterministic, (unsigned long long)reservation, (unsigned long long)o->memory_bytes_max,
             FN_WASM_STACK_BYTES, CAIRN_ABI);
    cairn_sha256(cairn_str(text), key);
}

wasm_config_t *fn_engine_config(const struct cairn_fn_options *o, uint64_t reservation)
{
    wasm_config_t *config = wasm_config_new();

    wasmtime_config_epoch_interruption_set(config, !o->deterministic);
    wasmtime_config_consume_fuel_set(config, o->deterministic);
    wasmtime_config_max_wasm_stack_set(config, FN_WASM_STACK_BYTES);
    wasmtime_config_async_stack_size_set(config, FN_FIBER_STACK_BYTES);
    cairn_wasmtime_config_only_wasm2(config); /* wasm.c must know whatever a module can hold */
    wasmtime_config_shared_memory_set(config, false);
    wasmtime_config_cranelift_nan_canonicalization_set(config, true);
    wasmtime_config_native_unwind_info_set(config, false);
    wasmtime_config_memory_reservation_set(config, reservation);
    wasmtime_config_memory_guard_size_set(config, reservation > o->memory_bytes_max ? 32 << 20 : FN_WASM_PAGE_BYTES);
    wasmtime_config_memory_may_move_set(config, false);
    return config;
}

/* --- in this process --- */

static enum cairn_code compile_here(wasm_engine_t *engine, struct cairn_bytes wasm, struct cairn_buf *ret_code,
                                    struct cairn_err *err)
{
    wasmtime_module_t *module = NULL;
    wasmtime_error_t *error = wasmtime_module_new(engine, wasm.data, wasm.size, &module);
    wasm_byte_vec_t bytes;

    if (error)
        return fn_fail_error(err, CAIRN_EMODULE, "the module does not compile", error);
    error = wasmtime_module_serialize(module, &bytes);
    wasmtime_module_delete(module);
    if (error)
        return fn_fail_error(err, CAIRN_EMODULE, "the module does not compile", error);
    cairn_buf_add(ret_code, bytes.data, bytes.size);
    wasm_byte_vec_delete(&bytes);
    return CAIRN_OK;
}

/* --- the child --- */

static void make_head(const struct cairn_fn *fn, uint8_t head[HEAD_BYTES])
{
    cairn_put_u64(head, fn->options.memory_bytes_max);
    cairn_put_u64(head + 8, fn->reservation);
    cairn_put_u64(head + 16, fn->options.compile_memory_bytes);
    cairn_put_u64(head + 24, fn->options.compile_cpu_seconds);
    memcpy(head + 32, fn->engine_key, CAIRN_SHA256_BYTES);
}

static bool read_all(int fd, struct cairn_buf *to)
{
    ssize_t n;

    while ((n = read(fd, cairn_buf_reserve(to, 1 << 20), 1 << 20)) > 0)
        to->size += (size_t)n;
    return n == 0;
}

static bool write_all(int fd, struct cairn_bytes bytes)
{
    while (bytes.size > 0) {
        ssize_t n = write(fd, bytes.data, bytes.size);

        if (n <= 0)
            return false;
        bytes = cairn_bytes(bytes.data + n, bytes.size - (size_t)n);
    }
    return true;
}

int cairn_fn_compile_child(void)
{
    struct cairn_fn_options options = {0};
    struct cairn_buf input = {0}, code = {0};
    uint8_t key[CAIRN_SHA256_BYTES], answer = ANSWER_CODE;
    struct cairn_err err = {0};
    struct cairn_bytes out;
    wasm_engine_t *engine = NULL;
    wasmtime_error_t *error;
    uint64_t reservation;

    if (!read_all(STDIN_FILENO, &input) || input.size < HEAD_BYTES) {
        fputs("compile-module is what a node runs to compile a module; use 'cairn deploy'\n", stderr);
        return 2;
    }
    options.memory_bytes_max = cairn_get_u64(input.data);
    reservation = cairn_get_u64(input.data + 8);
#ifdef FN_SANITIZED
    cairn_child_limit(0, cairn_get_u64(input.data + 24)); /* sanitizers map more than any limit */
#else
    cairn_child_limit(cairn_get_u64(input.data + 16), cairn_get_u64(input.data + 24));
#endif
    fn_engine_key(&options, reservation, key);
    if (memcmp(key, input.data + 32, sizeof key) != 0) {
        fputs("the compiler is not of the same build as the node\n", stderr);
        return 2;
    }
    error = cairn_wasmtime_engine_new(fn_engine_config(&options, reservation), &engine);
    if (error)
        fn_fail_error(&err, CAIRN_ENOMEM, "cannot make the compiler", error);
    else
        compile_here(engine, cairn_bytes(input.data + HEAD_BYTES, input.size - HEAD_BYTES), &code, &err);
    out = cairn_buf_bytes(&code);
    if (err.text[0]) {
        answer = ANSWER_REFUSED;
        out = cairn_str(err.text);
    }
    if (!write_all(STDOUT_FILENO, cairn_bytes(&answer, 1)) || !write_all(STDOUT_FILENO, out))
        return 2;
    _exit(0); /* nothing is worth tidying up */
}

/* --- the node --- */

/* The allocators of C and Rust say so before they abort, mmap says it by an error. */
static bool lacks_memory(const char *text)
{
    return strstr(text, "memory allocation of") || strstr(text, "out of memory") || strstr(text, "cannot allocate") ||
           strstr(text, "Cannot allocate memory");
}

static enum cairn_code over_memory(const struct cairn_fn *fn, struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ELIMIT,
                      "compiling the module takes more than the %llu MiB of memory that it may: make it smaller, or "
                      "start the node with a larger --compile-memory",
                      (unsigned long long)(fn->options.compile_memory_bytes >> 20));
}

static enum cairn_code judge(const struct cairn_fn *fn, const struct cairn_child_outcome *o, struct cairn_buf *ret_code,
                             struct cairn_err *err)
{
    const struct cairn_fn_options *options = &fn->options;
    struct cairn_bytes out = cairn_buf_bytes(&o->output);
    char text[CAIRN_ERR_TEXT_BYTES];

    if (o->stopped)
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the node is stopping");
    if (o->signal == SIGXCPU)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "compiling the module takes more than the %u s of CPU time that it may: make its functions "
                          "smaller and nest their loops less, or start the node with a larger --compile-cpu",
                          options->compile_cpu_seconds);
    if (o->timed_out)
        return cairn_fail(err, CAIRN_ELIMIT,
                          "compiling the module was not done after %u s, on a machine that is busy; deploy it again "
                          "later, or start the node with a larger --compile-cpu",
                          options->compile_cpu_seconds * WALL_PER_CPU);
    if (o->too_much)
        return cairn_fail(err, CAIRN_ELIMIT, "the module's compiled code is larger than 1 GiB");
    if (lacks_memory(o->errors))
        return over_memory(fn, err);
    if (o->signal)
        return cairn_fail(err, CAIRN_EMODULE, "the compiler crashed on the module (signal %d): %.200s", o->signal,
                          o->errors);
    if (o->exit_status != 0 || out.size == 0)
        return cairn_fail(err, CAIRN_EIO, "the compiler ended with status %d: %.200s", o->exit_status, o->errors);
    if (out.data[0] != ANSWER_CODE) {
        snprintf(text, sizeof text, "%.*s", (int)(out.size - 1), (const char *)out.data + 1);
        return lacks_memory(text) ? over_memory(fn, err) : cairn_fail(err, CAIRN_EMODULE, "%s", text);
    }
    cairn_buf_add(ret_code, out.data + 1, out.size - 1);
    return CAIRN_OK;
}

enum cairn_code fn_compile(struct cairn_fn *fn, struct cairn_bytes wasm, struct cairn_buf *ret_code,
                           struct cairn_err *err)
{
    uint8_t head[HEAD_BYTES];
    struct cairn_child_options options = {
        .program = fn->options.compiler,
        .argument = "compile-module",
        .head = cairn_bytes(head, sizeof head),
        .input = wasm,
        .output_bytes_max = code_bytes_max,
        .wall_ms_max = (uint64_t)fn->options.compile_cpu_seconds * WALL_PER_CPU * 1000,
        .stop = &fn->compiling_stopped,
    };
    struct cairn_child_outcome outcome;
    enum cairn_code code;

    if (!fn->options.compiler) {
        fn_quiet_lock(fn);
        code = compile_here(fn->engine, wasm, ret_code, err);
        fn_quiet_unlock(fn);
        return code;
    }
    make_head(fn, head);
    code = cairn_child_run(&options, &outcome, err);
    if (code == CAIRN_OK)
        code = judge(fn, &outcome, ret_code, err);
    cairn_buf_done(&outcome.output);
    return code;
}

void cairn_fn_stop_compiling(struct cairn_fn *fn)
{
    atomic_store(&fn->compiling_stopped, true);
}
