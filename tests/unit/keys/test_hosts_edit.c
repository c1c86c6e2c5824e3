/*
 * Editing known_hosts: lines removed, replaced and hashed in the object and in files, what stays untouched, and
 * what happens when others write, memory fails or the directory may not be written.
 */
#include "keydata.h"

#include "base/mem.h"
#include "keys/known_hosts.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static char line[1024]; /* "ssh-ed25519 AAAA..." */
static nacre_key *key;

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/nacre-hosts-XXXXXX");
    assert_non_null(mkdtemp(dir));
    key = keydata_public("ed25519");
    assert_true(nacre_key_public_line(key, line, sizeof(line)) > 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    nacre_key_free(key);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[4][256];
    static unsigned at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
    return path[at];
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_file(const char *path, const char *text)
{
    char there[16384];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    there[fread(there, 1, sizeof(there) - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(there, text);
}

static nacre_known_hosts *hosts_of(const char *text)
{
    nacre_known_hosts *h = NULL;
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_text(h, keydata_cstr(text), "file"), NACRE_OK);
    return h;
}

static void assert_text(const nacre_known_hosts *h, const char *source, const char *text)
{
    uint8_t *p = NULL;
    size_t n = 0;
    assert_int_equal(nacre_known_hosts_text(h, source, &p, &n), NACRE_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(p, text, n);
    nacre_secret_free(NULL, p, n);
}

static void untouched_text_comes_back_byte_for_byte(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "\n",
                                        "\r\n\r\n",
                                        "# c\r\nx y z\n\t \n",
                                        "no end",
                                        "a b c\nno end",
                                        "@odd a b c\n|1|x b c\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        nacre_known_hosts *h = hosts_of(texts[i]);
        assert_text(h, NULL, texts[i]);
        assert_text(h, "file", texts[i]);
        assert_text(h, "another", "");
        nacre_known_hosts_free(h);
    }
}

static void kinds_of_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        nacre_host_line_kind kind;
    } rows[] = {
        {"", NACRE_HOST_LINE_COMMENT},
        {"  # a", NACRE_HOST_LINE_COMMENT},
        {"a ssh-ed25519 AAAA", NACRE_HOST_LINE_KEY},
        {"a made-up-type AAAA", NACRE_HOST_LINE_KEY},
        {"@revoked a ssh-ed25519 AAAA", NACRE_HOST_LINE_KEY},
        {"@cert-authority * ssh-ed25519 AAAA", NACRE_HOST_LINE_KEY},
        {"@REVOKED a ssh-ed25519 AAAA", NACRE_HOST_LINE_INVALID},
        {"@other a ssh-ed25519 AAAA", NACRE_HOST_LINE_INVALID},
        {"@revoked", NACRE_HOST_LINE_INVALID},
        {"a", NACRE_HOST_LINE_INVALID},
        {"a ssh-ed25519", NACRE_HOST_LINE_INVALID},
        {"a ssh-ed25519 #AAAA", NACRE_HOST_LINE_INVALID},
        {"a # AAAA", NACRE_HOST_LINE_INVALID},
        {"a 1024 35 1234567", NACRE_HOST_LINE_INVALID},
        {"|1|AAAA|AAAA ssh-ed25519 AAAA", NACRE_HOST_LINE_INVALID},
        {"|2|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= ssh-ed25519 AAAA",
         NACRE_HOST_LINE_INVALID},
        {"|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= ssh-ed25519 AAAA",
         NACRE_HOST_LINE_KEY},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[256];
        nacre_host_entry e;
        snprintf(text, sizeof(text), "%s\n", rows[i].text);
        nacre_known_hosts *h = hosts_of(text);
        assert_int_equal(nacre_known_hosts_get(h, 0, &e), NACRE_OK);
        if (e.kind != rows[i].kind) {
            fail_msg("%s: kind %d", rows[i].text, (int)e.kind);
        }
        nacre_known_hosts_free(h);
    }
    nacre_known_hosts *h = NULL;
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_text(h, nc_span("a\0* ssh-ed25519 AAAA\n", 22), "nul"),
                     NACRE_OK);
    assert_false(nacre_known_hosts_entry_is(h, 0, "a", 22));
    assert_false(nacre_known_hosts_entry_is(h, 0, "b", 22));
    nacre_known_hosts_free(h);
}

