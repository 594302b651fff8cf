/* More of what a hostile function may try: calls without end in every shape, values that are traps for who reads them,
 * and work that cannot be interrupted. */
#include <cairn/guest.h>

CAIRN_MODULE(rogue);
CAIRN_TYPE(Rogue);
CAIRN_VALUE(Rogue, value);
CAIRN_LIST(Rogue, list);
CAIRN_MAP(Rogue, map);

CAIRN_METHOD(Rogue, fine, CAIRN_PUBLIC)
{
    cairn_set(Rogue_value, cairn_str("fine"));
    cairn_result_str("well");
}

/* --- calls --- */

/* One segment after the other, as many calls in each as may be. */
CAIRN_METHOD(Rogue, million_calls, CAIRN_PUBLIC)
{
    uint32_t call = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        for (uint32_t j = 0; j < 1000; j++)
            call = cairn_call("Rogue", cairn_str(cairn_text("m%u", j % 50)), "fine", 0);
        cairn_wait_all();
        if (!cairn_outcome(call).ok) {
            cairn_fail(cairn_text("%b", cairn_outcome(call).code), cairn_text("after %u calls", call));
            return;
        }
    }
    cairn_result_int(call);
}

/* Every call makes two more, until somebody stops it. */
CAIRN_METHOD(Rogue, bomb, CAIRN_PUBLIC)
{
    uint64_t n = cairn_random();

    cairn_call("Rogue", cairn_str(cairn_text("b%u", (uint32_t)n % 1000)), "bomb", 0);
    cairn_call("Rogue", cairn_str(cairn_text("b%u", (uint32_t)(n >> 32) % 1000)), "bomb", 0);
}

CAIRN_METHOD(Rogue, bomb_waiting, CAIRN_PUBLIC)
{
    uint64_t n = cairn_random();

    cairn_call("Rogue", cairn_str(cairn_text("b%u", (uint32_t)n % 1000)), "bomb_waiting", 0);
    cairn_call("Rogue", cairn_str(cairn_text("b%u", (uint32_t)(n >> 32) % 1000)), "bomb_waiting", 0);
    cairn_wait_all();
}

/* Calls itself and waits: nothing but depth ends it. */
CAIRN_METHOD(Rogue, call_self, CAIRN_PUBLIC)
{
    struct cairn_outcome outcome = cairn_wait(cairn_call("Rogue", cairn_self_id(), "call_self", 0));

    if (!outcome.ok)
        cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
}

/* crowd(n): n others are suspended at once, all waiting for one that works for a while. Returns how many were well. */
CAIRN_METHOD(Rogue, gate, CAIRN_INTERNAL)
{
    for (volatile uint32_t i = 0; i < 20000000; i++)
        ;
}

CAIRN_METHOD(Rogue, pass, CAIRN_INTERNAL)
{
}

CAIRN_METHOD(Rogue, park, CAIRN_PUBLIC)
{
    struct cairn_outcome outcome = cairn_wait(cairn_call("Rogue", cairn_str("gate"), "pass", 0));

    if (!outcome.ok)
        cairn_fail(cairn_text("%b", outcome.code), cairn_text("%b", outcome.message));
    else
        cairn_set(Rogue_value, cairn_str("passed"));
}

CAIRN_METHOD(Rogue, crowd, CAIRN_PUBLIC)
{
    uint32_t n = (uint32_t)cairn_arg_int(0), well = 0, limited = 0;

    cairn_call("Rogue", cairn_str("gate"), "gate", 0);
    for (uint32_t i = 0; i < n; i++)
        cairn_call("Rogue", cairn_str(cairn_text("p%u", i)), "park", 0);
    cairn_wait_all();
    for (uint32_t i = 1; i <= n; i++) {
        struct cairn_outcome outcome = cairn_outcome(i);
        if (outcome.ok)
            well++;
        else if (cairn_equal(outcome.code, cairn_str("limit")))
            limited++;
    }
    struct cairn_pack pack = {0};
    cairn_pack_list(&pack, 2);
    cairn_pack_int(&pack, well);
    cairn_pack_int(&pack, limited);
    cairn_result_packed(cairn_packed(&pack));
}

/* Names that are none: what the call gives is an error, told with its code. */
CAIRN_METHOD(Rogue, call_name, CAIRN_PUBLIC)
{
    struct cairn_bytes type = cairn_arg(0), id = cairn_arg(1), method = cairn_arg(2);
    uint32_t call = cairn_host_call(type.data, type.size, id.data, id.size, method.data, method.size, 0, 0);
    struct cairn_outcome outcome = cairn_wait(call);

    cairn_result_bytes(outcome.ok ? cairn_str("ok") : outcome.code);
}

/* --- values --- */

/* A list in a list in a list. */
CAIRN_METHOD(Rogue, deep_result, CAIRN_PUBLIC)
{
    uint32_t depth = (uint32_t)cairn_arg_int(0);
    struct cairn_pack pack = {0};

    for (uint32_t i = 0; i < depth; i++)
        cairn_pack_list(&pack, 1);
    cairn_pack_nil(&pack);
    cairn_result_packed(cairn_packed(&pack));
}

/* As many members as fit: each is one byte here and several on the wire. */
CAIRN_METHOD(Rogue, wide_result, CAIRN_PUBLIC)
{
    uint32_t count = (uint32_t)cairn_arg_int(0);
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, count);
    for (uint32_t i = 0; i < count; i++)
        cairn_pack_nil(&pack);
    cairn_result_packed(cairn_packed(&pack));
}

