/* guest_timers.h - timers: a part of guest.h, which includes it.
 *
 * A timer runs a method of its own object at a time.  An object has any number of them, under names of its own (1 to 64
 * bytes).  Setting and cancelling are kept together with what the segment wrote, and a firing with what the first
 * segment of its method writes: it takes effect once, whatever happens to the node meanwhile.  One that is cancelled,
 * or set again, before that does not run.  A method that fails is tried again as a message is (guest_messages.h).
 * Timers go with their object when it is deleted (docs/functions.md, docs/promises.md). */
#ifndef CAIRN_GUEST_TIMERS_H
#define CAIRN_GUEST_TIMERS_H

/* Runs the method once at that time (milliseconds, as cairn_now has them), or at once if it has passed.  Takes the
 * place of a timer of that name.  `args` NULL: none. */
void cairn_timer_set(const char *name, int64_t at_ms, const char *method, const struct cairn_args *args);
/* False: there is no timer of that name. */
static inline bool cairn_timer_cancel(const char *name);
/* When the firing that runs this method was due; 0: no timer has called it. */
static inline int64_t cairn_timer_due(void);

/* --- what stands behind it --- */

CAIRN_IMPORT_(timer_set)
void cairn_host_timer_set(const void *name, uint32_t name_size, int64_t at_ms, const void *method, uint32_t method_size,
                          const void *args, uint32_t args_size);
CAIRN_IMPORT_(timer_cancel) int32_t cairn_host_timer_cancel(const void *name, uint32_t name_size);
CAIRN_IMPORT_(timer_due) int64_t cairn_host_timer_due(void);

CAIRN_SHARED_ void cairn_timer_set(const char *name, int64_t at_ms, const char *method, const struct cairn_args *args)
{
    cairn_host_timer_set(name, (uint32_t)strlen(name), at_ms, method, (uint32_t)strlen(method),
                         args ? args->packed.data : NULL, args ? args->packed.size : 0);
}

static inline bool cairn_timer_cancel(const char *name)
{
    return cairn_host_timer_cancel(name, (uint32_t)strlen(name)) != 0;
}

static inline int64_t cairn_timer_due(void)
{
    return cairn_host_timer_due();
}

#endif
