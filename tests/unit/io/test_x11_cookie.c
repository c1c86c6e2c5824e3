/*
 * Cookies of X displays: programs in the place of xauth(1) that say what they like, and what they are told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nacre/x11.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct place {
    char dir[64], program[96], said[96];
    nacre_x11_cookie_options o;
} place;

/* A program whose text is a shell's; $SAID is where it may leave what it was told. */
static void program(place *p, const char *text)
{
    FILE *f = fopen(p->program, "w");
    assert_non_null(f);
    assert_true(fprintf(f, "#!/bin/sh\nSAID=%s\n%s\n", p->said, text) > 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(p->program, 0755), 0);
}

static int set_up(void **state)
{
    place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/nacre-x11-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->program, sizeof(p->program), "%s/xauth", p->dir);
    (void)snprintf(p->said, sizeof(p->said), "%s/said", p->dir);
    nacre_x11_cookie_options_init(&p->o);
    p->o.display = "localhost:10.0";
    p->o.xauth = p->program;
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    place *p = *state;
    (void)unlink(p->program);
    (void)unlink(p->said);
    assert_int_equal(rmdir(p->dir), 0);
    free(p);
    return 0;
}

static void read_said(const place *p, char *out, size_t size)
{
    FILE *f = fopen(p->said, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, size - 1, f);
    out[n] = '\0';
    assert_int_equal(fclose(f), 0);
}

static void test_cookie(void **state)
{
    place *p = *state;
    nacre_x11_cookie c;
    nacre_error err;
    char said[256];
    program(p, "echo \"$@\" > $SAID\n"
               "echo 'a line of no use'\n"
               "echo 'unix:10  MIT-MAGIC-COOKIE-1  00aBff'\n"
               "echo 'unix:10  OTHER  11'");
    assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), NACRE_OK);
    assert_string_equal(c.protocol, "MIT-MAGIC-COOKIE-1");
    assert_int_equal(c.size, 3);
    assert_memory_equal(c.data, "\0\xab\xff", 3);
    read_said(p, said, sizeof(said));
    assert_string_equal(said, "list unix:10.0\n");
}

static void test_untrusted_cookie(void **state)
{
    place *p = *state;
    nacre_x11_cookie c;
    nacre_error err;
    char said[512];
    program(p, "echo \"$@\" >> $SAID\n"
               "case $3 in\n"
               "generate) test $(stat -c %a ${2%/*}) = 700 && echo 77 > $2;;\n"
               "list) echo \"d MIT-MAGIC-COOKIE-1 $(cat $2)\";;\n"
               "esac");
    p->o.trusted = false;
    p->o.lifetime_seconds = 1200;
    assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), NACRE_OK);
    assert_int_equal(c.size, 1);
    assert_int_equal(c.data[0], 0x77);
    read_said(p, said, sizeof(said));
    assert_non_null(
        strstr(said, " generate unix:10.0 MIT-MAGIC-COOKIE-1 untrusted timeout 1260\n"));
    char *file = strtok(said + 3, " ");
    assert_int_equal(access(file, F_OK), -1); /* nothing stays */
    *strrchr(file, '/') = '\0';
    assert_int_equal(access(file, F_OK), -1);
}

static void test_programs_that_fail(void **state)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"true", NACRE_NOT_FOUND},
        {"echo only two", NACRE_NOT_FOUND},
        {"echo a b c d", NACRE_NOT_FOUND},
        {"echo 'd MIT-MAGIC-COOKIE-1 0'", NACRE_NOT_FOUND},
        {"echo 'd MIT-MAGIC-COOKIE-1 0g'", NACRE_NOT_FOUND},
        {"echo 'd -x 00'", NACRE_NOT_FOUND},
        {"printf 'd M %0300d\\n' 0", NACRE_NOT_FOUND}, /* more than a cookie has */
        {"printf 'd\\0 M 00'", NACRE_OK},              /* nobody looks at the display's name */
        {"echo 'd M 00'; exit 1", NACRE_IO},
        {"kill -9 $$", NACRE_IO},
        {"while :; do echo 0123456789012345678901234567890123456789; done", NACRE_TOO_LARGE},
        {"exec sleep 60", NACRE_TIMEOUT},
    };
    place *p = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_x11_cookie c;
        nacre_error err;
        p->o.timeout_ms = rows[i].status == NACRE_TIMEOUT ? 100 : 20000;
        program(p, rows[i].text);
        assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), rows[i].status);
        assert_true(rows[i].status == NACRE_OK || err.text[0]);
    }
}

static void test_questions_that_are_none(void **state)
{
    place *p = *state;
    nacre_x11_cookie c;
    nacre_error err;
    program(p, "echo told > $SAID");
    p->o.display = "a b:0";
    assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), NACRE_SYNTAX);
    p->o.display = NULL;
    (void)unsetenv("DISPLAY");
    assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), NACRE_NOT_FOUND);
    p->o.display = ":0";
    p->o.xauth = "xauth";
    assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), NACRE_INVALID_ARGUMENT);
    p->o.xauth = NULL;
    assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_x11_cookie_ask(&c, NULL, &err), NACRE_INVALID_ARGUMENT);
    p->o.xauth = "/nowhere/xauth";
    assert_int_equal(nacre_x11_cookie_ask(&c, &p->o, &err), NACRE_IO);
    assert_int_equal(access(p->said, F_OK), -1);
}

static void test_adding(void **state)
{
    place *p = *state;
    nacre_error err;
    char said[512], home[] = "HOME=/there", path[] = "PATH=/usr/bin:/bin";
    char *const env[] = {home, path, NULL};
    program(p, "{ echo \"$@ $HOME\"; cat; } > $SAID");
    assert_int_equal(
        nacre_x11_cookie_add(p->program, "localhost:12.1", "M", "00ff", env, 20000, &err),
        NACRE_OK);
    read_said(p, said, sizeof(said));
    assert_string_equal(said, "-q - /there\nremove unix:12.1\nadd unix:12.1 M 00ff\n");
    assert_int_equal(nacre_x11_cookie_add(p->program, "host:3.0", "M", "00", NULL, 20000, &err),
                     NACRE_OK);
    read_said(p, said, sizeof(said));
    assert_non_null(strstr(said, "\nremove host:3.0\nadd host:3.0 M 00\n"));
    (void)unlink(p->said);
    assert_int_equal(nacre_x11_cookie_add(p->program, "x y:0", "M", "00", NULL, 1000, &err),
                     NACRE_SYNTAX);
    assert_int_equal(nacre_x11_cookie_add(p->program, ":0", "M\nsource x", "00", NULL, 1000, &err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_x11_cookie_add(p->program, ":0", "M", "00\nsource x", NULL, 1000, &err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_x11_cookie_add("xauth", ":0", "M", "00", NULL, 1000, &err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_x11_cookie_add(NULL, ":0", "M", "00", NULL, 1000, &err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(access(p->said, F_OK), -1);
    program(p, "exit 1");
    assert_int_equal(nacre_x11_cookie_add(p->program, ":0", "M", "00", NULL, 20000, &err),
                     NACRE_IO);
    program(p, "exec sleep 60");
    assert_int_equal(nacre_x11_cookie_add(p->program, ":0", "M", "00", NULL, 100, &err),
                     NACRE_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cookie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_untrusted_cookie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_programs_that_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_questions_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_adding, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
