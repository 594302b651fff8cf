/* Would catch: races and leaks where everything meets (under TSan and ASan): a whole node on a real folder, 2 workers,
 * clients of both protocols at once, deploys while calls run, metrics while both, a stop in the middle of a load, and a
 * start on what it left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "io/dial.h"
#include "server/house.h"
#include "server/server.h"

enum { CLIENTS = 4, POSTS = 60 };

struct rig {
    char folder[64];
    struct cairn_server *server;
    struct cairn_address http, resp; /* known when the server is gone, too */
    struct cairn_house *house;
    pthread_t thread;
    bool finished;
};

static struct cairn_buf wasm;

static void *run(void *context)
{
    struct rig *rig = context;

    rig->finished = cairn_server_run(rig->server);
    return NULL;
}

static void start(struct rig *rig)
{
    struct cairn_server_options server = {.http = "0", .resp = "0", .workers = 2, .clock = cairn_clock_system()};
    struct cairn_house_options house = {.data = rig->folder, .workers = 2, .wake = cairn_server_wake};
    struct cairn_err err;

    if (cairn_server_create(&server, &rig->server, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    house.wake_context = rig->server;
    if (cairn_house_open(&house, &rig->house, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    if (cairn_server_start(rig->server, cairn_house_backend(rig->house), &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    rig->http = *cairn_server_http(rig->server);
    rig->resp = *cairn_server_resp(rig->server);
    assert_int_equal(pthread_create(&rig->thread, NULL, run, rig), 0);
}

static void stop(struct rig *rig)
{
    struct cairn_err err;

    cairn_server_stop(rig->server);
    pthread_join(rig->thread, NULL);
    if (cairn_house_close(rig->house, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    cairn_server_destroy(rig->server);
}

/* Sends and takes one line back; false: the node is gone or refuses. */
static bool ask(int fd, struct cairn_bytes command, char reply[256])
{
    size_t used = 0;

    if (cairn_dial_send(fd, command, NULL) != CAIRN_OK)
        return false;
    do {
        size_t n;

        if (cairn_dial_receive(fd, reply + used, 255 - used, &n, NULL) != CAIRN_OK || n == 0)
            return false;
        used += n;
        reply[used] = 0;
    } while (reply[used - 1] != '\n');
    return reply[0] != '-';
}

static void deploy(struct rig *rig)
{
    struct cairn_buf command = {0};
    char reply[256];
    struct cairn_err err;
    int fd;

    if (cairn_dial(&rig->resp, 20000, &fd, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    cairn_resp_array(&command, 3);
    cairn_resp_text(&command, "FUNCTION");
    cairn_resp_text(&command, "LOAD");
    cairn_resp_bulk(&command, cairn_buf_bytes(&wasm));
    if (!ask(fd, cairn_buf_bytes(&command), reply))
        fail_msg("%s", reply);
    cairn_buf_done(&command);
    cairn_dial_close(fd);
}

struct client {
    pthread_t thread;
    struct rig *rig;
    int number, posted, most;
};

static void *post(void *context)
{
    struct client *client = context;
    struct cairn_err err;
    char reply[256];
    int fd;

    if (cairn_dial(&client->rig->resp, 20000, &fd, &err) != CAIRN_OK)
        return NULL;
    for (; client->posted < client->most; client->posted++) {
        char command[128];

        snprintf(command, sizeof command, "FCALL User.post 1 u%d %d\r\n", client->number, client->posted);
        if (!ask(fd, cairn_str(command), reply))
            break;
    }
    cairn_dial_close(fd);
    return NULL;
}

/* Metrics, types and an object, as quickly as they come, until the node stops. */
static void *look(void *context)
{
    static const char *const targets[] = {"/metrics", "/v1/types", "/v1/objects/User/u0", "/v1/logs", "/readyz"};
    struct rig *rig = context;
    bool there = true;

    for (int i = 0; there; i++) {
        struct cairn_http_reader *reader = cairn_http_reader_create(1 << 20, false);
        char request[128], bytes[4096];
        size_t n = 1;
        int fd;

        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                 targets[i % 5]);
        there = cairn_dial(&rig->http, 20000, &fd, NULL) == CAIRN_OK;
        if (there) {
            there = cairn_dial_send(fd, cairn_str(request), NULL) == CAIRN_OK;
            while (there && n > 0 && cairn_dial_receive(fd, bytes, sizeof bytes, &n, NULL) == CAIRN_OK)
                if (cairn_http_reader_take(reader, cairn_bytes(bytes, n), NULL) != CAIRN_OK)
                    break;
            there = cairn_http_reader_reply(reader)->complete;
            cairn_dial_close(fd);
        }
        cairn_http_reader_destroy(reader);
    }
    return NULL;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static uint64_t count_posts(struct rig *rig, int number)
{
    char command[128], reply[256];
    struct cairn_err err;
    int fd;

    if (cairn_dial(&rig->resp, 20000, &fd, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    snprintf(command, sizeof command, "FCALL_RO User.posts 1 u%d 1000\r\n", number);
    assert_int_equal(cairn_dial_send(fd, cairn_str(command), &err), CAIRN_OK);
    for (size_t used = 0; used < 1 || !memchr(reply, '\n', used);) {
        size_t n;

        assert_int_equal(cairn_dial_receive(fd, reply + used, sizeof reply - used, &n, &err), CAIRN_OK);
        used += n;
    }
    assert_int_equal(reply[0], '*');
    cairn_dial_close(fd);
    return strtoull(reply + 1, NULL, 10);
}

static void post_all(struct rig *rig, struct client clients[CLIENTS], int most)
{
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.rig = rig, .number = i, .most = most};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, post, &clients[i]), 0);
    }
}

static void test_a_whole_node(void **state)
{
    struct rig rig = {.folder = "/tmp/cairn-house-XXXXXX"};
    struct client clients[CLIENTS];
    int acknowledged[CLIENTS];
    pthread_t looker;

    (void)state;
    assert_non_null(mkdtemp(rig.folder));
    start(&rig);
    deploy(&rig);
    assert_int_equal(pthread_create(&looker, NULL, look, &rig), 0);
    post_all(&rig, clients, POSTS);
    deploy(&rig); /* once more, while calls run */
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].posted, POSTS);
        assert_int_equal(count_posts(&rig, i), POSTS);
    }
    post_all(&rig, clients, 1000000); /* until it stops */
    usleep(100000);
    stop(&rig);
    assert_true(rig.finished);
    pthread_join(looker, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        acknowledged[i] = POSTS + clients[i].posted;
    }

    start(&rig);
    for (int i = 0; i < CLIENTS; i++) {
        uint64_t found = count_posts(&rig, i);

        assert_int_equal(found, acknowledged[i] < 1000 ? acknowledged[i] : 1000);
    }
    stop(&rig);
    nftw(rig.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_two_on_one_folder(void **state)
{
    struct rig rig = {.folder = "/tmp/cairn-house-XXXXXX"};
    struct cairn_house_options options = {.data = rig.folder, .workers = 1, .wake = cairn_server_wake};
    struct cairn_house *second;
    struct cairn_err err;

    (void)state;
    assert_non_null(mkdtemp(rig.folder));
    start(&rig);
    assert_int_equal(cairn_house_open(&options, &second, &err), CAIRN_ELOCKED);
    options.engine = "nosuch";
    assert_int_equal(cairn_house_open(&options, &second, &err), CAIRN_EINVAL);
    stop(&rig);
    nftw(rig.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_node),
        cmocka_unit_test(test_two_on_one_folder),
    };
    const char *guests = getenv("CAIRN_GUESTS");
    char path[4096];
    FILE *file;
    int status;

    signal(SIGPIPE, SIG_IGN);
    snprintf(path, sizeof path, "%s/retwis.wasm", guests ? guests : "build");
    file = fopen(path, "rb");
    if (!file) {
        printf("%s was not built (is clang there?)\n", path);
        return 77;
    }
    wasm.size = fread(cairn_buf_reserve(&wasm, 1 << 20), 1, 1 << 20, file);
    fclose(file);
    status = cmocka_run_group_tests(tests, NULL, NULL);
    cairn_buf_done(&wasm);
    return status;
}