static void lines_are_removed_and_replaced(void **state)
{
    (void)state;
    nacre_known_hosts *h = hosts_of("# one\na xx y\nb xx y\nc xx y");
    assert_int_equal(nacre_known_hosts_remove(h, 4), NACRE_NOT_FOUND);
    assert_int_equal(nacre_known_hosts_remove(h, 1), NACRE_OK);
    assert_text(h, NULL, "# one\nb xx y\nc xx y");
    assert_int_equal(nacre_known_hosts_replace(h, 1, keydata_cstr("B xx y\nBB xx y")), NACRE_OK);
    assert_text(h, NULL, "# one\nB xx y\nBB xx y\nc xx y");
    assert_int_equal(nacre_known_hosts_replace(h, 3, keydata_cstr("C xx y\n")), NACRE_OK);
    assert_text(h, "file", "# one\nB xx y\nBB xx y\nC xx y\n");
    assert_int_equal(nacre_known_hosts_replace(h, 3, keydata_cstr("")), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_known_hosts_replace(h, 9, keydata_cstr("a")), NACRE_NOT_FOUND);
    assert_true(nacre_known_hosts_entry_is(h, 2, "bb", 22));
    while (nacre_known_hosts_count(h)) {
        assert_int_equal(nacre_known_hosts_remove(h, 0), NACRE_OK);
    }
    assert_text(h, NULL, "");
    nacre_known_hosts_free(h);
}

enum { MANY = 20000 };

/* "h0 xx y", "h1 xx y", ...: each line has its name for a text. */
static nacre_known_hosts *many_lines(void)
{
    size_t n = 0, room = (size_t)MANY * 16;
    char *text = malloc(room);
    assert_non_null(text);
    for (size_t i = 0; i < MANY; i++) {
        n += (size_t)snprintf(text + n, room - n, "h%zu xx y\n", i);
    }
    nacre_known_hosts *h = hosts_of(text);
    free(text);
    assert_int_equal(nacre_known_hosts_count(h), MANY);
    h->moved = 0;
    return h;
}

static void assert_line(const nacre_known_hosts *h, size_t index, size_t number)
{
    nacre_host_entry e;
    char name[32];
    snprintf(name, sizeof(name), "h%zu", number);
    assert_int_equal(nacre_known_hosts_get(h, index, &e), NACRE_OK);
    assert_true(nc_span_is(e.names, name));
}

