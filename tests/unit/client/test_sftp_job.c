/*
 * test_sftp_job.c - trees against a server that lists what it likes, breaks off, refuses, or never ends:
 * nothing appears outside, nothing stays half done, and memory is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mem_server.h"
#include "nacre/sftp_transfer.h"
#include "support/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 40 };

static mem_server server;
static nacre_sftp *s;
static nacre_sftp_tree_options o;
static nacre_sftp_report report;
static unsigned started, ended;
static int64_t cancel_after;
static unsigned cancel_at; /* told items; 0: never */
static char place[64];
static char here[512];

/* ---- a place ------------------------------------------------------------------------------------------ */

static void on_item(void *user, const nacre_sftp_item *item)
{
    (void)user;
    assert_non_null(item->from);
    assert_non_null(item->to);
    started += item->outcome == NACRE_SFTP_STARTED;
    if (cancel_at > 0 && --cancel_at == 0) {
        nacre_sftp_cancel(s);
    }
    ended += item->outcome == NACRE_SFTP_COPIED || item->outcome == NACRE_SFTP_FAILED;
    assert_true((item->outcome == NACRE_SFTP_FAILED) == (item->status != NACRE_OK));
    assert_true(item->outcome != NACRE_SFTP_FAILED || (item->why && *item->why));
}

static void add(const char *path, uint32_t kind, const char *data)
{
    mem_node *n = mem_backend_add(&server.files, path, kind);
    if (data) {
        mem_backend_set(n, data, strlen(data));
    }
}

static int set_up(void **state)
{
    (void)state;
    char path[64];
    mem_server_init(&server);
    add("/t", NACRE_SFTP_S_IFDIR | 0755, NULL);
    add("/t/sub", NACRE_SFTP_S_IFDIR | 0500, NULL);
    add("/t/sub/empty", NACRE_SFTP_S_IFDIR | 0755, NULL);
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), i % 2 ? "/t/f%d" : "/t/sub/f%d", i);
        add(path, NACRE_SFTP_S_IFREG | 0644, path);
    }
    nacre_sftp_tree_options_init(&o);
    o.on_item = on_item;
    started = ended = 0;
    cancel_after = -1;
    cancel_at = 0;
    snprintf(place, sizeof(place), "/tmp/nacre-job-XXXXXX");
    assert_non_null(mkdtemp(place));
    assert_non_null(getcwd(here, sizeof(here)));
    return chdir(place);
}

/* Modes of directories may keep their owner out. */
static void remove_all(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        unlinkat(at, name, 0);
        return;
    }
    fchmod(fd, 0700);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            remove_all(fd, e->d_name);
        }
    }
    closedir(d);
    unlinkat(at, name, AT_REMOVEDIR);
}

static int tear_down(void **state)
{
    (void)state;
    nacre_sftp_report_free(&report);
    mem_server_clear(&server);
    remove_all(AT_FDCWD, place);
    return chdir(here);
}

static void begin(void)
{
    assert_int_equal(mem_server_open(&server, NULL, &s), NACRE_OK);
}

static void end(void)
{
    mem_server_close(&server, s);
    assert_int_equal(server.files.open_now, 0);
    assert_int_equal(started, ended);
}

/* Names below a directory; temporary ones are none that a test wants to see. */
static unsigned count_names(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
        assert_false(e->d_name[0] == '.' && strlen(e->d_name) > 7);
    }
    closedir(d);
    return n;
}

