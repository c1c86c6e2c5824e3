/*
 * drive_sftp.c - the library's calls for remote files against an SFTP server program: one scenario, whose
 * answers are printed for the test to compare.
 *
 *     drive_sftp files|comfort SERVER ARGUMENT...
 */
#include <nacre/nacre.h>
#include <nacre/paths.h>
#include <nacre/sftp_batch.h>
#include <nacre/sftp_file.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static nacre_sftp *s;

static void need(int rc, const char *what)
{
    if (rc != NACRE_OK) {
        printf("FAILED %s: %s: %s\n", what, nacre_status_symbol(rc), nacre_sftp_error(s)->text);
        exit(1);
    }
}

static nacre_sftp_file *open_as(const char *path, const char *mode)
{
    nacre_sftp_file *f = NULL;
    need(nacre_sftp_file_fopen(s, path, mode, NULL, &f), path);
    return f;
}

/* ---- files -------------------------------------------------------------------------------------------- */

/* in to out, in steps of no particular size, both open at the same time. */
static void copy(void)
{
    static char buffer[70001];
    nacre_sftp_file *in = open_as("in", "rb");
    nacre_sftp_file *out = open_as("out", "wb");
    size_t n;
    int rc;
    while ((rc = nacre_sftp_file_read(in, buffer, sizeof(buffer), &n)) == NACRE_OK) {
        need(nacre_sftp_file_write(out, buffer, n / 3), "write");
        need(nacre_sftp_file_write(out, buffer + n / 3, n - n / 3), "write");
    }
    printf("copy ended %s\n", nacre_status_symbol(rc));
    need(nacre_sftp_file_close(in), "close");
    need(nacre_sftp_file_close(out), "close");
}

static void lines(void)
{
    char line[4096];
    size_t n;
    size_t count = 0;
    nacre_sftp_file *f = open_as("text", "r");
    int rc;
    while ((rc = nacre_sftp_file_gets(f, line, sizeof(line), &n)) == NACRE_OK) {
        count++;
    }
    printf("lines %zu %s\n", count, nacre_status_symbol(rc));
    need(nacre_sftp_file_seek(f, -6, SEEK_END), "seek");
    need(nacre_sftp_file_gets(f, line, sizeof(line), &n), "gets");
    printf("last %s at %llu\n", line, (unsigned long long)nacre_sftp_file_tell(f));
    nacre_sftp_piece pieces[3] = {{.offset = 0, .p = line, .n = 4},
                                  {.offset = 10, .p = line + 10, .n = 4},
                                  {.offset = 1u << 30, .p = line + 20, .n = 4}};
    need(nacre_sftp_file_readv(f, pieces, 3), "readv");
    printf("pieces %.4s %.4s %zu\n", line, line + 10, pieces[2].got);
    need(nacre_sftp_file_close(f), "close");
}

static void appends(void)
{
    char text[64];
    size_t n;
    nacre_sftp_attrs a;
    nacre_sftp_file *f = open_as("log", "a+");
    printf("log at %llu\n", (unsigned long long)nacre_sftp_file_tell(f));
    need(nacre_sftp_file_write(f, "one\n", 4), "append");
    need(nacre_sftp_file_seek(f, 0, SEEK_SET), "seek");
    need(nacre_sftp_file_read(f, text, 6, &n), "read");
    printf("begins %.*s\n", (int)n, text);
    need(nacre_sftp_file_write(f, "two\n", 4), "append");
    need(nacre_sftp_file_stat(f, &a), "stat");
    printf("log has %llu\n", (unsigned long long)a.size);
    need(nacre_sftp_file_close(f), "close");
    f = open_as("cut", "r+");
    need(nacre_sftp_file_write(f, "XY", 2), "write");
    need(nacre_sftp_file_truncate(f, 5), "truncate");
    need(nacre_sftp_file_read(f, text, sizeof(text), &n), "read");
    printf("rest %.*s\n", (int)n, text);
    need(nacre_sftp_file_close(f), "close");
    int rc = nacre_sftp_file_fopen(s, "cut", "x", NULL, &f);
    printf("x %s\n", nacre_status_symbol(rc));
}

/* ---- comfort ------------------------------------------------------------------------------------------ */

static int seen(void *user, const char *path, const nacre_sftp_attrs *a)
{
    (void)a;
    printf("%s %s\n", (const char *)user, path);
    return 0;
}