/* What edits cost in other lines that have to move: no more than a few for each line that there is. */
static void edits_on_their_way_through_move_each_line_once(void **state)
{
    (void)state;
    nacre_known_hosts *h = many_lines();
    for (size_t i = 0; i < h->count; i++) { /* two of three */
        assert_int_equal(nacre_known_hosts_remove(h, i), NACRE_OK);
        assert_int_equal(nacre_known_hosts_remove(h, i), NACRE_OK);
    }
    assert_int_equal(nacre_known_hosts_count(h), MANY / 3);
    for (size_t i = 0; i < h->count; i++) {
        assert_line(h, i, 3 * i + 2);
    }
    assert_true(h->moved <= 2 * MANY);
    nacre_known_hosts_free(h);

    h = many_lines(); /* all, from the front and from behind */
    for (size_t i = 0; i < MANY / 2; i++) {
        assert_int_equal(nacre_known_hosts_remove(h, 0), NACRE_OK);
    }
    assert_line(h, 0, MANY / 2);
    while (nacre_known_hosts_count(h)) {
        assert_int_equal(nacre_known_hosts_remove(h, h->count - 1), NACRE_OK);
    }
    assert_true(h->moved <= 2 * MANY);
    assert_text(h, NULL, "");
    nacre_known_hosts_free(h);

    h = many_lines(); /* every second one backwards */
    for (size_t i = MANY; i > 0; i -= 2) {
        assert_int_equal(nacre_known_hosts_remove(h, i - 1), NACRE_OK);
    }
    for (size_t i = 0; i < h->count; i++) {
        assert_line(h, i, 2 * i);
    }
    assert_true(h->moved <= 2 * MANY);
    nacre_known_hosts_free(h);

    h = many_lines(); /* one becomes three, and the next goes */
    for (size_t i = 0; i < h->count; i += 3) {
        assert_int_equal(nacre_known_hosts_replace(h, i, keydata_cstr("x xx y\nz xx y\nx xx y")),
                         NACRE_OK);
        assert_int_equal(nacre_known_hosts_remove(h, i + 3), NACRE_OK);
    }
    assert_int_equal(nacre_known_hosts_count(h), 3 * MANY / 2);
    assert_true(h->moved <= 4 * MANY);
    nacre_known_hosts_free(h);
}

/* Edits here and there, and lines added between them, against the plainest of models. */
static void edits_in_any_order_keep_the_order(void **state)
{
    (void)state;
    size_t model[300], count = 0, next = 0;
    uint32_t dice = 1;
    nacre_known_hosts *h = hosts_of("");
    for (int step = 0; step < 3000; step++) {
        char text[64];
        dice = dice * 1664525u + 1013904223u;
        size_t at = count ? (dice >> 8) % count : 0;
        unsigned what = dice >> 29;
        if (what < 3 && count < 298) { /* behind all */
            snprintf(text, sizeof(text), "h%zu xx y\nh%zu xx y\n", next, next + 1);
            assert_int_equal(nacre_known_hosts_add_text(h, keydata_cstr(text), "f"), NACRE_OK);
            model[count++] = next++;
            model[count++] = next++;
        } else if (what < 5 && count && count < 299) { /* one becomes two */
            snprintf(text, sizeof(text), "h%zu xx y\nh%zu xx y", next, next + 1);
            assert_int_equal(nacre_known_hosts_replace(h, at, keydata_cstr(text)), NACRE_OK);
            memmove(&model[at + 2], &model[at + 1], (count - at - 1) * sizeof(*model));
            model[at] = next++;
            model[at + 1] = next++;
            count++;
        } else if (count) {
            assert_int_equal(nacre_known_hosts_remove(h, at), NACRE_OK);
            count--;
            memmove(&model[at], &model[at + 1], (count - at) * sizeof(*model));
        }
        assert_int_equal(nacre_known_hosts_count(h), count);
        for (size_t i = 0; i < count; i += step % 100 ? count / 7 + 1 : 1) {
            assert_line(h, i, model[i]);
        }
    }
    nacre_known_hosts_free(h);
}

static void names_are_hashed_each_by_itself(void **state)
{
    (void)state;
    char text[4096];
    size_t lines = 0;
    snprintf(text, sizeof(text), "A.example,10.0.0.1,,[a]:22 %s  my comment\r\nlast xx y\n", line);
    nacre_known_hosts *h = hosts_of(text);
    assert_int_equal(nacre_known_hosts_hash(h, 0, &lines), NACRE_OK);
    assert_int_equal(lines, 3);
    assert_int_equal(nacre_known_hosts_count(h), 4);
    static const char *const names[] = {"a.example", "10.0.0.1", "[a]:22"};
    for (size_t i = 0; i < 3; i++) {
        nacre_host_entry e;
        assert_int_equal(nacre_known_hosts_get(h, i, &e), NACRE_OK);
        assert_true(e.hashed);
        assert_int_equal(e.kind, NACRE_HOST_LINE_KEY);
        assert_int_equal(e.line, 1);
        assert_true(nc_span_is(e.comment, "my comment"));
        assert_true(nacre_key_equal(e.key, key));
        for (size_t j = 0; j < 3; j++) {
            assert_int_equal(nacre_known_hosts_entry_is(h, i, names[j], 22), i == j);
        }
    }
    assert_int_equal(nacre_known_hosts_check(h, "a.example", 22, key, NULL), NACRE_HOST_MATCH);
    nacre_known_hosts_free(h);

    static const char *const kept[] = {"*.example",         "a,!b",   "a?",  "@revoked a",
                                       "@cert-authority a", "@odd a", "# a", ","};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        snprintf(text, sizeof(text), "%s %s\n", kept[i], line);
        h = hosts_of(text);
        assert_int_equal(nacre_known_hosts_hash(h, 0, &lines), NACRE_UNSUPPORTED);
        assert_int_equal(lines, 1);
        assert_text(h, NULL, text);
        nacre_known_hosts_free(h);
    }
}