static bool holds(const char *path, const char *text)
{
    char got[64] = "";
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, got, sizeof(got) - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    return n == (ssize_t)strlen(text) && strcmp(got, text) == 0;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

/* ---- there and back ----------------------------------------------------------------------------------- */

static void a_tree_comes_down_and_goes_up(void **state)
{
    (void)state;
    mode_t mask = umask(022);
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, &report), NACRE_OK);
    assert_int_equal(report.files, FILES);
    assert_int_equal(report.directories, 3);
    assert_int_equal(report.item_count, 0);
    assert_true(holds("down/f1", "/t/f1") && holds("down/sub/f2", "/t/sub/f2"));
    assert_int_equal(mode_of("down/sub"), 0500);
    assert_int_equal(mode_of("down/sub/empty"), 0755);
    nacre_sftp_report_free(&report);
    assert_int_equal(nacre_sftp_put_r(s, "down", "/up", &o, &report), NACRE_OK);
    assert_int_equal(report.files, FILES);
    nacre_sftp_report_free(&report);
    /* Merged with what is there. */
    assert_int_equal(nacre_sftp_put_r(s, "down", "/up", &o, &report), NACRE_OK);
    end();
    umask(mask);
    mem_node *n = mem_backend_find(&server.files, "/up/sub");
    assert_non_null(n);
    assert_int_equal(n->attrs.permissions & 07777, 0500);
    n = mem_backend_find(&server.files, "/up/sub/f2");
    assert_int_equal(n->size, strlen("/t/sub/f2"));
}

/* Who may write to a directory may not remove what is others' where it is sticky: that goes both ways. */
static void sticky_directories_stay_sticky(void **state)
{
    (void)state;
    mode_t mask = umask(022);
    add("/t/open", NACRE_SFTP_S_IFDIR | 07777, NULL);
    begin();
    for (int preserve = 0; preserve < 2; preserve++) {
        o.transfer.preserve = preserve;
        const char *down = preserve ? "down-p" : "down";
        const char *up = preserve ? "/up-p" : "/up";
        char path[64];
        assert_int_equal(nacre_sftp_get_r(s, "/t", down, &o, NULL), NACRE_OK);
        snprintf(path, sizeof(path), "%s/open", down);
        assert_int_equal(mode_of(path), preserve ? 01777 : 01755);
        assert_int_equal(chmod(path, 01777), 0);
        assert_int_equal(nacre_sftp_put_r(s, down, up, &o, NULL), NACRE_OK);
        snprintf(path, sizeof(path), "%s/open", up);
        mem_node *n = mem_backend_find(&server.files, path);
        assert_non_null(n);
        assert_int_equal(n->attrs.permissions & 07000, 01000);
    }
    end();
    umask(mask);
}

/* Two files at once into one would be neither of them. */
static void two_that_become_one(void **state)
{
    nacre_sftp_job *j = NULL;
    (void)state;
    assert_int_equal(mkdir("a", 0777) | mkdir("b", 0777), 0);
    for (const char *name = "a/x\0b/x\0"; *name; name += 4) {
        int fd = open(name, O_WRONLY | O_CREAT, 0666);
        assert_true(fd >= 0 && write(fd, name, 3) == 3 && close(fd) == 0);
    }
    begin();
    for (int trees = 0; trees < 2; trees++) {
        const char *to = trees ? "/d" : "/x";
        o.recursive = trees;
        assert_int_equal(nacre_sftp_job_new(&j, s, &o), NACRE_OK);
        assert_int_equal(nacre_sftp_job_put(j, trees ? "a" : "a/x", to), NACRE_OK);
        assert_int_equal(nacre_sftp_job_put(j, trees ? "b" : "b/x", to), NACRE_OK);
        assert_int_equal(nacre_sftp_job_run(j, &report), NACRE_SOME_FAILED);
        assert_non_null(strstr(nacre_sftp_error(s)->text, "something else becomes"));
        assert_int_equal(report.files, 1);
        assert_int_equal(report.failed, 1);
        nacre_sftp_report_free(&report);
        nacre_sftp_job_free(j);
        const mem_node *n = mem_backend_find(&server.files, trees ? "/d/x" : "/x");
        assert_true(n && n->size == 3);
    }
    end();
}

static void a_server_that_answers_the_youngest_first(void **state)
{
    (void)state;
    server.files.later = true;
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, NULL), NACRE_OK);
    assert_int_equal(nacre_sftp_put_r(s, "down", "/up", &o, NULL), NACRE_OK);
    end();
    assert_true(holds("down/f1", "/t/f1") && holds("down/sub/f2", "/t/sub/f2"));
    assert_non_null(mem_backend_find(&server.files, "/up/sub/f2"));
}

