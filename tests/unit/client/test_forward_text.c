/* Forwardings as people write them: what is read, what is refused, and that both ways of writing agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "nacre/forward.h"

#include <string.h>

enum { L = NACRE_FORWARD_LOCAL, R = NACRE_FORWARD_REMOTE, D = NACRE_FORWARD_DYNAMIC };

/* text, and what ssh -G makes of it; made of the same kind it reads the same again */
static const struct {
    int kind;
    const char *text, *shown;
} good[] = {
    {L, "8080:host:80", "8080 [host]:80"},
    {L, " \t8080:host:80", "8080 [host]:80"},
    {L, "127.0.0.1:8080:host:80", "[127.0.0.1]:8080 [host]:80"},
    {L, "[::1]:8080:[2001:db8::1]:80", "[::1]:8080 [2001:db8::1]:80"},
    {L, ":8080:host:80", "[]:8080 [host]:80"},
    {L, "*:8080:host:80", "[*]:8080 [host]:80"},
    {L, "65535:h:65535", "65535 [h]:65535"},
    {L, "8080:/run/there", "8080 /run/there"},
    {L, "lo:8080:/run/there", "[lo]:8080 /run/there"},
    {L, "/run/here:host:80", "/run/here [host]:80"},
    {L, "/run/here:/run/there", "/run/here /run/there"},
    {L, "/run/a b:host:80", "/run/a b [host]:80"},
    {L, "8080:/run/c d", "8080 /run/c d"},
    {L, "8080:[/run/c:d]", "8080 /run/c:d"},
    {L, "/run/a\\\\b:host:80", "/run/a\\b [host]:80"},
    {L, "/run/a\\ b:/run/c\\:d", "/run/a b /run/c:d"},
    {L, "8080:host\\:1:80", "8080 [host:1]:80"},
    {L, "/run/a\\:b:host:80", "/run/a:b [host]:80"},
    {R, "0:host:80", "0 [host]:80"},
    {R, "/run/here:host:80", "/run/here [host]:80"},
    {R, "1080", "1080 [socks]:0"},
    {R, "0", "0 [socks]:0"},
    {R, "[::]:1080", "[::]:1080 [socks]:0"},
    {R, "/run/socks", "/run/socks [socks]:0"},
    {R, "/run/so ck\\:s", "/run/so ck:s [socks]:0"},
    {D, "1080", "1080"},
    {D, "localhost:1080", "[localhost]:1080"},
    {D, "[::1]:1080", "[::1]:1080"},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        nacre_forward_options o;
        nacre_forward_text text;
        nacre_error err = {0};
        char shown[256];
        nacre_forward_options_init(&o);
        int rc =
            nacre_forward_parse((nacre_forward_kind)good[i].kind, good[i].text, &o, &text, &err);
        if (rc != NACRE_OK) {
            print_error("%s: %s\n", good[i].text, err.text);
        }
        assert_int_equal(rc, NACRE_OK);
        assert_int_equal(nacre_forward_format(&o, shown, sizeof(shown)), NACRE_OK);
        assert_string_equal(shown, good[i].shown);
        bool dynamic = strstr(shown, "[socks]:0") != NULL;
        assert_int_equal(o.kind, dynamic ? NACRE_FORWARD_REMOTE_DYNAMIC : good[i].kind);
        for (size_t n = 0; n <= strlen(shown); n++) {
            assert_int_equal(nacre_forward_format(&o, shown, n), NACRE_TOO_LARGE);
        }
    }
}

static const struct {
    int kind;
    const char *text;
} bad[] = {
    {L, ""},
    {L, "8080"},
    {L, "a:8080"},
    {L, "8080:host"},
    {L, "0:host:80"},
    {L, "8080:host:0"},
    {L, "8080::80"},
    {L, "65536:h:1"},
    {L, "1:h:65536"},
    {L, "-1:h:1"},
    {L, "1x:h:1"},
    {L, "a:b:c:d:e"},
    {L, "a:b:c:d"},
    {L, "[::1:80:h:1"},
    {L, "[::1]80:h:1"},
    {L, "8080:[h:80"},
    {L, "1:[h]x:2"},
    {L, "/a"},
    {L, "/a:1"},
    {L, "/a:/b:1"},
    {L, "/a:/b:/c"},
    {L, "1:/a:2"},
    {L, "1 2 3 4 5"},
    {L, "8080 host:80"},
    {L, "8080:host:80 "},
    {L, "/run/here /run/there"},
    {L, "\\/run:host:80"}, /* kept characters make no path, as with ssh */
    {L, "/run/here\\"},
    {L, "8080:/run/there\\"},
    {L, "8080:[/run/there"},
    {L, "8080:/run/there:"},
    {L, "   "},
    {L, ":::"},
    {L, "1:h:1:"},
    {R, ""},
    {R, "x"},
    {R, "1:2:3:4:5"},
    {R, "h:"},
    {R, "0:host:0"},
    {D, ""},
    {D, "0"},
    {D, "h:0"},
    {D, "a:b:1"},
    {D, "1080:h:80"},
    {D, "[::1"},
    {D, "70000"},
    {D, "1080 "},
};

static void test_bad(void **state)
{
    (void)state;
    static char endless[4096];
    memset(endless, 'a', sizeof(endless) - 1);
    for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
        bool last = i == sizeof(bad) / sizeof(bad[0]);
        nacre_forward_options o;
        nacre_forward_text text;
        nacre_error err = {0};
        nacre_forward_options_init(&o);
        int rc = nacre_forward_parse((nacre_forward_kind)(last ? L : bad[i].kind),
                                     last ? endless : bad[i].text, &o, &text, &err);
        if (rc == NACRE_OK) {
            print_error("taken: %s\n", bad[i].text);
        }
        assert_int_equal(rc, NACRE_SYNTAX);
        assert_int_equal(err.status, NACRE_SYNTAX);
        assert_non_null(strstr(err.text, "is no forwarding"));
        assert_null(o.listen.host);
        assert_int_equal(o.kind, NACRE_FORWARD_LOCAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
