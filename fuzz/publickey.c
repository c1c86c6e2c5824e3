/*
 * The public key subsystem (RFC 4819): the first byte chooses the end and how its bytes come; the rest is
 * what the other end says. What comes out is held to what the functions promise.
 */
#include <stdlib.h>
#include <string.h>

#include "mutator.h"
#include "publickey/client.h"

const fuzz_shape fuzz_input_shape = {FUZZ_MESSAGES, 1};

enum { CLIENT = 1, IN_PIECES = 2, LAZY = 4, KEYS = 40 };

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

/* ---- server -------------------------------------------------------------------------------------------- */

static uint32_t add_key(void *user, const nacre_publickey_entry *e, bool overwrite, char *text,
                        size_t size)
{
    (void)user;
    insist(e->attribute_count <= NC_PKS_MAX_ATTRIBUTES && size > 0 && text[0] == '\0');
    for (size_t i = 0; i < e->attribute_count; i++) {
        insist(nc_span_is(e->attributes[i].name, "comment"));
    }
    memset(text, 'x', size); /* not even terminated */
    return overwrite ? NACRE_PUBLICKEY_SUCCESS : 77;
}

static uint32_t remove_key(void *user, nacre_span algorithm, nacre_span blob, char *text,
                           size_t size)
{
    (void)user;
    (void)algorithm;
    (void)text;
    (void)size;
    return blob.n % 2 ? NACRE_PUBLICKEY_SUCCESS : NACRE_PUBLICKEY_KEY_NOT_FOUND;
}

static bool show_key(void *user, size_t index, nacre_publickey_entry *out)
{
    static uint8_t blob[8000];
    (void)user;
    out->algorithm = nc_span("type", 4);
    out->blob = nc_span(blob, index * 200);
    return index < KEYS;
}

static void serve(nacre_span in, uint8_t flags)
{
    static const nacre_publickey_supported known[] = {{"comment", false}};
    static const nacre_publickey_ops ops = {add_key, remove_key, show_key, known, 1};
    nacre_publickey_server *s = NULL;
    insist(nacre_publickey_server_new(&s, NULL, &ops, NULL) == NACRE_OK);
    while (in.n) {
        nacre_span some = fuzz_take(&in, flags & IN_PIECES ? 1 : in.n);
        int rc = nacre_publickey_server_input(s, some);
        insist((rc != NACRE_OK) == (nacre_publickey_server_error(s)->status != NACRE_OK));
        nacre_span out = nacre_publickey_server_output(s);
        insist(out.n <= NC_PKS_MAX_OUTPUT);
        if (!(flags & LAZY)) {
            (void)nacre_publickey_server_sent(s, out.n);
        }
        if (rc != NACRE_OK) {
            break;
        }
    }
    for (int i = 0; i < 100000 && nacre_publickey_server_output(s).n; i++) {
        (void)nacre_publickey_server_sent(s, 1000);
    }
    insist(nacre_publickey_server_output(s).n == 0);
    nacre_publickey_server_free(s);
}

/* ---- client -------------------------------------------------------------------------------------------- */

static int ask(nc_pks_client *c, unsigned turn)
{
    nacre_publickey_attribute a = {nc_span("comment", 7), nc_span("x", 1), true};
    nacre_publickey_entry e = {nc_span("t", 1), nc_span("b", 1), &a, 1};
    switch (turn % 4) {
    case 0:
        return nc_pks_client_list(c);
    case 1:
        return nc_pks_client_add(c, &e, false);
    case 2:
        return nc_pks_client_known(c);
    default:
        return nc_pks_client_remove(c, e.algorithm, e.blob);
    }
}

static void hear(nacre_span in, uint8_t flags)
{
    nc_pks_client c;
    nc_pks_event ev;
    unsigned turn = flags >> 3;
    insist(nc_pks_client_init(&c, NULL) == NACRE_OK);
    int rc = NACRE_OK;
    while (in.n && (rc == NACRE_OK || rc == NACRE_AGAIN)) {
        rc = nc_pks_client_input(&c, fuzz_take(&in, flags & IN_PIECES ? 1 : in.n));
        while (rc == NACRE_OK) {
            rc = nc_pks_client_next(&c, &ev);
            if (rc != NACRE_OK) {
                break;
            }
            insist(ev.entry.attribute_count <= NC_PKS_MAX_ATTRIBUTES);
            insist(ev.news != NC_PKS_OVER || ev.status == NACRE_OK || c.error.status == ev.status);
            if (ev.news == NC_PKS_READY || ev.news == NC_PKS_OVER) {
                insist(ask(&c, turn++) == NACRE_OK);
                nc_queue_consume(&c.pipe.out, nc_queue_len(&c.pipe.out));
            }
        }
    }
    insist(rc == NACRE_OK || rc == NACRE_AGAIN || c.state == NC_PKS_BROKEN);
    nc_pks_client_clear(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    (flags & CLIENT ? hear : serve)(in, flags);
    return 0;
}