static void a_directory_must_be_asked_for(void **state)
{
    nacre_sftp_job *j = NULL;
    (void)state;
    begin();
    assert_int_equal(nacre_sftp_job_new(&j, s, &o), NACRE_OK);
    assert_int_equal(nacre_sftp_job_get(j, "/t", "down"), NACRE_OK);
    assert_int_equal(nacre_sftp_job_get(j, "/t/f1", "one"), NACRE_OK);
    assert_int_equal(nacre_sftp_job_get(j, "/t/none", "none"), NACRE_OK);
    assert_int_equal(nacre_sftp_job_put(j, ".", "/up"), NACRE_OK);
    assert_int_equal(nacre_sftp_job_put(j, "nothing", "/up"), NACRE_OK);
    assert_int_equal(nacre_sftp_job_get(j, "", "x"), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_job_run(j, &report), NACRE_SOME_FAILED);
    assert_int_equal(report.failed, 4);
    assert_int_equal(report.files, 1);
    assert_true(nacre_sftp_error(s)->text[0] != '\0');
    nacre_sftp_report_free(&report);
    assert_int_equal(nacre_sftp_job_run(j, &report), NACRE_WRONG_STATE);
    nacre_sftp_job_free(j);
    started = ended = 0; /* what fails before it begins has no beginning */
    end();
    assert_int_equal(count_names("."), 1);
}

static void few_handles_are_enough(void **state)
{
    (void)state;
    begin();
    o.files_at_once = 1;
    assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, NULL), NACRE_OK);
    assert_int_equal(nacre_sftp_put_r(s, "down", "/up", &o, NULL), NACRE_OK);
    end();
    assert_true(holds("down/f1", "/t/f1"));
}

/* ---- listings that lie -------------------------------------------------------------------------------- */

static void put_entry(nc_wr *w, const char *name, size_t n, uint32_t mode)
{
    nc_wr_str(w, nc_span(name, n));
    nc_wr_str(w, nc_span_cstr(""));
    nc_wr_u32(w, NACRE_SFTP_ATTR_PERMISSIONS);
    nc_wr_u32(w, mode);
}

static bool evil_names(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    static const struct {
        const char *name;
        size_t n;
        uint32_t mode;
    } names[] = {
        {"../outside", 10, 0100644}, {"/tmp/x", 6, 0100644},    {"", 0, 0100644},
        {"a\0b", 3, 0100644},        {"sub/f1", 6, 0100644},    {"good", 4, 0100644},
        {"good", 4, 0100644},        {"good", 4, 0040755},      {"..", 2, 0040755},
        {"../dir", 6, 0040755},      {"\033[31m/", 6, 0100644},
    };
    (void)r;
    if (type != NACRE_FXP_READDIR || m->said++ > 0) {
        return false;
    }
    nc_wr_u8(w, NACRE_FXP_NAME);
    nc_wr_u32(w, id);
    nc_wr_u32(w, sizeof(names) / sizeof(names[0]));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        put_entry(w, names[i].name, names[i].n, names[i].mode);
    }
    return true;
}

static void names_that_lead_elsewhere(void **state)
{
    (void)state;
    add("/evil", NACRE_SFTP_S_IFDIR | 0755, NULL);
    add("/evil/good", NACRE_SFTP_S_IFREG | 0644, "good");
    server.script = evil_names;
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/evil", "down", &o, &report), NACRE_SOME_FAILED);
    started = ended = 0;
    end();
    /* The real listing follows the forged one: "good" comes once more. */
    assert_int_equal(report.failed, 10);
    assert_int_equal(report.files, 1);
    assert_true(holds("down/good", "good"));
    assert_int_equal(count_names("."), 1);
    assert_int_equal(count_names("down"), 1);
    for (size_t i = 0; i < report.item_count; i++) {
        assert_null(strchr(report.items[i].why, 033));
        assert_int_equal(report.items[i].status, NACRE_SFTP_PROTOCOL);
    }
}

static unsigned long_rounds;
static uint32_t long_mode;

