/* fn_micro - what an invocation costs in the sandbox alone: host calls do next to nothing.
 * Usage: fn_micro [FOLDER with micro.wasm and retwis.wasm [PART of a label]] */
#include "fn/fn.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 7 };

struct state {
    uint8_t value[64], args[128], result[9];
    size_t value_size, args_size;
    uint64_t entries;
    uint32_t calls, ready;
    uint64_t restarts, host_calls;
};

static void restart(void *run)
{
    struct state *s = run;

    s->restarts++;
    s->calls = s->ready = 0;
}

static struct cairn_bytes args(void *run)
{
    struct state *s = run;

    return cairn_bytes(s->args, s->args_size);
}

static struct cairn_bytes who(void *run, enum cairn_who which)
{
    (void)run;
    return which <= CAIRN_WHO_SELF_ID ? cairn_str("someone") : cairn_bytes(NULL, 0);
}

static enum cairn_code result(void *run, struct cairn_bytes value, struct cairn_err *err)
{
    struct state *s = run;

    (void)err;
    memcpy(s->result, value.data, value.size < 9 ? value.size : 9);
    return CAIRN_OK;
}

static enum cairn_code value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                 struct cairn_err *err)
{
    struct state *s = run;

    (void)field, (void)err;
    *ret_value = cairn_bytes(s->value, s->value_size);
    *ret_found = true;
    return CAIRN_OK;
}

static enum cairn_code value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    struct state *s = run;

    (void)field, (void)err;
    s->value_size = value.size < sizeof s->value ? value.size : sizeof s->value;
    memcpy(s->value, value.data, s->value_size);
    return CAIRN_OK;
}

static enum cairn_code list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    struct state *s = run;

    (void)field, (void)err;
    *ret_count = s->entries % 100;
    return CAIRN_OK;
}

static enum cairn_code list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    struct state *s = run;

    (void)field, (void)err, (void)value;
    s->entries++;
    return CAIRN_OK;
}

static enum cairn_code call(void *run, struct cairn_bytes type, struct cairn_bytes id, struct cairn_bytes method,
                            struct cairn_bytes packed, uint32_t *ret_call, struct cairn_err *err)
{
    struct state *s = run;

    (void)type, (void)id, (void)method, (void)packed, (void)err;
    *ret_call = s->calls++;
    return CAIRN_OK;
}

static enum cairn_code ready(void *run, uint32_t number, bool *ret_ready, struct cairn_err *err)
{
    struct state *s = run;

    (void)number, (void)err;
    *ret_ready = s->ready >= s->calls;
    return CAIRN_OK;
}

static enum cairn_code call_result(void *run, uint32_t number, struct cairn_bytes *ret_value, struct cairn_err *err)
{
    (void)run, (void)number, (void)err;
    *ret_value = cairn_bytes("", 1);
    return CAIRN_OK;
}

static const struct cairn_host_ops host = {
    .restart = restart,
    .args = args,
    .who = who,
    .result = result,
    .value_get = value_get,
    .value_set = value_set,
    .list_count = list_count,
    .list_push = list_push,
    .call = call,
    .ready = ready,
    .call_result = call_result,
};

static void must(enum cairn_code code, const struct cairn_err *err)
{
    if (code == CAIRN_OK)
        return;
    fprintf(stderr, "fn_micro: %s: %s\n", cairn_code_name(code), err->text);
    exit(1);
}

static struct cairn_module *load(struct cairn_fn *fn, const char *folder, const char *name)
{
    struct cairn_disk *disk;
    struct cairn_buf wasm = {0};
    struct cairn_err err;
    struct cairn_module *module;

    must(cairn_disk_open(folder, &disk, &err), &err);
    must(cairn_disk_read_file(disk, name, 1 << 20, &wasm, &err), &err);
    must(cairn_module_compile(fn, cairn_buf_bytes(&wasm), &module, &err), &err);
    cairn_buf_done(&wasm);
    cairn_disk_close(disk);
    return module;
}

static const struct cairn_method_decl *method(struct cairn_module *module, const char *name)
{
    for (size_t i = 0; i < module->types[0].method_count; i++)
        if (strcmp(module->types[0].methods[i].name, name) == 0)
            return &module->types[0].methods[i];
    fprintf(stderr, "fn_micro: no method %s\n", name);
    exit(1);
}

static const char *only;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(struct cairn_fn_worker *worker, struct cairn_module *module, const char *name, const char *label,
                    int invocations)
{
    struct cairn_clock *clock = cairn_clock_system();
    const struct cairn_method_decl *m = method(module, name);
    struct state s = {.value_size = 20};
    struct cairn_run_meter meter;
    struct cairn_err err;
    struct cairn_run *run;
    double ns[ROUNDS];

    if (only && !strstr(label, only))
        return;
    s.args_size = 24;
    cairn_put_u32(s.args, 20);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = clock->monotonic_ns(clock);

        for (int i = 0; i < invocations; i++) {
            enum cairn_run_state state;

            s.calls = s.ready = 0;
            state = cairn_run_start(worker, module, m, NULL, &s, &(struct cairn_run_limits){.cpu_ns = 100000000}, &run,
                                    &meter, &err);
            while (state == CAIRN_RUN_WAITS || state == CAIRN_RUN_SLICE) {
                s.ready = s.calls;
                state = cairn_run_resume(run, &meter, &err);
            }
            if (state != CAIRN_RUN_DONE)
                must(err.code, &err);
        }
        ns[round] = (double)(clock->monotonic_ns(clock) - start) / invocations;
    }
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    printf("%-44s %8.0f ns   (best %.0f, worst %.0f; %llu restarts)\n", label, ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1],
           (unsigned long long)s.restarts);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : getenv("CAIRN_GUESTS") ? getenv("CAIRN_GUESTS") : "build";
    only = argc > 2 ? argv[2] : NULL;
    struct cairn_fn_options options = {.clock = cairn_clock_system(), .workers = 1};
    struct cairn_fn *fn;
    struct cairn_fn_worker *worker;
    struct cairn_module *micro, *retwis;
    struct cairn_err err;

    must(cairn_fn_create(&options, &fn, &err), &err);
    must(cairn_fn_worker_create(fn, &host, &worker, &err), &err);
    micro = load(fn, folder, "micro.wasm");
    retwis = load(fn, folder, "retwis.wasm");
    measure(worker, micro, "nothing", "plain, no host call", 200000);
    measure(worker, micro, "leaf", "plain, 6 host calls", 200000);
    measure(worker, retwis, "deliver", "plain, retwis deliver (3 host calls)", 200000);
    measure(worker, micro, "one_wait", "fiber, one wait, 6 host calls", 100000);
    measure(worker, micro, "grows", "fiber, fresh instance (memory grows)", 20000);
    cairn_fn_worker_destroy(worker);
    cairn_module_unref(micro);
    cairn_module_unref(retwis);
    cairn_fn_destroy(fn);
    return 0;
}
