#include "server/health.h"

#include <stdarg.h>
#include <stdio.h>

/* A sync that takes longer, on the average of a look, is told. */
#define SYNC_SLOW_NS UINT64_C(100000000)

/* --- checks -------------------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static struct cairn_check *add(struct cairn_check **at, const char *name,
                                                                     enum cairn_check_state state, const char *format,
                                                                     ...)
{
    struct cairn_check *check = (*at)++;
    va_list args;

    check->name = name;
    check->state = state;
    check->reason[0] = 0;
    if (state != CAIRN_CHECK_OK) {
        va_start(args, format);
        vsnprintf(check->reason, sizeof check->reason, format, args);
        va_end(args);
    }
    return check;
}

size_t cairn_health_checks(const struct cairn_health *health, struct cairn_check checks[CAIRN_CHECKS_MAX])
{
    const struct cairn_store_stats *store = &health->store;
    struct cairn_check *at = checks;

    add(&at, "log", store->log.failed ? CAIRN_CHECK_FAILED : CAIRN_CHECK_OK,
        "the log has failed: nothing more is acknowledged; restart the node once the disk is well");
    add(&at, "disk", store->log.full ? CAIRN_CHECK_FAILED : CAIRN_CHECK_OK,
        "the disk of the data folder is full: writes are refused until there is room");
    add(&at, "checkpoint", store->checkpoint_error[0] ? CAIRN_CHECK_WARNING : CAIRN_CHECK_OK,
        "the last checkpoint failed and is tried again, the log grows until one is written: %s",
        store->checkpoint_error);
    if (store->archive_lost)
        add(&at, "archive", CAIRN_CHECK_FAILED,
            "another node has taken the blob store over: writes are refused here for good; stop this node");
    else
        add(&at, "archive", store->archive_error[0] ? CAIRN_CHECK_WARNING : CAIRN_CHECK_OK,
            "%llu bytes of the log are not in the blob store, and it is tried again: %s",
            (unsigned long long)store->archive_pending_bytes, store->archive_error);
    add(&at, "clock", health->time.jump_ms ? CAIRN_CHECK_WARNING : CAIRN_CHECK_OK,
        "the wall clock has jumped by %.1f s and the node's time does not follow it: set the clock right, or run "
        "'cairn clock accept'",
        (double)health->time.jump_ms / 1e3);
    return (size_t)(at - checks);
}

/* --- changes ---------------------------------------------------------------------------------------- */

#define NUMBER(name, value)          \
    {                                \
        .key = name, .number = value \
    }
#define TEXT(name, value)          \
    {                              \
        .key = name, .text = value \
    }

#define TELL(level_, from_, kind_, text_, ...) \
    cairn_tell(                                \
        events,                                \
        &(struct cairn_event){                 \
            .level = CAIRN_LEVEL_##level_, .from = from_, .kind = kind_, .text = text_, .fields = {__VA_ARGS__}})

static void look_at_log(struct cairn_watch *watch, const struct cairn_health *health, const struct cairn_events *events)
{
    const struct cairn_log_stats *now = &health->store.log, *before = &watch->before.store.log;
    uint64_t syncs = now->syncs - before->syncs, ns = now->sync_ns_total - before->sync_ns_total;
    bool stuck = health->sync_always && !now->failed && syncs == 0 && now->durable < before->end;

    if (now->full && !before->full)
        TELL(ERROR, "log", "disk_full",
             "the disk of the data folder is full: writes are refused, reads go on; make room on it");
    if (!now->full && before->full)
        TELL(INFO, "log", "disk_full_over", "there is room on the disk again: writes are accepted");
    if (syncs && ns / syncs >= SYNC_SLOW_NS)
        TELL(WARNING, "log", "sync_slow", "the disk takes long to sync the log, and every write waits for it",
             NUMBER("syncs", syncs), NUMBER("mean_ms", ns / syncs / 1000000),
             NUMBER("longest_ms_ever", now->sync_ns_max / 1000000));
    if (stuck && !watch->sync_stuck)
        TELL(WARNING, "log", "sync_stuck", "a sync of the log has not ended for a second: all writes wait for it",
             NUMBER("durable", now->durable), NUMBER("end", now->end));
    if (watch->sync_stuck && !stuck)
        TELL(INFO, "log", "sync_stuck_over", "the log is synced again");
    watch->sync_stuck = stuck;
}

static void look_at_archive(const struct cairn_store_stats *now, const struct cairn_store_stats *before,
                            const struct cairn_events *events)
{
    if (now->archive_lost && !before->archive_lost)
        TELL(ERROR, "archive", "fenced",
             "another node has taken the blob store over: writes are refused here for good; stop this node");
    if (now->archive_failures > before->archive_failures)
        TELL(WARNING, "archive", "failing", "the blob store could not be used, and is tried again",
             NUMBER("attempts", now->archive_failures - before->archive_failures),
             NUMBER("failures", now->archive_failures), NUMBER("pending_bytes", now->archive_pending_bytes),
             TEXT("error", now->archive_error[0] ? now->archive_error : "unknown"));
    if (before->archive_error[0] && !now->archive_error[0] && !now->archive_lost)
        TELL(INFO, "archive", "recovered", "the blob store can be used again",
             NUMBER("pending_bytes", now->archive_pending_bytes));
}

void cairn_watch_look(struct cairn_watch *watch, const struct cairn_health *health, const struct cairn_events *events)
{
    const struct cairn_store_stats *now = &health->store, *before = &watch->before.store;

    if (!watch->looked) { /* what stands at the start is news, but for what was counted while opening */
        watch->before.store.log.syncs = now->log.syncs;
        watch->before.store.log.sync_ns_total = now->log.sync_ns_total;
        watch->before.store.log.end = now->log.durable;
    }
    look_at_log(watch, health, events);
    look_at_archive(now, before, events);
    if (now->checkpoint_failures > before->checkpoint_failures)
        TELL(WARNING, "checkpoint", "failing", "a checkpoint could not be written, and is tried again",
             NUMBER("failures", now->checkpoint_failures), NUMBER("log_bytes", now->checkpoint_age_log_bytes),
             TEXT("error", now->checkpoint_error[0] ? now->checkpoint_error : "unknown"));
    if (before->checkpoint_error[0] && !now->checkpoint_error[0])
        TELL(INFO, "checkpoint", "recovered", "a checkpoint was written again");
    if (health->evicted_keys > watch->before.evicted_keys)
        TELL(INFO, "once", "keys_forgotten",
             "idempotency keys were forgotten, for their age or number: a request that repeats one runs again",
             NUMBER("keys", health->evicted_keys - watch->before.evicted_keys));
    if (health->dropped_outcomes > watch->before.dropped_outcomes)
        TELL(WARNING, "once", "outcomes_dropped",
             "outcomes of idempotency keys are not kept any more, for their bytes (--limit-outcomes): a request that "
             "repeats one is not run again, and hears outcome_gone",
             NUMBER("outcomes", health->dropped_outcomes - watch->before.dropped_outcomes));
    watch->before = *health;
    watch->looked = true;
}
