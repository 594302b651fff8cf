/* meter.c - the deterministic mode's measure of CPU time: fuel. */
#include <assert.h>

#include "fn/fn_internal.h"

void fn_fuel_set(wasmtime_context_t *context, uint64_t fuel)
{
    wasmtime_error_t *error = wasmtime_context_set_fuel(context, fuel);

    assert(!error);
    (void)error;
}

uint64_t fn_fuel_left(const wasmtime_context_t *context)
{
    uint64_t fuel = 0;
    wasmtime_error_t *error = wasmtime_context_get_fuel(context, &fuel);

    assert(!error);
    (void)error;
    return fuel;
}

void fn_run_meter_fuel(struct cairn_run *run, const wasmtime_context_t *context)
{
    if (run->worker->fn->options.deterministic)
        run->cpu_ns = run->fuel_cpu + run->fuel - fn_fuel_left(context);
}
