/*
 * The client of an agent, against agents that answer well, lie, stop and die.
 */
#include "agent_script.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const char text[] = "what is signed";

static nacre_span data(void)
{
    return nc_span(text, sizeof(text) - 1);
}

static nacre_agent *agent_of(script *s, const nacre_allocator *a)
{
    nacre_agent *g = NULL;
    nacre_agent_stream stream = script_stream(s);
    assert_int_equal(nacre_agent_open_stream(&g, a, &stream, NULL), NACRE_OK);
    return g;
}

/* ---- list ---- */

static void keys_are_listed_and_unknown_ones_left_out(void **state)
{
    (void)state;
    script s;
    script_init(&s);
    nacre_key *held[] = {test_key("ed25519"), NULL, test_key("ecdsa256"), NULL};
    script_say_keys(&s, 4, held, 4);
    s.piece = 3;
    nacre_agent *g = agent_of(&s, NULL);
    nacre_key **keys;
    size_t n;
    nacre_error err;
    assert_int_equal(nacre_agent_list(g, &keys, &n, &err), NACRE_OK);
    assert_int_equal(err.status, NACRE_OK);
    assert_int_equal(n, 2);
    assert_true(nacre_key_equal(keys[0], held[0]));
    assert_true(nacre_key_equal(keys[1], held[2]));
    assert_false(nacre_key_is_private(keys[0]));
    assert_string_equal(nacre_key_comment(keys[1]), "ecdsa-sha2-nistp256");
    nacre_agent_keys_free(NULL, keys, n);
    static const uint8_t asked[] = {0, 0, 0, 1, 11};
    assert_int_equal(s.heard.len, sizeof(asked));
    assert_memory_equal(s.heard.data, asked, sizeof(asked));
    nacre_agent_free(g);
    assert_true(s.closed);
    script_clear(&s);
}

static void an_empty_agent_is_no_error(void **state)
{
    (void)state;
    script s;
    script_init(&s);
    script_say_keys(&s, 0, NULL, 0);
    nacre_key *strange[] = {NULL};
    script_say_keys(&s, 1, strange, 1);
    nacre_agent *g = agent_of(&s, NULL);
    nacre_key **keys;
    size_t n;
    s.piece = 5 + 4; /* the first message alone */
    assert_int_equal(nacre_agent_list(g, &keys, &n, NULL), NACRE_OK);
    assert_int_equal(n, 0);
    assert_null(keys);
    s.piece = 0;
    assert_int_equal(nacre_agent_list(g, &keys, &n, NULL), NACRE_OK);
    assert_int_equal(n, 0);
    assert_null(keys);
    nacre_agent_free(g);
    script_clear(&s);
}

static int list_status(const uint8_t *bytes, size_t n)
{
    script s;
    script_init(&s);
    assert_int_equal(nc_buf_append(&s.replies, bytes, n), NACRE_OK);
    nacre_agent *g = agent_of(&s, NULL);
    nacre_key **keys;
    size_t count;
    nacre_error err;
    int rc = nacre_agent_list(g, &keys, &count, &err);
    assert_int_equal(err.status, rc);
    if (rc != NACRE_OK) {
        assert_null(keys);
        assert_true(err.text[0] != '\0');
    }
    nacre_agent_keys_free(NULL, keys, count);
    /* After nonsense nothing more is asked. */
    if (rc == NACRE_AGENT_PROTOCOL || rc == NACRE_CLOSED) {
        size_t before = s.heard.len;
        assert_int_equal(nacre_agent_remove_all(g, NULL), NACRE_CLOSED);
        assert_int_equal(s.heard.len, before);
    }
    nacre_agent_free(g);
    script_clear(&s);
    return rc;
}

