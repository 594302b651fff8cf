/* Catches: a twin that differs from the other in what a caller can see (existing and missing files,
 * short reads, listing order, locks), a simulated crash that keeps what was not synced or loses
 * what was, a planned failure that fires at another call, and a full disk that does not heal. */
#include "io/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct cairn_file *must_open(struct cairn_disk *disk, const char *path, unsigned flags)
{
    struct cairn_file *file = NULL;
    struct cairn_err err;

    assert_int_equal(disk->ops->open(disk, path, flags, &file, &err), CAIRN_OK);
    return file;
}

/* Writes text at offset into a new or existing file; synced when asked. */
static void put(struct cairn_disk *disk, const char *path, uint64_t offset, const char *text, bool create, bool sync)
{
    struct cairn_file *file = must_open(disk, path, CAIRN_OPEN_WRITE | (create ? CAIRN_OPEN_CREATE : 0));

    assert_int_equal(disk->ops->write_at(file, offset, text, strlen(text), NULL), CAIRN_OK);
    if (sync)
        assert_int_equal(disk->ops->sync(file, NULL), CAIRN_OK);
    disk->ops->close(file);
}

static void expect(struct cairn_disk *disk, const char *path, const char *want)
{
    struct cairn_buf buf = {0};
    enum cairn_code code = cairn_disk_read_file(disk, path, 1000, &buf, NULL);

    if (!want) {
        assert_int_equal(code, CAIRN_ENOTFOUND);
    } else {
        assert_int_equal(code, CAIRN_OK);
        assert_int_equal(buf.size, strlen(want));
        assert_memory_equal(buf.data, want, buf.size);
    }
    cairn_buf_done(&buf);
}

static void add_name(void *context, const char *name)
{
    cairn_buf_printf(context, "%s ", name);
}

static void check_twin(struct cairn_disk *disk)
{
    struct cairn_buf names = {0}, whole = {0};
    struct cairn_file *file = NULL;
    struct cairn_err err;
    uint64_t size = 0;
    char bytes[8];

    assert_int_equal(disk->ops->open(disk, "nothing", CAIRN_OPEN_READ, &file, &err), CAIRN_ENOTFOUND);
    assert_int_equal(disk->ops->open(disk, "d/x", CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &file, &err), CAIRN_ENOTFOUND);
    assert_null(file);
    assert_int_equal(disk->ops->make_dir(disk, "d", &err), CAIRN_OK);
    assert_int_equal(disk->ops->make_dir(disk, "d", &err), CAIRN_OK);
    put(disk, "d/b", 0, "hello", true, true);
    put(disk, "d/a", 3, "x", true, false);
    assert_int_equal(disk->ops->open(disk, "d/a", CAIRN_OPEN_WRITE | CAIRN_OPEN_CREATE, &file, &err), CAIRN_ECONFLICT);

    file = must_open(disk, "d/a", CAIRN_OPEN_READ);
    assert_int_equal(disk->ops->size(file, &size, &err), CAIRN_OK);
    assert_int_equal(size, 4);
    assert_int_equal(disk->ops->read_at(file, 0, bytes, 4, &err), CAIRN_OK);
    assert_memory_equal(bytes, "\0\0\0x", 4);
    assert_int_equal(disk->ops->read_at(file, 1, bytes, 4, &err), CAIRN_EIO);
    assert_non_null(strstr(err.text, "short read"));
    disk->ops->close(file);

    assert_int_equal(disk->ops->rename(disk, "d/a", "d/c", &err), CAIRN_OK);
    assert_int_equal(disk->ops->rename(disk, "d/a", "d/c", &err), CAIRN_ENOTFOUND);
    assert_int_equal(cairn_disk_replace_file(disk, "d/b", cairn_str("anew"), &err), CAIRN_OK);
    assert_int_equal(disk->ops->list(disk, "d", add_name, &names, &err), CAIRN_OK);
    assert_int_equal(names.size, 4);
    assert_memory_equal(names.data, "b c ", 4);
    expect(disk, "d/b", "anew");
    assert_int_equal(cairn_disk_read_file(disk, "d/b", 3, &whole, &err), CAIRN_ELIMIT);
    assert_int_equal(disk->ops->remove(disk, "d/b", &err), CAIRN_OK);
    assert_int_equal(disk->ops->remove(disk, "d/b", &err), CAIRN_ENOTFOUND);
    assert_int_equal(disk->ops->sync_dir(disk, "d", &err), CAIRN_OK);
    assert_int_equal(disk->ops->sync_dir(disk, "", &err), CAIRN_OK);
    assert_int_equal(disk->ops->sync_dir(disk, "e", &err), CAIRN_ENOTFOUND);
    expect(disk, "d/b", NULL);
    cairn_buf_done(&names);
    cairn_buf_done(&whole);
}

