/*
 * sshd_rehearse.c - a key exchange with ourselves, in memory, before the first connection: what the
 * dynamic linker, libcrypto and the C library do at first use is done once here, and every child that
 * is forked afterwards finds it done. Nothing depends on how it ends.
 */
#include "sshd.h"

#include <pwd.h>
#include <string.h>
#include <time.h>

typedef struct side {
    nacre_transport *t;
    bool keyed;
} side;

static bool make_side(side *s, const sshd *d, nacre_role role, const char *cipher)
{
    nacre_config cfg;
    nacre_config_init(&cfg, role);
    cfg.cipher_c2s = cipher;
    cfg.cipher_s2c = cipher;
    if (role == NACRE_SERVER) {
        cfg.kex = d->s->kex;
    }
    if (nacre_transport_new(&s->t, &cfg, 0, NULL) != NACRE_OK) {
        return false;
    }
    for (size_t i = 0; role == NACRE_SERVER && i < d->key_count; i++) {
        if (nacre_transport_add_host_key(s->t, d->keys[i]) != NACRE_OK) {
            return false;
        }
    }
    return true;
}

static void run_side(side *s)
{
    nacre_event ev;
    while (nacre_transport_next_event(s->t, &ev) == NACRE_OK) {
        if (ev.type == NACRE_EVENT_HOST_KEY) {
            (void)nacre_transport_accept(s->t, ev.ticket);
        }
        s->keyed = s->keyed || ev.type == NACRE_EVENT_KEX_DONE;
    }
}

/* False: nothing was there to carry. */
static bool carry(side *from, side *to)
{
    size_t room = 0;
    nacre_span out = nacre_transport_output(from->t);
    uint8_t *in = nacre_transport_recv_buffer(to->t, &room);
    size_t n = out.n < room ? out.n : room;
    if (n == 0 || !in) {
        return false;
    }
    memcpy(in, out.p, n);
    nacre_transport_sent(from->t, n);
    return nacre_transport_received(to->t, n) == NACRE_OK;
}

static void exchange(const sshd *d, const char *cipher)
{
    side client = {NULL, false}, server = {NULL, false};
    bool moved =
        make_side(&client, d, NACRE_CLIENT, cipher) && make_side(&server, d, NACRE_SERVER, cipher);
    while (moved && !(client.keyed && server.keyed)) {
        run_side(&client);
        run_side(&server);
        moved = carry(&client, &server);
        moved = carry(&server, &client) || moved;
    }
    nacre_transport_free(client.t);
    nacre_transport_free(server.t);
}

void rehearse(const sshd *d)
{
    /* One whose cipher stands alone, and one whose cipher is libcrypto's AEAD. */
    exchange(d, "chacha20-poly1305@openssh.com");
    exchange(d, "aes128-gcm@openssh.com");
    /*
     * Root is in the first file that is asked, so that no directory service is: a start must not wait
     * for the network. Hence no groups here.
     */
    struct passwd row, *found = NULL;
    char text[4096];
    (void)getpwuid_r(0, &row, text, sizeof(text), &found);
    tzset();
}
