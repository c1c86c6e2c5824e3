/*
 * authorized_keys: which line lets a key in, with what, and which lines must not.
 */
#include "keydata.h"

#include "nacre/authorized_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    nacre_key *key, *other, *rsa;
    char line[512], other_line[512];
    nacre_login_facts facts;
    nacre_key_grant grant;
    nacre_error why;
} fixture;

static const int64_t now = 1700000000; /* 2023-11-14 22:13:20 UTC */

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->key = keydata_public("ed25519");
    f->other = keydata_public("ed25519_other");
    f->rsa = keydata_public("rsa2048");
    assert_true(nacre_key_public_line(f->key, f->line, sizeof(f->line)) > 0);
    assert_true(nacre_key_public_line(f->other, f->other_line, sizeof(f->other_line)) > 0);
    f->facts.user = "mina";
    f->facts.peer_address = "192.0.2.7";
    f->facts.now_seconds = now;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    nacre_key_free(f->key);
    nacre_key_free(f->other);
    nacre_key_free(f->rsa);
    free(f);
    return 0;
}

static int check(fixture *f, const char *text)
{
    int rc = nacre_authorized_keys_check(keydata_cstr(text), f->key, &f->facts, &f->grant, &f->why);
    assert_true(rc == NACRE_OK || rc == NACRE_NOT_FOUND);
    assert_true((rc == NACRE_OK) == (f->why.status == NACRE_OK));
    if (rc != NACRE_OK) {
        static const nacre_key_grant none;
        assert_memory_equal(&f->grant, &none, sizeof(none));
        assert_true(f->why.text[0] != '\0');
    }
    return rc;
}

/* A file of one line "<options> <key>". */
static int with(fixture *f, const char *options)
{
    static char text[20000];
    snprintf(text, sizeof(text), "%s %s me@here\n", options, f->line);
    return check(f, text);
}

static void plain_lines(void **state)
{
    fixture *f = *state;
    char text[2048];
    assert_int_equal(check(f, f->line), NACRE_OK);
    assert_int_equal(f->grant.may, NACRE_MAY_ALL);
    assert_int_equal(f->grant.line, 1);
    assert_string_equal(f->grant.command, "");
    assert_int_equal(f->grant.environment[0], 0);
    snprintf(text, sizeof(text), "# %s\r\n\r\n%s x\r\n \t%s\r\n", f->line, f->other_line, f->line);
    assert_int_equal(check(f, text), NACRE_OK);
    assert_int_equal(f->grant.line, 4);
    assert_int_equal(check(f, ""), NACRE_NOT_FOUND);
    assert_int_equal(check(f, f->other_line), NACRE_NOT_FOUND);
    snprintf(text, sizeof(text), "# %s\n", f->line);
    assert_int_equal(check(f, text), NACRE_NOT_FOUND);
    /* cut in the key, or of another type */
    for (size_t n = 0; n < strlen(f->line); n++) {
        snprintf(text, sizeof(text), "%.*s", (int)n, f->line);
        assert_int_equal(check(f, text), NACRE_NOT_FOUND);
    }
    snprintf(text, sizeof(text), "ssh-rsa %s", strchr(f->line, ' ') + 1);
    assert_int_equal(check(f, text), NACRE_NOT_FOUND);
    snprintf(text, sizeof(text), "%sA", f->line);
    assert_int_equal(check(f, text), NACRE_NOT_FOUND);
}

