/* Catches: a URL of a blob store that is taken for another folder than it names, or made into a strange one; one folder
 * that counts as two as it is written in another way; a blob store in the data folder that it is to outlive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "blob/blob_internal.h"

static const struct {
    const char *url, *path; /* NULL: refused, */
    const char *why;        /* and the text has this */
} forms[] = {
    {"/backup", "/backup", NULL},
    {"/backup/", "/backup/", NULL},
    {"backup", "backup", NULL},
    {"./backup", "./backup", NULL},
    {"/back%20up", "/back%20up", NULL}, /* a path, no URL */
    {"/back up", "/back up", NULL},
    {"C:backup", "C:backup", NULL},
    {"file:///backup", "/backup", NULL},
    {"file:///backup/", "/backup/", NULL},
    {"file:/backup", "/backup", NULL},
    {"file://localhost/backup", "/backup", NULL},
    {"file:///back%20up", "/back up", NULL},
    {"file:///back%2fup%25", "/back/up%", NULL},
    {"file:///back%C3%A4", "/back\xc3\xa4", NULL},
    {"file:///back%2", NULL, "hexadecimal"},
    {"file:///back%zz", NULL, "hexadecimal"},
    {"file:///back%00up", NULL, "hexadecimal"},
    {"file:///back?up", NULL, "%3F"},
    {"file:///back#up", NULL, "%23"},
    {"file://host/backup", NULL, "another machine"},
    {"file://localhostile/backup", NULL, "another machine"},
    {"file://localhost", NULL, "another machine"},
    {"file://backup", NULL, "another machine"},
    {"file://", NULL, "another machine"},
    {"file:backup", NULL, "absolute"},
    {"file:", NULL, "absolute"},
    {"", NULL, "names no blob store"},
    {"http://host/backup", NULL, "names no blob store"},
    {"gs://bucket/backup", NULL, "names no blob store"},
    {"S3://bucket/backup", NULL, "names no blob store"},
    {"s3:bucket", NULL, "names no blob store"},
    {"s3:/bucket", NULL, "names no blob store"},
};

static void forms_are_read(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct cairn_buf path = {0};
        struct cairn_err err;
        enum cairn_code code = blob_folder_of(forms[i].url, &path, &err);

        if (forms[i].path && (code != CAIRN_OK || strcmp((const char *)path.data, forms[i].path) != 0))
            fail_msg("'%s': %s", forms[i].url, code == CAIRN_OK ? (const char *)path.data : err.text);
        if (!forms[i].path && (code != CAIRN_EINVAL || !strstr(err.text, forms[i].why)))
            fail_msg("'%s': %s", forms[i].url, code == CAIRN_OK ? "is taken" : err.text);
        cairn_buf_done(&path);
    }
}

static void s3_forms_are_refused(void **unused)
{
    static const char *const wrong[] = {
        "s3://",
        "s3://a/b",
        "s3:///b",
        "s3://buc ket/b",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/b%20c",
        "s3://bucket/b?region=",
        "s3://bucket/b?endpoint=ftp://host",
        "s3://bucket/b?endpoint=http://",
        "s3://bucket/b?what=1",
        "s3://key:secret@bucket/b",
    };

    (void)unused;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct cairn_blob *blob = NULL;
        struct cairn_err err;

        if (cairn_blob_open(wrong[i], &blob, &err) != CAIRN_EINVAL)
            fail_msg("'%s'", wrong[i]);
        assert_null(strstr(err.text, "secret"));
    }
}

static char folder[64];

static int enter_folder(void **unused)
{
    (void)unused;
    strcpy(folder, "/tmp/cairn-url-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **unused)
{
    char command[100];

    (void)unused;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") || system(command);
}

static struct cairn_blob *must_open(const char *format, const char *in)
{
    struct cairn_blob *blob;
    struct cairn_err err;
    char url[200];

    snprintf(url, sizeof url, format, in);
    if (cairn_blob_open(url, &blob, &err) != CAIRN_OK)
        fail_msg("'%s': %s", url, err.text);
    return blob;
}

static void a_folder_has_one_url(void **unused)
{
    static const char *const ways[] = {"b%%20c",       "./b%%20c/",        "%s/b%%20c",
                                       "%s//./b%%20c", "file:%s/b%%2520c", "file://localhost%s/b%%2520c"};

    (void)unused;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char want[100];
        struct cairn_blob *blob = must_open(ways[i], folder);

        snprintf(want, sizeof want, "%s/b%%20c", folder);
        assert_string_equal(blob->url, want);
        cairn_blob_close(blob);
    }
}

static void folders_lie_apart(void **unused)
{
    static const struct {
        const char *blob;
        bool apart;
    } cases[] = {{"data", false},     {"./data/", false}, {"data/blob", false}, {".", false},
                 {"data-blob", true}, {"dat", true},      {"blob", true},       {"data/../blob", true}};
    struct cairn_disk *data;
    struct cairn_err err;

    (void)unused;
    assert_int_equal(cairn_disk_open("data", &data, &err), CAIRN_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cairn_blob *blob = must_open("%s", cases[i].blob);

        if (cairn_blob_check_apart(blob, "data", &err) != (cases[i].apart ? CAIRN_OK : CAIRN_EINVAL))
            fail_msg("'%s'", cases[i].blob);
        cairn_blob_close(blob);
    }
    cairn_disk_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_read),
        cmocka_unit_test(s3_forms_are_refused),
        cmocka_unit_test_setup_teardown(a_folder_has_one_url, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(folders_lie_apart, enter_folder, leave_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
