/*
 * Key files and known_hosts on disk: permissions, links, and lines that must survive whoever
 * writes.
 */
#include "keydata.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static _Thread_local char path[4][256];
    static _Thread_local unsigned at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
    return path[at];
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/nacre-keyfile-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    return 0;
}

static void write_file(const char *path, nacre_span s, mode_t mode)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s.p, 1, s.n, f), s.n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static size_t read_file(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, size - 1, f);
    fclose(f);
    out[n] = '\0';
    return n;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 0777;
}

static void keys_are_read_when_private(void **state)
{
    (void)state;
    nacre_span text = keydata_read("ed25519");
    nacre_span none = {NULL, 0};
    nacre_key *k = NULL;
    nacre_error err;
    write_file(in_dir("id"), text, 0600);
    assert_int_equal(nacre_key_from_file(&k, NULL, in_dir("id"), none, true, &err), NACRE_OK);
    nacre_key_free(k);
    static const mode_t open_modes[] = {0640, 0604, 0660, 0644, 0610, 0777};
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        assert_int_equal(chmod(in_dir("id"), open_modes[i]), 0);
        assert_int_equal(nacre_key_from_file(&k, NULL, in_dir("id"), none, true, &err),
                         NACRE_KEY_PERMISSIONS);
        assert_null(k);
        char mode[8];
        snprintf(mode, sizeof(mode), "%04o", (unsigned)open_modes[i]);
        assert_non_null(strstr(err.text, mode));
        assert_non_null(strstr(err.text, in_dir("id")));
        assert_non_null(strstr(err.text, "chmod 600"));
        assert_int_equal(nacre_key_from_file(&k, NULL, in_dir("id"), none, false, &err), NACRE_OK);
        nacre_key_free(k);
    }
    keydata_free(text);
}

static void unreadable_keys_are_named(void **state)
{
    (void)state;
    nacre_span none = {NULL, 0};
    nacre_key *k = NULL;
    nacre_error err;
    assert_int_equal(nacre_key_from_file(&k, NULL, in_dir("no"), none, true, &err), NACRE_IO);
    assert_int_equal(err.status, NACRE_IO);
    assert_int_equal(err.detail, ENOENT);
    assert_non_null(strstr(err.text, in_dir("no")));
    assert_non_null(strstr(err.text, strerror(ENOENT)));
    assert_int_equal(nacre_key_from_file(&k, NULL, in_dir("no"), none, true, NULL), NACRE_IO);
    assert_int_equal(nacre_key_from_file(&k, NULL, dir, none, true, &err), NACRE_IO);
    write_file(in_dir("junk"), keydata_cstr("junk\n"), 0600);
    assert_int_equal(nacre_key_from_file(&k, NULL, in_dir("junk"), none, true, &err),
                     NACRE_KEY_FORMAT);
    assert_non_null(strstr(err.text, in_dir("junk")));
    assert_int_equal(truncate(in_dir("junk"), 1024 * 1024 + 1), 0);
    assert_int_equal(nacre_key_from_file(&k, NULL, in_dir("junk"), none, true, &err),
                     NACRE_TOO_LARGE);
    assert_null(k);
}

static void check_known(const char *path, const char *host, const nacre_key *key)
{
    nacre_known_hosts *h = NULL;
    nacre_error err;
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_file(h, path, &err), NACRE_OK);
    assert_int_equal(nacre_known_hosts_check(h, host, 22, key, NULL), NACRE_HOST_MATCH);
    nacre_known_hosts_free(h);
}

static void hosts_are_added_to_a_new_directory(void **state)
{
    (void)state;
    nacre_key *k = keydata_public("ed25519");
    nacre_error err;
    const char *path = in_dir("ssh/known_hosts");
    assert_int_equal(nacre_known_hosts_append_file(path, "a", 22, k, false, &err), NACRE_OK);
    assert_int_equal(mode_of(in_dir("ssh")), 0700);
    assert_int_equal(mode_of(in_dir("ssh/known_hosts")), 0600);
    path = in_dir("ssh/known_hosts");
    assert_int_equal(nacre_known_hosts_append_file(path, "b", 22, k, true, &err), NACRE_OK);
    check_known(in_dir("ssh/known_hosts"), "a", k);
    check_known(in_dir("ssh/known_hosts"), "b", k);
    /* one level only */
    assert_int_equal(nacre_known_hosts_append_file(in_dir("x/y/z"), "a", 22, k, false, &err),
                     NACRE_IO);
    assert_true(err.text[0]);
    assert_int_equal(nacre_known_hosts_append_file(in_dir("bad"), "a b", 22, k, false, &err),
                     NACRE_INVALID_ARGUMENT);
    assert_int_equal(access(in_dir("bad"), F_OK), -1);
    nacre_known_hosts *h = NULL;
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_file(h, in_dir("bad"), &err), NACRE_NOT_FOUND);
    assert_int_equal(nacre_known_hosts_add_file(h, dir, &err), NACRE_IO);
    nacre_known_hosts_free(h);
    nacre_key_free(k);
}