static void rights(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *options;
        uint32_t may;
    } rows[] = {
        {"restrict", 0},
        {"restrict,pty", NACRE_MAY_PTY},
        {"pty,restrict", 0},
        {"RESTRICT,Port-Forwarding", NACRE_MAY_FORWARD_PORT},
        {"restrict,agent-forwarding,X11-forwarding,user-rc,pty,port-forwarding",
         NACRE_MAY_ALL & ~NACRE_MAY_TUNNEL},
        {"no-pty", NACRE_MAY_ALL & ~NACRE_MAY_PTY},
        {"no-port-forwarding", NACRE_MAY_ALL & ~NACRE_MAY_FORWARD_PORT},
        {"no-agent-forwarding", NACRE_MAY_ALL & ~NACRE_MAY_FORWARD_AGENT},
        {"no-x11-forwarding", NACRE_MAY_ALL & ~NACRE_MAY_FORWARD_X11},
        {"no-user-rc", NACRE_MAY_ALL & ~NACRE_MAY_USER_RC},
        {"restrict,pty,port-forwarding", NACRE_MAY_PTY | NACRE_MAY_FORWARD_PORT},
        {"permitopen=\"h:22\"", NACRE_MAY_ALL},
        {"restrict,permitopen=\"h:22\",permitlisten=\"80\",tunnel=\"0\"", 0},
        {"permitlisten=\"localhost:8080\"", NACRE_MAY_ALL},
        {"principals=\"a,b\"", NACRE_MAY_ALL},
        {"no-touch-required", NACRE_MAY_ALL},
        {"tunnel=\"0\"", NACRE_MAY_ALL},
        {"tunnel=\"any\"", NACRE_MAY_ALL},
        {"restrict,tunnel=\"any\"", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (with(f, rows[i].options) != NACRE_OK) {
            fail_msg("%s: %s", rows[i].options, f->why.text);
        }
        assert_int_equal(f->grant.may, rows[i].may);
    }
}

static void lines_that_are_refused(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *options, *says;
    } rows[] = {
        {"no-such-thing", "no-such-thing"},
        {"no-pty,no-such-thing=\"x\"", "no-such-thing"},
        {"cert-authority", "cert-authority"},
        {"verify-required", "verify-required"},
        {"no-pty,", "comma"},
        {",no-pty", "not known"},
        {"no-pty,,no-user-rc", "not known"},
        {"no-pty=\"yes\"", "no value"},
        {"restrict=yes", "no value"},
        {"command", "quotes"},
        {"command=ls", "quotes"},
        {"command=\"\"", "empty"},
        {"command=\"ls\"no-pty", "comma"},
        {"command=\"a\",command=\"b\"", "twice"},
        {"from=\"*\",from=\"*\"", "twice"},
        {"from=\"10.0.0.0/8\"", "address"},
        {"from=\"10.0.0.1/8,*\"", "malformed"},
        {"from=\"*,!192.0.2.0/24\"", "address"},
        {"from=\"\"", "address"},
        {"environment=\"A\"", "NAME=value"},
        {"environment=\"=x\"", "NAME=value"},
        {"environment=\"A B=x\"", "NAME=value"},
        {"environment=\"1A=x\"", "NAME=value"},
        {"expiry-time=\"20231114221320Z\"", "passed"},
        {"expiry-time=\"19700101Z\"", "date"},
        {"expiry-time=\"2099\"", "date"},
        {"expiry-time=\"20991301Z\"", "date"},
        {"expiry-time=\"20990229Z\"", "date"},
        {"expiry-time=\"20990100Z\"", "date"},
        {"expiry-time=\"209901012460Z\"", "date"},
        {"expiry-time=\"2099010112Z\"", "date"},
        {"expiry-time=\"20990101ZZ\"", "date"},
        {"expiry-time=\"+0990101Z\"", "date"},
        {"expiry-time=\"\"", "date"},
        {"permitopen=\"h\"", "host:port"},
        {"permitopen=\"h:\"", "host:port"},
        {"permitopen=\":22\"", "host:port"},
        {"permitopen=\"h:0\"", "host:port"},
        {"permitopen=\"h:65536\"", "host:port"},
        {"permitopen=\"h:99999999999\"", "host:port"},
        {"permitlisten=\"\"", "port"},
        {"tunnel=\"x\"", "number"},
        {"tunnel=\"\"", "number"},
        {"tunnel=\"9999999999\"", "number"},
        {"tunnel=\"1\",tunnel=\"2\"", "twice"},
        {"tunnel=\"any\",tunnel=\"any\"", "twice"},
        {"tunnel=\"any1\"", "number"},
        {"principals=\"a\",principals=\"b\"", "twice"},
        {"permitopen=\"::1:22\",permitopen=\"h\"", "host:port"},
        {"permitlisten=\":22\"", "port"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (with(f, rows[i].options) != NACRE_NOT_FOUND) {
            fail_msg("%s lets in", rows[i].options);
        }
        if (!strstr(f->why.text, rows[i].says)) {
            fail_msg("%s: %s", rows[i].options, f->why.text);
        }
    }
    /* quotes that do not close hide the key */
    assert_int_equal(with(f, "command=\"ls"), NACRE_NOT_FOUND);
    assert_int_equal(with(f, "command=\"ls\\\""), NACRE_NOT_FOUND);
}