static void test_posix(void **state)
{
    char root[] = "/tmp/cairn-disk-XXXXXX", nested[64];
    struct cairn_disk *disk = NULL, *other = NULL;
    struct cairn_err err;

    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(nested, sizeof nested, "%s/x/y", root);
    assert_int_equal(cairn_disk_open(nested, &disk, &err), CAIRN_OK);
    check_twin(disk);
    assert_int_equal(disk->ops->lock(disk, &err), CAIRN_OK);
    assert_int_equal(cairn_disk_open(nested, &other, &err), CAIRN_OK);
    assert_int_equal(other->ops->lock(other, &err), CAIRN_ELOCKED);
    disk = cairn_disk_close(disk);
    assert_int_equal(other->ops->lock(other, &err), CAIRN_OK);
    other->ops->remove(other, "d/c", NULL);
    other->ops->remove(other, "lock", NULL);
    cairn_disk_close(other);
    snprintf(nested, sizeof nested, "%s/x/y/d", root);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(rmdir(nested), 0); /* fails if a test left a file */
        *strrchr(nested, '/') = 0;
    }
    assert_int_equal(cairn_disk_open("/proc/nowhere", &disk, &err), CAIRN_ENOTFOUND);
}

static void test_sim(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);

    (void)state;
    check_twin(disk);
    assert_int_equal(disk->ops->lock(disk, NULL), CAIRN_OK);
    assert_int_equal(disk->ops->lock(disk, NULL), CAIRN_ELOCKED);
    cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
    assert_int_equal(disk->ops->lock(disk, NULL), CAIRN_OK);
    cairn_disk_close(disk);
}

static void test_crash(void **state)
{
    static const struct {
        const char *label;
        enum cairn_sim_crash how;
        const char *synced, *tail, *named, *unnamed;
    } rows[] = {
        {"drop", CAIRN_SIM_DROP, "12345", "12345", "1", NULL},
        {"keep", CAIRN_SIM_KEEP, "12345", "1XYZ5", "1", "1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cairn_disk *disk = cairn_sim_disk_create(i);
        struct cairn_file *file;
        char byte;

        print_message("%s\n", rows[i].label);
        put(disk, "synced", 0, "12345", true, true);
        put(disk, "tail", 0, "12345", true, true);
        put(disk, "named", 0, "1", true, true);
        assert_int_equal(disk->ops->sync_dir(disk, "", NULL), CAIRN_OK);
        put(disk, "tail", 1, "XYZ", false, false);
        put(disk, "unnamed", 0, "1", true, true);
        expect(disk, "tail", "1XYZ5");
        file = must_open(disk, "synced", CAIRN_OPEN_READ);
        cairn_sim_disk_crash(disk, rows[i].how);
        assert_int_equal(disk->ops->read_at(file, 0, &byte, 1, NULL), CAIRN_EIO);
        disk->ops->close(file);
        expect(disk, "synced", rows[i].synced);
        expect(disk, "tail", rows[i].tail);
        expect(disk, "named", rows[i].named);
        expect(disk, "unnamed", rows[i].unnamed);
        cairn_disk_close(disk);
    }
}

/* Torn sectors must come in every mix, whole each, and the same for the same seed. */
static void test_tear(void **state)
{
    unsigned kept[4] = {0};
    char text[1025];

    (void)state;
    memset(text, 'n', 1024);
    text[1024] = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        unsigned first = 0;
        for (int again = 0; again < 2; again++) {
            struct cairn_disk *disk = cairn_sim_disk_create(seed);
            size_t size = 0;
            uint8_t *bytes;
            unsigned mix;

            memset(text, 'o', 1024);
            put(disk, "f", 0, text, true, true);
            disk->ops->sync_dir(disk, "", NULL);
            memset(text, 'n', 1024);
            put(disk, "f", 0, text, false, false);
            cairn_sim_disk_crash(disk, CAIRN_SIM_TEAR);
            bytes = cairn_sim_disk_bytes(disk, "f", &size);
            assert_int_equal(size, 1024);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(bytes[i], bytes[i / 512 * 512]);
            mix = (bytes[0] == 'n') + 2 * (bytes[512] == 'n');
            if (again)
                assert_int_equal(mix, first);
            first = mix;
            kept[mix]++;
            cairn_disk_close(disk);
        }
    }
    for (int i = 0; i < 4; i++)
        assert_true(kept[i] > 0);
}

