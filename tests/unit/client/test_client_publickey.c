/*
 * test_client_publickey.c - the public key subsystem over a whole connection: the blocking calls of a
 * client, and our server behind a channel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client_server.h"
#include "nacre/publickey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the server: up to four keys of one user ----------------------------------------------------------- */

enum { MOST = 4 };

typedef struct store {
    nacre_key *keys[MOST];
    char comments[MOST][64];
    size_t count;
    nacre_publickey_server *machine;
    nacre_publickey_attribute shown;
    bool garbage; /* it says something else than the protocol */
    bool ends;    /* it ends instead of answering */
} store;

static size_t find(const store *t, nacre_span blob)
{
    size_t i = 0;
    while (i < t->count && (nacre_key_blob(t->keys[i]).n != blob.n ||
                            memcmp(nacre_key_blob(t->keys[i]).p, blob.p, blob.n) != 0)) {
        i++;
    }
    return i;
}

static uint32_t add(void *user, const nacre_publickey_entry *e, bool overwrite, char *text,
                    size_t size)
{
    store *t = user;
    size_t i = find(t, e->blob);
    if (i < t->count && !overwrite) {
        (void)snprintf(text, size, "we have it\x1b[2J");
        return NACRE_PUBLICKEY_KEY_ALREADY_PRESENT;
    }
    if (i == MOST) {
        return NACRE_PUBLICKEY_STORAGE_EXCEEDED;
    }
    if (i == t->count && nacre_key_from_blob(&t->keys[i], NULL, e->blob, NULL) != NACRE_OK) {
        return NACRE_PUBLICKEY_KEY_NOT_SUPPORTED;
    }
    t->count += i == t->count ? 1 : 0;
    t->comments[i][0] = '\0';
    if (e->attribute_count) {
        (void)snprintf(t->comments[i], sizeof(t->comments[i]), "%.*s",
                       (int)e->attributes[0].value.n, (const char *)e->attributes[0].value.p);
    }
    return NACRE_PUBLICKEY_SUCCESS;
}

static uint32_t take_away(void *user, nacre_span algorithm, nacre_span blob, char *text,
                          size_t size)
{
    store *t = user;
    size_t i = find(t, blob);
    (void)algorithm;
    (void)text;
    (void)size;
    if (i == t->count) {
        return NACRE_PUBLICKEY_KEY_NOT_FOUND;
    }
    nacre_key_free(t->keys[i]);
    t->keys[i] = t->keys[--t->count];
    memcpy(t->comments[i], t->comments[t->count], sizeof(t->comments[i]));
    return NACRE_PUBLICKEY_SUCCESS;
}

static bool show(void *user, size_t index, nacre_publickey_entry *out)
{
    store *t = user;
    if (index >= t->count) {
        return false;
    }
    out->algorithm = text_span(nacre_key_type(t->keys[index]));
    out->blob = nacre_key_blob(t->keys[index]);
    t->shown.name = text_span("comment");
    t->shown.value = text_span(t->comments[index]);
    out->attributes = &t->shown;
    out->attribute_count = t->comments[index][0] ? 1 : 0;
    return true;
}

static const nacre_publickey_supported known[] = {{"comment", false}, {"from", true}};
static const nacre_publickey_ops ops = {add, take_away, show, known, 2};

static void flush(store *t, nacre_channel *ch)
{
    for (nacre_span o; (o = nacre_publickey_server_output(t->machine)).n;) {
        size_t took = 0;
        assert_int_equal(nacre_channel_write(ch, NACRE_STDOUT, o.p, o.n, &took), NACRE_OK);
        assert_int_equal(took, o.n);
        (void)nacre_publickey_server_sent(t->machine, took);
    }
}

static bool start(stage *s, store *t, const nacre_event *ev)
{
    size_t took = 0;
    if (ev->u.request.command.n != 9 || memcmp(ev->u.request.command.p, "publickey", 9) != 0) {
        return false;
    }
    assert_int_equal(nacre_transport_accept(s->t, ev->ticket), NACRE_OK);
    if (t->garbage) {
        assert_int_equal(nacre_channel_write(ev->channel, NACRE_STDOUT, "Welcome!\n", 9, &took),
                         NACRE_OK);
        return true;
    }
    assert_int_equal(nacre_publickey_server_new(&t->machine, NULL, &ops, t), NACRE_OK);
    flush(t, ev->channel);
    return true;
}

static bool hook(stage *s, const nacre_event *ev)
{
    store *t = s->hook_user;
    if (ev->type == NACRE_EVENT_CHANNEL_REQUEST) {
        return start(s, t, ev);
    }
    if (ev->type == NACRE_EVENT_CHANNEL_DATA && t->machine) {
        assert_int_equal(nacre_channel_consumed(ev->channel, ev->u.data.bytes.n), NACRE_OK);
        assert_int_equal(nacre_publickey_server_input(t->machine, ev->u.data.bytes), NACRE_OK);
        if (t->ends && ev->u.data.bytes.n < 16) { /* "list" */
            (void)nacre_channel_close(ev->channel);
        } else {
            flush(t, ev->channel);
        }
        return true;
    }
    return ev->type == NACRE_EVENT_CHANNEL_DATA;
}

static void clear(store *t)
{
    while (t->count) {
        nacre_key_free(t->keys[--t->count]);
    }
    nacre_publickey_server_free(t->machine);
    memset(t, 0, sizeof(*t));
}

/* ---- the client ------------------------------------------------------------------------------------------ */

typedef struct seen {
    unsigned count, comments, compulsory, stop_at;
} seen;