static void lists_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        int want;
    } rows[] = {
        {"\0\0\0\1\5", 5, NACRE_AGENT_REFUSED},
        {"\0\0\0\1\x1e", 5, NACRE_AGENT_REFUSED},
        {"\0\0\0\1\x66", 5, NACRE_AGENT_REFUSED},
        {"\0\0\0\1\6", 5, NACRE_AGENT_PROTOCOL},           /* another type */
        {"\0\0\0\5\x0e\0\0\0\0", 9, NACRE_AGENT_PROTOCOL}, /* a signature */
        {"\0\0\0\0", 4, NACRE_AGENT_PROTOCOL},             /* nothing */
        {"\0\4\0\1\x0c", 5, NACRE_AGENT_PROTOCOL},         /* above 256 KiB */
        {"\xff\xff\xff\xff\x0c", 5, NACRE_AGENT_PROTOCOL}, /* absurd */
        {"\0\0\0\1\x0c", 5, NACRE_AGENT_PROTOCOL},         /* no count */
        {"\0\0\0\5\x0c\0\0\0\1", 9, NACRE_AGENT_PROTOCOL}, /* one that is not there */
        {"\0\0\0\5\x0c\xff\xff\xff\xff", 9, NACRE_AGENT_PROTOCOL},
        {"\0\0\0\x0d\x0c\0\0\0\1\0\0\0\x10\0\0\0\0", 17, NACRE_AGENT_PROTOCOL}, /* a long blob */
        {"\0\0\0\x06\x0c\0\0\0\0\0", 10, NACRE_AGENT_PROTOCOL},   /* a byte too many */
        {"\0\0\0\5\x0c\0\0\0\0\0\0\0", 12, NACRE_AGENT_PROTOCOL}, /* unasked for */
        {"\0\0\0\5\x0c\0\0\0", 8, NACRE_CLOSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(list_status((const uint8_t *)rows[i].bytes, rows[i].n), rows[i].want);
    }
}

static void a_list_cut_anywhere_is_refused(void **state)
{
    (void)state;
    script s;
    script_init(&s);
    nacre_key *held[] = {test_key("ed25519"), test_key("ecdsa256")};
    script_say_keys(&s, 2, held, 2);
    for (size_t n = 0; n < s.replies.len; n++) {
        assert_int_equal(list_status(s.replies.data, n), NACRE_CLOSED);
        /* The same with a length that fits: the fields are cut then. */
        if (n >= 5) {
            uint8_t *copy = malloc(n);
            assert_non_null(copy);
            memcpy(copy, s.replies.data, n);
            nc_put_u32(copy, (uint32_t)n - 4);
            assert_int_equal(list_status(copy, n), NACRE_AGENT_PROTOCOL);
            free(copy);
        }
    }
    assert_int_equal(list_status(s.replies.data, s.replies.len), NACRE_OK);
    script_clear(&s);
}

static void too_many_keys_are_refused(void **state)
{
    (void)state;
    script s;
    script_init(&s);
    nc_wr w = script_begin(&s, SSH_AGENT_IDENTITIES_ANSWER);
    nc_wr_u32(&w, NC_AGENT_MAX_KEYS + 1);
    for (size_t i = 0; i < NC_AGENT_MAX_KEYS + 1; i++) {
        nc_wr_u32(&w, 0);
        nc_wr_u32(&w, 0);
    }
    script_end(&s, &w);
    assert_int_equal(list_status(s.replies.data, s.replies.len), NACRE_AGENT_PROTOCOL);
    script_clear(&s);
}

/* ---- signatures ---- */