/* ---- files ---- */

static nacre_hosts_note notes[32];
static size_t note_count;

static void take_note(void *user, const nacre_hosts_note *n)
{
    assert_ptr_equal(user, notes);
    assert_true(note_count < 32);
    notes[note_count++] = *n;
}

static void hosts_are_removed_from_files(void **state)
{
    (void)state;
    char text[8192], left[8192];
    nacre_hosts_report r;
    nacre_error err;
    const char *path = in_dir("kh");
    snprintf(text, sizeof(text),
             "# mine\na %s\nb %s\n@cert-authority a %s\nz,A %s\r\n[a]:2222 %s\n*.a %s\n", line,
             line, line, line, line, line);
    snprintf(left, sizeof(left), "# mine\nb %s\n@cert-authority a %s\n[a]:2222 %s\n*.a %s\n", line,
             line, line, line);
    write_file(path, text, 0640);
    note_count = 0;
    assert_int_equal(nacre_known_hosts_remove_host(path, "a", 22, NACRE_HOSTS_BACKUP, take_note,
                                                   notes, &r, &err),
                     NACRE_OK);
    assert_file(path, left);
    assert_file(in_dir("kh.old"), text);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(r.found, 2);
    assert_int_equal(r.kept, 1);
    assert_int_equal(note_count, 3);
    assert_int_equal(notes[0].fact, NACRE_HOSTS_FOUND);
    assert_int_equal(notes[0].line, 2);
    assert_int_equal(notes[1].fact, NACRE_HOSTS_KEPT);
    assert_int_equal(notes[1].line, 4);
    assert_int_equal(notes[2].line, 5);
    assert_string_equal(notes[2].names, "z,A");
    /* nothing there: nothing is touched, not even the backup */
    assert_int_equal(
        nacre_known_hosts_remove_host(path, "q", 22, NACRE_HOSTS_BACKUP, NULL, NULL, &r, &err),
        NACRE_OK);
    assert_int_equal(r.found, 0);
    assert_file(in_dir("kh.old"), text);
    assert_int_equal(nacre_known_hosts_remove_host(path, "[a]:2222", 22, 0, NULL, NULL, &r, &err),
                     NACRE_OK);
    assert_int_equal(r.found, 1);
    assert_int_equal(nacre_known_hosts_remove_host(in_dir("no"), "a", 22, 0, NULL, NULL, &r, &err),
                     NACRE_NOT_FOUND);
    assert_int_equal(access(in_dir("no"), F_OK), -1);
}