static void answers(void)
{
    static const char *const names[] = {"in", "none", "tree", "dangling"};
    for (size_t i = 0; i < 4; i++) {
        bool yes[4] = {false, false, false, false};
        need(nacre_sftp_exists(s, names[i], &yes[0]), "exists");
        need(nacre_sftp_lexists(s, names[i], &yes[1]), "lexists");
        need(nacre_sftp_isdir(s, names[i], &yes[2]), "isdir");
        need(nacre_sftp_isfile(s, names[i], &yes[3]), "isfile");
        printf("%s %d%d%d%d\n", names[i], yes[0], yes[1], yes[2], yes[3]);
    }
}

static void going_about(void)
{
    char *text = NULL;
    need(nacre_sftp_makedirs(s, "tree/new/deep/er", 0755), "makedirs");
    need(nacre_sftp_makedirs(s, "tree/new/deep/er", 0755), "makedirs again");
    need(nacre_sftp_cd(s, "tree/new"), "cd");
    need(nacre_sftp_symlink(s, "deep", "link"), "symlink");
    need(nacre_sftp_readlink_absolute(s, "link", &text), "readlink");
    printf("link %s\n", text);
    nacre_sftp_string_free(s, text);
    printf("cwd %s\n", nacre_sftp_getcwd(s));
    need(nacre_sftp_cd_back(s), "cd back");
    need(nacre_sftp_chown(s, "in", (uint32_t)getuid(), NACRE_SFTP_KEEP_ID), "chown");
    char word[] = "walked";
    need(nacre_sftp_walktree(s, "tree", seen, seen, seen, word, true), "walktree");
}

static void batch(void)
{
    nacre_sftp_batch *b = NULL;
    size_t refused = 0;
    need(nacre_sftp_batch_new(&b, s), "batch");
    for (int i = 0; i < 600; i++) {
        need(nacre_sftp_batch_lstat(b, i % 4 ? "in" : "none", NULL), "add");
    }
    need(nacre_sftp_batch_run(b, &refused), "run");
    printf("refused %zu, size %llu\n", refused,
           (unsigned long long)nacre_sftp_batch_result(b, 599)->attrs.size);
    nacre_sftp_batch_free(b);
}

static void hashes(void)
{
    nacre_sftp_hash h;
    int rc = nacre_sftp_check_file(s, "text", "sha1,md5", 0, 0, 0, &h);
    printf("hash %s", nacre_status_symbol(rc));
    for (size_t i = 0; rc == NACRE_OK && i < h.n; i++) {
        printf("%s%02x", i ? "" : " ", h.bytes[i]);
    }
    printf("\n");
    nacre_sftp_hash_free(s, &h);
}

static void extensions(void)
{
    uint32_t id = (uint32_t)getuid();
    nacre_sftp_id_names names;
    char *home = NULL;
    int rc = nacre_sftp_names_of_ids(s, &id, 1, NULL, 0, &names);
    printf("name %s %s\n", nacre_status_symbol(rc), rc == NACRE_OK ? names.users[0] : "");
    nacre_sftp_id_names_free(s, &names);
    rc = nacre_sftp_home(s, "", &home);
    printf("home %s %s\n", nacre_status_symbol(rc), home ? home : "");
    nacre_sftp_string_free(s, home);
}

static void long_names(void)
{
    nacre_sftp_list list;
    need(nacre_sftp_listdir_sorted(s, ".", &list), "list");
    for (size_t i = 0; i < list.count; i++) {
        nacre_sftp_longname_parts p;
        int rc = nacre_sftp_longname_parse(list.entries[i].longname, &p);
        printf("line %s %s %llu %o\n", (const char *)list.entries[i].name.p,
               nacre_status_symbol(rc), (unsigned long long)p.size, p.permissions);
    }
    nacre_sftp_list_free(&list);
}

/* ---- the server --------------------------------------------------------------------------------------- */

static pid_t start(char **argv)
{
    int fds[2];
    nacre_error err = {.status = NACRE_OK};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 0);
        dup2(fds[1], 1);
        execv(argv[0], argv);
        _exit(127);
    }
    close(fds[1]);
    nacre_sftp_options o;
    nacre_sftp_options_init(&o);
    o.timeout_ms = 60000;
    if (pid < 0 || nacre_sftp_open_pipe(&s, fds[0], fds[0], &o, &err) != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return pid;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: drive_sftp files|comfort SERVER ARGUMENT...\n");
        return 2;
    }
    pid_t pid = start(argv + 2);
    if (pid < 0) {
        return 1;
    }
    if (strcmp(argv[1], "files") == 0) {
        copy();
        lines();
        appends();
    } else {
        answers();
        going_about();
        batch();
        hashes();
        extensions();
        long_names();
    }
    nacre_sftp_close(s);
    waitpid(pid, NULL, 0);
    printf("done\n");
    return 0;
}
