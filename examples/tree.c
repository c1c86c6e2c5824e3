/*
 * tree.c - copies files and whole directories to or from another machine, many at once, with progress on
 * stderr and a report at the end:
 *
 *     tree [options] get user@host:port remote local
 *     tree [options] put user@host:port local remote
 *     tree -D program [options] get|put from to      (a server program on this machine)
 *
 *     -p  modes and times, too       -k  links as links      -f  what links point to
 *     -d  the files of one directory, without what is below  -g  from is a pattern, to a directory
 *     -e  end at the first failure   -n number  files at once, at most   -i key-file
 *
 * The exit status is 0 when all went well, 1 when some files did not, 2 when everything ended early.
 */
#include <nacre/client.h>
#include <nacre/sftp_transfer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct tree {
    nacre_sftp_tree_options o;
    bool one_level, pattern, up;
    const char *program, *key, *from, *to;
    const char *place;
    nacre_known_hosts *hosts;
    nacre_client *client;
    nacre_sftp *s;
    unsigned long long told;
} tree;

static int usage(void)
{
    fputs("usage: tree [-defgkp] [-n number] [-i key-file] get|put user@host:port from to\n"
          "       tree -D program [options] get|put from to\n",
          stderr);
    return 2;
}

/* Names come from anywhere: nothing of them reaches a terminal as it is. */
static void say(const char *what, const char *name, const char *why)
{
    char shown[1024];
    nacre_escape(shown, sizeof(shown), (nacre_span){(const uint8_t *)name, strlen(name)});
    fprintf(stderr, "%s %s%s%s\n", what, shown, why ? ": " : "", why ? why : "");
}

static void on_item(void *user, const nacre_sftp_item *item)
{
    tree *t = user;
    if (item->outcome == NACRE_SFTP_COPIED && !item->directory && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%llu files ", ++t->told);
    }
}

static int connect_pipe(tree *t, nacre_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
        return NACRE_IO;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(t->program, t->program, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    return pid < 0 ? NACRE_IO : nacre_sftp_open_pipe(&t->s, ends[0], ends[0], NULL, err);
}

static int connect_host(tree *t, nacre_error *err)
{
    nacre_client_config cfg;
    char path[1024];
    char host[256];
    char user[64];
    unsigned port = 22;
    const char *home = getenv("HOME");
    if (sscanf(t->place, "%63[^@]@%255[^:]:%u", user, host, &port) < 2 || port > 65535) {
        return NACRE_INVALID_ARGUMENT;
    }
    snprintf(path, sizeof(path), "%s/.ssh/known_hosts", home ? home : "");
    int rc = nacre_known_hosts_new(&t->hosts, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_file(t->hosts, path, err);
    }
    if (rc == NACRE_OK) {
        nacre_client_config_init(&cfg);
        cfg.user = user;
        cfg.known_hosts = t->hosts; /* unknown and changed hosts are refused */
        if (t->key) {
            cfg.key_files = &t->key;
            cfg.key_file_count = 1;
            cfg.default_key_files = false;
        }
        rc = nacre_client_open(&t->client, &cfg, host, (uint16_t)port, err);
    }
    return rc == NACRE_OK ? nacre_sftp_open(&t->s, t->client, NULL, err) : rc;
}

static int copy(tree *t, nacre_sftp_report *report)
{
    if (t->pattern) {
        return (t->up ? nacre_sftp_put_glob : nacre_sftp_get_glob)(t->s, t->from, t->to, &t->o,
                                                                   report);
    }
    if (t->one_level) {
        return (t->up ? nacre_sftp_put_d : nacre_sftp_get_d)(t->s, t->from, t->to, &t->o, report);
    }
    return (t->up ? nacre_sftp_put_r : nacre_sftp_get_r)(t->s, t->from, t->to, &t->o, report);
}

static int run(tree *t)
{
    nacre_error err = {0};
    nacre_sftp_report report = {0};
    int rc = t->program ? connect_pipe(t, &err) : connect_host(t, &err);
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text[0] ? err.text : nacre_status_text(rc));
        return rc;
    }
    rc = copy(t, &report);
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    for (size_t i = 0; i < report.item_count; i++) {
        const nacre_sftp_item *item = &report.items[i];
        say(item->outcome == NACRE_SFTP_FAILED ? "failed" : "skipped", item->from, item->why);
    }
    if (rc != NACRE_OK && rc != NACRE_SOME_FAILED) {
        fprintf(stderr, "%s\n", nacre_sftp_error(t->s)->text);
    }
    printf("%llu files, %llu directories, %llu links, %llu bytes; %llu skipped, %llu failed\n",
           (unsigned long long)report.files, (unsigned long long)report.directories,
           (unsigned long long)report.links, (unsigned long long)report.bytes,
           (unsigned long long)report.skipped, (unsigned long long)report.failed);
    nacre_sftp_report_free(&report);
    return rc;
}

static bool take_option(tree *t, int c)
{
    switch (c) {
    case 'D':
        t->program = optarg;
        return true;
    case 'd':
        t->one_level = true;
        return true;
    case 'e':
        t->o.stop_on_error = true;
        return true;
    case 'f':
        t->o.links = NACRE_SFTP_LINKS_FOLLOW;
        return true;
    case 'g':
        t->pattern = t->o.recursive = true;
        return true;
    case 'i':
        t->key = optarg;
        return true;
    case 'k':
        t->o.links = NACRE_SFTP_LINKS_KEEP;
        return true;
    case 'n':
        t->o.files_at_once = (uint32_t)strtoul(optarg, NULL, 10);
        return true;
    case 'p':
        t->o.transfer.preserve = true;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    tree t = {0};
    int c;
    nacre_sftp_tree_options_init(&t.o);
    t.o.on_item = on_item;
    t.o.user = &t;
    while ((c = getopt(argc, argv, "+D:defgi:kn:p")) != -1) {
        if (!take_option(&t, c)) {
            return usage();
        }
    }
    argv += optind;
    if (argc - optind != (t.program ? 3 : 4)) {
        return usage();
    }
    t.up = strcmp(argv[0], "put") == 0;
    if (!t.up && strcmp(argv[0], "get") != 0) {
        return usage();
    }
    t.place = argv[1];
    t.from = argv[t.program ? 1 : 2];
    t.to = argv[t.program ? 2 : 3];
    int rc = run(&t);
    nacre_sftp_close(t.s);
    nacre_client_disconnect(t.client);
    nacre_client_free(t.client);
    nacre_known_hosts_free(t.hosts);
    return rc == NACRE_OK ? 0 : rc == NACRE_SOME_FAILED ? 1 : 2;
}
