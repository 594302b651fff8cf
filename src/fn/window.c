/* Windows: the part of an instance's memory that its guests may write to without more ado.
 *
 * The rest is write-protected.  So a reset need not look there, and an instance costs the same to use again whatever
 * its memory's size.  A write beyond the window opens it: all of the memory is writable and is looked through,
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

static uint32_t pages_up(uint64_t bytes, uint32_t most)
{
    bytes = (bytes + FN_PAGE_BYTES - 1) & ~(uint64_t)(FN_PAGE_BYTES - 1);
    return bytes < most ? (uint32_t)bytes : most;
}

/* The top of the stack, the data, and as much of the heap's beginning as has been used: what small methods write to.
 * Where they lie is told by __stack_pointer and __heap_base, as clang's linker calls them.  A module that keeps its
 * stack elsewhere, or lies, is slower and not less isolated: what is outside is protected, what is inside is put back.
 */
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
    module->window_at = at;
    atomic_store(&module->window_end, pages_up(end, module->memory_bytes));
    module->window_end_max = pages_up(end + FN_HEAP_BYTES, module->memory_bytes);
}

/* What lies outside of the instance's window. */
static bool protect(const struct fn_instance *instance, int protection)
{
    const struct fn_module *m = instance->module;
    int failed = 0;

    if (instance->writable_at > 0)
        failed |= mprotect(instance->memory, instance->writable_at, protection);
    if (instance->writable_end < m->memory_bytes)
        failed |=
            mprotect(instance->memory + instance->writable_end, m->memory_bytes - instance->writable_end, protection);
    return !failed;
}

void fn_window_close(struct fn_instance *instance)
{
    instance->writable_at = instance->module->window_at;
    instance->writable_end = atomic_load_explicit(&instance->module->window_end, memory_order_relaxed);
    instance->resets_open = 0;
    if (!protect(instance, PROT_READ)) /* too many mappings: it goes without a window, and is looked at whole */
        fn_window_open(instance);
}

/* A thread writes to `at`.  What the module's methods use of the beginning of the heap belongs to the window, page by
 * page: that of instances whose window is closed from now on. */
static void learn(struct fn_instance *instance, size_t at)
{
    struct fn_module *m = instance->module;
    uint32_t end = pages_up(at + 1, m->memory_bytes);

    if (end > m->window_end_max || at < m->window_at)
        return;
    if (end > atomic_load_explicit(&m->window_end, memory_order_relaxed))
        atomic_store_explicit(&m->window_end, end, memory_order_relaxed); /* of two at once either will do */
    instance->resets_open = FN_RESETS_OPEN - 1; /* the next reset closes it: then it is large enough */
}

void fn_window_open_at(struct fn_instance *instance, size_t at)
{
    if (instance->writable_end == SIZE_MAX)
        return;
    fn_window_open(instance);
    learn(instance, at);
}

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

struct fn_instance *fn_window_enter(struct fn_instance *instance)
{
    struct fn_instance *before = running;

    running = instance;
    return before;
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

        fn_window_open_at(instance, (size_t)((uint8_t *)info->si_addr - instance->memory));
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
