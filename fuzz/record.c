/*
 * record.c - writes seeds for the whole-engine targets: conversations of the loop tests (tests/support) on null
 * cryptography, as either end heard them, with what its application did in between.
 *
 *     fuzz_record DIRECTORY STAMP
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/sftp_pair.h"

enum { MOST = 64 * 1024, RECORD_MOST = 0xFFF, HEAD = 5 };

/* What one end hears. */
typedef struct ear {
    uint8_t stream[MOST]; /* not yet a whole packet */
    size_t stream_n;
    bool greeted; /* the version line has come */
    uint8_t records[MOST];
    size_t n;
    size_t login; /* where the login was done; 0: it was not */
} ear;

static ear ears[2];
static bool (*inner)(pair *p, int who, const nacre_event *ev);

static void add(ear *e, uint8_t bits, const uint8_t *p, size_t n)
{
    if (n > RECORD_MOST || e->n + 2 + n > sizeof(e->records)) {
        return;
    }
    e->records[e->n] = (uint8_t)(bits | n >> 8);
    e->records[e->n + 1] = (uint8_t)n;
    memcpy(e->records + e->n + 2, p, n);
    e->n += 2 + n;
}

static void act(ear *e, uint8_t op, uint8_t arg)
{
    if (e->n + 2 <= sizeof(e->records)) {
        e->records[e->n++] = op;
        e->records[e->n++] = arg;
    }
}

/* Takes one line or packet off the stream; false: there is none. */
static bool take_one(ear *e)
{
    size_t n = 0;
    if (!e->greeted) {
        const uint8_t *lf = memchr(e->stream, '\n', e->stream_n);
        n = lf ? (size_t)(lf - e->stream) + 1 : 0;
        e->greeted = n > 0;
        add(e, 0x40, e->stream, n);
    } else if (e->stream_n >= 5 && e->stream_n >= 4 + nc_get_u32(e->stream)) {
        n = 4 + (size_t)nc_get_u32(e->stream);
        add(e, 0, e->stream + 5, n - 5 - e->stream[4]);
    }
    memmove(e->stream, e->stream + n, e->stream_n - n);
    e->stream_n -= n;
    return n > 0;
}

static void hear(pair *p, int from, uint8_t *bytes, size_t n)
{
    ear *e = &ears[1 - from];
    (void)p;
    if (n > sizeof(e->stream) - e->stream_n) {
        abort();
    }
    memcpy(e->stream + e->stream_n, bytes, n);
    e->stream_n += n;
    while (take_one(e)) {
    }
}

/* What app.c has to do at this event to keep up; it accepts channels by itself. */
static bool watch(pair *p, int who, const nacre_event *ev)
{
    ear *e = &ears[who];
    bool in = who == NACRE_SERVER
                  ? ev->type == NACRE_EVENT_AUTHENTICATED
                  : ev->type == NACRE_EVENT_AUTH_RESULT && ev->u.auth_result.status == NACRE_OK;
    if (ev->ticket && ev->type != NACRE_EVENT_CHANNEL_OPEN) {
        act(e, 0xC8, 0x40);
    }
    if (in) {
        e->login = e->n;
    }
    for (size_t i = 0; in && who == NACRE_CLIENT && i < (p->channels ? p->channels : 1); i++) {
        act(e, 0xC0, 0);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_OPENED) {
        act(e, 0x86, 5);
        act(e, 0x80, 20);
    }
    return inner && inner(p, who, ev);
}

static void write_seed(const char *root, const char *target, const char *name, const uint8_t *p,
                       size_t n)
{
    static const uint8_t head[HEAD];
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", root, target);
    (void)mkdir(root, 0777);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s", root, target, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(head, 1, HEAD, f) != HEAD || fwrite(p, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static void write_seeds(const char *root, const char *name)
{
    static const char *const targets[2][2] = {{"client_login", "client_session"},
                                              {"server_login", "server_session"}};
    for (int who = 0; who < 2; who++) {
        const ear *e = &ears[who];
        if (!e->login) {
            fprintf(stderr, "%s: nobody logged in\n", name);
            exit(1);
        }
        write_seed(root, targets[who][0], name, e->records, e->n);
        write_seed(root, targets[who][1], name, e->records + e->login, e->n - e->login);
    }
}

static void listen_in(pair *p, const char *kex)
{
    memset(ears, 0, sizeof(ears));
    inner = p->hook;
    p->hook = watch;
    p->wire = hear;
    for (int who = 0; who < 2; who++) {
        p->config[who].kex = kex;
        p->config[who].compression_c2s = p->config[who].compression_s2c = "none";
    }
}

static void rekey_once(pair *p)
{
    if (p->client[0].received > 0 && p->end[0].seen[NACRE_EVENT_KEX_DONE] == 1) {
        (void)nacre_transport_rekey(p->end[0].t);
    }
}

static void record_echo(const char *root, const char *name, const char *kex, bool noise)
{
    pair p;
    pair_init(&p, 1);
    p.channels = 2;
    p.bytes = 500;
    p.noise = noise;
    p.round = noise ? rekey_once : NULL;
    listen_in(&p, kex);
    if (pair_start(&p, NULL) != NACRE_OK) {
        exit(1);
    }
    pair_run(&p);
    write_seeds(root, name);
    pair_free(&p);
}

static void record_sftp(const char *root)
{
    sftp_pair s;
    sftp_pair_init(&s, 2);
    listen_in(&s.p, "curve25519-sha256");
    if (sftp_pair_start(&s) != NACRE_OK) {
        exit(1);
    }
    pair_run(&s.p);
    write_seeds(root, "recorded_sftp");
    sftp_pair_free(&s);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    record_echo(argv[1], "recorded_echo", "curve25519-sha256", false);
    record_echo(argv[1], "recorded_noise", "mlkem768x25519-sha256", true);
    record_echo(argv[1], "recorded_group", "diffie-hellman-group-exchange-sha256", false);
    record_sftp(argv[1]);
    pair_keys_free();
    FILE *stamp = fopen(argv[2], "wb");
    return stamp && fclose(stamp) == 0 ? 0 : 1;
}
