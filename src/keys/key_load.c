/*
 * key_load.c - private keys from memory and from a caller's reader, with the question for a passphrase.
 *
 * Not here: the formats (key_private.c), files (src/io).
 */
#include "keys/key.h"

#include <string.h>

enum { DEFAULT_TRIES = 3 };

void nacre_key_load_options_init(nacre_key_load_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->tries = DEFAULT_TRIES;
    o->strict = true;
}

void nc_key_load_options(nacre_key_load_options *out, const nacre_key_load_options *given)
{
    nacre_key_load_options_init(out);
    if (given) {
        memcpy(out, given, given->size < sizeof(*out) ? given->size : sizeof(*out));
        out->size = sizeof(*out);
    }
}

static bool wants_passphrase(int rc)
{
    return rc == NACRE_NEED_PASSPHRASE || rc == NACRE_WRONG_PASSPHRASE;
}

/* One question and one attempt with the answer; *answered false: the caller gave up. */
static int ask_once(nacre_key **out, const nacre_allocator *a, nacre_span text,
                    const nacre_key_load_options *o, bool *answered, nacre_error *why)
{
    uint8_t answer[NC_MAX_PASSWORD];
    nacre_room room = {answer, sizeof(answer)};
    size_t n = 0;
    int rc = o->ask(o->ask_user, why, room, &n);
    if (rc == NACRE_OK && n > sizeof(answer)) {
        rc = NACRE_INVALID_ARGUMENT;
    }
    *answered = rc == NACRE_OK;
    if (*answered) {
        nc_error_clear(why);
        rc = nc_key_read_private(out, a, text, nc_span(answer, n), o->insecure_dss, why);
    } else {
        why->status = rc; /* what was asked for stays the best thing to say */
    }
    nc_wipe(answer, sizeof(answer));
    return rc;
}

int nacre_key_load(nacre_key **out, const nacre_allocator *a, nacre_span text,
                   const nacre_key_load_options *options, nacre_error *err)
{
    nacre_key_load_options o;
    nacre_error why;
    bool answered = true;
    nc_key_load_options(&o, options);
    nc_error_clear(&why);
    int rc = nc_key_read_private(out, a, text, o.passphrase, o.insecure_dss, &why);
    for (unsigned i = 0; o.ask && answered && wants_passphrase(rc) && i < o.tries; i++) {
        rc = ask_once(out, a, text, &o, &answered, &why);
    }
    if (err) {
        *err = why;
    }
    return rc;
}

int nacre_key_load_reader(nacre_key **out, const nacre_allocator *a, nacre_key_read_fn read,
                          void *user, const nacre_key_load_options *options, nacre_error *err)
{
    nc_buf text;
    int rc = NACRE_OK;
    *out = NULL;
    nc_error_clear(err);
    nc_buf_init(&text, a, NC_MAX_KEY_FILE);
    for (;;) {
        uint8_t piece[4096];
        nacre_room room = {piece, sizeof(piece)};
        size_t n = 0;
        rc = read(user, room, &n);
        if (rc == NACRE_OK && n > sizeof(piece)) {
            rc = NACRE_INVALID_ARGUMENT;
        }
        bool more = rc == NACRE_OK && n > 0;
        rc = more ? nc_buf_append(&text, piece, n) : rc;
        nc_wipe(piece, sizeof(piece));
        if (!more || rc != NACRE_OK) {
            break;
        }
    }
    if (rc == NACRE_LIMIT) {
        rc = nc_fail(err, NACRE_TOO_LARGE, "a key file of more than %d bytes is not read",
                     NC_MAX_KEY_FILE);
    } else if (rc != NACRE_OK) {
        rc = nc_fail(err, rc, "the key could not be read: %s", nacre_status_text(rc));
    } else {
        rc = nacre_key_load(out, a, nc_buf_span(&text), options, err);
    }
    nc_buf_clear(&text);
    return rc;
}