static void each_type_signs(void **state)
{
    (void)state;
    static const struct {
        const char *key, *algorithm, *as;
        uint8_t flags;
    } rows[] = {{"ed25519", NULL, "ssh-ed25519", 0},
                {"ed25519", "ssh-ed25519", "ssh-ed25519", 0},
                {"ed25519", "ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 0},
                {"ecdsa256", NULL, "ecdsa-sha2-nistp256", 0},
                {"rsa2048", NULL, "rsa-sha2-512", 4},
                {"rsa2048", "rsa-sha2-512", "rsa-sha2-512", 4},
                {"rsa2048", "rsa-sha2-256", "rsa-sha2-256", 2},
                {"rsa2048", "rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256", 2},
                {"rsa2048", "ssh-rsa", "ssh-rsa", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script s;
        script_init(&s);
        nacre_key *k = test_key(rows[i].key);
        script_say_signature(&s, k, rows[i].as, data());
        nacre_agent *g = agent_of(&s, NULL);
        uint8_t *sig;
        size_t n;
        assert_int_equal(nacre_agent_sign(g, k, rows[i].algorithm, data(), &sig, &n, NULL),
                         NACRE_OK);
        assert_int_equal(nacre_key_verify(k, rows[i].as, data(), nc_span(sig, n)), NACRE_OK);
        assert_int_equal(s.heard.data[s.heard.len - 1], rows[i].flags);
        nacre_secret_free(NULL, sig, n);
        nacre_agent_free(g);
        script_clear(&s);
    }
}

static int sign_status(script *s, const nacre_key *k, const char *algorithm)
{
    nacre_agent *g = agent_of(s, NULL);
    uint8_t *sig;
    size_t n;
    nacre_error err;
    int rc = nacre_agent_sign(g, k, algorithm, data(), &sig, &n, &err);
    assert_int_equal(err.status, rc);
    if (rc != NACRE_OK) {
        assert_null(sig);
        assert_int_equal(n, 0);
    }
    nacre_secret_free(NULL, sig, n);
    nacre_agent_free(g);
    script_clear(s);
    return rc;
}

static void other_signatures_never_leave(void **state)
{
    (void)state;
    script s;
    /* another key of the type */
    nacre_key *other = NULL;
    assert_int_equal(nacre_key_generate(&other, NULL, "ed25519", 0, NULL), NACRE_OK);
    script_init(&s);
    script_say_signature(&s, other, NULL, data());
    assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_BAD_SIGNATURE);
    nacre_key_free(other);
    /* other data */
    script_init(&s);
    script_say_signature(&s, test_key("ed25519"), NULL, nc_span("x", 1));
    assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_BAD_SIGNATURE);
    /* SHA-1, as agents do that know no flags; and the other SHA-2 */
    script_init(&s);
    script_say_signature(&s, test_key("rsa2048"), "ssh-rsa", data());
    assert_int_equal(sign_status(&s, test_key("rsa2048"), NULL), NACRE_BAD_SIGNATURE);
    script_init(&s);
    script_say_signature(&s, test_key("rsa2048"), "rsa-sha2-512", data());
    assert_int_equal(sign_status(&s, test_key("rsa2048"), "rsa-sha2-256"), NACRE_BAD_SIGNATURE);
    /* another type of key altogether */
    script_init(&s);
    script_say_signature(&s, test_key("ecdsa256"), NULL, data());
    assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_BAD_SIGNATURE);
    /* nothing in it */
    script_init(&s);
    nc_wr w = script_begin(&s, SSH_AGENT_SIGN_RESPONSE);
    nc_wr_cstr(&w, "");
    script_end(&s, &w);
    assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_BAD_SIGNATURE);
}

static void refusals_and_wrong_replies_to_sign(void **state)
{
    (void)state;
    script s;
    script_init(&s);
    script_say(&s, SSH_AGENT_FAILURE);
    assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_AGENT_REFUSED);
    script_init(&s);
    script_say(&s, SSH_AGENT_SUCCESS);
    assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_AGENT_PROTOCOL);
    script_init(&s);
    assert_int_equal(sign_status(&s, test_key("ed25519"), "rsa-sha2-256"), NACRE_UNKNOWN_NAME);
    script_init(&s);
    assert_int_equal(sign_status(&s, test_key("ed25519"), "no-such-thing"), NACRE_UNKNOWN_NAME);
    script_init(&s);
    nc_wr w = script_begin(&s, SSH_AGENT_SIGN_RESPONSE);
    uint8_t *room = nc_wr_room(&w, 4 + NC_MAX_KEY_BLOB + 1);
    assert_non_null(room);
    memset(room, 0, 4 + NC_MAX_KEY_BLOB + 1);
    nc_put_u32(room, NC_MAX_KEY_BLOB + 1);
    script_end(&s, &w);
    assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_AGENT_PROTOCOL);
}

static void a_signature_cut_anywhere_is_refused(void **state)
{
    (void)state;
    script whole;
    script_init(&whole);
    script_say_signature(&whole, test_key("ed25519"), NULL, data());
    for (size_t n = 5; n < whole.replies.len; n++) {
        script s;
        script_init(&s);
        assert_int_equal(nc_buf_append(&s.replies, whole.replies.data, n), NACRE_OK);
        nc_put_u32(s.replies.data, (uint32_t)n - 4);
        assert_int_equal(sign_status(&s, test_key("ed25519"), NULL), NACRE_AGENT_PROTOCOL);
    }
    script_clear(&whole);
}

/* ---- everything else ---- */

