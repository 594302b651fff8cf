#include "engine/choice.h"

#include <assert.h>

enum {
    OPEN_FILES_MAX = 500,
    MEMORY_BYTES = 64 << 20,
    MEMORY_BYTES_LEAST = 256 << 10,
    THREADS_BYTES = 3 << 20, /* what is read and written in the background, and what malloc keeps of it */
    LEAST_BYTES = 1 << 10,   /* of any of these */
};

static size_t or_default(size_t value, size_t default_value)
{
    return value ? value : default_value;
}

static enum cairn_code check_least(const char *name, size_t value, struct cairn_err *err)
{
    if (value < LEAST_BYTES)
        return cairn_fail(err, CAIRN_EINVAL, "%s is %zu and must be at least %d bytes", name, value, LEAST_BYTES);
    return CAIRN_OK;
}

static enum cairn_code set_lsm(const struct cairn_state_options *o, struct choice *choice, struct cairn_err *err)
{
    (void)err;
    choice->memtable = (struct memtable_options){
        .limit_bytes = or_default(o->memtable_bytes_limit, o->memory_bytes / 8), .keep_bytes = o->memory_bytes / 4};
    choice->levels.create_front = memtable_create;
    choice->levels.front_options = &choice->memtable;
    choice->levels.density_factor = o->density_factor;
    return CAIRN_OK;
}

static enum cairn_code set_memory(const struct cairn_state_options *o, struct choice *choice, struct cairn_err *err)
{
    (void)o;
    (void)err;
    choice->memtable = (struct memtable_options){.whole = true};
    choice->levels.create_front = memtable_create;
    choice->levels.front_options = &choice->memtable;
    choice->levels.whole = true;
    return CAIRN_OK;
}

static enum cairn_code set_hybridlog(const struct cairn_state_options *o, struct choice *choice, struct cairn_err *err)
{
    struct hybridlog_options *log = &choice->hybridlog;
    enum cairn_code code;

    log->mem_segment_len = or_default(o->mem_segment_len, o->memory_bytes / 8 * 5);
    log->ro_lag_interval = or_default(o->ro_lag_interval, log->mem_segment_len / 10 * 8);
    log->flush_interval = or_default(o->flush_interval, log->mem_segment_len / 16);
    log->keeps = true;
    choice->levels.create_front = hybridlog_create;
    choice->levels.front_options = log;
    choice->levels.order = RUN_BY_HASH;
    code = check_least("mem_segment_len", log->mem_segment_len, err);
    if (code == CAIRN_OK && (log->flush_interval >= log->mem_segment_len ||
                             log->ro_lag_interval >= log->mem_segment_len - log->flush_interval))
        code = cairn_fail(err, CAIRN_EINVAL,
                          "mem_segment_len (%zu) must be greater than ro_lag_interval (%zu) + flush_interval (%zu)",
                          log->mem_segment_len, log->ro_lag_interval, log->flush_interval);
    return code;
}

static enum cairn_code set_appendlog(const struct cairn_state_options *o, struct choice *choice, struct cairn_err *err)
{
    enum { WAITING = 3 }; /* one gathers, one is written, one waits */
    struct hybridlog_options *log = &choice->hybridlog;

    *log = (struct hybridlog_options){.flush_interval = or_default(o->threshold, o->memory_bytes / 8)};
    log->mem_segment_len = log->flush_interval * WAITING;
    choice->levels.create_front = hybridlog_create;
    choice->levels.front_options = log;
    choice->levels.order = RUN_BY_HASH;
    return check_least("threshold", log->flush_interval, err);
}

static const struct {
    const char *name;
    enum cairn_code (*set)(const struct cairn_state_options *o, struct choice *choice, struct cairn_err *err);
} engines[] = {
    {"hybridlog", set_hybridlog}, /* the first is the default */
    {"appendlog", set_appendlog},
    {"lsm", set_lsm},
    {"memory", set_memory},
};

static_assert(sizeof engines / sizeof *engines == CHOICE_ENGINES, "all of them");

const char *choice_name(size_t engine)
{
    return engines[engine].name;
}

enum cairn_code choice_find(const char *name, size_t *ret_engine, struct cairn_err *err)
{
    size_t engine = 0;

