/* guest_messages.h - messages to objects: a part of guest.h, which includes it.
 *
 * A message is a call whose result is not waited for.  It leaves when the segment that sends it ends, is kept together
 * with what that segment wrote, and runs once, whatever happens to the node meanwhile.  If its method fails before one
 * of its segments has ended well, it runs again, after a pause that doubles from 1 s to 1 h, 16 times; a failure by
 * cairn_fail is final.  What fails for good is a dead letter (docs/functions.md, docs/promises.md). */
#ifndef CAIRN_GUEST_MESSAGES_H
#define CAIRN_GUEST_MESSAGES_H

/* Sends one.  Messages from this object to another arrive in the order in which they were sent.  `args` NULL: none. */
static inline void cairn_send(const char *type, struct cairn_bytes id, const char *method,
                              const struct cairn_args *args);
/* The same; it does not run before that many milliseconds have passed. */
void cairn_send_after(int64_t delay_ms, const char *type, struct cairn_bytes id, const char *method,
                      const struct cairn_args *args);
/* The method cannot do now what a message asks for: its segment leaves nothing, and the message runs again after so
 * many milliseconds (0: after a pause that grows with each attempt).  Return right after.  A method that runs for no
 * message fails with `retry`. */
static inline void cairn_retry(int64_t delay_ms);
/* How many attempts at this message have failed; 0 if none has, or the method runs for no message. */
static inline uint64_t cairn_attempts(void);

/* --- what stands behind it --- */

CAIRN_IMPORT_(send)
void cairn_host_send(const void *type, uint32_t type_size, const void *id, uint32_t id_size, const void *method,
                     uint32_t method_size, const void *args, uint32_t args_size, int64_t delay_ms);
CAIRN_IMPORT_(retry) void cairn_host_retry(int64_t delay_ms);
CAIRN_IMPORT_(attempts) int64_t cairn_host_attempts(void);

CAIRN_SHARED_ void cairn_send_after(int64_t delay_ms, const char *type, struct cairn_bytes id, const char *method,
                                    const struct cairn_args *args)
{
    cairn_host_send(type, (uint32_t)strlen(type), id.data, id.size, method, (uint32_t)strlen(method),
                    args ? args->packed.data : NULL, args ? args->packed.size : 0, delay_ms);
}

static inline void cairn_send(const char *type, struct cairn_bytes id, const char *method,
                              const struct cairn_args *args)
{
    cairn_send_after(0, type, id, method, args);
}

static inline void cairn_retry(int64_t delay_ms)
{
    cairn_host_retry(delay_ms);
}

static inline uint64_t cairn_attempts(void)
{
    return (uint64_t)cairn_host_attempts();
}

#endif