/* 1000 names in each answer. */
static bool long_listing(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    char name[32];
    (void)r;
    if (type == NACRE_FXP_OPEN) {
        mem_server_status(w, id, NACRE_FX_PERMISSION_DENIED);
        return true;
    }
    if (type != NACRE_FXP_READDIR || m->said == long_rounds) {
        return false;
    }
    nc_wr_u8(w, NACRE_FXP_NAME);
    nc_wr_u32(w, id);
    nc_wr_u32(w, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        int n = snprintf(name, sizeof(name), "name%u", m->said * 1000 + i);
        put_entry(w, name, (size_t)n, long_mode);
    }
    m->said++;
    return true;
}

static void a_listing_of_a_million(void **state)
{
    test_memory m;
    nacre_sftp_options session;
    (void)state;
    nacre_sftp_options_init(&session);
    session.allocator = &m.hooks;
    server.script = long_listing;
    for (int files = 0; files < 2; files++) {
        long_rounds = files ? 100 : 1000;
        long_mode = files ? 0100644 : 0120777;
        test_memory_init(&m);
        assert_int_equal(mem_server_open(&server, &session, &s), NACRE_OK);
        int rc = nacre_sftp_get_r(s, "/t/sub/empty", "down", &o, &report);
        assert_int_equal(rc, files ? NACRE_SOME_FAILED : NACRE_OK);
        assert_int_equal(files ? report.failed : report.skipped, long_rounds * 1000);
        assert_int_equal(report.item_count, 10000);
        nacre_sftp_report_free(&report);
        end();
        assert_int_equal(m.live, 0);
        /* Mostly the hashes of a million names, and the report. */
        assert_true(m.most < 48u * 1024 * 1024);
    }
    assert_int_equal(count_names("down"), 0);
}

static bool no_names(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)m;
    (void)r;
    if (type != NACRE_FXP_READDIR) {
        return false;
    }
    nc_wr_u8(w, NACRE_FXP_NAME);
    nc_wr_u32(w, id);
    nc_wr_u32(w, 0);
    return true;
}

static void a_listing_of_nothing_for_ever(void **state)
{
    (void)state;
    server.script = no_names;
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, &report), NACRE_SOME_FAILED);
    end();
    assert_int_equal(report.failed, 1);
}

/* Every directory has another one in it. */
static bool bottomless(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    switch (type) {
    case NACRE_FXP_OPENDIR:
        nc_wr_u8(w, NACRE_FXP_HANDLE);
        nc_wr_u32(w, id);
        nc_wr_str(w, nc_span_cstr("h"));
        return true;
    case NACRE_FXP_READDIR:
        if (m->said++ % 3 != 0) {
            mem_server_status(w, id, NACRE_FX_EOF);
            return true;
        }
        nc_wr_u8(w, NACRE_FXP_NAME);
        nc_wr_u32(w, id);
        nc_wr_u32(w, 2);
        put_entry(w, "a", 1, 0040755);
        put_entry(w, "b", 1, 0040755);
        return true;
    case NACRE_FXP_CLOSE:
        mem_server_status(w, id, NACRE_FX_OK);
        return true;
    default:
        (void)r;
        return false;
    }
}

static void a_tree_without_end(void **state)
{
    (void)state;
    server.script = bottomless;
    o.max_depth = 9;
    begin();
    int rc = nacre_sftp_get_r(s, "/t", "down", &o, &report);
    assert_true(rc == NACRE_OK || rc == NACRE_SOME_FAILED);
    started = ended = 0; /* what is too deep never begins */
    end();
}

/* ---- what stands there locally ------------------------------------------------------------------------ */

static void links_in_the_way_are_not_followed(void **state)
{
    (void)state;
    assert_int_equal(mkdir("outside", 0755), 0);
    assert_int_equal(mkdir("down", 0755), 0);
    assert_int_equal(symlink("../outside", "down/sub"), 0);
    assert_int_equal(symlink("../outside/file", "down/f1"), 0);
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, &report), NACRE_SOME_FAILED);
    end();
    assert_int_equal(report.failed, 1);
    assert_string_equal(report.items[0].to, "down/sub");
    assert_non_null(strstr(report.items[0].why, "symbolic link"));
    assert_true(holds("down/f1", "/t/f1")); /* the link was replaced */
    assert_int_equal(count_names("outside"), 0);
}

