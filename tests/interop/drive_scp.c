/*
 * drive_scp.c - a nacre_scp on the command line, for tests:
 *
 *   drive_scp PORT USER KEYFILE [rpdkTvgRls]... put LOCAL... REMOTE | get REMOTE... LOCAL |
 *             putfo REMOTE (stdin) | getfo REMOTE (stdout) | quote PATH
 *
 * Letters: recursive, preserve, to a directory, keep special bits, take any name, verbose; g: names are
 * patterns, R: raw; l: 100 kB/s; s: stop at the first failure;
 * c: cancel after a megabyte; i: tell of each item. Warnings and the error go to stderr, a line
 * with the balance at the end. Exit status 0, or 1.
 */
#include <nacre/nacre.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void warn(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "warning: %s\n", text);
}

/* Letter c: enough after a megabyte. */
static bool not_too_much(void *user, const char *path, uint64_t done, uint64_t total)
{
    (void)user;
    (void)path;
    return done < 1000 * 1000 || done == total;
}

/* Letter i: each item as it begins and ends. */
static void show_item(void *user, const nacre_sftp_item *item)
{
    static const char *const words[] = {"started", "copied", "skipped", "failed"};
    (void)user;
    fprintf(stderr, "%s %s %s -> %s %llu\n", words[item->outcome], item->directory ? "dir" : "file",
            item->from, item->to, (unsigned long long)item->bytes);
}

static void set_letters(nacre_scp_options *o, const char *letters)
{
    for (; *letters; letters++) {
        switch (*letters) {
        case 'r':
            o->recursive = true;
            break;
        case 'p':
            o->preserve = true;
            break;
        case 'd':
            o->to_directory = true;
            break;
        case 'k':
            o->keep_special = true;
            break;
        case 'T':
            o->any_name = true;
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'g':
            o->names = NACRE_SCP_PATTERN;
            break;
        case 'R':
            o->names = NACRE_SCP_RAW;
            break;
        case 'l':
            o->rate = 100 * 1000;
            break;
        case 'c':
            o->progress = not_too_much;
            o->progress_ms = 1;
            break;
        case 'i':
            o->on_item = show_item;
            break;
        case 's':
            o->stop_on_error = true;
            break;
        default:
            break;
        }
    }
}

static bool to_stdout(void *user, const void *p, size_t n)
{
    (void)user;
    return fwrite(p, 1, n, stdout) == n;
}

static bool from_stdin(void *user, void *p, size_t n, size_t *got)
{
    (void)user;
    *got = fread(p, 1, n, stdin);
    return true;
}

static int stream(nacre_scp *s, const char *what, char **args)
{
    nacre_scp_stat st;
    memset(&st, 0, sizeof(st));
    if (strcmp(what, "getfo") == 0) {
        int rc = nacre_scp_getfo(s, args[0], NULL, to_stdout, NULL, &st);
        fprintf(stderr, "mode %04o size %llu mtime %llu\n", (unsigned)st.mode,
                (unsigned long long)st.size, (unsigned long long)st.mtime);
        return rc;
    }
    st.mode = 0640;
    st.size = strtoull(args[1], NULL, 10);
    return nacre_scp_putfo(s, from_stdin, NULL, &st, NULL, args[0]);
}

static int work(nacre_scp *s, int count, char **args)
{
    nacre_sftp_report report;
    int rc;
    memset(&report, 0, sizeof(report));
    if (strcmp(args[0], "put") != 0 && strcmp(args[0], "get") != 0) {
        return stream(s, args[0], args + 1);
    }
    const char *const *names = (const char *const *)(args + 1);
    size_t n = (size_t)count - 2;
    rc = strcmp(args[0], "put") == 0 ? nacre_scp_put(s, names, n, args[count - 1], &report)
                                     : nacre_scp_get(s, names, n, args[count - 1], &report);
    fprintf(stderr, "files %llu directories %llu bytes %llu skipped %llu failed %llu\n",
            (unsigned long long)report.files, (unsigned long long)report.directories,
            (unsigned long long)report.bytes, (unsigned long long)report.skipped,
            (unsigned long long)report.failed);
    for (size_t i = 0; i < report.item_count; i++) {
        fprintf(stderr, "item: %s\n", report.items[i].why);
    }
    nacre_sftp_report_free(&report);
    return rc;
}

static int connected(nacre_client *c, int argc, char **argv)
{
    nacre_scp *s = NULL;
    nacre_error err;
    nacre_scp_options o;
    nacre_scp_options_init(&o);
    o.on_warning = warn;
    o.program = getenv("NACRE_SCP_PROGRAM"); /* a server's that plays scp */
    set_letters(&o, argv[4]);
    int rc = nacre_scp_new(&s, c, &o, &err);
    if (rc != NACRE_OK) {
        return 1;
    }
    rc = work(s, argc - 5, argv + 5);
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s: %s\n", nacre_status_symbol(rc), nacre_scp_error(s)->text);
    }
    nacre_scp_free(s);
    return rc == NACRE_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    nacre_client *c = NULL;
    nacre_error err;
    nacre_client_config cfg;
    if (argc < 7) {
        return 2;
    }
    if (strcmp(argv[5], "quote") == 0) {
        char out[4096];
        nacre_scp_options o;
        nacre_scp_options_init(&o);
        set_letters(&o, argv[4]);
        return nacre_scp_quote(o.names, argv[6], out, sizeof(out)) == NACRE_OK ? puts(out) < 0 : 1;
    }
    const char *const keys[] = {argv[3]};
    nacre_client_config_init(&cfg);
    cfg.user = argv[2];
    cfg.key_files = keys;
    cfg.key_file_count = 1;
    cfg.default_key_files = false;
    cfg.host_policy = NACRE_HOST_INSECURE;
    cfg.timeout_ms = 20000;
    if (nacre_client_open(&c, &cfg, "127.0.0.1", (uint16_t)strtoul(argv[1], NULL, 10), &err) !=
        NACRE_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int status = connected(c, argc, argv);
    nacre_client_disconnect(c);
    nacre_client_free(c);
    return status;
}
