#include "agent_script.h"
#include "../keys/keydata.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int script_read(void *user, uint8_t *p, size_t n, uint32_t timeout_ms, size_t *got)
{
    script *s = user;
    size_t left = s->replies.len - s->at;
    (void)timeout_ms;
    *got = 0;
    if (left == 0) {
        return s->at_end;
    }
    n = n < left ? n : left;
    n = s->piece && n > s->piece ? s->piece : n;
    memcpy(p, s->replies.data + s->at, n);
    s->at += n;
    *got = n;
    return NACRE_OK;
}

static int script_write(void *user, const uint8_t *p, size_t n, uint32_t timeout_ms)
{
    script *s = user;
    (void)timeout_ms;
    return nc_buf_append(&s->heard, p, n);
}

static void script_close(void *user)
{
    script *s = user;
    assert_false(s->closed);
    s->closed = true;
}

void script_init(script *s)
{
    memset(s, 0, sizeof(*s));
    nc_buf_init(&s->replies, NULL, 16 * 1024 * 1024);
    nc_buf_init(&s->heard, NULL, 16 * 1024 * 1024);
}

void script_clear(script *s)
{
    nc_buf_clear(&s->replies);
    nc_buf_clear(&s->heard);
}

nacre_agent_stream script_stream(script *s)
{
    nacre_agent_stream stream = {script_read, script_write, script_close, s};
    return stream;
}

static size_t open_mark;

nc_wr script_begin(script *s, uint8_t type)
{
    nc_wr w = nc_wr_init(&s->replies);
    open_mark = nc_wr_begin_str(&w);
    nc_wr_u8(&w, type);
    return w;
}

void script_end(script *s, nc_wr *w)
{
    (void)s;
    nc_wr_end_str(w, open_mark);
    assert_int_equal(nc_wr_err(w), NACRE_OK);
}

void script_say(script *s, uint8_t type)
{
    nc_wr w = script_begin(s, type);
    script_end(s, &w);
}

void script_say_keys(script *s, uint32_t count, nacre_key *const *keys, size_t n)
{
    static const uint8_t strange[] = {0, 0, 0, 3, 'x', '-', 'y', 1, 2, 3};
    nc_wr w = script_begin(s, SSH_AGENT_IDENTITIES_ANSWER);
    nc_wr_u32(&w, count);
    for (size_t i = 0; i < n; i++) {
        nc_wr_str(&w, keys[i] ? nacre_key_blob(keys[i]) : nc_span(strange, sizeof(strange)));
        nc_wr_cstr(&w, keys[i] ? nacre_key_type(keys[i]) : "strange");
    }
    script_end(s, &w);
}

void script_say_signature(script *s, const nacre_key *key, const char *algorithm, nacre_span data)
{
    uint8_t *sig;
    size_t n;
    assert_int_equal(nacre_key_sign(key, algorithm, data, &sig, &n), NACRE_OK);
    nc_wr w = script_begin(s, SSH_AGENT_SIGN_RESPONSE);
    nc_wr_str(&w, nc_span(sig, n));
    script_end(s, &w);
    nacre_secret_free(NULL, sig, n);
}

/* ---- keys ---- */

static struct {
    const char *type;
    nacre_key *key;
} made[8];

nacre_key *test_key(const char *type)
{
    size_t i = 0;
    while (i < 8 && made[i].type && strcmp(made[i].type, type) != 0) {
        i++;
    }
    assert_true(i < 8);
    if (!made[i].type) {
        size_t n = strcspn(type, "0123456789");
        char name[16] = {0};
        if (strcmp(type, "rsa2048") == 0) {
            made[i].key = keydata_private(type); /* to make one takes seconds under valgrind */
        } else {
            bool sized = strncmp(type, "ed25519", 7) != 0;
            memcpy(name, type, sized ? n : 7);
            assert_int_equal(nacre_key_generate(&made[i].key, NULL, name,
                                                sized ? (uint32_t)strtoul(type + n, NULL, 10) : 0,
                                                NULL),
                             NACRE_OK);
        }
        made[i].type = type;
    }
    return made[i].key;
}

void test_keys_free(void)
{
    for (size_t i = 0; i < 8; i++) {
        nacre_key_free(made[i].key);
        made[i].key = NULL;
        made[i].type = NULL;
    }
}
