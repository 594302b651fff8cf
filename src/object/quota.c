#include "object/quota.h"

#define SECOND_NS UINT64_C(1000000000)

enum { MEMORY_RETRY_MS = 1000, INSTANCES_RETRY_MS = 100 };

static const struct {
    const char *name;
    uint64_t most;
} limits[SPACE_LIMITS] = {
    [SPACE_REQUESTS] = {"requests", 10000000},
    [SPACE_CONNECTIONS] = {"connections", 1000000},
    [SPACE_MEMORY] = {"memory", UINT64_C(1) << 50},
    [SPACE_BYTES] = {"bytes", UINT64_C(1) << 50},
    [SPACE_OBJECTS] = {"objects", UINT64_C(1) << 50},
    [SPACE_CPU] = {"cpu", 100000},
    [SPACE_INSTANCES] = {"instances", 1000000},
    [SPACE_WEIGHT] = {"weight", SPACE_WEIGHT_MAX},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_CPU] = {.name = "limit_cpu"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_MEMORY] = {.name = "limit_memory"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_CALLS] = {.name = "limit_calls"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_RESULT] = {.name = "limit_result"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_WRITE_SET] = {.name = "limit_write_set"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_JOURNAL] = {.name = "limit_journal"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_TRANSACTION] = {.name = "limit_transaction"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_TRANSACTION_OBJECTS] = {.name = "limit_transaction_objects"},
    [SPACE_METHOD_LIMITS + CAIRN_LIMIT_TRANSACTION_TIME] = {.name = "limit_transaction_time"},
    [SPACE_MESSAGES] = {"messages", UINT64_C(1) << 50},
    [SPACE_MESSAGE_BYTES] = {"message_bytes", UINT64_C(1) << 50},
};

const char *quota_name(enum space_limit limit)
{
    return limits[limit].name;
}

uint64_t quota_most(enum space_limit limit)
{
    return limit < SPACE_METHOD_LIMITS || limit >= SPACE_MESSAGES
               ? limits[limit].most
               : cairn_method_limit_most((enum cairn_method_limit)(limit - SPACE_METHOD_LIMITS));
}

bool quota_read(struct cairn_bytes value, uint64_t *ret_created_ms, bool *ret_removing,
                uint64_t ret_limits[SPACE_LIMITS])
{
    struct cairn_reader r = cairn_reader(value);
    uint64_t count;

    memset(ret_limits, 0, SPACE_LIMITS * sizeof *ret_limits);
    *ret_created_ms = cairn_read_varint(&r);
    count = cairn_read_varint(&r);
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        uint64_t limit = cairn_read_varint(&r);

        if (i >= SPACE_LIMITS || limit > quota_most((enum space_limit)i))
            return false;
        ret_limits[i] = limit;
    }
    *ret_removing = !r.bad && cairn_reader_left(&r) == 1 && cairn_read_u8(&r) == 1;
    return !r.bad && !cairn_reader_left(&r);
}

void quota_write(struct cairn_buf *to, uint64_t created_ms, bool removing, const uint64_t of[SPACE_LIMITS])
{
    cairn_buf_varint(to, created_ms);
    cairn_buf_varint(to, SPACE_LIMITS);
    for (int i = 0; i < SPACE_LIMITS; i++)
        cairn_buf_varint(to, of[i]);
    if (removing)
        cairn_buf_u8(to, 1);
}

static uint64_t get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)count, memory_order_relaxed);
}

void quota_apply(struct space *space)
{
    for (int i = 0; i < SPACE_LIMITS; i++) {
        uint64_t own = get(&space->recorded_limits[i]);

        atomic_store_explicit(&space->limits[i], own || !space->counts ? own : space->defaults[i],
                              memory_order_relaxed);
    }
    space_gate(space, SPACE_LIMITED,
               get(&space->limits[SPACE_REQUESTS]) || get(&space->limits[SPACE_MEMORY]) ||
                   get(&space->limits[SPACE_CPU]) || get(&space->limits[SPACE_INSTANCES]));
}

static void count_refused(struct space *space)
{
    atomic_fetch_add_explicit(&space->refused, 1, memory_order_relaxed);
}

/* The bucket holds one second's requests.  It is kept as the moment at which it will be full again (the generic cell
 * rate algorithm): a request moves that by its share of a second, and is refused if it would lie more than a second
 * away.  False: refused; *ret_wait_ns until one more fits. */
