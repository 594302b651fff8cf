/* The host calls of timers: docs/formats/guest-abi.md. */
#include "fn/host_internal.h"

static wasm_trap_t *bad_args(struct cairn_run *run, const char *call)
{
    return failed(run, cairn_fail(run->err, CAIRN_ETRAP, "malformed arguments in host call %s", call));
}

HOST_CALL(timer_set)
{
    ENTER();
    BYTES(name, 0);
    BYTES(method, 3);
    BYTES(args, 5);
    struct cairn_timer_spec spec = {.name = name, .method = method, .args = args, .at_ms = v[2].i64};

    if (!fn_args_valid(args))
        return bad_args(run, import->name);
    CHECK(run->host->timer_set(run->context, &spec, run->err));
    return NULL;
}

HOST_CALL(timer_every)
{
    ENTER();
    BYTES(name, 0);
    BYTES(cron, 3);
    BYTES(zone, 5);
    BYTES(method, 7);
    BYTES(args, 9);
    struct cairn_timer_spec spec = {.name = name,
                                    .method = method,
                                    .args = args,
                                    .repeats = true,
                                    .period_ms = v[2].i64,
                                    .cron = cron,
                                    .zone = zone};

    if (!fn_args_valid(args))
        return bad_args(run, import->name);
    CHECK(run->host->timer_set(run->context, &spec, run->err));
    return NULL;
}

HOST_CALL(timer_cancel)
{
    ENTER();
    bool found = false;
    BYTES(name, 0);

    CHECK(run->host->timer_cancel(run->context, name, &found, run->err));
    v[0].i32 = found;
    return NULL;
}

HOST_CALL(timer_due)
{
    ENTER();

    v[0].i64 = (int64_t)run->host->timer_due(run->context);
    return NULL;
}

HOST_CALL(timer_missed)
{
    ENTER();

    v[0].i64 = (int64_t)run->host->timer_missed(run->context);
    return NULL;
}

const struct import fn_timer_imports[] = {
    {"timer_set", "iiIiiii", host_timer_set},    {"timer_every", "iiIiiiiiiii", host_timer_every},
    {"timer_cancel", "ii>i", host_timer_cancel}, {"timer_due", ">I", host_timer_due},
    {"timer_missed", ">I", host_timer_missed},
};
const size_t fn_timer_import_count = sizeof fn_timer_imports / sizeof *fn_timer_imports;