/* A list of 2^63 members, of which there are none. */
CAIRN_METHOD(Rogue, lying_list, CAIRN_PUBLIC)
{
    static const uint8_t lie[] = {CAIRN_LIST_OF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};

    cairn_host_result(lie, sizeof lie);
}

CAIRN_METHOD(Rogue, large_result, CAIRN_PUBLIC)
{
    uint32_t size = (uint32_t)cairn_arg_int(0);
    uint8_t *bytes = cairn_alloc(size);

    memset(bytes, 'x', size);
    cairn_result_bytes(cairn_bytes(bytes, size));
}

/* fail_with(code, message), error_with(code, message), error_inside(code, message) */
CAIRN_METHOD(Rogue, fail_with, CAIRN_PUBLIC)
{
    struct cairn_bytes code = cairn_arg(0), message = cairn_arg(1);

    cairn_host_fail(code.data, code.size, message.data, message.size);
}

CAIRN_METHOD(Rogue, error_inside, CAIRN_PUBLIC)
{
    struct cairn_pack pack = {0};

    cairn_pack_list(&pack, 2);
    cairn_pack_error(&pack, cairn_arg(0), cairn_arg(1));
    cairn_pack_str(&pack, "behind");
    cairn_result_packed(cairn_packed(&pack));
}

/* --- fields --- */

CAIRN_METHOD(Rogue, large_value, CAIRN_PUBLIC)
{
    uint32_t size = (uint32_t)cairn_arg_int(0);
    uint8_t *bytes = cairn_alloc(size);

    memset(bytes, 'v', size);
    cairn_set(Rogue_value, cairn_bytes(bytes, size));
}

CAIRN_METHOD(Rogue, large_key, CAIRN_PUBLIC)
{
    uint32_t size = (uint32_t)cairn_arg_int(0);
    uint8_t *bytes = cairn_alloc(size);

    memset(bytes, 'k', size);
    cairn_map_set(Rogue_map, cairn_bytes(bytes, size), cairn_str("v"));
    cairn_result_int((int64_t)cairn_map_count(Rogue_map));
}

/* Indices and counts from the edges of their types. */
CAIRN_METHOD(Rogue, edges, CAIRN_PUBLIC)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     INT64_MAX,
                                     (uint64_t)INT64_MAX + 1,
                                     UINT64_MAX - 1,
                                     UINT64_MAX};
    uint8_t buffer[64];
    int64_t sum = 0;

    cairn_list_push(Rogue_list, cairn_str("one"));
    cairn_list_push(Rogue_list, cairn_str("two"));
    cairn_map_set(Rogue_map, cairn_str("k"), cairn_str("v"));
    for (uint32_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        for (uint32_t flags = 0; flags < 4; flags++)
            sum += cairn_host_list_read(Rogue_list.number, edges[i], (uint32_t)edges[i], flags, buffer, sizeof buffer);
        sum += cairn_host_list_get(Rogue_list.number, edges[i], buffer, sizeof buffer);
        sum += cairn_host_list_set(Rogue_list.number, edges[i] + 2, "x", 1);
        sum += cairn_host_map_read(Rogue_map.number, edges[i], (uint32_t)edges[i], buffer, sizeof buffer);
    }
    sum += cairn_host_list_drop(Rogue_list.number, UINT64_MAX, 0);
    sum += cairn_host_list_drop(Rogue_list.number, UINT64_MAX, 1);
    cairn_result_int((int64_t)cairn_list_count(Rogue_list) + (sum == 0));
}

/* --- work --- */

/* Fills all memory there is, again and again; each time is one instruction, which nothing interrupts. */
__attribute__((target("bulk-memory"), noinline)) static void fill(uint8_t *bytes, uint32_t value, uint32_t size)
{
    __asm__ volatile("local.get %0\n\tlocal.get %1\n\tlocal.get %2\n\tmemory.fill 0"
                     :
                     : "r"(bytes), "r"(value), "r"(size)
                     : "memory");
}

CAIRN_METHOD(Rogue, fill, CAIRN_PUBLIC)
{
    uint32_t size = 14 << 20;
    uint8_t *bytes = cairn_alloc(size);

    for (uint32_t i = 0;; i++)
        fill(bytes, i, size);
}

/* Reads much in many host calls. */
CAIRN_METHOD(Rogue, read_much, CAIRN_PUBLIC)
{
    uint8_t *bytes = cairn_alloc(1 << 20);

    memset(bytes, 'r', 1 << 20);
    cairn_set(Rogue_value, cairn_bytes(bytes, 1 << 20));
    for (;;)
        cairn_host_value_get(Rogue_value.number, bytes, 1 << 20);
}

/* Writes the same key again and again. */
CAIRN_METHOD(Rogue, write_much, CAIRN_PUBLIC)
{
    uint8_t *bytes = cairn_alloc(1 << 20);

    memset(bytes, 'w', 1 << 20);
    for (;;)
        cairn_set(Rogue_value, cairn_bytes(bytes, 1 << 20));
}

CAIRN_METHOD(Rogue, log_flood, CAIRN_PUBLIC)
{
    for (uint32_t i = 0;; i++)
        cairn_log(CAIRN_ERROR, "line %u of very many", i);
}

/* Deletes itself and comes back. */
CAIRN_METHOD(Rogue, phoenix, CAIRN_PUBLIC)
{
    for (uint32_t i = 0; i < 1000; i++) {
        cairn_list_push(Rogue_list, cairn_str("entry"));
        cairn_delete_self();
    }
    cairn_list_push(Rogue_list, cairn_str("the last"));
    cairn_result_int((int64_t)cairn_list_count(Rogue_list));
}
