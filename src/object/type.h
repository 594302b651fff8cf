/* type.h - types: an entry for what all workers share of one version of a type, and each worker's own struct of it.
 *
 * An entry is immutable once it has been made, and counted.  The room above the core makes entries and says which a
 * worker is to have (types_set); a struct type is kept while an invocation uses it, even when it was replaced.
 * Threads: entries any; the rest the worker's.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_TYPE_H
#define CAIRN_OBJECT_TYPE_H

#include <stdatomic.h>

#include "base/suggest.h"
#include "fn/fn.h"
#include "object/method_limits.h"
#include "object/space.h"

struct cairn_worker;
struct method_stats;
struct object_tap;

struct bound_field {
    struct cairn_bytes name;
    enum cairn_field_kind kind;
    uint32_t number;
};

struct type_field {
    uint32_t number;            /* the type's own, for good; the module's number is the array's index */
    enum cairn_field_kind kind; /* 0: the module has no such field */
};

struct type_entry {
    atomic_uint refs;
    struct space *space;
    struct cairn_bytes name, module_name;
    uint32_t number;
    const struct bound_field *fields; /* every field it ever declared */
    uint32_t field_count;

    /* As the module's current version declares it; decl NULL: not bound yet.  See struct type. */
    struct cairn_module *module; /* the entry's own reference */
    const struct cairn_type_decl *decl;
    struct cairn_type_decl *dropped; /* `decl` is this, the entry's own: the version has no such type any more */
    uint32_t version;
    const struct type_field *bound;
    uint32_t bound_end;
    const uint32_t *values;
    uint32_t value_count;
    const uint16_t *method_slots;
    uint32_t method_mask;
};

/* Copies what it is given; with decl NULL the module's current version has no such type. */
struct type_entry *type_entry_make(const struct type_entry *like, const struct bound_field *fields,
                                   uint32_t field_count, struct cairn_module *module,
                                   const struct cairn_type_decl *decl, uint32_t version);
void type_entry_unref(struct type_entry *entry);
static inline struct type_entry *type_entry_ref(struct type_entry *entry)
{
    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
    return entry;
}

struct method {
    const struct cairn_method_decl *decl;
    struct method_stats *stats;  /* the worker's, kept across versions; NULL until it has run here */
    bool caches;                 /* its results may be kept (cache.h) */
    bool suspends;               /* has waited before: it will need a fiber */
    bool slow;                   /* has been set aside before: it may need one, and hold it long */
    bool odd;                    /* slow, or of a tapped type (tap.h): whether it may begin is to be asked */
    bool results_known;          /* one has ended */
    size_t result_bytes;         /* of the largest result lately; 0: small (account.c) */
    struct method_limits limits; /* in force on this worker */
    uint64_t unread_told_ns;     /* when its log was told of arguments that it did not read; 0: never (method_log.c) */
};

/* One version of a type on one worker. */
struct type {
    struct type *next; /* in worker->types */
    struct type_entry *entry;
    uint64_t hash;
    struct space *space;
    struct cairn_bytes name; /* the entry's, as all pointers but `methods` */
    uint32_t number, version;
    uint32_t refs;
    const struct object_tap *tap; /* told of commits (tap.h); NULL: none is */
    struct cairn_module *module;
    const struct cairn_type_decl *decl;
    const struct type_field *fields; /* by the module's numbers, 0 .. field_end - 1 */
    uint32_t field_end;
    const uint32_t *values; /* numbers of all value fields that any of its versions declared: objects may have them */
    uint32_t value_count;
    const uint16_t *method_slots; /* open addressing by name: index + 1 */
    uint32_t method_mask;
    struct method methods[]; /* as in decl */
};

/* The worker's counters of the method, one of the type's. */
struct method_stats *method_stats_of(struct cairn_worker *worker, const struct type *type, struct method *method);
struct type *type_find(struct cairn_worker *worker, const struct space *space, struct cairn_bytes name);
/* NULL has none, and neither has a type of which only objects are left. */
static inline bool type_has_methods(const struct type *type)
{
    return type && !type->entry->dropped;
}
struct method *type_method(struct type *type, struct cairn_bytes name);
/* " (did you mean 'NAME'?)", or "": for names that were not found. */
const char *type_suggest(struct cairn_worker *worker, const struct space *space, struct cairn_bytes name,
                         char to[CAIRN_SUGGEST_TEXT_BYTES]);
const char *type_suggest_method(struct type *type, struct cairn_bytes name, char to[CAIRN_SUGGEST_TEXT_BYTES]);
/* The numbers of the value fields that objects of the type may have; their count. */
uint32_t type_value_fields(const struct type *type, uint32_t *to);
static inline struct type *type_ref(struct type *type)
{
    type->refs++;
    return type;
}
void type_unref(struct type *type);
/* One that is in no worker's table; with one reference. */
struct type *type_of_entry(const struct cairn_worker *worker, struct type_entry *entry);

/* The worker's type of that name is as the entry says, or is gone. */
void types_set(struct cairn_worker *worker, struct type_entry *entry);
void types_remove(struct cairn_worker *worker, const struct type_entry *entry);
/* The worker has no types any more. */
void types_leave(struct cairn_worker *worker);

#endif
