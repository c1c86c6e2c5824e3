/*
 * between.c - from server to server: through this machine (-3, as it is without options), or by the scp of
 * the source's host (-R).
 */
#include "scp.h"

#include "nacre/process.h"
#include "nacre/scp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* ---- through this machine ---- */

/* Copying a directory into what is below it would find its own copies. */
static bool is_below_itself(pump *p, const char *from, const char *target)
{
    char *a = NULL, *b = NULL;
    bool below = false;
    if (p->from == p->to && nacre_sftp_realpath(p->from, from, &a) == NACRE_OK &&
        nacre_sftp_realpath(p->to, target, &b) == NACRE_OK) {
        size_t n = strlen(a);
        below = n > 1 && strncmp(b, a, n) == 0 && b[n] == '/';
    }
    nacre_sftp_string_free(p->from, a);
    nacre_sftp_string_free(p->to, b);
    return below;
}

static void copy_matches(pump *p, const far_names *found, const char *target)
{
    scp *a = p->a;
    bool directory = false;
    if (nacre_sftp_isdir(p->to, target, &directory) != NACRE_OK) {
        fail_sftp(a, p->to, target);
        return;
    }
    if (!directory && a->args.to_directory) {
        fail(a, "%s: destination is not a directory", shown(target));
        return;
    }
    if (!directory && found->count > 1) {
        fail(a, "Multiple files match pattern, but destination \"%s\" is not a directory",
             shown(target));
        return;
    }
    for (size_t i = 0; i < found->count && !a->interrupted; i++) {
        char *name = keep(name_of(found->at[i]));
        char *to = keep(name_in(target, directory ? name : ""));
        if (is_below_itself(p, found->at[i], to)) {
            fail(a, "%s: cannot be copied into itself, %s", shown(found->at[i]), shown(to));
        } else {
            pump_copy(p, found->at[i], to);
        }
        free(name);
        free(to);
    }
}

static void copy_source(scp *a, far *from, far *to, const place *source, const char *target,
                        nacre_loop *loop)
{
    far_names found;
    if (!far_sources(a, from, source->path, &found)) {
        return;
    }
    pump p = {a, from->s, to->s, loop, nacre_loop_now(loop), 0};
    copy_matches(&p, &found, target);
    far_names_free(&found);
}

/* All sources of the server that the first one names. */
static void copy_host(scp *a, const place *sources, bool *done, size_t count, const place *first,
                      const place *target, far *to, const char *path, nacre_loop *loop)
{
    far other;
    bool same = place_same_host(first, target);
    far *from = same ? to : &other;
    bool open = same || far_open(a, &other, first, loop);
    for (size_t i = 0; i < count; i++) {
        if (!done[i] && place_same_host(first, &sources[i])) {
            done[i] = true;
            if (open && !a->interrupted) {
                copy_source(a, from, to, &sources[i], path, loop);
            }
        }
    }
    if (open && !same) {
        far_close(a, &other);
    }
}

void copy_through(scp *a, const place *sources, size_t count, const place *target)
{
    far to;
    nacre_loop *loop = NULL;
    nacre_error why = {0};
    bool *done = keep(calloc(count, sizeof(*done)));
    if (nacre_loop_new(&loop, NULL, &why) != NACRE_OK) {
        fail_badly(a, "%s", why.text);
    } else if (far_open(a, &to, target, loop)) {
        char *path = far_path(a, &to, target->path);
        for (size_t i = 0; i < count && path && !a->interrupted; i++) {
            if (!done[i]) {
                copy_host(a, sources, done, count, &sources[i], target, &to, path, loop);
            }
        }
        free(path);
        far_close(a, &to);
    }
    nacre_loop_free(loop);
    free(done);
}

/* ---- by the source's own scp ---- */

enum { COMMAND_MAX = 16 * 1024 };

