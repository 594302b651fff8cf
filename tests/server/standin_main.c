/* The real server over the stand-in node: for measuring the fronts alone, and for trying clients by hand.
 * standin [WORKERS [HTTP [RESP]]] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/server.h"
#include "server/standin.h"

int main(int argc, char **argv)
{
    struct cairn_server_options options = {
        .workers = argc > 1 ? (uint32_t)atoi(argv[1]) : 1,
        .http = argc > 2 ? argv[2] : "0",
        .resp = argc > 3 ? argv[3] : "0",
        .clock = cairn_clock_system(),
        .signals = true,
    };
    char http[CAIRN_ADDRESS_TEXT_BYTES], resp[CAIRN_ADDRESS_TEXT_BYTES];
    struct cairn_server *server;
    struct standin *standin;
    struct cairn_err err;

    signal(SIGPIPE, SIG_IGN);
    cairn_raise_file_limit();
    if (cairn_server_create(&options, &server, &err) != CAIRN_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    standin = standin_create(options.workers, cairn_server_wake, server);
    if (cairn_server_start(server, standin_backend(standin), &err) != CAIRN_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("http %s\nresp %s\n", cairn_address_format(cairn_server_http(server), http),
           cairn_address_format(cairn_server_resp(server), resp));
    fflush(stdout);
    cairn_server_run(server);
    standin_destroy(standin);
    cairn_server_destroy(server);
    return 0;
}
