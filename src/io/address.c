#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/loop.h"

/* True and *ret_port if the text is a port number. */
static bool port_of(const char *text, uint16_t *ret_port)
{
    unsigned long port = 0;

    if (!*text || strlen(text) > 5)
        return false;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        port = port * 10 + (unsigned long)(*at - '0');
    }
    if (port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* Cuts the text into a host ("" if there is none) and a port. */
static bool split(const char *text, uint16_t *port, char *host, size_t host_bytes)
{
    const char *end, *from = text, *colon = strrchr(text, ':');

    host[0] = 0;
    if (port_of(text, port))
        return true;
    if (*text == '[') {
        from = text + 1;
        end = strchr(text, ']');
        if (!end || (end[1] && (end[1] != ':' || !port_of(end + 2, port))))
            return false;
    } else if (colon && strchr(text, ':') == colon) {
        end = colon;
        if (!port_of(colon + 1, port))
            return false;
    } else {
        end = text + strlen(text); /* a name, or a bare address of version 6 */
    }
    if ((size_t)(end - from) >= host_bytes)
        return false;
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = 0;
    return *text != 0;
}

enum cairn_code cairn_address_parse(const char *text, uint16_t default_port, struct cairn_address *ret_address,
                                    struct cairn_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    uint16_t port = default_port;
    char host[256], service[8];
    int status;

    if (!split(text, &port, host, sizeof host))
        return cairn_fail(err, CAIRN_EINVAL, "'%s' is not an address: write HOST:PORT, :PORT or PORT", text);
    snprintf(service, sizeof service, "%u", port);
    status = getaddrinfo(strcmp(host, "localhost") == 0 || !*host ? "127.0.0.1" : host, service, &hints, &found);
    if (status != 0)
        return cairn_fail(err, CAIRN_EINVAL, "there is no address for '%s': %s", host, gai_strerror(status));
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(&ret_address->at, found->ai_addr, found->ai_addrlen);
    ret_address->size = found->ai_addrlen;
    freeaddrinfo(found);
    return CAIRN_OK;
}

bool cairn_address_is_localhost(const char *text)
{
    char host[256];
    uint16_t port;

    return split(text, &port, host, sizeof host) && (!*host || strcmp(host, "localhost") == 0);
}

struct cairn_address cairn_address_loopback6(uint16_t port)
{
    struct cairn_address address = {.size = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *in = (void *)&address.at;

    in->sin6_family = AF_INET6;
    in->sin6_addr = in6addr_loopback;
    in->sin6_port = htons(port);
    return address;
}

bool cairn_address_is_loopback(const struct cairn_address *address)
{
    if (address->at.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)&address->at;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->at.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)&address->at;
        return IN6_IS_ADDR_LOOPBACK(&in->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr) && in->sin6_addr.s6_addr[12] == 127);
    }
    return false;
}

uint16_t cairn_address_port(const struct cairn_address *address)
{
    if (address->at.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address->at)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)&address->at)->sin_port);
}

const char *cairn_address_format(const struct cairn_address *address, char to[CAIRN_ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool six = address->at.ss_family == AF_INET6;

    if (six)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)&address->at)->sin6_addr, host, sizeof host);
    else
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)&address->at)->sin_addr, host, sizeof host);
    snprintf(to, CAIRN_ADDRESS_TEXT_BYTES, six ? "[%s]:%u" : "%s:%u", host, cairn_address_port(address));
    return to;
}