static void values(void **state)
{
    fixture *f = *state;
    assert_int_equal(with(f, "command=\"echo \\\"a, b\\\" \\n 'c'\",no-pty"), NACRE_OK);
    assert_string_equal(f->grant.command, "echo \"a, b\" \\n 'c'");
    assert_int_equal(f->grant.may, NACRE_MAY_ALL & ~NACRE_MAY_PTY);
    assert_int_equal(with(f, "environment=\"A=1\",environment=\"B_2=x y\",environment=\"A=2\""),
                     NACRE_OK);
    assert_memory_equal(f->grant.environment, "A=1\0B_2=x y\0", 13);
    /* as long as fits, and one more */
    static char text[9000];
    for (int extra = 0; extra < 2; extra++) {
        size_t n = sizeof(f->grant.command) - 1 + (size_t)extra;
        snprintf(text, sizeof(text), "command=\"%0*d\"", (int)n, 0);
        assert_int_equal(with(f, text), extra ? NACRE_NOT_FOUND : NACRE_OK);
        n = sizeof(f->grant.environment) - 2 - 2 + (size_t)extra;
        snprintf(text, sizeof(text), "environment=\"A=%0*d\"", (int)n, 0);
        assert_int_equal(with(f, text), extra ? NACRE_NOT_FOUND : NACRE_OK);
    }
    snprintf(text, sizeof(text), "command=\"%0*d\"", 8500, 0);
    assert_int_equal(with(f, text), NACRE_NOT_FOUND);
    /* a zero byte would cut the command */
    char cut[1024] = "command=\"ls_x\" ";
    size_t head = strlen(cut);
    snprintf(cut + head, sizeof(cut) - head, "%s", f->line);
    size_t n = strlen(cut);
    cut[11] = '\0';
    nacre_span bytes = {(const uint8_t *)cut, n};
    assert_int_equal(nacre_authorized_keys_check(bytes, f->key, &f->facts, &f->grant, &f->why),
                     NACRE_NOT_FOUND);
    assert_non_null(strstr(f->why.text, "zero byte"));
}

static void facts_decide(void **state)
{
    fixture *f = *state;
    assert_int_equal(with(f, "from=\"192.0.2.0/24,!192.0.2.8\""), NACRE_OK);
    f->facts.peer_address = "192.0.2.8";
    assert_int_equal(with(f, "from=\"192.0.2.0/24,!192.0.2.8\""), NACRE_NOT_FOUND);
    assert_int_equal(with(f, "from=\"*.example.org\""), NACRE_NOT_FOUND);
    f->facts.peer_host = "w.example.org";
    assert_int_equal(with(f, "from=\"*.example.org\""), NACRE_OK);
    f->facts.peer_host = NULL;
    f->facts.peer_address = NULL;
    assert_int_equal(with(f, "from=\"*\""), NACRE_NOT_FOUND);
    f->facts.peer_address = "192.0.2.7";
    assert_int_equal(with(f, "expiry-time=\"20231114221321Z\""), NACRE_OK);
    assert_int_equal(f->grant.valid_until, now + 1);
    assert_int_equal(with(f, "expiry-time=\"202311142214z\",expiry-time=\"20240229Z\""), NACRE_OK);
    assert_int_equal(f->grant.valid_until, now + 40);
    assert_int_equal(with(f, "expiry-time=\"20231115Z\""), NACRE_OK);
    assert_int_equal(f->grant.valid_until, 1700006400);
    /* without Z: local time; an hour ahead of UTC it ends an hour earlier */
    assert_int_equal(with(f, "expiry-time=\"202311142300\""), NACRE_OK);
    f->facts.utc_offset = 3600;
    assert_int_equal(with(f, "expiry-time=\"202311142300\""), NACRE_NOT_FOUND);
    assert_int_equal(with(f, "expiry-time=\"202311142330\""), NACRE_OK);
    f->facts.utc_offset = 0;
    f->facts.now_seconds = 0;
    assert_int_equal(with(f, "expiry-time=\"20991231Z\""), NACRE_NOT_FOUND);
    assert_non_null(strstr(f->why.text, "clock"));
    f->facts.now_seconds = now;
    nacre_key_grant g;
    char text[1024];
    snprintf(text, sizeof(text), "from=\"*\" %s", f->line);
    assert_int_equal(nacre_authorized_keys_check(keydata_cstr(text), f->key, NULL, &g, NULL),
                     NACRE_NOT_FOUND);
    assert_int_equal(nacre_authorized_keys_check(keydata_cstr(f->line), f->key, NULL, &g, NULL),
                     NACRE_OK);
}

