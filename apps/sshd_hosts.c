/*
 * sshd_hosts.c - hostbased: is the client's host believed when it names its user? The engine has verified
 * that the host signed.
 */
#include "sshd.h"

#include <nacre/hostbased.h>

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

/* The name that the address resolves to, if that resolves to the address; false: it has none. */
static bool peer_name(const char *address, char *out, size_t size)
{
    struct addrinfo hints, *self = NULL, *there = NULL;
    bool same = false;
    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST;
    if (getaddrinfo(address, NULL, &hints, &self) != 0) {
        return false;
    }
    hints.ai_flags = 0;
    if (getnameinfo(self->ai_addr, self->ai_addrlen, out, (socklen_t)size, NULL, 0, NI_NAMEREQD) ==
            0 &&
        getaddrinfo(out, NULL, &hints, &there) == 0) {
        for (const struct addrinfo *a = there; a && !same; a = a->ai_next) {
            same = a->ai_addrlen == self->ai_addrlen &&
                   memcmp(a->ai_addr, self->ai_addr, a->ai_addrlen) == 0;
        }
        freeaddrinfo(there);
    }
    freeaddrinfo(self);
    return same;
}

bool hosts_allow(login *l, const nacre_event *ev)
{
    static const nacre_rhosts_use uses[] = {NACRE_RHOSTS_BOTH, NACRE_RHOSTS_NONE,
                                            NACRE_RHOSTS_SHOSTS_ONLY};
    nacre_hostbased_rules rules;
    nacre_error why = {0};
    char name[NI_MAXHOST];
    rights_before b;
    nacre_hostbased_rules_init(&rules);
    rules.name_from_packet_only = l->s->hostbased_name_from_packet != 0;
    rules.user_files = uses[l->s->ignore_rhosts];
    rules.user_known_hosts = !l->s->ignore_user_known_hosts;
    rules.strict_modes = l->s->strict_modes != 0;
    nacre_hostbased_claim claim = {.account = l->account,
                                   .key = ev->u.auth.key,
                                   .client_host = ev->u.auth.client_host,
                                   .client_user = ev->u.auth.client_user,
                                   .peer_address = nacre_server_conn_peer(l->c)->address};
    if (l->s->use_dns && peer_name(claim.peer_address, name, sizeof(name))) {
        claim.peer_name = name;
    }
    bool good =
        rights_borrow(l->account, &b) && nacre_hostbased_check(&rules, &claim, &why) == NACRE_OK;
    rights_return(&b);
    if (!good) {
        say(LOG_LEVEL_INFO, "hostbased for %s refused: %s", plain_text(l->user),
            why.text[0] ? why.text : strerror(errno));
        return false;
    }
    say(LOG_LEVEL_VERBOSE, "hostbased: %s of %s may be %s", plain(ev->u.auth.client_user),
        plain(ev->u.auth.client_host), plain_text(l->user));
    return true;
}
