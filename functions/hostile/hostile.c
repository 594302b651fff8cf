/* What a hostile or broken function may try.  Each of these must end with a stable error and leave nothing, while
 * others go on; the tests of the sandbox and of the whole node call them. */
#include <cairn/guest.h>

CAIRN_MODULE(hostile);
CAIRN_TYPE(Hostile);
CAIRN_VALUE(Hostile, value);
CAIRN_LIST(Hostile, list);
CAIRN_MAP(Hostile, map);

/* Gives `well`: proof that the object still works. */
CAIRN_METHOD(Hostile, fine, CAIRN_PUBLIC)
{
    cairn_result_str("well");
}

/* cpu_limit */
CAIRN_METHOD(Hostile, loop, CAIRN_PUBLIC)
{
    cairn_set(Hostile_value, cairn_str("must not stay"));
    for (volatile uint32_t i = 0;; i++)
        ;
}

CAIRN_METHOD(Hostile, loop_reading, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    for (volatile uint32_t i = 0;; i++)
        ;
}

/* Uses the given milliseconds, about. */
CAIRN_METHOD(Hostile, spin, CAIRN_PUBLIC)
{
    volatile uint64_t n = (uint64_t)cairn_arg_int(0) * 300000;

    while (n > 0)
        n--;
    cairn_result_int(1);
}

/* memory_limit */
CAIRN_METHOD(Hostile, memory_bomb, CAIRN_PUBLIC)
{
    for (;;)
        memset(cairn_alloc(1 << 20), 0x55, 1 << 20);
}

/* trap: the stack of the C code, then that of the machine */
static uint32_t __attribute__((noinline)) recurse(uint32_t n)
{
    volatile uint8_t frame[64];

    frame[n % 64] = (uint8_t)n;
    return n == 0 ? 0 : recurse(n - 1) + frame[n % 64];
}

CAIRN_METHOD(Hostile, recursion, CAIRN_PUBLIC)
{
    cairn_result_int(recurse(1000000000));
}

static uint32_t __attribute__((noinline)) recurse_bare(uint32_t n)
{
    if (n == 0)
        return 0;
    return recurse_bare(n - 1) * 3 + recurse_bare(n / 2);
}

CAIRN_METHOD(Hostile, recursion_bare, CAIRN_PUBLIC)
{
    cairn_result_int(recurse_bare(1000000000));
}

CAIRN_METHOD(Hostile, unreachable, CAIRN_PUBLIC)
{
    cairn_set(Hostile_value, cairn_str("must not stay"));
    __builtin_trap();
}

CAIRN_METHOD(Hostile, wild_pointer, CAIRN_PUBLIC)
{
    *(volatile uint32_t *)0xfffffff0 = 1;
}

CAIRN_METHOD(Hostile, divide, CAIRN_PUBLIC)
{
    volatile int32_t many = 1000, zero = 0;

    cairn_result_int(many / zero);
}

CAIRN_METHOD(Hostile, wild_call, CAIRN_PUBLIC)
{
    void (*volatile function)(void) = (void (*)(void))(uintptr_t)12345;

    function();
}

/* Pointers out of bounds in every host call: argument 0 chooses the call, argument 1 the kind of wildness. */
CAIRN_METHOD(Hostile, wild_host_call, CAIRN_PUBLIC)
{
    int64_t which = cairn_arg_int(0);
    uint32_t end = (uint32_t)__builtin_wasm_memory_size(0) * 65536;
    void *at;
    uint32_t size;

    switch (cairn_arg_int(1)) {
    case 0: /* one byte too far */
        at = (void *)(uintptr_t)(end - 8);
        size = 9;
        break;
    case 1: /* begins behind the end */
        at = (void *)(uintptr_t)(end + 1);
        size = 0;
        break;
    case 2: /* the sum is more than 32 bits hold */
        at = (void *)(uintptr_t)(end - 16);
        size = 0xffffffff;
        break;
    default:
        at = (void *)(uintptr_t)0xffffffff;
        size = 1;
        break;
    }
    switch (which) {
    case 0:
        cairn_host_args(at, size);
        break;
    case 1:
        cairn_host_who(1, at, size);
        break;
    case 2:
        cairn_host_result(at, size);
        break;
    case 3:
        cairn_host_fail(at, size, "m", 1);
        break;
    case 4:
        cairn_host_fail("c", 1, at, size);
        break;
    case 5:
        cairn_host_random(at, size);
        break;
    case 6:
        cairn_host_log(1, at, size);
        break;
    case 7:
        cairn_host_value_get(Hostile_value.number, at, size);
        break;
    case 8:
        cairn_host_value_set(Hostile_value.number, at, size);
        break;
    case 9:
        cairn_host_list_push(Hostile_list.number, at, size);
        break;
    case 10:
        cairn_host_list_set(Hostile_list.number, 0, at, size);
        break;
    case 11:
        cairn_host_list_get(Hostile_list.number, 0, at, size);
        break;
    case 12:
        cairn_host_list_read(Hostile_list.number, 0, 1, 0, at, size);
        break;
    case 13:
        cairn_host_map_get(Hostile_map.number, at, size, 0, 0);
        break;
    case 14:
        cairn_host_map_get(Hostile_map.number, "k", 1, at, size);
        break;
    case 15:
        cairn_host_map_set(Hostile_map.number, at, size, "v", 1);
        break;
    case 16:
        cairn_host_map_set(Hostile_map.number, "k", 1, at, size);
        break;
    case 17:
        cairn_host_map_remove(Hostile_map.number, at, size);
        break;
    case 18:
        cairn_host_map_read(Hostile_map.number, 0, 1, at, size);
        break;
    case 19:
        cairn_host_call(at, size, "i", 1, "m", 1, 0, 0);
        break;
    case 20:
        cairn_host_call("Hostile", 7, at, size, "m", 1, 0, 0);
        break;
    case 21:
        cairn_host_call("Hostile", 7, "i", 1, at, size, 0, 0);
        break;
    case 22:
        cairn_host_call("Hostile", 7, "i", 1, "fine", 4, at, size);
        break;
    case 23:
        cairn_host_call_result(0, at, size);
        break;
    default:
        cairn_result_str("no such host call");
        break;
    }
}