/* Nothing of a refused line may stick to the next one. */
static void a_later_line_starts_anew(void **state)
{
    fixture *f = *state;
    char text[4096];
    snprintf(text, sizeof(text),
             "restrict,command=\"false\",environment=\"A=1\",permitopen=\"h:1\",from=\"!*\" %s\n"
             "no-user-rc %s\n",
             f->line, f->line);
    assert_int_equal(check(f, text), NACRE_OK);
    assert_int_equal(f->grant.line, 2);
    assert_int_equal(f->grant.may, NACRE_MAY_ALL & ~NACRE_MAY_USER_RC);
    assert_string_equal(f->grant.command, "");
    assert_int_equal(f->grant.environment[0], 0);
    /* the first line that lets in decides */
    snprintf(text, sizeof(text), "restrict %s\n%s\n", f->line, f->line);
    assert_int_equal(check(f, text), NACRE_OK);
    assert_int_equal(f->grant.may, 0);
}

/* A key inside a quoted option of somebody else's line is no key. */
static void keys_in_quotes_do_not_count(void **state)
{
    fixture *f = *state;
    char text[4096];
    snprintf(text, sizeof(text), "command=\"x %s\" %s\n", f->line, f->other_line);
    assert_int_equal(check(f, text), NACRE_NOT_FOUND);
    snprintf(text, sizeof(text), "%s %s\n", f->other_line, f->line);
    assert_int_equal(check(f, text), NACRE_NOT_FOUND);
}

/* Not even where a line holds it word for word: its limits would be lost. */
static void certificates_are_no_keys_to_log_in_with(void **state)
{
    (void)state;
    static nacre_key_grant got;
    nacre_key *c = keydata_public("../certs/user_ed25519-cert");
    nacre_key *plain = keydata_public("ed25519");
    char lines[8192], one[4096], two[1024];
    nacre_error why;
    assert_true(nacre_key_public_line(c, one, sizeof(one)) > 0);
    assert_true(nacre_key_public_line(plain, two, sizeof(two)) > 0);
    snprintf(lines, sizeof(lines), "%s\n%s\n", one, two);
    assert_int_equal(nacre_authorized_keys_check(keydata_cstr(lines), c, NULL, &got, &why),
                     NACRE_NOT_FOUND);
    assert_int_equal(got.may, 0);
    assert_int_equal(nacre_authorized_keys_check(keydata_cstr(lines), plain, NULL, &got, &why),
                     NACRE_OK);
    nacre_key_free(c);
    nacre_key_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines),
        cmocka_unit_test(rights),
        cmocka_unit_test(lines_that_are_refused),
        cmocka_unit_test(values),
        cmocka_unit_test(facts_decide),
        cmocka_unit_test(a_later_line_starts_anew),
        cmocka_unit_test(keys_in_quotes_do_not_count),
        cmocka_unit_test(certificates_are_no_keys_to_log_in_with),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
