/*
 * test_paths.c - paths as text, and modes as people write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nacre/paths.h"

#include <stdio.h>
#include <string.h>

typedef size_t (*step_fn)(const char *path, size_t *state);

static void steps_are(step_fn step, const char *path, const char *expected)
{
    char seen[256] = "";
    size_t state = 0;
    size_t n;
    while ((n = step(path, &state)) > 0) {
        size_t at = strlen(seen);
        assert_true(n <= strlen(path));
        snprintf(seen + at, sizeof(seen) - at, "%.*s,", (int)n, path);
    }
    assert_int_equal(step(path, &state), 0); /* and stays there */
    assert_string_equal(seen, expected);
}

static void steps(void **state)
{
    (void)state;
    steps_are(nacre_path_advance, "/a/b", "/,/a,/a/b,");
    steps_are(nacre_path_advance, "a/b", "a,a/b,");
    steps_are(nacre_path_advance, "/a//b/", "/,/a,/a//b,");
    steps_are(nacre_path_advance, "/", "/,");
    steps_are(nacre_path_advance, "a", "a,");
    steps_are(nacre_path_advance, "", "");
    steps_are(nacre_path_retreat, "/a/b", "/a/b,/a,/,");
    steps_are(nacre_path_retreat, "a/b", "a/b,a,");
    steps_are(nacre_path_retreat, "/a//b//", "/a//b,/a,/,");
    steps_are(nacre_path_retreat, "/", "/,");
    steps_are(nacre_path_retreat, "//", "/,");
    steps_are(nacre_path_retreat, "a", "a,");
    steps_are(nacre_path_retreat, "", "");
}

static const struct reparent_row {
    const char *root, *path;
    int rc;
    const char *out;
} rows[] = {
    {"/srv", "/a/b", NACRE_OK, "/srv/a/b"},
    {"/srv", "a/b", NACRE_OK, "/srv/a/b"},
    {"/srv/", "/a/./b//c/", NACRE_OK, "/srv/a/b/c"},
    {"/srv", "", NACRE_OK, "/srv"},
    {"/srv", "/", NACRE_OK, "/srv"},
    {"/srv", "a/../b", NACRE_OK, "/srv/b"},
    {"/srv", "a/b/../..", NACRE_OK, "/srv"},
    {"/srv", "...", NACRE_OK, "/srv/..."},
    {"/srv", "..a/b..", NACRE_OK, "/srv/..a/b.."},
    {"/srv", "..", NACRE_INVALID_ARGUMENT, ""},
    {"/srv", "a/../../etc", NACRE_INVALID_ARGUMENT, ""},
    {"/srv", "/../srv/a", NACRE_INVALID_ARGUMENT, ""},
    {"/", "a/b", NACRE_OK, "/a/b"},
    {"/", "a/../b", NACRE_OK, "/b"},
    {"/", "/..", NACRE_INVALID_ARGUMENT, ""},
    {"srv", "/a", NACRE_OK, "srv/a"},
    {"", "a", NACRE_INVALID_ARGUMENT, ""},
    {"/srv", "123456789012345678901234567890", NACRE_TOO_LARGE, ""},
    {"/srv", "1234567890123456789012345", NACRE_OK, "/srv/1234567890123456789012345"},
};

static void reparenting(void **state)
{
    char out[31];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(out, 'x', sizeof(out));
        int rc = nacre_path_reparent(rows[i].root, rows[i].path, out, sizeof(out));
        assert_int_equal(rc, rows[i].rc);
        assert_string_equal(out, rows[i].out);
    }
    assert_int_equal(nacre_path_reparent("/", "a", out, 0), NACRE_TOO_LARGE);
}

static void joining(void **state)
{
    char out[12];
    (void)state;
    assert_int_equal(nacre_path_join("/a", "b", out, sizeof(out)), NACRE_OK);
    assert_string_equal(out, "/a/b");
    assert_int_equal(nacre_path_join("/a/", "b", out, sizeof(out)), NACRE_OK);
    assert_string_equal(out, "/a/b");
    assert_int_equal(nacre_path_join("/a", "/b", out, sizeof(out)), NACRE_OK);
    assert_string_equal(out, "/b");
    assert_int_equal(nacre_path_join("", "b", out, sizeof(out)), NACRE_OK);
    assert_string_equal(out, "b");
    assert_int_equal(nacre_path_join("/a", "", out, sizeof(out)), NACRE_OK);
    assert_string_equal(out, "/a");
    assert_int_equal(nacre_path_join("/12345", "7890", out, sizeof(out)), NACRE_OK);
    assert_int_equal(nacre_path_join("/12345", "78901", out, sizeof(out)), NACRE_TOO_LARGE);
    assert_string_equal(out, "");
}

static void modes(void **state)
{
    uint32_t mode = 9;
    (void)state;
    assert_int_equal(nacre_mode_from_decimal(755, &mode), NACRE_OK);
    assert_int_equal(mode, 0755);
    assert_int_equal(nacre_mode_from_decimal(4711, &mode), NACRE_OK);
    assert_int_equal(mode, 04711);
    assert_int_equal(nacre_mode_from_decimal(0, &mode), NACRE_OK);
    assert_int_equal(mode, 0);
    assert_int_equal(nacre_mode_from_decimal(758, &mode), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_mode_from_decimal(UINT32_MAX, &mode), NACRE_INVALID_ARGUMENT);
    for (uint32_t m = 0; m <= 07777; m++) {
        assert_int_equal(nacre_mode_from_decimal(nacre_mode_to_decimal(m), &mode), NACRE_OK);
        assert_int_equal(mode, m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps),
        cmocka_unit_test(reparenting),
        cmocka_unit_test(joining),
        cmocka_unit_test(modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