/* limit: the calls of a job */
CAIRN_METHOD(Hostile, million_calls, CAIRN_PUBLIC)
{
    for (uint32_t i = 0; i < 1000000; i++)
        cairn_call("Hostile", cairn_str(cairn_text("m%u", i % 64)), "fine", 0);
    cairn_wait_all();
    cairn_result_int(1000000);
}

/* limit: depth.  Two objects call each other without end: hostile/a cycle b. */
CAIRN_METHOD(Hostile, cycle, CAIRN_PUBLIC)
{
    struct cairn_args args = {0};
    struct cairn_outcome outcome;

    cairn_args_add(&args, cairn_self_id());
    outcome = cairn_wait(cairn_call("Hostile", cairn_arg(0), "cycle", &args));
    if (!outcome.ok)
        cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
}

/* Calls itself: argument 0 times, one inside the other. */
CAIRN_METHOD(Hostile, nest, CAIRN_PUBLIC)
{
    int64_t n = cairn_arg_int(0);
    struct cairn_args args = {0};
    struct cairn_outcome outcome;

    if (n > 0) {
        cairn_args_add_int(&args, n - 1);
        outcome = cairn_wait(cairn_call("Hostile", cairn_self_id(), "nest", &args));
        if (!outcome.ok)
            cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
    }
    cairn_result_int(n);
}

/* limit: a result of (as much as there is memory for) many bytes, and one whose size is a lie */
CAIRN_METHOD(Hostile, huge_result, CAIRN_PUBLIC)
{
    uint32_t size = 12 << 20;
    uint8_t *value = cairn_alloc(size);

    value[0] = CAIRN_BYTES;
    value[1] = 0xfb, value[2] = 0xff, value[3] = 0xff, value[4] = 0x05; /* 12 MiB - 5 */
    cairn_host_result(value, size);
}

CAIRN_METHOD(Hostile, gigabyte_result, CAIRN_PUBLIC)
{
    static const uint8_t lie[] = {CAIRN_BYTES, 0x80, 0x80, 0x80, 0x80, 0x04, 'x'};

    cairn_host_result(lie, sizeof lie);
}

CAIRN_METHOD(Hostile, malformed_result, CAIRN_PUBLIC)
{
    static const uint8_t nonsense[] = {0x77, 0x03, 0x03};

    cairn_host_result(nonsense, sizeof nonsense);
}

/* limit: the write set of a segment */
CAIRN_METHOD(Hostile, many_writes, CAIRN_PUBLIC)
{
    uint8_t *entry = cairn_alloc(65536);

    memset(entry, 'w', 65536);
    for (uint32_t i = 0; i < 100000; i++)
        cairn_list_push(Hostile_list, cairn_bytes(entry, 65536));
}

/* trap: a field that the type has not, a call that was never made, arguments that are none */
CAIRN_METHOD(Hostile, no_such_field, CAIRN_PUBLIC)
{
    cairn_host_value_set(1000, "x", 1);
}

CAIRN_METHOD(Hostile, wrong_kind, CAIRN_PUBLIC)
{
    cairn_host_list_push(Hostile_map.number, "x", 1);
}

CAIRN_METHOD(Hostile, wait_for_nothing, CAIRN_PUBLIC)
{
    cairn_host_wait(77);
}

CAIRN_METHOD(Hostile, malformed_args, CAIRN_PUBLIC)
{
    static const uint8_t nonsense[] = {200, 0, 0, 0, 'x'};

    cairn_host_call("Hostile", 7, "i", 1, "fine", 4, nonsense, sizeof nonsense);
}

/* Suspends and stays so for as long as the called object takes. */
CAIRN_METHOD(Hostile, wait_for, CAIRN_PUBLIC)
{
    cairn_wait(cairn_call("Hostile", cairn_arg(0), "loop", 0));
}

/* not_read_only */
CAIRN_METHOD(Hostile, writes_while_reading, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_set(Hostile_value, cairn_str("must not stay"));
}

CAIRN_METHOD(Hostile, calls_writer_while_reading, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    cairn_wait(cairn_call("Hostile", cairn_self_id(), "fine", 0));
}

/* not_deterministic */
CAIRN_METHOD(Hostile, looks_at_the_clock, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int(cairn_now());
}

CAIRN_METHOD(Hostile, throws_dice, CAIRN_PUBLIC, CAIRN_READ_ONLY, CAIRN_DETERMINISTIC)
{
    cairn_result_int((int64_t)cairn_random());
}

CAIRN_METHOD(Hostile, internal, CAIRN_INTERNAL)
{
    cairn_result_str("only for objects of this module");
}

/* What was written before the wait stays; what comes after fails. */
CAIRN_METHOD(Hostile, fails_late, CAIRN_PUBLIC)
{
    cairn_set(Hostile_value, cairn_str("stays"));
    cairn_wait(cairn_call("Hostile", cairn_str("other"), "fine", 0));
    cairn_set(Hostile_value, cairn_str("must not stay"));
    __builtin_trap();
}

CAIRN_METHOD(Hostile, read, CAIRN_PUBLIC, CAIRN_READ_ONLY)
{
    struct cairn_bytes value;

    if (cairn_get(Hostile_value, &value))
        cairn_result_bytes(value);
}
