/*
 * Key files as they come to the disk: modes, names, what is replaced and what is left alone, and how
 * files are loaded.
 */
#include "keydata.h"

#include "keys/key.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static nacre_key *key;

static const char *at(const char *name)
{
    static char paths[4][400];
    static size_t next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
    return p;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/nacre-save-XXXXXX");
    assert_non_null(mkdtemp(dir));
    key = keydata_private("ed25519");
    return 0;
}

static size_t files_in(bool drop)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.' || strlen(e->d_name) > 2) {
            n++;
            if (drop && remove(at(e->d_name)) != 0) {
                fail();
            }
        }
    }
    closedir(d);
    return n;
}

static int tear_down(void **state)
{
    (void)state;
    files_in(true);
    nacre_key_free(key);
    return rmdir(dir);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static int save(const char *name, nacre_key_format format, unsigned flags, nacre_error *err)
{
    nacre_key_format_options o;
    nacre_key_format_options_init(&o, format);
    o.comment = "saved";
    return nacre_key_save_file(key, at(name), &o, flags, err);
}

static void two_files_with_their_modes(void **state)
{
    nacre_error err;
    nacre_key *back = NULL;
    (void)state;
    mode_t before = umask(0777);
    assert_int_equal(save("id", NACRE_FORMAT_OPENSSH, 0, &err), NACRE_OK);
    umask(0);
    assert_int_equal(save("other", NACRE_FORMAT_PPK3, NACRE_SAVE_NO_PUBLIC, &err), NACRE_OK);
    assert_int_equal(save("line", NACRE_FORMAT_LINE, 0, &err), NACRE_OK);
    umask(before);
    assert_int_equal(files_in(false), 4);
    assert_int_equal(mode_of(at("id")), 0600);
    assert_int_equal(mode_of(at("id.pub")), 0644);
    assert_int_equal(mode_of(at("other")), 0600);
    assert_int_equal(mode_of(at("line")), 0644);
    assert_int_equal(nacre_key_load_file(&back, NULL, at("id"), NULL, &err), NACRE_OK);
    assert_true(nacre_key_equal(back, key));
    assert_string_equal(nacre_key_comment(back), "saved");
    nacre_key_free(back);
    /* NULL: OpenSSH's format, plain */
    assert_int_equal(nacre_key_save_file(key, at("plain"), NULL, 0, NULL), NACRE_OK);
    assert_int_equal(nacre_key_load_file(&back, NULL, at("plain"), NULL, &err), NACRE_OK);
    nacre_key_free(back);
    files_in(true);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void check_text(const char *name, const char *want)
{
    char text[64] = "";
    FILE *f = fopen(at(name), "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
    fclose(f);
    assert_string_equal(text, want);
}

static void what_is_there_stays(void **state)
{
    nacre_error err;
    (void)state;
    put("id", "old");
    assert_int_equal(save("id", NACRE_FORMAT_OPENSSH, 0, &err), NACRE_EXISTS);
    assert_non_null(strstr(err.text, at("id")));
    check_text("id", "old");
    assert_int_equal(files_in(true), 1); /* nor a public file, nor a temporary one */
    put("id.pub", "old");
    assert_int_equal(save("id", NACRE_FORMAT_OPENSSH, 0, &err), NACRE_EXISTS);
    check_text("id.pub", "old");
    assert_int_equal(files_in(false), 1);
    assert_int_equal(save("id", NACRE_FORMAT_OPENSSH, NACRE_SAVE_NO_PUBLIC, &err), NACRE_OK);
    check_text("id.pub", "old");
    files_in(true);
    /* a link to nothing is something that is there */
    assert_int_equal(symlink("nowhere", at("id")), 0);
    assert_int_equal(save("id", NACRE_FORMAT_OPENSSH, 0, &err), NACRE_EXISTS);
    assert_int_equal(files_in(true), 1);
}

static void replacing_replaces_names_only(void **state)
{
    nacre_error err;
    struct stat st;
    (void)state;
    put("target", "old");
    assert_int_equal(chmod(at("target"), 0666), 0);
    assert_int_equal(symlink("target", at("id")), 0);
    assert_int_equal(link(at("target"), at("id.pub")), 0);
    assert_int_equal(save("id", NACRE_FORMAT_OPENSSH, NACRE_SAVE_REPLACE, &err), NACRE_OK);
    check_text("target", "old");
    assert_int_equal(lstat(at("id"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(mode_of(at("id")), 0600);
    assert_int_equal(mode_of(at("id.pub")), 0644);
    assert_int_equal(files_in(true), 3);
    assert_int_equal(mkdir(at("id"), 0700), 0);
    assert_int_equal(save("id", NACRE_FORMAT_OPENSSH, NACRE_SAVE_REPLACE, &err), NACRE_IO);
    assert_int_equal(files_in(true), 1);
}

static void failures_are_named(void **state)
{
    nacre_error err;
    (void)state;
    assert_int_equal(save("no/id", NACRE_FORMAT_OPENSSH, 0, &err), NACRE_IO);
    assert_non_null(strstr(err.text, at("no/id")));
    assert_true(err.detail != 0);
    char path[5000];
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(nacre_key_save_file(key, path, NULL, 0, &err), NACRE_IO);
    assert_int_equal(save("id", NACRE_FORMAT_PEM, 0, &err), NACRE_UNSUPPORTED);
    assert_int_equal(files_in(false), 0);
}

static int never_asked(void *user, const nacre_error *why, nacre_room out, size_t *n)
{
    (void)user;
    (void)why;
    (void)out;
    (void)n;
    fail();
    return NACRE_OK;
}

static int named_ask(void *user, const nacre_error *why, nacre_room out, size_t *n)
{
    assert_non_null(strstr(why->text, user));
    memcpy(out.p, "pearl", 5);
    *n = 5;
    return NACRE_OK;
}

static void files_are_loaded(void **state)
{
    nacre_error err;
    nacre_key *k = NULL;
    nacre_key_load_options o;
    nacre_key_format_options how;
    (void)state;
    nacre_key_format_options_init(&how, NACRE_FORMAT_OPENSSH);
    how.passphrase = keydata_cstr("pearl");
    how.rounds = 1;
    assert_int_equal(nacre_key_save_file(key, at("id"), &how, 0, &err), NACRE_OK);
    nacre_key_load_options_init(&o);
    assert_true(o.strict);
    assert_int_equal(nacre_key_load_file(&k, NULL, at("id"), &o, &err), NACRE_NEED_PASSPHRASE);
    assert_non_null(strstr(err.text, at("id")));
    o.ask = named_ask;
    o.ask_user = (void *)(uintptr_t)at("id");
    assert_int_equal(nacre_key_load_file(&k, NULL, at("id"), &o, &err), NACRE_OK);
    nacre_key_free(k);
    /* whoever may read the file: no question is asked for one that will not be used */
    o.ask = never_asked;
    assert_int_equal(chmod(at("id"), 0640), 0);
    assert_int_equal(nacre_key_load_file(&k, NULL, at("id"), &o, &err), NACRE_KEY_PERMISSIONS);
    assert_non_null(strstr(err.text, "0640"));
    /* the public file is named as such, although it is open to all */
    assert_int_equal(nacre_key_load_file(&k, NULL, at("id.pub"), &o, &err), NACRE_NOT_PRIVATE);
    assert_non_null(strstr(err.text, at("id.pub")));
    assert_null(k);
    files_in(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_files_with_their_modes),
        cmocka_unit_test(what_is_there_stays),
        cmocka_unit_test(replacing_replaces_names_only),
        cmocka_unit_test(failures_are_named),
        cmocka_unit_test(files_are_loaded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
