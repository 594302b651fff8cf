/* Would catch: a bucket that lets more through than a second's requests at once, or than its rate over a longer time,
 * or refuses some at that rate; a wrong time to come again; a limit that holds for a namespace that has none,
 * or is not let go of; a connection that is counted twice; bytes of jobs that are counted where there is no limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "object/quota.h"

#define MS UINT64_C(1000000)

static struct space *make(struct spaces *spaces, enum space_limit limit, uint64_t value)
{
    struct space *space;

    spaces_init(spaces, 1);
    space = spaces_intern(spaces, cairn_str("acme"));
    space_gate(space, SPACE_GONE, false);
    atomic_store(&space->recorded_limits[limit], value);
    quota_apply(space);
    return space;
}

static void requests_a_second(void **state)
{
    static const uint64_t rates[] = {1, 7, 10, 1000, 3000000};

    (void)state;
    for (size_t k = 0; k < sizeof rates / sizeof rates[0]; k++) {
        uint64_t rate = rates[k], now = 5000 * MS, passed = 0, at_once = 0;
        struct spaces spaces;
        struct space *space = make(&spaces, SPACE_REQUESTS, rate);
        struct cairn_err err;
        uint32_t retry_ms = 0;

        assert_true(space_is_gated(space));
        while (quota_admit(space, now, &retry_ms, &err) == CAIRN_OK)
            at_once++;
        assert_in_range(at_once, rate, rate + rate / 500); /* a share of a second is whole nanoseconds */
        assert_int_equal(err.code, CAIRN_EQUOTA);
        assert_non_null(strstr(err.text, "acme"));
        assert_non_null(strstr(err.text, "(requests)"));
        /* Not before, and at the time that it was told. */
        if (rate <= 10) {
            assert_int_equal(quota_admit(space, now + (retry_ms - 2) * MS, &(uint32_t){0}, &err), CAIRN_EQUOTA);
            assert_in_range(retry_ms, 1000 / rate - 1, 1000 / rate + 2);
        }
        now += retry_ms * MS;
        assert_int_equal(quota_admit(space, now, &retry_ms, &err), CAIRN_OK);
        /* Ten seconds, asked for all the time. */
        for (uint64_t end = now + 10000 * MS; now < end; now += 1000000000 / rate / 2 + 1)
            passed += quota_admit(space, now, &retry_ms, &err) == CAIRN_OK;
        assert_in_range(passed, 10 * rate - 1, 10 * rate + rate / 50 + 2);
        /* An hour of nothing gives no more than a second's. */
        now += 3600000 * MS;
        for (at_once = 0; quota_admit(space, now, &retry_ms, &err) == CAIRN_OK;)
            at_once++;
        assert_in_range(at_once, rate, rate + rate / 500);
        /* One that asks for much has those that follow wait as long as if it had been many. */
        now += 3600000 * MS;
        assert_int_equal(quota_admit(space, now, &retry_ms, &err), CAIRN_OK);
        quota_charge_requests(space, now, (uint32_t)(3 * rate));
        assert_int_equal(quota_admit(space, now, &retry_ms, &err), CAIRN_EQUOTA);
        assert_in_range(retry_ms, 1990, 2000 + 2000 / rate + 2);
        assert_int_equal(quota_admit(space, now + retry_ms * MS, &retry_ms, &err), CAIRN_OK);
        spaces_done(&spaces);
    }
}

static void gates(void **state)
{
    struct cairn_err err;
    struct spaces spaces;
    struct space *space = make(&spaces, SPACE_REQUESTS, 1);
    uint32_t retry_ms;

    (void)state;
    assert_false(space_is_gated(spaces.first)); /* another has no part in it */
    assert_true(space_is_gated(space));
    atomic_store(&space->recorded_limits[SPACE_REQUESTS], 0);
    assert_int_equal(atomic_load(&space->limits[SPACE_REQUESTS]), 1); /* not in force yet */
    quota_apply(space);
    assert_false(space_is_gated(space));
    space_gate(space, SPACE_GONE, true);
    assert_true(space_is_gated(space));
    assert_int_equal(quota_admit(space, 0, &retry_ms, &err), CAIRN_ENOTFOUND);
    spaces_done(&spaces);
}

static void connections(void **state)
{
    struct space_usage usage;
    struct spaces spaces;
    struct space *space = make(&spaces, SPACE_CONNECTIONS, 2);
    uint64_t most = 0;

    (void)state;
    assert_true(quota_connect(space, &most));
    assert_true(quota_connect(space, &most));
    assert_false(quota_connect(space, &most));
    assert_int_equal(most, 2);
    quota_usage(space, 1, &usage);
    assert_int_equal(usage.connections, 2);
    assert_int_equal(usage.refused, 1);
    quota_disconnect(space);
    assert_true(quota_connect(space, &most));
    assert_false(space_is_gated(space)); /* requests have nothing to do with it */
    spaces_done(&spaces);
}