static bool on_entry(void *user, const nacre_publickey_entry *e)
{
    seen *v = user;
    nacre_key *k = NULL;
    assert_int_equal(nacre_key_from_blob(&k, NULL, e->blob, NULL), NACRE_OK);
    assert_string_equal(nacre_key_type(k), "ssh-ed25519");
    nacre_key_free(k);
    v->comments += (unsigned)e->attribute_count;
    return ++v->count != v->stop_at;
}

static bool on_known(void *user, nacre_span name, bool compulsory)
{
    seen *v = user;
    assert_true(name.n > 0);
    v->count++;
    v->compulsory += compulsory ? 1 : 0;
    return true;
}

static void expect_list(nacre_publickey *p, unsigned count, unsigned comments)
{
    seen v = {0, 0, 0, 0};
    assert_int_equal(nacre_publickey_list(p, on_entry, &v), NACRE_OK);
    assert_int_equal(v.count, count);
    assert_int_equal(v.comments, comments);
}

static void open_both(stage *s, store *t, nacre_publickey **p)
{
    memset(t, 0, sizeof(*t));
    stage_init(s);
    s->hook = hook;
    s->hook_user = t;
    stage_login(s);
    assert_int_equal(nacre_publickey_open(p, s->c, 0, &s->err), NACRE_OK);
}

static void test_keys_come_and_go(void **state)
{
    (void)state;
    stage s;
    store t;
    nacre_publickey *p = NULL;
    nacre_key *keys[MOST + 1];
    nacre_publickey_attribute comment = {text_span("comment"), text_span("mine"), true};
    nacre_publickey_attribute strange = {text_span("x@y"), text_span("z"), true};
    open_both(&s, &t, &p);
    expect_list(p, 0, 0);
    for (size_t i = 0; i <= MOST; i++) {
        assert_int_equal(nacre_key_generate(&keys[i], NULL, "ed25519", 0, NULL), NACRE_OK);
        int rc = nacre_publickey_add(p, keys[i], i ? NULL : &comment, i ? 0 : 1, false);
        assert_int_equal(rc, i < MOST ? NACRE_OK : NACRE_LIMIT);
    }
    expect_list(p, MOST, 1);
    assert_int_equal(nacre_publickey_add(p, keys[0], NULL, 0, false), NACRE_EXISTS);
    const nacre_error *why = nacre_publickey_error(p);
    assert_int_equal(why->detail, NACRE_PUBLICKEY_KEY_ALREADY_PRESENT);
    assert_non_null(strstr(why->text, "we have it"));
    assert_null(strchr(why->text, '\x1b'));
    assert_int_equal(nacre_publickey_add(p, keys[0], NULL, 0, true), NACRE_OK);
    expect_list(p, MOST, 0);
    assert_int_equal(nacre_publickey_add(p, keys[0], &strange, 1, true), NACRE_UNSUPPORTED);
    assert_int_equal(nacre_publickey_error(p)->detail, NACRE_PUBLICKEY_ATTRIBUTE_NOT_SUPPORTED);
    strange.critical = false;
    assert_int_equal(nacre_publickey_add(p, keys[0], &strange, 1, true), NACRE_OK);
    assert_int_equal(nacre_publickey_remove(p, keys[1]), NACRE_OK);
    assert_int_equal(nacre_publickey_remove(p, keys[1]), NACRE_NOT_FOUND);
    expect_list(p, MOST - 1, 0);
    seen v = {0, 0, 0, 0};
    assert_int_equal(nacre_publickey_attributes(p, on_known, &v), NACRE_OK);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.compulsory, 1);
    v = (seen){0, 0, 0, 2};
    assert_int_equal(nacre_publickey_list(p, on_entry, &v), NACRE_CANCELLED);
    assert_int_equal(nacre_publickey_remove(p, keys[0]), NACRE_CLOSED);
    nacre_publickey_close(p);
    for (size_t i = 0; i <= MOST; i++) {
        nacre_key_free(keys[i]);
    }
    clear(&t);
    stage_clear(&s);
}

static void test_servers_without(void **state)
{
    (void)state;
    stage s;
    nacre_publickey *p = NULL;
    stage_init(&s);
    stage_login(&s);
    assert_int_equal(nacre_publickey_open(&p, s.c, 0, &s.err), NACRE_REQUEST_REFUSED);
    assert_null(p);
    assert_non_null(strstr(s.err.text, "RFC 4819"));
    s.refuse_channels = true;
    assert_int_equal(nacre_publickey_open(&p, s.c, 0, &s.err), NACRE_CHANNEL_REFUSED);
    nacre_publickey_close(NULL);
    stage_clear(&s);
}

static void test_servers_that_break_off(void **state)
{
    (void)state;
    stage s;
    store t;
    nacre_publickey *p = NULL;
    seen v = {0, 0, 0, 0};
    open_both(&s, &t, &p);
    t.ends = true;
    assert_int_equal(nacre_publickey_list(p, on_entry, &v), NACRE_END);
    assert_int_equal(nacre_publickey_list(p, on_entry, &v), NACRE_CLOSED);
    nacre_publickey_close(p);
    clear(&t);
    t.garbage = true;
    assert_int_equal(nacre_publickey_open(&p, s.c, 0, &s.err), NACRE_OVERSIZED);
    assert_non_null(strstr(s.err.text, "login script"));
    assert_null(p);
    clear(&t);
    stage_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_come_and_go),
        cmocka_unit_test(test_servers_without),
        cmocka_unit_test(test_servers_that_break_off),
    };
    return cmocka_run_group_tests_name("client: public key subsystem", tests, NULL, NULL);
}