static void a_bad_line_stops_the_tools(void **state)
{
    (void)state;
    char text[4096];
    nacre_hosts_report r;
    nacre_error err;
    const char *path = in_dir("bad");
    snprintf(text, sizeof(text), "a %s\nnothing\n", line);
    write_file(path, text, 0600);
    note_count = 0;
    assert_int_equal(nacre_known_hosts_remove_host(path, "a", 22, NACRE_HOSTS_BACKUP, take_note,
                                                   notes, &r, &err),
                     NACRE_SYNTAX);
    assert_non_null(strstr(err.text, "line 2"));
    assert_int_equal(note_count, 2);
    assert_int_equal(notes[1].fact, NACRE_HOSTS_INVALID);
    assert_string_equal(notes[1].names, "nothing");
    assert_int_equal(nacre_known_hosts_hash_file(path, NACRE_HOSTS_BACKUP, NULL, NULL, &r, &err),
                     NACRE_SYNTAX);
    assert_int_equal(r.invalid, 1);
    assert_file(path, text);
    assert_int_equal(access(in_dir("bad.old"), F_OK), -1);
}

static void files_are_hashed(void **state)
{
    (void)state;
    char text[4096];
    nacre_hosts_report r;
    nacre_error err;
    nacre_known_hosts *h = NULL;
    const char *path = in_dir("plain");
    snprintf(text, sizeof(text), "# c\na,b %s\n*.c %s\n@revoked d %s\n", line, line, line);
    write_file(path, text, 0600);
    note_count = 0;
    assert_int_equal(
        nacre_known_hosts_hash_file(path, NACRE_HOSTS_BACKUP, take_note, notes, &r, &err),
        NACRE_OK);
    assert_int_equal(r.hashed, 1);
    assert_int_equal(r.patterns, 1);
    assert_int_equal(note_count, 2);
    assert_int_equal(notes[0].fact, NACRE_HOSTS_HASHED);
    assert_string_equal(notes[0].names, "a,b");
    assert_int_equal(notes[1].fact, NACRE_HOSTS_PATTERN);
    assert_int_equal(notes[1].line, 3);
    assert_file(in_dir("plain.old"), text);
    assert_int_equal(nacre_known_hosts_new(&h, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_add_file(h, path, &err), NACRE_OK);
    assert_int_equal(nacre_known_hosts_count(h), 5);
    assert_int_equal(nacre_known_hosts_check(h, "b", 22, key, NULL), NACRE_HOST_MATCH);
    assert_int_equal(nacre_known_hosts_check(h, "x.c", 22, key, NULL), NACRE_HOST_MATCH);
    assert_int_equal(nacre_known_hosts_check(h, "d", 22, key, NULL), NACRE_HOST_REVOKED);
    nacre_known_hosts_free(h);
}

typedef struct meddler {
    const char *path;
    int calls, most;
} meddler;

/* Somebody writes the file while we work on it, most times. */
static int meddled_edit(void *user, nacre_known_hosts *h)
{
    meddler *m = user;
    char text[64];
    if (m->calls++ < m->most) {
        snprintf(text, sizeof(text), "theirs%d xx y\n", m->calls);
        write_file(m->path, text, 0600);
    }
    return nacre_known_hosts_replace(h, 0, keydata_cstr("ours xx y"));
}

static void a_file_that_changes_meanwhile_is_read_again(void **state)
{
    (void)state;
    nacre_error err;
    const char *path = in_dir("busy");
    write_file(path, "first xx y\nsecond xx y\n", 0600);
    meddler m = {path, 0, 1};
    assert_int_equal(nacre_known_hosts_update_file(path, meddled_edit, &m, 0, &err), NACRE_OK);
    assert_int_equal(m.calls, 2);
    assert_file(path, "ours xx y\n");
    write_file(path, "first xx y\n", 0600);
    /* for ever */
    meddler busy = {path, 0, 1000};
    assert_int_equal(nacre_known_hosts_update_file(path, meddled_edit, &busy, 0, &err), NACRE_IO);
    assert_non_null(strstr(err.text, "keep changing it"));
}

static int refuse(void *user, nacre_known_hosts *h)
{
    (void)user;
    assert_int_equal(nacre_known_hosts_remove(h, 0), NACRE_OK);
    return NACRE_CANCELLED;
}

static int drop_first(void *user, nacre_known_hosts *h)
{
    (void)user;
    return nacre_known_hosts_remove(h, 0);
}

static void what_cannot_be_written_stays(void **state)
{
    (void)state;
    nacre_error err;
    const char *path = in_dir("stays");
    write_file(path, "a xx y\n", 0600);
    assert_int_equal(nacre_known_hosts_update_file(path, refuse, NULL, NACRE_HOSTS_BACKUP, &err),
                     NACRE_CANCELLED);
    assert_file(path, "a xx y\n");
    assert_int_equal(access(in_dir("stays.old"), F_OK), -1);
    assert_int_equal(mkdir(in_dir("folder"), 0700), 0);
    assert_int_equal(nacre_known_hosts_update_file(in_dir("folder"), drop_first, NULL, 0, &err),
                     NACRE_IO);
    if (getuid() != 0) {
        assert_int_equal(mkdir(in_dir("closed"), 0700), 0);
        write_file(in_dir("closed/kh"), "a xx y\n", 0600);
        assert_int_equal(chmod(in_dir("closed"), 0500), 0);
        assert_int_equal(
            nacre_known_hosts_update_file(in_dir("closed/kh"), drop_first, NULL, 0, &err),
            NACRE_IO);
        assert_file(in_dir("closed/kh"), "a xx y\n");
        assert_int_equal(chmod(in_dir("closed"), 0700), 0);
    }
    /* a link stays one, and its backup stands beside it */
    assert_int_equal(mkdir(in_dir("real"), 0700), 0);
    write_file(in_dir("real/kh"), "a xx y\nb xx y\n", 0600);
    assert_int_equal(symlink("real/kh", in_dir("link")), 0);
    assert_int_equal(
        nacre_known_hosts_update_file(in_dir("link"), drop_first, NULL, NACRE_HOSTS_BACKUP, &err),
        NACRE_OK);
    struct stat st;
    assert_int_equal(lstat(in_dir("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_file(in_dir("real/kh"), "b xx y\n");
    assert_file(in_dir("link.old"), "a xx y\nb xx y\n");
}

/* ---- memory ---- */

static void lack_of_memory_changes_nothing(void **state)
{
    (void)state;
    char text[4096];
    test_memory m;
    snprintf(text, sizeof(text), "a,b,c %s\nd %s\n", line, line);
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_known_hosts *h = NULL;
        m.paused = true;
        assert_int_equal(nacre_known_hosts_new(&h, &m.hooks), NACRE_OK);
        assert_int_equal(nacre_known_hosts_add_text(h, keydata_cstr(text), "f"), NACRE_OK);
        m.paused = false;
        int rc = nacre_known_hosts_hash(h, 0, NULL);
        test_memory_judge(&m, rc);
        m.paused = true;
        if (rc != NACRE_OK) {
            uint8_t *p = NULL;
            size_t len = 0;
            assert_int_equal(nacre_known_hosts_text(h, NULL, &p, &len), NACRE_OK);
            assert_true(nc_span_is(nc_span(p, len), text));
            nacre_secret_free(&m.hooks, p, len);
        } else {
            assert_int_equal(nacre_known_hosts_count(h), 4);
        }
        nacre_known_hosts_free(h);
    }
    assert_true(m.refused > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untouched_text_comes_back_byte_for_byte),
        cmocka_unit_test(kinds_of_lines),
        cmocka_unit_test(lines_are_removed_and_replaced),
        cmocka_unit_test(edits_on_their_way_through_move_each_line_once),
        cmocka_unit_test(edits_in_any_order_keep_the_order),
        cmocka_unit_test(names_are_hashed_each_by_itself),
        cmocka_unit_test(hosts_are_removed_from_files),
        cmocka_unit_test(a_bad_line_stops_the_tools),
        cmocka_unit_test(files_are_hashed),
        cmocka_unit_test(a_file_that_changes_meanwhile_is_read_again),
        cmocka_unit_test(what_cannot_be_written_stays),
        cmocka_unit_test(lack_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
