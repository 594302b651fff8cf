/* catalog.h - modules and types: what is deployed, kept in the system shard.
 *
 * A catalog and its entries are immutable once they have been made, and counted: the next catalog shares all entries
 * that a deploy leaves alone.  A deploy's task makes them, so that no worker ever walks all that is deployed; a worker
 * takes over the entries of one module (type.h).
 * Keys and values: docs/formats/state.md.
 * Threads: any may read; its maker changes it before others see it.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_CATALOG_H
#define CAIRN_ADMIN_CATALOG_H

#include "object/dependency.h"
#include "object/names.h"
#include "object/overlay.h"
#include "object/type.h"

/* Of a node, over all namespaces: they bound what a listing of types costs, and the memory. */
enum { VERSIONS_KEPT = 32, MODULES_MAX = 10000, TYPES_MAX = 20000, METHODS_MAX = 65536, FIELDS_MAX = 65536 };

struct module_version {
    uint32_t number;
    uint8_t hash[CAIRN_SHA256_BYTES];
    uint64_t deployed_ms, bytes;
};

struct module_entry {
    atomic_uint refs;
    struct space *space;
    struct cairn_bytes name;
    uint32_t version_count, current;                   /* index */
    uint32_t version_last;                             /* number given out last */
    struct cairn_module *module;                       /* of the current version; the entry's own reference */
    struct module_version versions[2 * VERSIONS_KEPT]; /* oldest first */
};

struct catalog {
    atomic_uint refs;
    struct dependency record; /* that made it */
    uint32_t type_next;
    struct module_entry **modules;
    struct type_entry **types;
    uint32_t module_count, type_count;
    struct names module_names, type_names; /* into the two */
};

struct catalog *catalog_ref(struct catalog *catalog);
void catalog_unref(struct catalog *catalog); /* accepts NULL */
/* A copy that its maker may change with these, before others see it. */
struct catalog *catalog_copy(const struct catalog *from);
/* Take the entry: it replaces the one of that name, or is new. */
void catalog_set_module(struct catalog *catalog, struct module_entry *m);
void catalog_set_type(struct catalog *catalog, struct type_entry *t);
/* Drops a type; no module declares it. */
void catalog_remove_type(struct catalog *catalog, const struct space *space, struct cairn_bytes name);
/* Drops a module and its types. */
void catalog_remove(struct catalog *catalog, const struct space *space, struct cairn_bytes name);
/* Drops all of the namespace, and of its compartment. */
void catalog_remove_space(struct catalog *catalog, const struct space *space);

/* NULL when there is none. */
/* In catalog->modules; NAMES_END: there is none. */
uint32_t catalog_module_index(const struct catalog *catalog, const struct space *space, struct cairn_bytes name);
struct module_entry *catalog_module(const struct catalog *catalog, const struct space *space, struct cairn_bytes name);
struct type_entry *catalog_type(const struct catalog *catalog, const struct space *space, struct cairn_bytes name);

/* Some module of the namespace, and how many it has. */
struct module_entry *catalog_module_in(const struct catalog *catalog, const struct space *space);
uint32_t catalog_module_count(const struct catalog *catalog, const struct space *space);

/* With one reference, no version and no module. */
struct module_entry *module_entry_make(struct space *space, struct cairn_bytes name);
void hash_hex(const uint8_t hash[CAIRN_SHA256_BYTES], char to[2 * CAIRN_SHA256_BYTES + 1]);
/* Where the .wasm with that hash lies, below the data folder. */
void module_path(const uint8_t hash[CAIRN_SHA256_BYTES], char to[CAIRN_PATH_BYTES]);

/* Reads and compiles that version of a module; blocks. */
enum cairn_code catalog_compile(struct cairn_fn *fn, struct cairn_disk *disk, struct cairn_bytes name,
                                const struct module_version *version, struct cairn_module **ret_module,
                                struct cairn_err *err);

/* Keys and values of the system shard. */
void catalog_key(struct cairn_buf *to, uint8_t kind, const struct space *space, struct cairn_bytes name);
void catalog_put_module(struct overlay *overlay, const struct module_entry *m);
void catalog_put_type(struct overlay *overlay, const struct type_entry *t);
void catalog_put_type_next(struct overlay *overlay, uint32_t next);

#endif
