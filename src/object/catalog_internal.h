/* catalog_internal.h - what catalog.c, types.c and deploy.c share.
 * Layer: object (private). */
#ifndef CAIRN_OBJECT_CATALOG_INTERNAL_H
#define CAIRN_OBJECT_CATALOG_INTERNAL_H

#include "object/catalog.h"

enum { VERSIONS_KEPT = 32, MODULES_MAX = 10000 };

struct module_version {
    uint32_t number;
    uint8_t hash[CAIRN_SHA256_BYTES];
    uint64_t deployed_ms, bytes;
};

struct module_entry {
    struct cairn_bytes space, name;
    struct module_version *versions; /* oldest first */
    uint32_t version_count, current; /* index */
    uint32_t version_last;           /* number given out last */
    struct cairn_module *module;     /* of the current version; the entry's own reference */
};

struct bound_field {
    struct cairn_bytes name;
    enum cairn_field_kind kind;
    uint32_t number;
};

struct type_entry {
    struct cairn_bytes space, name, module;
    uint32_t number;
    struct bound_field *fields; /* every field it ever declared */
    uint32_t field_count;
};

struct catalog {
    atomic_uint refs;
    uint64_t end; /* log end of the record that made it */
    uint32_t type_next;
    struct module_entry *modules;
    uint32_t module_count;
    struct type_entry *types;
    uint32_t type_count;
};

/* Copies and frees of names. */
struct cairn_bytes bytes_keep(struct cairn_bytes bytes);
void bytes_forget(struct cairn_bytes bytes);

struct catalog *catalog_ref(struct catalog *catalog);
void catalog_unref(struct catalog *catalog); /* accepts NULL */
/* A copy that may be changed; there is room for one more module, and for a module's types. */
struct catalog *catalog_copy(const struct catalog *from);
void module_entry_done(struct module_entry *m);
void type_entry_done(struct type_entry *t);
/* NULL when there is none. */
struct module_entry *catalog_module(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name);
struct type_entry *catalog_type(const struct catalog *catalog, struct cairn_bytes space, struct cairn_bytes name);
struct bound_field *catalog_field(const struct type_entry *type, struct cairn_bytes name);

void hash_hex(const uint8_t hash[CAIRN_SHA256_BYTES], char to[2 * CAIRN_SHA256_BYTES + 1]);
/* Where the .wasm with that hash lies, below the data folder. */
void module_path(const uint8_t hash[CAIRN_SHA256_BYTES], char to[CAIRN_PATH_BYTES]);

/* Keys and values of the system shard. */
void catalog_key(struct cairn_buf *to, uint8_t kind, struct cairn_bytes space, struct cairn_bytes name);
void catalog_put_module(struct overlay *overlay, const struct module_entry *m);
void catalog_put_type(struct overlay *overlay, const struct type_entry *t);
void catalog_put_type_next(struct overlay *overlay, uint32_t next);

/* types.c: makes the worker's types anew; a version that is unchanged stays the same struct. */
void types_from(struct cairn_worker *worker, struct catalog *catalog);

/* deploy.c: takes over a DEPLOY or UNDEPLOY; worker 0. */
void deploy_request(struct cairn_worker *worker, struct invocation *inv);
/* The catalog that is committed: while an UNDEPLOY is being decided, the one before it. */
struct catalog *deploy_committed(struct cairn_worker *worker);

#endif
