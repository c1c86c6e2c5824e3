/*
 * main.c - nacre-sftp: connects, does what the command line names or what is typed, and ends.
 */
#include "args.h"

#include "../text_width.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static app the_app;

/* Ends what is under way, not the program. */
static void on_interrupt(int signo)
{
    static const char said[] = "\rInterrupt  \n";
    app *a = &the_app;
    int saved = errno;
    (void)signo;
    a->interrupted = 1;
    if (a->busy && a->interactive) {
        (void)!write(STDERR_FILENO, said, sizeof(said) - 1);
    }
    if (a->busy && a->s) {
        nacre_sftp_cancel(a->s);
    } else if (a->conn && connection_client(a->conn)) {
        nacre_loop_wake(nacre_client_loop(connection_client(a->conn)));
    }
    errno = saved;
}

/* What is on the way is given up cleanly, so that no temporary file stays; a second one ends it at once. */
static void on_end(int signo)
{
    if (the_app.ended) {
        _exit(FAILED);
    }
    the_app.ended = 1;
    on_interrupt(signo);
}

static void catch_signals(void)
{
    static const int ends[] = {SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_interrupt}, old;
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = on_end;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        sigaction(ends[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) { /* nohup */
            sigaction(ends[i], &action, NULL);
        }
    }
}

/* Whoever closed 0, 1 or 2 must not find our socket there. */
static void fill_descriptors(void)
{
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
        if (fd > STDERR_FILENO) {
            close(fd);
            break;
        }
    }
}

/* path as one word of a command line. A pattern stays one, unless a file bears its very name. */
static char *as_word(app *a, const char *path)
{
    nacre_sftp_attrs attrs;
    char *full = absolute(a, path);
    bool literal = !strpbrk(path, "*?[") || nacre_sftp_lstat(a->s, full, &attrs) == NACRE_OK;
    free(full);
    if (literal) {
        return keep(words_quote(path));
    }
    char *out = keep(malloc(2 * strlen(path) + 1));
    char *q = out;
    for (; *path; path++) {
        if (strchr(" \t\r\n\"'\\#", *path)) {
            *q++ = '\\';
        }
        *q++ = *path;
    }
    *q = '\0';
    return out;
}

/* A path in the destination: a directory to begin in, or what to fetch before it is over. */
static int begin_at(app *a, const char *path, const char *local)
{
    char *full = absolute(a, path);
    bool enter = !local && remote_is_dir(a, full);
    char *remote = as_word(a, path);
    char *to = local ? keep(words_quote(local)) : NULL;
    char *line = enter ? text_of("cd -- %s", remote)
                       : text_of("get -- %s%s%s", remote, to ? " " : "", to ? to : "");
    if (enter) {
        tell(a, "Changing to: %s\n", shown(full));
    }
    int rc = run_line(a, line);
    a->ended = a->ended || !enter;
    free(full);
    free(remote);
    free(to);
    free(line);
    return rc;
}

static int run(app *a, const arguments *g)
{
    char *home = NULL;
    if (nacre_sftp_realpath(a->s, ".", &home) != NACRE_OK) {
        complain_sftp(a);
        return FATAL;
    }
    a->pwd = keep(strdup(home));
    a->start = keep(strdup(home));
    nacre_sftp_string_free(a->s, home);
    if (!a->quiet) {
        complain("%s to %s.", g->host ? "Connected" : "Attached",
                 shown(g->host ? g->host : g->c.server));
    }
    int rc = g->path ? begin_at(a, g->path, g->local) : 0;
    if (!a->ended && rc == 0) {
        rc = a->interactive ? edited_lines(a) : plain_lines(a, g->batch_fd);
    }
    return rc == 0 ? 0 : session_over(a) ? FATAL : FAILED;
}

int main(int argc, char **argv)
{
    app *a = &the_app;
    arguments g = {0};
    text_locale();
    fill_descriptors();
    arguments_parse(a, &g, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others */
    a->s = connection_open(&a->conn, &g.c);
    if (!a->s) {
        arguments_free(&g);
        return FATAL;
    }
    catch_signals();
    int rc = run(a, &g);
    fflush(stdout);
    signal(SIGINT, SIG_DFL); /* saying goodbye may be cut short */
    signal(SIGTERM, SIG_DFL);
    connection_close(a->conn);
    owners_forget();
    free(a->pwd);
    free(a->start);
    arguments_free(&g);
    return rc;
}