/* ---- ends --------------------------------------------------------------------------------------------- */

static bool progress(void *user, const char *path, uint64_t done, uint64_t total)
{
    (void)user;
    (void)path;
    (void)done;
    (void)total;
    return cancel_after < 0 || cancel_after-- > 0;
}

static void no_more_means_no_more(void **state)
{
    (void)state;
    o.transfer.progress = progress;
    for (int up = 0; up < 2; up++) {
        for (int64_t n = 0; n < 60; n += 7) {
            cancel_after = -1;
            begin();
            if (up) {
                assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, NULL), NACRE_OK);
            }
            cancel_after = n;
            int rc = up ? nacre_sftp_put_r(s, "down", "/up", &o, NULL)
                        : nacre_sftp_get_r(s, "/t", "down", &o, NULL);
            assert_int_equal(rc, NACRE_CANCELLED);
            /* The session goes on. */
            nacre_sftp_attrs a;
            assert_int_equal(nacre_sftp_stat(s, "/t", &a), NACRE_OK);
            end();
            assert_true(count_names("down") <= 21);
        }
    }
}

static void cancelled_from_elsewhere(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 60; n += 6) {
        begin();
        cancel_at = n;
        assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, NULL), NACRE_CANCELLED);
        cancel_at = 0;
        assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, NULL), NACRE_OK);
        cancel_at = n;
        assert_int_equal(nacre_sftp_put_r(s, "down", "/up", &o, NULL), NACRE_CANCELLED);
        end();
        count_names("down");
    }
}

/* After so many requests nothing is answered any more. */
static bool falls_silent(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)type;
    (void)id;
    (void)r;
    (void)w;
    return ++m->said > long_rounds;
}

static void a_server_that_falls_silent(void **state)
{
    (void)state;
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "local", &o, NULL), NACRE_OK);
    end();
    server.script = falls_silent;
    for (long_rounds = 4; long_rounds < 50; long_rounds += 9) {
        for (int up = 0; up < 2; up++) {
            begin();
            nacre_sftp_set_timeout(s, 100);
            int rc = up ? nacre_sftp_put_r(s, "local", "/up", &o, NULL)
                        : nacre_sftp_get_r(s, "/t", "down", &o, NULL);
            assert_int_equal(rc, NACRE_TIMEOUT);
            mem_server_close(&server, s);
            assert_int_equal(started, ended);
            struct stat st;
            if (stat("down", &st) == 0) {
                count_names("down");
            }
            remove_all(AT_FDCWD, "down");
        }
    }
}

static void it_breaks_off_anywhere(void **state)
{
    (void)state;
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "local", &o, NULL), NACRE_OK);
    end();
    for (unsigned n = 3; n < 140; n += 3) {
        for (int up = 0; up < 2; up++) {
            server.die_after = n;
            assert_int_equal(mem_server_open(&server, NULL, &s), NACRE_OK);
            int rc = up ? nacre_sftp_put_r(s, "local", "/up", &o, &report)
                        : nacre_sftp_get_r(s, "/t", "down", &o, &report);
            assert_true(rc != NACRE_OK || n > 60);
            assert_true(rc != NACRE_SOME_FAILED);
            nacre_sftp_report_free(&report);
            mem_server_close(&server, s);
            assert_int_equal(started, ended);
            struct stat st;
            if (stat("down", &st) == 0) {
                count_names("down");
            }
            remove_all(AT_FDCWD, "down");
        }
    }
}

static void the_first_failure_ends_it(void **state)
{
    (void)state;
    assert_int_equal(mkdir("down", 0755), 0);
    assert_int_equal(mkdir("down/f1", 0755), 0);
    o.stop_on_error = true;
    o.files_at_once = 2;
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "down", &o, &report), NACRE_SOME_FAILED);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "f1"));
    end();
    assert_true(report.files < FILES);
    assert_true(report.failed >= 1 && report.failed <= 5);
}