    while (engine < CHOICE_ENGINES && (!name || strcmp(name, engines[engine].name) != 0))
        engine++;
    if (name && engine == CHOICE_ENGINES)
        return cairn_fail(err, CAIRN_EINVAL, "there is no engine '%s'; there are: hybridlog, appendlog, lsm, memory",
                          name);
    *ret_engine = engine;
    return CAIRN_OK;
}

/* "lz4", or one for each level: "none,lz4,zstd"; the last one counts for all that follow. */
static enum cairn_code set_compression(const char *text, enum run_compression levels[RUN_LEVELS], struct cairn_err *err)
{
    static const char *const names[] = {[RUN_PLAIN] = "none", [RUN_LZ4] = "lz4", [RUN_ZSTD] = "zstd"};
    enum run_compression one = RUN_PLAIN;

    if (text && !*text)
        return cairn_fail(err, CAIRN_EINVAL, "compression is empty; there are: none, lz4, zstd");
    for (size_t level = 0; level < RUN_LEVELS; level++) {
        if (text && *text) {
            size_t size = strcspn(text, ","), name = 0;

            while (name <= RUN_ZSTD && (strlen(names[name]) != size || strncmp(names[name], text, size) != 0))
                name++;
            if (name > RUN_ZSTD || (text[size] && !text[size + 1]))
                return cairn_fail(err, CAIRN_EINVAL, "there is no compression '%.*s'; there are: none, lz4, zstd",
                                  (int)size, text);
            one = (enum run_compression)name;
            text += size + (text[size] == ',');
        }
        levels[level] = one;
    }
    return CAIRN_OK;
}

enum cairn_code choice_make(size_t engine, const struct cairn_state_options *options, bool has_threads,
                            struct choice *ret_choice, struct cairn_err *err)
{
    struct cairn_state_options whole = *options;
    struct levels_options *levels = &ret_choice->levels;
    enum cairn_code code;

    *ret_choice = (struct choice){.levels = {.engine = engines[engine].name,
                                             .max_runs_per_level = options->max_runs_per_level,
                                             .filter_bits = options->filter_bits,
                                             .open_files_max = OPEN_FILES_MAX}};
    whole.memory_bytes = or_default(options->memory_bytes, MEMORY_BYTES);
    if (whole.memory_bytes < MEMORY_BYTES_LEAST)
        return cairn_fail(err, CAIRN_EINVAL, "memory_bytes is %zu and must be at least %d", options->memory_bytes,
                          MEMORY_BYTES_LEAST);
    if (has_threads)
        whole.memory_bytes -= whole.memory_bytes / 4 < THREADS_BYTES ? whole.memory_bytes / 4 : THREADS_BYTES;
    code = set_compression(options->compression, levels->compression, err);
    if (code != CAIRN_OK)
        return code;
    if (options->open_files_max)
        levels->open_files_max = options->open_files_max;
    levels->run_memory_bytes_max = whole.memory_bytes / 8;
    return engines[engine].set(&whole, ret_choice, err);
}

void choice_share(struct choice *choice, struct budget *budget, void (*on_asked)(void *context), void *context)
{
    enum {
        PARTS = 4,
        APPENDLOG_PARTS = 5,
        APPENDLOG_OWN = 3
    }; /* AppendLog needs its own: it updates nothing in place */
    struct front_share share = {budget, on_asked, context};
    struct hybridlog_options *log = &choice->hybridlog;
    struct memtable_options *table = &choice->memtable;
    size_t common = 0;

    if (choice->levels.whole)
        return;
    if (choice->levels.front_options == table) {
        common = (table->limit_bytes * 3 + table->keep_bytes) / PARTS * (PARTS - 1);
        table->share = share;
        table->limit_bytes /= PARTS;
        table->keep_bytes /= PARTS;
    } else if (!log->ro_lag_interval) {
        common = log->mem_segment_len / APPENDLOG_OWN * (APPENDLOG_PARTS - APPENDLOG_OWN);
        log->share = share;
    } else {
        common = log->mem_segment_len / PARTS * (PARTS - 1);
        log->share = share;
        log->mem_segment_len /= PARTS;
        log->ro_lag_interval /= PARTS;
        log->flush_interval /= PARTS;
    }
    budget_add(budget, common);
}