static void what_stood_there_stays(void **state)
{
    (void)state;
    static const char old[] = "# mine\r\n\n@odd line\nx ssh-ed25519 AAAA no newline";
    nacre_key *k = keydata_public("ed25519");
    nacre_error err;
    char text[4096];
    write_file(in_dir("kh"), keydata_cstr(old), 0644);
    assert_int_equal(nacre_known_hosts_append_file(in_dir("kh"), "a", 22, k, false, &err),
                     NACRE_OK);
    assert_int_equal(mode_of(in_dir("kh")), 0644);
    read_file(in_dir("kh"), text, sizeof(text));
    assert_memory_equal(text, old, strlen(old));
    assert_memory_equal(text + strlen(old), "\na ssh-ed25519 ", 15);
    assert_int_equal(text[strlen(text) - 1], '\n');
    check_known(in_dir("kh"), "a", k);
    nacre_key_free(k);
}

static void links_stay_links(void **state)
{
    (void)state;
    nacre_key *k = keydata_public("ed25519");
    nacre_error err;
    struct stat st;
    assert_int_equal(mkdir(in_dir("dotfiles"), 0700), 0);
    write_file(in_dir("dotfiles/kh"), keydata_cstr("# real\n"), 0600);
    assert_int_equal(symlink("dotfiles/kh", in_dir("link")), 0);
    assert_int_equal(nacre_known_hosts_append_file(in_dir("link"), "a", 22, k, false, &err),
                     NACRE_OK);
    assert_int_equal(lstat(in_dir("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    check_known(in_dir("dotfiles/kh"), "a", k);
    /* to nothing yet */
    assert_int_equal(symlink("dotfiles/new", in_dir("link2")), 0);
    assert_int_equal(nacre_known_hosts_append_file(in_dir("link2"), "a", 22, k, false, &err),
                     NACRE_OK);
    assert_int_equal(lstat(in_dir("link2"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    check_known(in_dir("dotfiles/new"), "a", k);
    /* no temporary file is left */
    char command[200];
    snprintf(command, sizeof(command), "ls -A %s/dotfiles | grep -q tmp", dir);
    assert_int_not_equal(system(command), 0);
    nacre_key_free(k);
}

/* "Remember nothing": a device takes the line, and is a device afterwards. */
static void devices_are_not_replaced(void **state)
{
    (void)state;
    nacre_key *k = keydata_public("ed25519");
    nacre_error err;
    struct stat st;
    assert_int_equal(symlink("/dev/null", in_dir("nowhere")), 0);
    assert_int_equal(nacre_known_hosts_append_file("/dev/null", "a", 22, k, false, &err), NACRE_OK);
    assert_int_equal(nacre_known_hosts_append_file(in_dir("nowhere"), "a", 22, k, true, &err),
                     NACRE_OK);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(lstat(in_dir("nowhere"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    /* one that cannot take it says so */
    assert_int_equal(nacre_known_hosts_append_file("/dev/full", "a", 22, k, false, &err), NACRE_IO);
    assert_non_null(strstr(err.text, "/dev/full: cannot be written"));
    assert_int_equal(nacre_known_hosts_append_file(dir, "a", 22, k, false, &err), NACRE_IO);
    assert_non_null(strstr(err.text, "not a regular file"));
    nacre_key_free(k);
}

enum { WRITERS = 8, LINES = 10 };

typedef struct writer {
    unsigned number;
    const nacre_key *key;
    int failures;
} writer;

static void *write_lines(void *arg)
{
    writer *w = arg;
    for (unsigned i = 0; i < LINES; i++) {
        char host[32];
        snprintf(host, sizeof(host), "h%u-%u", w->number, i);
        int rc = nacre_known_hosts_append_file(in_dir("many"), host, 22, w->key, false, NULL);
        w->failures += rc == NACRE_OK ? 0 : 1;
    }
    return NULL;
}

static void writers_lose_no_lines(void **state)
{
    (void)state;
    nacre_key *k = keydata_public("ed25519");
    pthread_t threads[WRITERS];
    writer writers[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (writer){i, k, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].failures, 0);
    }
    nacre_known_hosts *h = NULL;
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_file(h, in_dir("many"), NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_count(h), WRITERS * LINES);
    nacre_known_hosts_free(h);
    nacre_key_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_when_private),
        cmocka_unit_test(unreadable_keys_are_named),
        cmocka_unit_test(hosts_are_added_to_a_new_directory),
        cmocka_unit_test(what_stood_there_stays),
        cmocka_unit_test(links_stay_links),
        cmocka_unit_test(devices_are_not_replaced),
        cmocka_unit_test(writers_lose_no_lines),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
