/* event.h - what a room below tells the operator, in a form that is not text yet.
 *
 * Library code does not log: it tells an event to its opener, and the server's journal (server/journal.h)
 * writes it, once.  Being told must not block: any thread may tell, under any lock.
 * Layer: base, uses nothing. */
#ifndef CAIRN_BASE_EVENT_H
#define CAIRN_BASE_EVENT_H

#include <stdint.h>

enum cairn_level { CAIRN_LEVEL_DEBUG, CAIRN_LEVEL_INFO, CAIRN_LEVEL_WARNING, CAIRN_LEVEL_ERROR };

enum { CAIRN_EVENT_FIELDS = 9 };

struct cairn_event {
    enum cairn_level level;
    const char *from; /* the part of the node: "log", "archive", ...; a constant */
    const char *kind; /* a word that scripts can look for, "sync_slow", ...; a constant, and what is limited in rate */
    const char *text; /* for people: what has happened, and what to do */
    struct cairn_event_field {
        const char *key;  /* NULL: no more */
        const char *text; /* NULL: the number */
        uint64_t number;
    } fields[CAIRN_EVENT_FIELDS];
};

/* Borrows all of the event for the call. */
struct cairn_events {
    void (*tell)(void *context, const struct cairn_event *event); /* NULL: nothing is told */
    void *context;
};

static inline void cairn_tell(const struct cairn_events *events, const struct cairn_event *event)
{
    if (events && events->tell)
        events->tell(events->context, event);
}

#endif
