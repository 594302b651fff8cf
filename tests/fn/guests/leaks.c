/* Dirties everything that an invocation can, and tells what it found dirty: anything but 0 is a leak. */
#include <cairn/guest.h>

CAIRN_MODULE(leaks);
CAIRN_TYPE(Leaks);

static uint32_t zero[64];
static uint32_t data[4] = {1, 2, 3, 4};
static const uint32_t *pointer = data;

enum { STATIC_BSS = 1, STATIC_DATA = 2, HEAP = 4, HEAP_POINTER = 8, STACK = 16, FAR_MEMORY = 32 };

/* Reads below its own frame: what an earlier call left there. */
static uint32_t __attribute__((noinline)) stack_garbage(uint32_t bytes)
{
    volatile uint8_t *frame = __builtin_alloca(bytes);
    uint32_t found = 0;

    for (uint32_t i = 0; i < bytes; i++) {
        found |= frame[i];
        frame[i] = 0xa5;
    }
    return found;
}

static uint32_t look_and_dirty(uint32_t stack_bytes, uint32_t heap_bytes)
{
    uint32_t found = 0;
    uint8_t *heap = cairn_heap_mark();

    for (int i = 0; i < 64; i++)
        found |= zero[i] != 0 ? STATIC_BSS : 0;
    if (data[0] != 1 || data[3] != 4 || pointer != data)
        found |= STATIC_DATA;
    if (heap != &__heap_base)
        found |= HEAP_POINTER;
    for (uint32_t i = 0; i < heap_bytes; i++)
        found |= heap[i] ? HEAP : 0;
    if (stack_garbage(stack_bytes))
        found |= STACK;

    memset(zero, 0xff, sizeof zero);
    data[0] = data[3] = 99;
    pointer = zero;
    memset(cairn_alloc(heap_bytes), 0xee, heap_bytes);
    return found;
}

/* Stays in the writable window. */
CAIRN_METHOD(Leaks, small, CAIRN_PUBLIC)
{
    cairn_result_int(look_and_dirty(1024, 6000));
}

/* Dirties all of its memory. */
CAIRN_METHOD(Leaks, large, CAIRN_PUBLIC)
{
    cairn_result_int(look_and_dirty(12000, cairn_heap_room_()));
}

CAIRN_METHOD(Leaks, waits, CAIRN_PUBLIC)
{
    uint32_t found = look_and_dirty(12000, cairn_heap_room_());

    cairn_wait(cairn_call("Leaks", cairn_str("x"), "small", 0));
    found |= zero[0] != 0xffffffff ? 1000 : 0; /* its own memory must stay its own */
    cairn_result_int(found);
}

CAIRN_METHOD(Leaks, grows, CAIRN_PUBLIC)
{
    uint32_t found = look_and_dirty(1024, 6000);
    uint8_t *more = cairn_alloc(200000);

    for (uint32_t i = 0; i < 200000; i++)
        found |= more[i] ? FAR_MEMORY : 0;
    memset(more, 0xdd, 200000);
    cairn_result_int(found);
}

/* Leaves everything dirty and ends by a trap, or by exit. */
CAIRN_METHOD(Leaks, traps, CAIRN_PUBLIC)
{
    look_and_dirty(1024, 6000);
    __builtin_trap();
}

CAIRN_METHOD(Leaks, exits, CAIRN_PUBLIC)
{
    look_and_dirty(1024, 6000);
    cairn_exit();
}
