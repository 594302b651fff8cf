/* dir_test.c - a blob store that is a folder, on a disk that loses what was not synced.
 *
 * It would catch: an object that was put and is gone after a power cut, since its folder's name was not durable; a
 * put into a folder that is there that costs as much as one that makes it; a failure after which puts into a folder do
 * not succeed any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "blob/blob.h"

static enum cairn_code put(struct cairn_blob *blob, const char *name)
{
    return blob->ops->put(blob, name, cairn_str(name), NULL);
}

static enum cairn_code get(struct cairn_blob *blob, const char *name)
{
    struct cairn_buf bytes = {0};
    enum cairn_code code = blob->ops->get(blob, name, 100, &bytes, NULL);

    if (code == CAIRN_OK)
        assert_true(cairn_bytes_equal(cairn_buf_bytes(&bytes), cairn_str(name)));
    cairn_buf_done(&bytes);
    return code;
}

static void test_power_cuts(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct cairn_blob *blob = cairn_blob_on_disk(disk);
    uint64_t calls[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a/b/one", "a/b/two", "a/c/three"};

        calls[i] = cairn_sim_disk_calls(disk);
        assert_int_equal(put(blob, names[i]), CAIRN_OK);
        calls[i] = cairn_sim_disk_calls(disk) - calls[i];
        cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
        for (int k = 0; k <= i; k++)
            assert_int_equal(get(blob, names[k]), CAIRN_OK);
    }
    assert_true(calls[1] + 4 <= calls[0]); /* two folders are made, and synced, once */
    assert_true(calls[1] < calls[2]);
    cairn_blob_close(blob);
    cairn_disk_close(disk);
}

/* Each call fails once, or is the last before a cut: what put has said is so. */
static void test_faults(void **state)
{
    (void)state;
    for (int64_t call = 0, over = 0; !over; call++) {
        struct cairn_disk *disk = cairn_sim_disk_create(2);
        struct cairn_blob *blob = cairn_blob_on_disk(disk);

        cairn_sim_disk_fail_call(disk, call, CAIRN_EIO);
        if (put(blob, "a/b/one") == CAIRN_OK) {
            cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
            assert_int_equal(get(blob, "a/b/one"), CAIRN_OK);
        }
        over = !cairn_sim_disk_fired(disk);
        cairn_sim_disk_fail_call(disk, -1, CAIRN_EIO);
        assert_int_equal(put(blob, "a/b/two"), CAIRN_OK); /* as before, whatever has failed */
        cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
        assert_int_equal(get(blob, "a/b/two"), CAIRN_OK);
        cairn_blob_close(blob);
        cairn_disk_close(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_power_cuts), cmocka_unit_test(test_faults)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