static void memory(void **state)
{
    struct cairn_err err;
    struct spaces spaces;
    struct space *space = make(&spaces, SPACE_MEMORY, 1000);
    uint32_t retry_ms = 0;

    (void)state;
    quota_job_add(space, 600);
    assert_int_equal(quota_admit(space, 0, &retry_ms, &err), CAIRN_OK);
    assert_true(quota_job_may_add(space, 400));
    assert_false(quota_job_may_add(space, 401));
    quota_job_add(space, 400);
    assert_int_equal(quota_admit(space, 0, &retry_ms, &err), CAIRN_EQUOTA);
    assert_int_equal(retry_ms, 1000);
    assert_non_null(strstr(err.text, "(memory)"));
    quota_job_add(space, -1);
    assert_int_equal(quota_admit(space, 0, &retry_ms, &err), CAIRN_OK);
    spaces_done(&spaces);
}

/* What was used is paid for at the rate of the share; nothing more begins while more than a second's is open. */
static void processor_time(void **state)
{
    static const uint64_t percents[] = {1, 50, 100, 400};

    (void)state;
    for (size_t k = 0; k < sizeof percents / sizeof percents[0]; k++) {
        uint64_t percent = percents[k], now = 5000 * MS, used = 0;
        struct spaces spaces;
        struct space *space = make(&spaces, SPACE_CPU, percent);
        struct cairn_err err;
        uint32_t retry_ms = 0;

        assert_true(space_is_gated(space));
        for (uint64_t end = now + 60000 * MS; now < end; now += MS)
            if (quota_admit(space, now, &retry_ms, &err) == CAIRN_OK) {
                quota_charge_cpu(space, 5 * MS, now);
                used += 5;
            }
        /* A minute's share and a second's beforehand, and the last one that began. */
        assert_in_range(used, 600 * percent, 610 * percent + 5);
        quota_charge_cpu(space, 1000 * MS, now); /* one that took long */
        assert_int_equal(quota_admit(space, now, &retry_ms, &err), CAIRN_EQUOTA);
        assert_non_null(strstr(err.text, "(cpu)"));
        assert_int_equal(quota_admit(space, now + (retry_ms - 2) * MS, &(uint32_t){0}, &err), CAIRN_EQUOTA);
        assert_int_equal(quota_admit(space, now + retry_ms * MS, &(uint32_t){0}, &err), CAIRN_OK);
        spaces_done(&spaces);
    }
}

static enum cairn_code keep(struct space *space, int64_t objects, int64_t bytes, struct cairn_err *err)
{
    return quota_keep(space, (struct space_kept){.objects = objects, .bytes = bytes}, err);
}

static void kept(void **state)
{
    struct cairn_err err;
    struct spaces spaces;
    struct space *space = make(&spaces, SPACE_BYTES, 1000);

    (void)state;
    assert_false(space_is_gated(space)); /* asked when something is committed */
    assert_int_equal(keep(space, 1, 1000, &err), CAIRN_OK);
    assert_int_equal(keep(space, 1, 1, &err), CAIRN_EQUOTA);
    assert_non_null(strstr(err.text, "set acme --bytes"));
    assert_int_equal(atomic_load(&space->kept_objects), 1);
    assert_int_equal(keep(space, 1, 0, &err), CAIRN_OK);
    assert_int_equal(keep(space, -1, -10, &err), CAIRN_OK);
    assert_int_equal(keep(space, 0, 11, &err), CAIRN_EQUOTA);
    assert_int_equal(keep(space, 0, 10, &err), CAIRN_OK);
    atomic_store(&space->recorded_limits[SPACE_OBJECTS], 1);
    quota_apply(space);
    assert_int_equal(keep(space, 1, -500, &err), CAIRN_EQUOTA);
    assert_non_null(strstr(err.text, "(objects)"));
    assert_int_equal(atomic_load(&space->kept_bytes), 1000);
    assert_int_equal(keep(space, 0, -1000, &err), CAIRN_OK);
    assert_false(space->counts && spaces.first->counts);
    spaces_done(&spaces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_a_second), cmocka_unit_test(gates),
        cmocka_unit_test(connections),       cmocka_unit_test(memory),
        cmocka_unit_test(processor_time),    cmocka_unit_test(kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