static void statuses_and_requests(void **state)
{
    (void)state;
    script s;
    script_init(&s);
    nacre_agent *g = agent_of(&s, NULL);
    nacre_key *k = test_key("ed25519");
    nacre_agent_constraints c;
    nacre_agent_constraints_init(&c);
    s.piece = 5;
    for (int i = 0; i < 9; i++) {
        script_say(&s, SSH_AGENT_SUCCESS);
    }
    assert_int_equal(nacre_agent_add(g, k, NULL, NULL), NACRE_OK);
    assert_int_equal(s.heard.data[4], SSH_AGENTC_ADD_IDENTITY);
    nc_buf_reset(&s.heard);
    assert_int_equal(nacre_agent_add(g, k, &c, NULL), NACRE_OK);
    assert_int_equal(s.heard.data[4], SSH_AGENTC_ADD_IDENTITY);
    nc_buf_reset(&s.heard);
    c.lifetime_seconds = 0x01020304;
    c.confirm = true;
    assert_int_equal(nacre_agent_add(g, k, &c, NULL), NACRE_OK);
    static const uint8_t tail[] = {1, 1, 2, 3, 4, 2};
    assert_int_equal(s.heard.data[4], SSH_AGENTC_ADD_ID_CONSTRAINED);
    assert_memory_equal(s.heard.data + s.heard.len - sizeof(tail), tail, sizeof(tail));
    nc_buf_reset(&s.heard);
    assert_int_equal(nacre_agent_remove(g, k, NULL), NACRE_OK);
    assert_int_equal(s.heard.data[4], SSH_AGENTC_REMOVE_IDENTITY);
    nc_buf_reset(&s.heard);
    assert_int_equal(nacre_agent_remove_all(g, NULL), NACRE_OK);
    assert_int_equal(s.heard.data[4], SSH_AGENTC_REMOVE_ALL_IDENTITIES);
    nc_buf_reset(&s.heard);
    assert_int_equal(nacre_agent_lock(g, data(), NULL), NACRE_OK);
    assert_int_equal(s.heard.data[4], SSH_AGENTC_LOCK);
    assert_int_equal(nacre_agent_unlock(g, data(), NULL), NACRE_OK);
    nc_buf_reset(&s.heard);
    assert_int_equal(nacre_agent_add_token(g, "/usr/lib/x.so", data(), NULL, NULL), NACRE_OK);
    assert_int_equal(s.heard.data[4], SSH_AGENTC_ADD_SMARTCARD_KEY);
    nc_buf_reset(&s.heard);
    assert_int_equal(nacre_agent_remove_token(g, "/usr/lib/x.so", data(), NULL), NACRE_OK);
    assert_int_equal(s.heard.data[4], SSH_AGENTC_REMOVE_SMARTCARD_KEY);
    script_say(&s, SSH_AGENT_FAILURE);
    assert_int_equal(nacre_agent_remove(g, k, NULL), NACRE_AGENT_REFUSED);
    /* A refusal is no reason to stop talking. */
    script_say(&s, SSH_AGENT_SUCCESS);
    assert_int_equal(nacre_agent_remove(g, k, NULL), NACRE_OK);
    nacre_agent_free(g);
    script_clear(&s);
}

