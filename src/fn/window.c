/* Windows: the part of an instance's memory that its guests may write to without more ado.
 *
 * The rest is write-protected.  So a reset need not look there, and an instance costs the same to use again whatever
 * its memory's size.  The first write beyond the window opens it: all of the memory is writable and is looked through,
 * until it is closed again after some resets.  A write by compiled code (or by Wasmtime on its behalf, memory.fill)
 * comes as a fault: the handler here stands in front of Wasmtime's, opens the window, and lets the store be done again.
 * Host calls ask for themselves. */
#include "fn/fn_internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

/* An exported number called `name` that may be an address; `otherwise` if there is none. */
static uint32_t exported_address(const struct fn_instance *instance, const char *name, uint32_t otherwise)
{
    wasmtime_extern_t item;
    wasmtime_val_t v;

    if (!wasmtime_instance_export_get(instance->context, &instance->instance, name, strlen(name), &item) ||
        item.kind != WASMTIME_EXTERN_GLOBAL)
        return otherwise;
    wasmtime_global_get(instance->context, &item.of.global, &v);
    return v.kind == WASMTIME_I32 && (uint32_t)v.of.i32 <= instance->memory_bytes ? (uint32_t)v.of.i32 : otherwise;
}

/* The top of the stack, the data, and the beginning of the heap: what small methods write to.  Where they lie is told
 * by __stack_pointer and __heap_base, as clang's linker calls them.  A module that keeps its stack elsewhere, or lies,
 * is slower and not less isolated: what is outside is protected, what is inside is put back. */
void fn_window_choose(struct fn_module *module, const struct fn_instance *instance)
{
    uint32_t data_at = UINT32_MAX, data_end = 0, stack, at = 0;
    uint64_t end;

    if (module->image_count > 0) {
        const struct fn_extent *last = &module->image[module->image_count - 1];

        data_at = module->image[0].at;
        data_end = last->at + last->bytes;
    }
    stack = exported_address(instance, "__stack_pointer", 0);
    if (stack <= data_at && stack > FN_STACK_BYTES) /* it grows down from below the data */
        at = (stack - FN_STACK_BYTES) & ~(uint32_t)(FN_PAGE_BYTES - 1);
    end = exported_address(instance, "__heap_base", 0);
    if (end < data_end)
        end = data_end;
    if (end < stack)
        end = stack;
    end = (end + FN_HEAP_BYTES + FN_PAGE_BYTES - 1) & ~(uint64_t)(FN_PAGE_BYTES - 1);
    module->window_at = at;
    module->window_end = end < module->memory_bytes ? (uint32_t)end : module->memory_bytes;
}

static bool protect(const struct fn_instance *instance, int protection)
{
    const struct fn_module *m = instance->module;
    int failed = 0;

    if (m->window_at > 0)
        failed |= mprotect(instance->memory, m->window_at, protection);
    if (m->window_end < m->memory_bytes)
        failed |= mprotect(instance->memory + m->window_end, m->memory_bytes - m->window_end, protection);
    return !failed;
}

void fn_window_close(struct fn_instance *instance)
{
    instance->writable_at = instance->module->window_at;
    instance->writable_end = instance->module->window_end;
    instance->resets_open = 0;
    if (!protect(instance, PROT_READ)) /* too many mappings: it goes without a window, and is looked at whole */
        fn_window_open(instance);
}

/* Called from a signal's handler, too. */
void fn_window_open(struct fn_instance *instance)
{
    bool done;

    if (instance->writable_end == SIZE_MAX)
        return;
    /* Giving access back joins mappings and cannot fail; a slot that stayed protected would crash Wasmtime later. */
    done = protect(instance, PROT_READ | PROT_WRITE);
    assert(done);
    (void)done;
    instance->writable_at = 0;
    instance->writable_end = SIZE_MAX;
}

/* --- faults --- */

static _Thread_local struct fn_instance *running;
static struct sigaction next;

void fn_window_enter(struct fn_instance *instance)
{
    running = instance;
}

static bool held_back(const struct fn_instance *instance, uintptr_t at)
{
    uintptr_t memory = (uintptr_t)instance->memory;

    return at - memory < instance->module->memory_bytes &&
           (at - memory < instance->writable_at || at - memory >= instance->writable_end);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct fn_instance *instance = running;

    if (instance && info->si_code == SEGV_ACCERR && held_back(instance, (uintptr_t)info->si_addr)) {
        int before = errno;

        fn_window_open(instance);
        errno = before;
        return;
    }
    if (next.sa_flags & SA_SIGINFO)
        next.sa_sigaction(number, info, context);
    else if (next.sa_handler != SIG_DFL && next.sa_handler != SIG_IGN)
        next.sa_handler(number);
    else
        sigaction(number, &next, NULL); /* the fault happens again, and ends the process */
}

static void take_faults(void)
{
    struct sigaction action;
    int failed = sigaction(SIGSEGV, NULL, &next);

    action = next;
    action.sa_flags |= SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = on_fault;
    failed |= sigaction(SIGSEGV, &action, NULL);
    assert(!failed);
    (void)failed;
}

void fn_window_take_faults(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, take_faults);
}