static bool take_request(struct space *space, uint64_t rate, uint64_t now_ns, uint64_t *ret_wait_ns)
{
    uint64_t share = SECOND_NS / rate, full = get(&space->bucket_full_ns), next;

    do {
        next = (full > now_ns ? full : now_ns) + share;
        if (next - now_ns > SECOND_NS) {
            *ret_wait_ns = next - now_ns - SECOND_NS;
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&space->bucket_full_ns, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void quota_charge_requests(struct space *of, uint64_t now_ns, uint32_t more)
{
    struct space *space = space_payer(of);
    uint64_t rate = get(&space->limits[SPACE_REQUESTS]), full = get(&space->bucket_full_ns), next;

    if (!rate)
        return;
    do
        next = (full > now_ns ? full : now_ns) + more * (SECOND_NS / rate);
    while (!atomic_compare_exchange_weak_explicit(&space->bucket_full_ns, &full, next, memory_order_relaxed,
                                                  memory_order_relaxed));
}

/* Like the bucket of requests, but paid for when the time has been used: so it may be in debt. */
static uint64_t cpu_wait_ns(const struct space *space, uint64_t now_ns)
{
    uint64_t paid = get(&space->cpu_paid_ns);

    return get(&space->limits[SPACE_CPU]) && paid > now_ns + SECOND_NS ? paid - now_ns - SECOND_NS : 0;
}

void quota_charge_cpu(struct space *of, uint64_t cpu_ns, uint64_t now_ns)
{
    struct space *space = space_payer(of);
    uint64_t percent = get(&space->limits[SPACE_CPU]), paid = get(&space->cpu_paid_ns), next;

    if (!percent)
        return;
    do
        next = (paid > now_ns ? paid : now_ns) + cpu_ns * 100 / percent;
    while (!atomic_compare_exchange_weak_explicit(&space->cpu_paid_ns, &paid, next, memory_order_relaxed,
                                                  memory_order_relaxed));
}

enum cairn_code quota_admit(struct space *of, uint64_t now_ns, uint32_t *ret_retry_ms, struct cairn_err *err)
{
    struct space *space = space_payer(of);
    uint64_t rate = get(&space->limits[SPACE_REQUESTS]), memory = get(&space->limits[SPACE_MEMORY]), wait_ns;
    int size = (int)space->name.size;
    const char *name = (const char *)space->name.data;

    if (!space_is_open(space))
        return space_missing(space->name, err);
    if (memory && atomic_load_explicit(&space->job_bytes, memory_order_relaxed) >= (int64_t)memory) {
        *ret_retry_ms = MEMORY_RETRY_MS;
        count_refused(space);
        return cairn_fail(
            err, CAIRN_EQUOTA,
            "the calls and results of the namespace %.*s have the %llu bytes that they may have (memory); "
            "try again in %.1f s",
            size, name, (unsigned long long)memory, MEMORY_RETRY_MS / 1e3);
    }
    wait_ns = cpu_wait_ns(space, now_ns);
    if (wait_ns) {
        *ret_retry_ms = wait_ns / 1000000 < UINT32_MAX ? (uint32_t)(wait_ns / 1000000) + 1 : UINT32_MAX;
        count_refused(space);
        return cairn_fail(err, CAIRN_EQUOTA,
                          "the namespace %.*s has used its %llu %% of a processor (cpu); try again in %.3f s", size,
                          name, (unsigned long long)get(&space->limits[SPACE_CPU]), (double)*ret_retry_ms / 1e3);
    }
    if (rate && !take_request(space, rate, now_ns, &wait_ns)) {
        *ret_retry_ms = (uint32_t)(wait_ns / 1000000) + 1;
        count_refused(space);
        return cairn_fail(err, CAIRN_EQUOTA,
                          "the namespace %.*s has had its %llu requests a second (requests); try again in %.3f s", size,
                          name, (unsigned long long)rate, (double)*ret_retry_ms / 1e3);
    }
    return CAIRN_OK;
}

bool quota_may_begin(struct space *of, uint32_t workers, uint32_t *ret_retry_ms, struct cairn_err *err)
{
    struct space *space = space_payer(of);
    uint64_t most = get(&space->limits[SPACE_INSTANCES]), held = 0;

    if (!most)
        return true;
    for (uint32_t i = 0; i < workers; i++)
        held += get(&space->meters[i].instances);
    if (held < most)
        return true;
    *ret_retry_ms = INSTANCES_RETRY_MS;
    count_refused(space);
    cairn_fail(err, CAIRN_EQUOTA,
               "the namespace %.*s holds the %llu function instances that it may (instances); try again in %.1f s",
               (int)space->name.size, (const char *)space->name.data, (unsigned long long)most,
               INSTANCES_RETRY_MS / 1e3);
    return false;
}

/* False: it would be more than `most`. */
static bool take(_Atomic int64_t *count, int64_t more, uint64_t most)
{
    int64_t now = atomic_fetch_add_explicit(count, more, memory_order_relaxed) + more;

    if (more <= 0 || !most || now <= (int64_t)most)
        return true;
    atomic_fetch_sub_explicit(count, more, memory_order_relaxed);
    return false;
}

static const struct {
    enum space_limit limit;
    const char *flag, *what, *advice;
} kept_limits[] = {
    {SPACE_OBJECTS, "objects", "objects", "delete some"},
    {SPACE_BYTES, "bytes", "bytes of objects, timers and messages", "delete some"},
    {SPACE_MESSAGES, "messages", "messages that wait or are dead letters", "try again when some have run"},
    {SPACE_MESSAGE_BYTES, "message-bytes", "bytes of messages that wait or are dead letters",
     "try again when some have run"},
};
enum { KEPT_LIMITS = sizeof kept_limits / sizeof *kept_limits };

static _Atomic int64_t *kept_count_of(struct space *space, int i)
{
    _Atomic int64_t *const counts[KEPT_LIMITS] = {&space->kept_objects, &space->kept_bytes, &space->kept_messages,
                                                  &space->kept_message_bytes};

    return counts[i];
}

static int64_t kept_part(const struct space_kept *kept, int i)
{
    const int64_t parts[KEPT_LIMITS] = {kept->objects, kept->bytes, kept->messages, kept->message_bytes};

    return parts[i];
}

static enum cairn_code keeps_too_much(struct space *space, int i, int64_t more, struct cairn_err *err)
{
    int size = (int)space->name.size;
    const char *name = (const char *)space->name.data;

    count_refused(space);
    return cairn_fail(err, CAIRN_EQUOTA,
                      "the namespace %.*s has %lld %s and may have %llu (%s), and this would add %lld: %s, or "
                      "`cairn namespaces set %.*s --%s N`",
                      size, name, (long long)atomic_load_explicit(kept_count_of(space, i), memory_order_relaxed),
                      kept_limits[i].what, (unsigned long long)get(&space->limits[kept_limits[i].limit]),
                      quota_name(kept_limits[i].limit), (long long)more, kept_limits[i].advice, size, name,
                      kept_limits[i].flag);
}

enum cairn_code quota_keep(struct space *of, struct space_kept more, struct cairn_err *err)
{
    struct space *space = space_payer(of);

    for (int i = 0; i < KEPT_LIMITS; i++) {
        if (take(kept_count_of(space, i), kept_part(&more, i), get(&space->limits[kept_limits[i].limit])))
            continue;
        for (int k = 0; k < i; k++)
            atomic_fetch_sub_explicit(kept_count_of(space, k), kept_part(&more, k), memory_order_relaxed);
        return keeps_too_much(space, i, kept_part(&more, i), err);
    }
    return CAIRN_OK;
}

void quota_keep_anyway(struct space *of, struct space_kept more)
{
    struct space *space = space_payer(of);

    for (int i = 0; i < KEPT_LIMITS; i++)
        atomic_fetch_add_explicit(kept_count_of(space, i), kept_part(&more, i), memory_order_relaxed);
}

void quota_keep_undo(struct space *space, struct space_kept more)
{
    quota_keep_anyway(space, (struct space_kept){-more.objects, -more.bytes, -more.messages, -more.message_bytes});
}

enum cairn_code quota_may_send(struct space *of, struct space_kept more, struct cairn_err *err)
{
    struct space *space = space_payer(of);

    for (int i = 0; i < KEPT_LIMITS; i++) {
        uint64_t most = get(&space->limits[kept_limits[i].limit]);

        if (kept_limits[i].limit >= SPACE_MESSAGES && most &&
            atomic_load_explicit(kept_count_of(space, i), memory_order_relaxed) + kept_part(&more, i) > (int64_t)most)
            return keeps_too_much(space, i, kept_part(&more, i), err);
    }
    return CAIRN_OK;
}

static int64_t get_signed(const _Atomic int64_t *count)
{
    int64_t value = atomic_load_explicit((_Atomic int64_t *)(uintptr_t)count, memory_order_relaxed);

    return value > 0 ? value : 0;
}

bool quota_connect(struct space *space, uint64_t *ret_most)
{
    uint64_t most = get(&space->limits[SPACE_CONNECTIONS]);

    if (atomic_fetch_add_explicit(&space->connections, 1, memory_order_relaxed) < most || !most)
        return true;
    quota_disconnect(space);
    count_refused(space);
    if (ret_most)
        *ret_most = most;
    return false;
}

void quota_disconnect(struct space *space)
{
    atomic_fetch_sub_explicit(&space->connections, 1, memory_order_relaxed);
}

bool quota_job_may_add(struct space *space, uint64_t bytes)
{
    uint64_t memory = get(&space->limits[SPACE_MEMORY]);

    return !memory || atomic_load_explicit(&space->job_bytes, memory_order_relaxed) + (int64_t)bytes <= (int64_t)memory;
}

void quota_usage(const struct space *space, uint32_t workers, struct space_usage *ret_usage)
{
    *ret_usage = (struct space_usage){.refused = get(&space->refused),
                                      .connections = get(&space->connections),
                                      .job_bytes = get_signed(&space->job_bytes),
                                      .kept = {.objects = get_signed(&space->kept_objects),
                                               .bytes = get_signed(&space->kept_bytes),
                                               .messages = get_signed(&space->kept_messages),
                                               .message_bytes = get_signed(&space->kept_message_bytes)}};
    for (uint32_t i = 0; i < workers; i++) {
        struct space_use *use = atomic_load_explicit(&space->meters[i].use, memory_order_acquire);

        for (int k = 0; use && k < CAIRN_MEASURES; k++)
            ret_usage->metered[k] += get(&use->of[k]);
        ret_usage->operations += get(&space->meters[i].operations);
        ret_usage->instances += get(&space->meters[i].instances);
    }
}