static void only_private_keys_are_added(void **state)
{
    (void)state;
    script s;
    script_init(&s);
    nacre_agent *g = agent_of(&s, NULL);
    nacre_key *public_half = NULL;
    assert_int_equal(
        nacre_key_from_blob(&public_half, NULL, nacre_key_blob(test_key("ed25519")), NULL),
        NACRE_OK);
    assert_int_equal(nacre_agent_add(g, public_half, NULL, NULL), NACRE_NOT_PRIVATE);
    nacre_agent_constraints c;
    memset(&c, 0, sizeof(c));
    assert_int_equal(nacre_agent_add(g, test_key("ed25519"), &c, NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(s.heard.len, 0);
    nacre_key_free(public_half);
    nacre_agent_free(g);
    script_clear(&s);
}

static int extension_status(uint8_t type, const char *name, const char *more, char *got)
{
    script s;
    script_init(&s);
    nc_wr w = script_begin(&s, type);
    if (name) {
        nc_wr_cstr(&w, name);
    }
    nc_wr_bytes(&w, nc_span_cstr(more));
    script_end(&s, &w);
    nacre_agent *g = agent_of(&s, NULL);
    uint8_t *reply;
    size_t n;
    int rc = nacre_agent_extension(g, "x@y", nc_span("ab", 2), &reply, &n, NULL);
    snprintf(got, 16, "%.*s", (int)n, reply ? (const char *)reply : "");
    nacre_secret_free(NULL, reply, n);
    static const uint8_t asked[] = {0, 0, 0, 10, 27, 0, 0, 0, 3, 'x', '@', 'y', 'a', 'b'};
    assert_int_equal(s.heard.len, sizeof(asked));
    assert_memory_equal(s.heard.data, asked, sizeof(asked));
    nacre_agent_free(g);
    script_clear(&s);
    return rc;
}

static void extensions_answer_in_four_ways(void **state)
{
    (void)state;
    char got[16];
    assert_int_equal(extension_status(SSH_AGENT_FAILURE, NULL, "", got), NACRE_UNSUPPORTED);
    assert_int_equal(extension_status(SSH_AGENT_EXTENSION_FAILURE, NULL, "", got),
                     NACRE_AGENT_REFUSED);
    assert_int_equal(extension_status(SSH_AGENT_SUCCESS, NULL, "hm", got), NACRE_OK);
    assert_string_equal(got, "hm");
    assert_int_equal(extension_status(SSH_AGENT_SUCCESS, NULL, "", got), NACRE_OK);
    assert_string_equal(got, "");
    assert_int_equal(extension_status(SSH_AGENT_EXTENSION_RESPONSE, "x@y", "hm", got), NACRE_OK);
    assert_string_equal(got, "hm");
    assert_int_equal(extension_status(SSH_AGENT_EXTENSION_RESPONSE, "z@y", "hm", got),
                     NACRE_AGENT_PROTOCOL);
    assert_int_equal(extension_status(SSH_AGENT_EXTENSION_RESPONSE, NULL, "h", got),
                     NACRE_AGENT_PROTOCOL);
    assert_int_equal(extension_status(SSH_AGENT_IDENTITIES_ANSWER, NULL, "", got),
                     NACRE_AGENT_PROTOCOL);
}

static void a_query_is_read_whole(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        size_t n;
        int want;
    } rows[] = {{"\0\0\0\1a\0\0\0\1b", 10, NACRE_OK},
                {"\0\0\0\1b", 5, NACRE_OK},
                {"\0\0\0\1a", 5, NACRE_UNSUPPORTED},
                {"", 0, NACRE_UNSUPPORTED},
                {"\0\0\0\1b\0", 6, NACRE_AGENT_PROTOCOL},
                {"\0\0\0\1b\xff\xff\xff\xff", 9, NACRE_AGENT_PROTOCOL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script s;
        script_init(&s);
        nc_wr w = script_begin(&s, SSH_AGENT_EXTENSION_RESPONSE);
        nc_wr_cstr(&w, "query");
        nc_wr_bytes(&w, nc_span(rows[i].list, rows[i].n));
        script_end(&s, &w);
        nacre_agent *g = agent_of(&s, NULL);
        assert_int_equal(nacre_agent_supports(g, "b", NULL), rows[i].want);
        nacre_agent_free(g);
        script_clear(&s);
    }
}

/* ---- sockets ---- */

static void an_agent_that_never_answers_is_left(void **state)
{
    (void)state;
    int fds[2];
    nacre_agent *g = NULL;
    nacre_error err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(nacre_agent_open_fd(&g, NULL, fds[0], NULL), NACRE_OK);
    nacre_agent_set_timeout(g, 20, 20);
    nacre_key **keys;
    size_t n;
    assert_int_equal(nacre_agent_list(g, &keys, &n, &err), NACRE_TIMEOUT);
    assert_non_null(strstr(err.text, "did not answer in time"));
    /* What it says now would be the answer to the first question. */
    assert_int_equal(write(fds[1], "\0\0\0\1\6", 5), 5);
    assert_int_equal(nacre_agent_remove_all(g, &err), NACRE_CLOSED);
    nacre_agent_free(g);
    close(fds[1]);
}

static void an_agent_that_dies_raises_no_signal(void **state)
{
    (void)state;
    int fds[2];
    nacre_agent *g = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(nacre_agent_open_fd(&g, NULL, fds[0], NULL), NACRE_OK);
    close(fds[1]);
    assert_int_equal(nacre_agent_remove_all(g, NULL), NACRE_CLOSED);
    nacre_agent_free(g);
    /* in the middle of its answer */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(nacre_agent_open_fd(&g, NULL, fds[0], NULL), NACRE_OK);
    assert_int_equal(write(fds[1], "\0\0\0\1", 4), 4);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(nacre_agent_remove_all(g, NULL), NACRE_CLOSED);
    nacre_agent_free(g);
    close(fds[1]);
}

static void only_sockets_of_ours_are_opened(void **state)
{
    (void)state;
    char dir[] = "/tmp/nacre-agent-XXXXXX";
    char path[128];
    nacre_agent *g = NULL;
    nacre_error err;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/sock", dir);
    assert_int_equal(nacre_agent_open(&g, NULL, path, &err), NACRE_CONNECT);
    assert_null(g);
    assert_int_equal(nacre_agent_open(&g, NULL, dir, &err), NACRE_KEY_PERMISSIONS);
    assert_int_equal(nacre_agent_open(&g, NULL, "/dev/null", &err), NACRE_KEY_PERMISSIONS);
    int fd = -1;
    assert_int_equal(nacre_net_listen_unix(path, 0600, true, 4, &fd, NULL), NACRE_OK);
    assert_int_equal(nacre_agent_open(&g, NULL, path, &err), NACRE_OK);
    nacre_agent_free(g);
    assert_int_equal(setenv("SSH_AUTH_SOCK", path, 1), 0);
    assert_int_equal(nacre_agent_open(&g, NULL, NULL, &err), NACRE_OK);
    nacre_agent_free(g);
    assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
    assert_int_equal(nacre_agent_open(&g, NULL, NULL, &err), NACRE_NOT_FOUND);
    if (geteuid() == 0) { /* who may give files away, and take on other users */
        assert_int_equal(chmod(dir, 0711) | chmod(path, 0666), 0);
        for (uid_t owner = 0; owner < 3; owner++) {
            assert_int_equal(chown(path, owner, (gid_t)-1), 0);
            assert_int_equal(seteuid(2), 0);
            int rc = nacre_agent_open(&g, NULL, path, &err);
            assert_int_equal(seteuid(0), 0);
            assert_int_equal(rc, owner == 1 ? NACRE_KEY_PERMISSIONS : NACRE_OK);
            nacre_agent_free(g);
        }
    }
    close(fd);
    assert_int_equal(nacre_agent_open(&g, NULL, path, &err), NACRE_CONNECT);
    unlink(path);
    rmdir(dir);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        script s;
        script_init(&s);
        nacre_key *held[] = {test_key("ed25519"), NULL, test_key("ecdsa256")};
        script_say_keys(&s, 3, held, 3);
        s.piece = s.replies.len;
        script_say_signature(&s, held[0], NULL, data());
        nacre_agent *g = NULL;
        nacre_key **keys = NULL;
        size_t n = 0, sn = 0;
        uint8_t *sig = NULL;
        nacre_agent_stream stream = script_stream(&s);
        int rc = nacre_agent_open_stream(&g, &m.hooks, &stream, NULL);
        if (rc == NACRE_OK) {
            rc = nacre_agent_list(g, &keys, &n, NULL);
        }
        if (rc == NACRE_OK) {
            rc = nacre_agent_sign(g, keys[0], NULL, data(), &sig, &sn, NULL);
        }
        test_memory_judge(&m, rc);
        nacre_secret_free(&m.hooks, sig, sn);
        nacre_agent_keys_free(&m.hooks, keys, n);
        nacre_agent_free(g);
        script_clear(&s);
    }
    assert_true(m.refused > 10);
}

static int forget(void **state)
{
    (void)state;
    test_keys_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_listed_and_unknown_ones_left_out),
        cmocka_unit_test(an_empty_agent_is_no_error),
        cmocka_unit_test(lists_that_lie_are_refused),
        cmocka_unit_test(a_list_cut_anywhere_is_refused),
        cmocka_unit_test(too_many_keys_are_refused),
        cmocka_unit_test(each_type_signs),
        cmocka_unit_test(other_signatures_never_leave),
        cmocka_unit_test(refusals_and_wrong_replies_to_sign),
        cmocka_unit_test(a_signature_cut_anywhere_is_refused),
        cmocka_unit_test(statuses_and_requests),
        cmocka_unit_test(only_private_keys_are_added),
        cmocka_unit_test(extensions_answer_in_four_ways),
        cmocka_unit_test(a_query_is_read_whole),
        cmocka_unit_test(an_agent_that_never_answers_is_left),
        cmocka_unit_test(an_agent_that_dies_raises_no_signal),
        cmocka_unit_test(only_sockets_of_ours_are_opened),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
