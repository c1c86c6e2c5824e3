/*
 * main.c - nacre-scp: which way each source goes.
 */
#include "../text_width.h"
#include "scp.h"

#include "nacre/process.h"
#include "nacre/scp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static scp the_scp;

static int usage(void)
{
    (void)fputs(
        "usage: nacre-scp [-346BCOpqRrsTv] [-c cipher] [-D sftp_server_path] [-F ssh_config]\n"
        "          [-i identity_file] [-J destination] [-l limit] [-o ssh_option]\n"
        "          [-P port] [-S program] [-X sftp_option] source ... target\n",
        stderr);
    return SCP_FAILED;
}

/* ---- signals ---- */

/* What is on the way is given up cleanly: no temporary file stays. A second signal ends it at once. */
static void on_signal(int signo)
{
    int saved = errno;
    (void)signo;
    if (the_scp.interrupted) {
        _exit(SCP_FAILED);
    }
    the_scp.interrupted = 1;
    bool any = false;
    for (int i = 0; i < 2; i++) {
        any = any || the_scp.active[i] || the_scp.old[i];
        if (the_scp.active[i]) {
            nacre_sftp_cancel(the_scp.active[i]);
        }
        if (the_scp.old[i]) {
            nacre_scp_cancel(the_scp.old[i]);
        }
    }
    if (!any) {
        _exit(SCP_FAILED); /* still connecting: there is nothing to be kept whole */
    }
    errno = saved;
}

static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction old;
        (void)sigaction(signals[i], NULL, &old);
        action.sa_handler = on_signal;
        if (old.sa_handler != SIG_IGN) { /* nohup */
            (void)sigaction(signals[i], &action, NULL);
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Whoever closed 0, 1 or 2 must not find our socket there. */
static void fill_descriptors(void)
{
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
        if (fd > STDERR_FILENO) {
            (void)close(fd);
            break;
        }
    }
}

/* ---- the ways ---- */

void run_here(scp *a, char *const *argv)
{
    nacre_spawn_options o;
    nacre_process p;
    nacre_error why = {0};
    int status = 0;
    nacre_spawn_options_init(&o);
    o.argv = argv;
    o.stdio = NACRE_STDIO_FDS;
    o.fds[0] = -1;
    o.fds[1] = STDOUT_FILENO;
    o.fds[2] = STDERR_FILENO;
    if (nacre_spawn(&o, &p, &why) != NACRE_OK) {
        fail(a, "%s", why.text);
        return;
    }
    while (waitpid(p.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        a->status = a->status ? a->status : SCP_FAILED;
    }
}

void copy_here(scp *a, const char *source, const char *target)
{
    const char *argv[8] = {"/bin/cp"};
    size_t n = 1;
    if (a->args.recursive) {
        argv[n++] = "-r";
    }
    if (a->args.preserve) {
        argv[n++] = "-p";
    }
    argv[n++] = "--";
    argv[n++] = source;
    argv[n++] = target;
    run_here(a, (char *const *)(uintptr_t)argv);
}

static void to_remote(scp *a, const place *sources, size_t count, const place *target)
{
    place *local = keep(calloc(count ? count : 1, sizeof(*local)));
    place *remote = keep(calloc(count ? count : 1, sizeof(*remote)));
    size_t n = 0, m = 0;
    for (size_t i = 0; i < count; i++) { /* borrowed */
        if (sources[i].remote) {
            remote[m++] = sources[i];
        } else {
            local[n++] = sources[i];
        }
    }
    if (m > 0 && a->args.direct) {
        for (size_t i = 0; i < m && !a->interrupted; i++) {
            copy_direct(a, &remote[i], target);
        }
    } else if (m > 0 && a->args.legacy) {
        legacy_through(a, remote, m, target);
    } else if (m > 0) {
        copy_through(a, remote, m, target);
    }
    if (n > 0 && !a->interrupted) {
        (a->args.legacy ? legacy_up : copy_up)(a, local, n, target);
    }
    free(local);
    free(remote);
}

/* Several sources, or -d: a local target must be a directory before anything is asked for. */
static bool target_is_good(scp *a, const char *path)
{
    struct stat st;
    if (!a->args.to_directory) {
        return true;
    }
    int rc = stat(path, &st);
    if (rc == 0 && S_ISDIR(st.st_mode)) {
        return true;
    }
    fail(a, "%s: %s", shown(path), strerror(rc == 0 ? ENOTDIR : errno));
    return false;
}

static void to_local(scp *a, const place *sources, size_t count, const char *target)
{
    size_t remote = 0;
    if (!target_is_good(a, target)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        remote += sources[i].remote ? 1 : 0;
        if (!sources[i].remote) {
            copy_here(a, sources[i].path, target);
        }
    }
    if (remote > 0 && a->args.legacy) {
        legacy_down(a, sources, count, target);
    } else if (remote > 0) {
        copy_down(a, sources, count, target);
    }
}

static void go(scp *a)
{
    char why[512];
    place target;
    size_t given = a->args.operand_count - 1, count = 0;
    if (!place_parse(a->args.operands[given], &target, why, sizeof(why))) {
        fail(a, "%s", why);
        return;
    }
    place *sources = keep(calloc(given, sizeof(*sources)));
    for (size_t i = 0; i < given; i++) {
        if (place_parse(a->args.operands[i], &sources[count], why, sizeof(why))) {
            count++;
        } else {
            fail(a, "%s", why);
        }
    }
    if (target.remote) {
        to_remote(a, sources, count, &target);
    } else {
        to_local(a, sources, count, target.path);
    }
    for (size_t i = 0; i < count; i++) {
        place_clear(&sources[i]);
    }
    free(sources);
    place_clear(&target);
}

static const char *what_is_wrong(const scp_args *g)
{
    if (g->legacy && (g->program || g->server)) {
        return "-O goes over the library's own connection: -S and -D are for SFTP";
    }
    if (g->direct && g->server) {
        return "-R needs a connection, which -D leaves out";
    }
    return NULL;
}

int main(int argc, char **argv)
{
    scp *a = &the_scp;
    char why[512];
    text_locale();
    fill_descriptors();
    args_result r = args_parse(&a->args, argc, argv, why, sizeof(why));
    const char *wrong = r == ARGS_GOOD ? what_is_wrong(&a->args) : why;
    if (r == ARGS_USAGE) {
        args_clear(&a->args);
        return usage();
    }
    if (wrong && (*wrong || r == ARGS_WRONG)) {
        (void)fprintf(stderr, "nacre-scp: %s\n", wrong);
        args_clear(&a->args);
        return r == ARGS_WRONG ? SCP_NO_CONNECTION : SCP_FAILED;
    }
    a->bar = a->args.quiet ? NULL : progress_start();
    catch_signals();
    go(a);
    progress_stop(a->bar);
    if (a->interrupted && a->status == 0) {
        a->status = SCP_FAILED;
    }
    int status = a->status;
    args_clear(&a->args);
    return status;
}
