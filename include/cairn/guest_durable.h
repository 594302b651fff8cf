/* guest_durable.h - what durable methods can wait for beside calls: a part of guest.h, which includes it.
 *
 * A durable method may sleep for as long as it likes: nothing of it is in memory meanwhile, and a stop or a crash
 * does not shorten or lengthen it.  In other methods, and so in all of a transaction, it fails with `limit`.
 *
 * A durable method that is cancelled is told once, by a wait that is not over: it returns, and the outcome of what
 * was waited for is the error `cancelled`.  The method may then call, wait and write as before, to put back what it
 * has done, for 60 s and 10,000 host calls; however it returns, `cancelled` is its outcome.  A call that was waited for
 * goes on if it had left: waiting for its number again gives its own outcome. */
#ifndef CAIRN_GUEST_DURABLE_H
#define CAIRN_GUEST_DURABLE_H

/* Ends the segment, and goes on when so many milliseconds have passed.  If the method is cancelled it ends here; one
 * that is to put something back waits for cairn_sleep_start instead. */
void cairn_sleep(int64_t ms);
/* The same as a number to wait for (cairn_wait), beside calls and other sleeps; cairn_ready tells if it is over. */
static inline uint32_t cairn_sleep_start(int64_t ms);

/* A number to wait for, of which a client says the outcome, by its id (`POST /v1/promises/ID`).  The id is text of 64
 * hexadecimal digits that cannot be guessed; hand it out in a call, a message, a field. */
static inline uint32_t cairn_promise(struct cairn_bytes *ret_id);
/* The same; if nothing was said after so many milliseconds it is the error `timed_out`. */
uint32_t cairn_promise_within(int64_t ms, struct cairn_bytes *ret_id);

/* Any method that is not read-only may say the outcome of a promise, by its id.  That is a message: it leaves with what
 * the segment writes, or the transaction, or not at all, and arrives once.  The first that says something wins; what
 * comes second, or when the promise's time or its invocation is over, is a dead letter with the error `conflict` or
 * `not_found`.  False: that text is no promise's id, and nothing is sent. */
bool cairn_promise_resolve(struct cairn_bytes id, struct cairn_bytes bytes);
bool cairn_promise_resolve_int(struct cairn_bytes id, int64_t integer);
/* A value packed with struct cairn_pack. */
static inline bool cairn_promise_resolve_packed(struct cairn_bytes id, struct cairn_bytes value);
/* The code is a name, as that of cairn_fail. */
bool cairn_promise_reject(struct cairn_bytes id, const char *code, const char *message);

/* --- what stands behind it --- */

CAIRN_IMPORT_(promise_settle)
int32_t cairn_host_promise_settle(const void *id, uint32_t id_size, const void *value, uint32_t value_size);

CAIRN_IMPORT_(promise) uint32_t cairn_host_promise(int64_t within_ms, void *out, uint32_t capacity);

CAIRN_IMPORT_(sleep) uint32_t cairn_host_sleep(int64_t ms);

static inline uint32_t cairn_sleep_start(int64_t ms)
{
    return cairn_host_sleep(ms);
}

CAIRN_SHARED_ uint32_t cairn_promise_within(int64_t ms, struct cairn_bytes *ret_id)
{
    uint8_t *id = (uint8_t *)cairn_alloc(64);

    *ret_id = cairn_bytes(id, 64);
    return cairn_host_promise(ms, id, 64);
}

static inline uint32_t cairn_promise(struct cairn_bytes *ret_id)
{
    return cairn_promise_within(0, ret_id);
}

static inline bool cairn_promise_resolve_packed(struct cairn_bytes id, struct cairn_bytes value)
{
    return cairn_host_promise_settle(id.data, id.size, value.data, value.size) != 0;
}

CAIRN_SHARED_ bool cairn_promise_resolve(struct cairn_bytes id, struct cairn_bytes bytes)
{
    struct cairn_pack pack = {0};

    cairn_pack_bytes(&pack, bytes);
    return cairn_promise_resolve_packed(id, cairn_packed(&pack));
}

CAIRN_SHARED_ bool cairn_promise_resolve_int(struct cairn_bytes id, int64_t integer)
{
    struct cairn_pack pack = {0};

    cairn_pack_int(&pack, integer);
    return cairn_promise_resolve_packed(id, cairn_packed(&pack));
}

CAIRN_SHARED_ bool cairn_promise_reject(struct cairn_bytes id, const char *code, const char *message)
{
    struct cairn_pack pack = {0};

    cairn_pack_error(&pack, cairn_str(code), cairn_str(message));
    return cairn_promise_resolve_packed(id, cairn_packed(&pack));
}

CAIRN_SHARED_ void cairn_sleep(int64_t ms)
{
    struct cairn_outcome o = cairn_wait(cairn_sleep_start(ms));

    if (o.ok)
        return;
    cairn_host_fail(o.code.data, o.code.size, o.message.data, o.message.size);
    cairn_exit();
}

#endif
