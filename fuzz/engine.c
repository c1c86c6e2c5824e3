/*
 * A whole engine before login, in cleartext, or one without a transport of its own, as clients of a shared
 * connection have it: the first byte chooses which, the role, and how bytes are cut; the rest is what the peer
 * says. Every question is answered yes, as a careless application would.
 */
#include <stdlib.h>
#include <string.h>

#include "mutator.h"
#include "nacre/channel.h"
#include "nacre/transport.h"

const fuzz_shape fuzz_input_shape = {FUZZ_PACKETS, 1};

enum { MAX_EVENTS = 10000 };

static nacre_key *host_key(void)
{
    static nacre_key *key; /* made once: key generation is no part of the target */
    if (!key && nacre_key_generate(&key, NULL, "ed25519", 0, NULL) != NACRE_OK) {
        abort();
    }
    return key;
}

static bool step(nacre_transport *t)
{
    nacre_event ev;
    for (int i = 0; i < MAX_EVENTS; i++) {
        int rc = nacre_transport_next_event(t, &ev);
        if (rc != NACRE_OK) {
            return rc == NACRE_AGAIN;
        }
        if (ev.ticket) {
            (void)nacre_transport_accept(t, ev.ticket);
        }
        if (ev.type == NACRE_EVENT_CHANNEL_DATA) {
            (void)nacre_channel_consumed(ev.channel, ev.u.data.bytes.n);
        }
    }
    abort(); /* events without end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    uint64_t seed = 1;
    nacre_config cfg;
    nacre_transport *t = NULL;
    bool proxied = flags & 4;
    nacre_config_init(&cfg, flags & 1 ? NACRE_SERVER : NACRE_CLIENT);
    cfg.random = fuzz_random;
    cfg.random_user = &seed;
    int rc = proxied ? nacre_transport_new_proxied(&t, &cfg, 0, NULL)
                     : nacre_transport_new(&t, &cfg, 0, NULL);
    if (rc != NACRE_OK) {
        return 0;
    }
    if (!proxied) {
        rc = cfg.role == NACRE_SERVER ? nacre_transport_add_host_key(t, host_key())
                                      : nacre_transport_auth_none(t, "user");
    }
    bool more = rc == NACRE_OK && step(t);
    while (more && in.n) {
        size_t room = 0;
        uint8_t *to = nacre_transport_recv_buffer(t, &room);
        nacre_span piece = fuzz_take(&in, flags & 2 ? 1 : room);
        if (!to || !piece.n) {
            break;
        }
        memcpy(to, piece.p, piece.n);
        more = nacre_transport_received(t, piece.n) == NACRE_OK && step(t);
        nacre_transport_sent(t, nacre_transport_output(t).n);
    }
    if (more && nacre_transport_received(t, 0) == NACRE_OK && step(t)) {
        abort(); /* the end of input must end the connection */
    }
    nacre_transport_free(t);
    return 0;
}