static void test_planned_failures(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(3), *clone;
    struct cairn_file *file;
    uint64_t calls;
    size_t size = 0;

    (void)state;
    put(disk, "f", 0, "old", true, true);
    disk->ops->sync_dir(disk, "", NULL);

    /* A failed sync: reads still show what is gone, whatever the crash. */
    file = must_open(disk, "f", CAIRN_OPEN_WRITE);
    assert_int_equal(disk->ops->write_at(file, 0, "new", 3, NULL), CAIRN_OK);
    calls = cairn_sim_disk_calls(disk);
    cairn_sim_disk_fail_call(disk, 0, CAIRN_EIO);
    assert_false(cairn_sim_disk_fired(disk));
    assert_int_equal(disk->ops->sync(file, NULL), CAIRN_EIO);
    assert_true(cairn_sim_disk_fired(disk));
    assert_int_equal(cairn_sim_disk_calls(disk), calls + 1);
    disk->ops->close(file);
    expect(disk, "f", "new");
    cairn_sim_disk_crash(disk, CAIRN_SIM_KEEP);
    expect(disk, "f", "old");

    /* The power goes: everything fails until it is back. */
    cairn_sim_disk_halt_at(disk, 1);
    file = must_open(disk, "f", CAIRN_OPEN_WRITE);
    assert_int_equal(disk->ops->sync(file, NULL), CAIRN_EIO);
    assert_int_equal(disk->ops->sync_dir(disk, "", NULL), CAIRN_EIO);
    disk->ops->close(file);
    cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
    expect(disk, "f", "old");

    /* A full disk takes what fits, and heals when a file goes. */
    put(disk, "g", 0, "four", true, true);
    cairn_sim_disk_set_room(disk, 2);
    file = must_open(disk, "f", CAIRN_OPEN_WRITE);
    assert_int_equal(disk->ops->write_at(file, 0, "OLD12", 5, NULL), CAIRN_OK);
    assert_int_equal(disk->ops->write_at(file, 5, "345", 3, NULL), CAIRN_EFULL);
    assert_int_equal(disk->ops->remove(disk, "g", NULL), CAIRN_OK);
    assert_int_equal(disk->ops->write_at(file, 5, "3456", 4, NULL), CAIRN_OK);
    assert_int_equal(disk->ops->write_at(file, 9, "7", 1, NULL), CAIRN_EFULL);
    disk->ops->close(file);

    /* A clone shares nothing. */
    clone = cairn_sim_disk_clone(disk);
    cairn_sim_disk_bytes(disk, "f", &size)[0] = '!';
    expect(disk, "f", "!LD123456");
    put(clone, "f", 1, "?", false, false);
    expect(clone, "f", "O?D123456");
    cairn_sim_disk_crash(clone, CAIRN_SIM_DROP);
    expect(clone, "f", "OLD123456");
    cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
    expect(disk, "f", "!LD123456");
    cairn_disk_close(clone);
    cairn_disk_close(disk);
}

/* At every call: the old file or the new, whole. */
static void test_replace_is_atomic(void **state)
{
    bool fired = true;

    (void)state;
    for (int64_t n = 0; fired; n++) {
        for (int how = 0; how < 3; how++) {
            struct cairn_disk *disk = cairn_sim_disk_create((uint64_t)n);
            struct cairn_buf buf = {0};
            enum cairn_code code;

            put(disk, "f", 0, "old", true, true);
            disk->ops->sync_dir(disk, "", NULL);
            cairn_sim_disk_halt_at(disk, n);
            code = cairn_disk_replace_file(disk, "f", cairn_str("new one"), NULL);
            fired = cairn_sim_disk_fired(disk);
            assert_int_equal(code == CAIRN_OK, !fired);
            cairn_sim_disk_crash(disk, (enum cairn_sim_crash)how);
            assert_int_equal(cairn_disk_read_file(disk, "f", 100, &buf, NULL), CAIRN_OK);
            assert_true(cairn_bytes_equal(cairn_buf_bytes(&buf), cairn_str("new one")) ||
                        (fired && cairn_bytes_equal(cairn_buf_bytes(&buf), cairn_str("old"))));
            cairn_buf_done(&buf);
            cairn_disk_close(disk);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posix),
        cmocka_unit_test(test_sim),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_tear),
        cmocka_unit_test(test_planned_failures),
        cmocka_unit_test(test_replace_is_atomic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
