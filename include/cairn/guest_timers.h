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
/* The same again and again: after each period of so many milliseconds, first when one is over... */
void cairn_timer_every(const char *name, int64_t period_ms, const char *method, const struct cairn_args *args);
/* ...or as a cron line says, of five fields (minute, hour, day of the month, month, day of the week), in the local
 * time of a zone as "Europe/Berlin" (NULL: UTC).  What happens when local time is changed: docs/functions.md.  Either
 * is due again only when its method has run, or has failed for good; times that have passed by then are skipped. */
void cairn_timer_cron(const char *name, const char *line, const char *zone, const char *method,
                      const struct cairn_args *args);
/* False: there is no timer of that name. */
static inline bool cairn_timer_cancel(const char *name);
/* When the firing that runs this method was due; 0: no timer has called it. */
static inline int64_t cairn_timer_due(void);

/* Of one that repeats: how many times it has missed since that, this one not counted. */
static inline uint64_t cairn_timer_missed(void);

/* --- what stands behind it --- */

CAIRN_IMPORT_(timer_set)
void cairn_host_timer_set(const void *name, uint32_t name_size, int64_t at_ms, const void *method, uint32_t method_size,
                          const void *args, uint32_t args_size);
CAIRN_IMPORT_(timer_every)
void cairn_host_timer_every(const void *name, uint32_t name_size, int64_t period_ms, const void *cron,
                            uint32_t cron_size, const void *zone, uint32_t zone_size, const void *method,
                            uint32_t method_size, const void *args, uint32_t args_size);
CAIRN_IMPORT_(timer_cancel) int32_t cairn_host_timer_cancel(const void *name, uint32_t name_size);
CAIRN_IMPORT_(timer_due) int64_t cairn_host_timer_due(void);
CAIRN_IMPORT_(timer_missed) int64_t cairn_host_timer_missed(void);

CAIRN_SHARED_ void cairn_timer_set(const char *name, int64_t at_ms, const char *method, const struct cairn_args *args)
{
    cairn_host_timer_set(name, (uint32_t)strlen(name), at_ms, method, (uint32_t)strlen(method),
                         args ? args->packed.data : NULL, args ? args->packed.size : 0);
}

CAIRN_SHARED_ void cairn_timer_every(const char *name, int64_t period_ms, const char *method,
                                     const struct cairn_args *args)
{
    cairn_host_timer_every(name, (uint32_t)strlen(name), period_ms, NULL, 0, NULL, 0, method, (uint32_t)strlen(method),
                           args ? args->packed.data : NULL, args ? args->packed.size : 0);
}

CAIRN_SHARED_ void cairn_timer_cron(const char *name, const char *line, const char *zone, const char *method,
                                    const struct cairn_args *args)
{
    cairn_host_timer_every(name, (uint32_t)strlen(name), 0, line, (uint32_t)strlen(line), zone,
                           zone ? (uint32_t)strlen(zone) : 0, method, (uint32_t)strlen(method),
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

static inline uint64_t cairn_timer_missed(void)
{
    return (uint64_t)cairn_host_timer_missed();
}

#endif
