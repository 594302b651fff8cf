#include "server/exports.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/value.h"
#include "server/version.h"
#include "transfer/export.h"

#define EXPORT_IDLE_NS UINT64_C(60000000000)

struct cairn_exports {
    struct cairn_store *store;
    struct cairn_clock *clock;
    pthread_mutex_t lock;   /* of all that follows; held while a page is made */
    uint64_t id_last, id;   /* id 0: none is open */
    uint32_t page;          /* the next one */
    struct cairn_buf space; /* of the one that is open; empty: all */
    uint64_t asked_ns;      /* when the last one was */
    struct cairn_moment *moment;
    struct cairn_export *export;
};

struct cairn_exports *cairn_exports_create(struct cairn_store *store, struct cairn_clock *clock)
{
    struct cairn_exports *exports = cairn_alloc_zeroed(1, sizeof *exports);

    exports->store = store;
    exports->clock = clock;
    exports->id_last = clock->entropy(clock) >> 16; /* so that no id is one of the run before; fits an integer */
    pthread_mutex_init(&exports->lock, NULL);
    return exports;
}

/* The lock is held, for this and what follows. */
static void give_up(struct cairn_exports *exports)
{
    exports->export = cairn_export_close(exports->export);
    exports->moment = cairn_moment_close(exports->moment);
    exports->space.size = 0;
    exports->id = 0;
}

static uint64_t now_ns(const struct cairn_exports *exports)
{
    return exports->clock->monotonic_ns(exports->clock);
}

static bool is_idle(const struct cairn_exports *exports)
{
    return exports->id && now_ns(exports) - exports->asked_ns > EXPORT_IDLE_NS;
}

static enum cairn_code begin(struct cairn_exports *exports, uint64_t version, struct cairn_bytes space,
                             struct cairn_err *err)
{
    struct cairn_export_options options = {.disk = cairn_store_disk(exports->store), .program = CAIRN_VERSION};
    enum cairn_code code;

    if (is_idle(exports))
        give_up(exports);
    if (exports->id)
        return cairn_fail(err, CAIRN_ECONFLICT,
                          "another export is under way: wait for its end, or, if its client is gone, a minute");
    code = cairn_moment_begin(exports->store, version, &exports->moment, err);
    if (code != CAIRN_OK)
        return code;
    cairn_buf_add(&exports->space, space.data, space.size);
    options.moment = exports->moment;
    options.space = cairn_buf_bytes(&exports->space);
    exports->export = cairn_export_open(&options);
    exports->id = ++exports->id_last;
    exports->page = 0;
    return CAIRN_OK;
}

static enum cairn_code make(struct cairn_exports *exports, uint64_t id, uint32_t page, uint64_t version,
                            struct cairn_bytes space, struct cairn_buf *bytes, bool *ret_over, struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK;

    if (!id)
        code = begin(exports, version, space, err);
    else if (id != exports->id || page != exports->page || !cairn_bytes_equal(space, cairn_buf_bytes(&exports->space)))
        return cairn_fail(err, CAIRN_ENOTFOUND, "that export is not under way, or another page of it is next");
    if (code == CAIRN_OK)
        code = cairn_export_next(exports->export, bytes, ret_over, err);
    if (code != CAIRN_OK)
        return code;
    exports->page++;
    exports->asked_ns = now_ns(exports);
    return code;
}

void cairn_exports_page(struct cairn_exports *exports, uint64_t id, uint32_t page, uint64_t version,
                        struct cairn_bytes space, struct cairn_buf *to)
{
    bool over = false, needs_version = !id && !version && strcmp(cairn_store_engine(exports->store), "memory") != 0;
    struct cairn_buf bytes = {0};
    struct cairn_err err;
    enum cairn_code code = CAIRN_OK;

    pthread_mutex_lock(&exports->lock);
    if (!needs_version)
        code = make(exports, id, page, version, space, &bytes, &over, &err);
    if (code != CAIRN_OK) {
        cairn_value_add_error(to, cairn_str(cairn_code_name(code)), cairn_str(err.text));
    } else {
        cairn_value_add_list(to, 3);
        cairn_value_add_int(to, needs_version ? 0 : (int64_t)exports->id);
        cairn_value_add_int(to, over);
        cairn_value_add_bytes(to, cairn_buf_bytes(&bytes));
    }
    if (over || (code != CAIRN_OK && (id ? id == exports->id && code != CAIRN_ENOTFOUND : code != CAIRN_ECONFLICT)))
        give_up(exports);
    pthread_mutex_unlock(&exports->lock);
    cairn_buf_done(&bytes);
}

void cairn_exports_look(struct cairn_exports *exports)
{
    if (pthread_mutex_trylock(&exports->lock) != 0)
        return;
    if (is_idle(exports))
        give_up(exports);
    pthread_mutex_unlock(&exports->lock);
}

struct cairn_exports *cairn_exports_destroy(struct cairn_exports *exports)
{
    if (!exports)
        return NULL;
    give_up(exports);
    cairn_buf_done(&exports->space);
    pthread_mutex_destroy(&exports->lock);
    free(exports);
    return NULL;
}