/* "scp [-v] [-r] [-p] [-d] -- source [user@]host:target", each path quoted for the shell that reads it. */
static bool make_command(scp *a, const place *source, const place *target, char *out)
{
    char from[COMMAND_MAX / 2], to[COMMAND_MAX / 4], quoted[COMMAND_MAX / 2];
    const scp_args *g = &a->args;
    bool six = strchr(target->host, ':') != NULL;
    int n = snprintf(to, sizeof(to), "%s%s%s%s%s:%s", target->user ? target->user : "",
                     target->user ? "@" : "", six ? "[" : "", target->host, six ? "]" : "",
                     target->path);
    int rc = n >= 0 && (size_t)n < sizeof(to)
                 ? nacre_scp_quote(NACRE_SCP_PATTERN, source->path, from, sizeof(from))
                 : NACRE_TOO_LARGE;
    rc = rc == NACRE_OK ? nacre_scp_quote(NACRE_SCP_EXACT, to, quoted, sizeof(quoted)) : rc;
    if (rc == NACRE_OK) {
        n = snprintf(out, COMMAND_MAX, "scp%s%s%s%s -- %s %s", g->verbose > 0 ? " -v" : "",
                     g->recursive ? " -r" : "", g->preserve ? " -p" : "",
                     g->to_directory ? " -d" : "", from, quoted);
        rc = n >= 0 && n < COMMAND_MAX ? NACRE_OK : NACRE_TOO_LARGE;
    }
    if (rc != NACRE_OK) {
        fail(a, "%s: %s", shown(source->path), nacre_status_text(rc));
    }
    return rc == NACRE_OK;
}

static void run_by_library(scp *a, const place *source, const char *command)
{
    connect_options o;
    connection *link = NULL;
    nacre_channel *ch = NULL;
    nacre_relay_options r;
    nacre_relay_result result;
    far_options(a, source, &o);
    nacre_client *c = connection_login(&link, &o);
    if (!c) {
        a->status = SCP_NO_CONNECTION;
        return;
    }
    memset(&result, 0, sizeof(result));
    int rc = nacre_client_session(c, 0, &ch);
    if (rc == NACRE_OK) {
        rc = nacre_channel_exec(ch, (nacre_span){(const uint8_t *)command, strlen(command)}, true);
    }
    if (rc == NACRE_OK) {
        rc = nacre_client_wait_reply(c, ch, 0);
    }
    if (rc == NACRE_OK) {
        (void)nacre_channel_eof(ch);
        nacre_relay_options_init(&r);
        r.sink = 1;
        r.sink_err = 2;
        r.shared = true;
        r.peer_closes = true;
        rc = nacre_client_relay(c, ch, &r, 0, &result);
    }
    if (rc != NACRE_OK) {
        fail_badly(a, "%s", nacre_client_error(c)->text);
    } else if (!result.exited || result.status != 0) {
        a->status = a->status ? a->status : SCP_FAILED; /* it has said why */
    }
    nacre_client_channel_free(c, ch);
    connection_close(link);
}

static void run_by_program(scp *a, const place *source, const char *command)
{
    const scp_args *g = &a->args;
    char **argv = keep(calloc(g->ssh_count + 16, sizeof(*argv)));
    const char *const fixed[] = {g->program, "-x", "-oClearAllForwardings=yes", "-n"};
    size_t n = 0;
    char port[8];
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        argv[n++] = (char *)(uintptr_t)fixed[i];
    }
    for (size_t i = 0; i < g->ssh_count; i++) {
        argv[n++] = g->ssh[i];
    }
    (void)snprintf(port, sizeof(port), "%u", (unsigned)(source->port ? source->port : g->port));
    if (source->port || g->port) {
        argv[n++] = (char *)(uintptr_t) "-p";
        argv[n++] = port;
    }
    if (source->user) {
        argv[n++] = (char *)(uintptr_t) "-l";
        argv[n++] = source->user;
    }
    argv[n++] = (char *)(uintptr_t) "--";
    argv[n++] = source->host;
    argv[n++] = (char *)(uintptr_t)command;
    run_here(a, argv);
    free(argv);
}

void copy_direct(scp *a, const place *source, const place *target)
{
    char command[COMMAND_MAX];
    if (target->port && target->port != 22) {
        fail_badly(a, "target port not supported with two remote hosts and the -R option");
        return;
    }
    if (!make_command(a, source, target, command)) {
        return;
    }
    debug(a, "Executing on %s: %s", source->host, shown(command));
    if (a->args.program) {
        run_by_program(a, source, command);
    } else {
        run_by_library(a, source, command);
    }
}