static void memory_that_fails(void **state)
{
    (void)state;
    begin();
    assert_int_equal(nacre_sftp_get_r(s, "/t", "local", &o, NULL), NACRE_OK);
    end();
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_sftp_options session;
        nacre_sftp_options_init(&session);
        session.allocator = &m.hooks;
        if (mem_server_open(&server, &session, &s) != NACRE_OK) {
            continue;
        }
        int get = nacre_sftp_get_r(s, "/t", "down", &o, &report);
        nacre_sftp_report_free(&report);
        int put = nacre_sftp_put_r(s, "local", "/up", &o, &report);
        nacre_sftp_report_free(&report);
        assert_true(m.failed || (get == NACRE_OK && put == NACRE_OK));
        mem_server_close(&server, s);
        assert_int_equal(started, ended);
        m.round += m.round > 100 && m.for_good ? 22 : 0; /* they are alike from there on */
    }
}

/* ---- patterns ----------------------------------------------------------------------------------------- */

static void check_glob(const char *pattern, const char *want)
{
    nacre_sftp_list list;
    char got[400] = "";
    assert_int_equal(nacre_sftp_glob(s, pattern, &list), NACRE_OK);
    size_t n = 0;
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(strlen((const char *)list.entries[i].name.p), list.entries[i].name.n);
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s", i ? " " : "",
                              (const char *)list.entries[i].name.p);
    }
    assert_string_equal(got, want);
    nacre_sftp_list_free(&list);
}

static void patterns(void **state)
{
    (void)state;
    add("/g", NACRE_SFTP_S_IFDIR | 0755, NULL);
    add("/g/.hidden", NACRE_SFTP_S_IFREG | 0644, "");
    add("/g/a*", NACRE_SFTP_S_IFREG | 0644, "");
    add("/g/ab", NACRE_SFTP_S_IFREG | 0644, "");
    add("/g/x", NACRE_SFTP_S_IFDIR | 0755, NULL);
    add("/g/x/ab", NACRE_SFTP_S_IFREG | 0644, "");
    add("/g/y", NACRE_SFTP_S_IFDIR | 0755, NULL);
    begin();
    check_glob("/g/*", "/g/a* /g/ab /g/x /g/y");
    check_glob("/g/.*", "/g/.hidden");
    check_glob("/g/a\\*", "/g/a*");
    check_glob("/g/[a]?", "/g/a* /g/ab");
    check_glob("/g/[!a]", "/g/x /g/y");
    check_glob("/g/*/", "/g/x/ /g/y/");
    check_glob("/g/*/ab", "/g/x/ab");
    check_glob("/?/*/a[a-c]", "/g/x/ab");
    check_glob("//g//ab", "/g/ab");
    check_glob("/g/none", "");
    check_glob("/none/*", "");
    check_glob("/g/[", "");
    check_glob("/", "/");
    nacre_sftp_list list;
    assert_int_equal(nacre_sftp_glob(s, "", &list), NACRE_INVALID_ARGUMENT);
    assert_int_equal(list.count, 0);
    end();
}

#define IN_A_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_PLACE(a_tree_comes_down_and_goes_up),
        IN_A_PLACE(sticky_directories_stay_sticky),
        IN_A_PLACE(two_that_become_one),
        IN_A_PLACE(a_server_that_answers_the_youngest_first),
        IN_A_PLACE(a_directory_must_be_asked_for),
        IN_A_PLACE(few_handles_are_enough),
        IN_A_PLACE(names_that_lead_elsewhere),
        IN_A_PLACE(a_listing_of_a_million),
        IN_A_PLACE(a_listing_of_nothing_for_ever),
        IN_A_PLACE(a_tree_without_end),
        IN_A_PLACE(links_in_the_way_are_not_followed),
        IN_A_PLACE(no_more_means_no_more),
        IN_A_PLACE(cancelled_from_elsewhere),
        IN_A_PLACE(a_server_that_falls_silent),
        IN_A_PLACE(it_breaks_off_anywhere),
        IN_A_PLACE(the_first_failure_ends_it),
        IN_A_PLACE(memory_that_fails),
        IN_A_PLACE(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
