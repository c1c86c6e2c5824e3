/*
 * x11.c - displays: what their names mean, how they are reached, and their cookies, by xauth(1).
 */
#include "io/x11.h"

#include "base/words.h"
#include "channel/x11.h"
#include "io/capture.h"
#include "io/private_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    XAUTH_MS = 10 * 1000, /* it may wait for the lock of its file */
    XAUTH_OUTPUT_MAX = 16 * 1024,
    DIAL_MS = 30 * 1000,
    LIFE_SLACK =
        60 /* seconds a cookie outlives our own limit: a connection that is just being made */
};

static const char unix_dir[] = "/tmp/.X11-unix";

/* ---- names ---- */

/* Nothing else is handed to a program or a resolver. */
static bool has_bad_characters(const char *text)
{
    return text[strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             ":/.-_[]%")] != '\0';
}

/* ":number" or ":number.screen", to the end. */
static bool read_numbers(const char *at, nacre_x11_display *d)
{
    uint64_t number = 0, screen = 0;
    at++;
    if (!nc_parse_digits(&at, NC_X11_NUMBER_MAX, &number)) {
        return false;
    }
    if (*at == '.') {
        at++;
        if (!nc_parse_digits(&at, UINT16_MAX, &screen)) {
            return false;
        }
    }
    d->number = (uint16_t)number;
    d->screen = (uint16_t)screen;
    return *at == '\0';
}

static bool read_host(const char *text, size_t n, nacre_x11_display *d)
{
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n >= sizeof(d->host) || (n > 0 && text[0] == '-')) {
        return false;
    }
    if (!(n == 4 && memcmp(text, "unix", 4) == 0)) {
        memcpy(d->host, text, n);
    }
    return true;
}

int nacre_x11_display_parse(const char *text, nacre_x11_display *out, nacre_error *err)
{
    nc_error_clear(err);
    memset(out, 0, sizeof(*out));
    const char *colon = strrchr(text, ':');
    bool path = text[0] == '/';
    bool good = !has_bad_characters(text) && (path || colon);
    if (good && path) {
        good = strlen(text) < sizeof(out->path);
        (void)snprintf(out->path, sizeof(out->path), "%s", good ? text : "");
        good = good && (!colon || read_numbers(colon, out));
    } else if (good) {
        good = read_numbers(colon, out) && read_host(text, (size_t)(colon - text), out);
    }
    if (good) {
        return NACRE_OK;
    }
    memset(out, 0, sizeof(*out));
    return nc_fail(err, NACRE_SYNTAX,
                   "\"%s\" is no X display: wanted host:number.screen, :number or a socket's path",
                   NC_ESC(nc_span_cstr(text)));
}

_Static_assert(sizeof(((nacre_x11_request *)NULL)->protocol) == NC_X11_NAME_MAX &&
                   sizeof(((nacre_x11_request *)NULL)->cookie) == NC_FWD_X11_MAX + 1,
               "what was read and found fit has room");

int nacre_x11_request_parse(nacre_span data, nacre_x11_request *out)
{
    nc_fwd_x11_request r;
    memset(out, 0, sizeof(*out));
    int rc = nc_x11_req_read(data, &r);
    if (rc == NACRE_OK) {
        out->single_connection = r.single;
        out->screen = r.screen;
        memcpy(out->protocol, r.protocol, strlen(r.protocol)); /* below NC_X11_NAME_MAX */
        memcpy(out->cookie, r.cookie, sizeof(out->cookie));
    }
    nc_wipe(&r, sizeof(r));
    return rc;
}

/* ---- connections ---- */

/* A display that is named by a path may have its screen behind it. */
static int dial_path(const nacre_x11_display *d, int *fd, nacre_error *err)
{
    char path[sizeof(d->path)];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s", d->path);
    char *dot = strrchr(path, '.');
    if (dot && stat(path, &st) != 0 && strspn(dot + 1, "0123456789") == strlen(dot + 1)) {
        *dot = '\0';
    }
    return nacre_net_connect_unix(path, fd, err);
}

int nc_x11_dial(const nacre_x11_display *d, nacre_loop *loop, const nacre_allocator *a, int *fd,
                nacre_connecting **waiting, nacre_connect_fn fn, void *user, nacre_error *err)
{
    nacre_connect_options o;
    *fd = -1;
    *waiting = NULL;
    if (d->path[0]) {
        return dial_path(d, fd, err);
    }
    if (!d->host[0]) {
        char path[sizeof(d->path)];
        (void)snprintf(path, sizeof(path), "%s/X%u", unix_dir, (unsigned)d->number);
        return nacre_net_connect_unix(path, fd, err);
    }
    nacre_connect_options_init(&o);
    o.timeout_ms = DIAL_MS;
    return nacre_net_connect_start(waiting, loop, a, d->host, (uint16_t)(NC_X11_PORT + d->number),
                                   &o, fn, user, err);
}

/* ---- cookies ---- */

void nacre_x11_cookie_options_init(nacre_x11_cookie_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->xauth = "/usr/bin/xauth";
    o->trusted = true;
    o->timeout_ms = XAUTH_MS;
}

/* X's library looks cookies of "localhost:10" up as those of "unix:10". */
static void local_name(const char *display, char *out, size_t size)
{
    static const char name[] = "localhost:";
    size_t n = sizeof(name) - 1;
    bool local = strncmp(display, name, n) == 0;
    (void)snprintf(out, size, "%s%s", local ? "unix:" : "", local ? display + n : display);
}

/* "display  protocol  hexadecimal digits": the first line that has all three. */
static int read_line(nacre_span text, nacre_x11_cookie *out)
{
    nacre_span line;
    while (nc_next_line(&text, &line)) {
        nacre_span words[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
        nacre_span rest = nc_trim_blanks(line);
        for (size_t i = 0; i < 3 && rest.n > 0; i++) {
            size_t n = 0;
            while (n < rest.n && !nc_is_blank((char)rest.p[n])) {
                n++;
            }
            words[i] = nc_span(rest.p, n);
            rest = nc_trim_blanks(nc_span(rest.p + n, rest.n - n));
        }
        if (rest.n == 0 && nc_x11_is_protocol(words[1]) &&
            nc_x11_unhex(words[2], out->data, sizeof(out->data), &out->size) == NACRE_OK) {
            (void)snprintf(out->protocol, sizeof(out->protocol), "%.*s", (int)words[1].n,
                           (const char *)words[1].p);
            return NACRE_OK;
        }
    }
    return NACRE_NOT_FOUND;
}

static int run_xauth(const nacre_x11_cookie_options *o, const char *const *words, nc_buf *out,
                     nacre_error *err)
{
    char *argv[12];
    size_t n = 0;
    for (; words[n] && n + 1 < sizeof(argv) / sizeof(argv[0]); n++) {
        argv[n] = (char *)(uintptr_t)words[n]; /* exec takes them so, and writes nothing */
    }
    argv[n] = NULL;
    const nc_capture c = {.argv = argv, .quiet = true, .timeout_ms = o->timeout_ms};
    nc_buf_reset(out);
    return nc_capture_run(&c, out, err);
}

static int list(const nacre_x11_cookie_options *o, const char *file, const char *name, nc_buf *text,
                nacre_x11_cookie *out, nacre_error *err)
{
    const char *const plain[] = {o->xauth, "list", name, NULL};
    const char *const of_file[] = {o->xauth, "-f", file, "list", name, NULL};
    int rc = run_xauth(o, file ? of_file : plain, text, err);
    if (rc == NACRE_OK && read_line(nc_buf_span(text), out) != NACRE_OK) {
        rc = nc_fail(err, NACRE_NOT_FOUND, "%s knows no cookie for the display %s",
                     NC_ESC(nc_span_cstr(o->xauth)), NC_ESC(nc_span_cstr(name)));
    }
    return rc;
}

/* The display makes a cookie that can do less; it goes through a file of our own, which goes again. */
static int generate(const nacre_x11_cookie_options *o, const char *name, nc_buf *text,
                    nacre_x11_cookie *out, nacre_error *err)
{
    char dir[96], file[128], life[16];
    int rc = nc_private_dir(NULL, dir, sizeof(dir), "a cookie of the X display", err);
    if (rc != NACRE_OK) {
        return rc;
    }
    (void)snprintf(file, sizeof(file), "%s/xauthfile", dir);
    uint32_t seconds = o->lifetime_seconds;
    seconds = seconds == 0 || seconds > UINT32_MAX - LIFE_SLACK ? seconds : seconds + LIFE_SLACK;
    (void)snprintf(life, sizeof(life), "%u", (unsigned)seconds);
    const char *const words[] = {
        o->xauth,    "-f",      file, "generate", name, "MIT-MAGIC-COOKIE-1",
        "untrusted", "timeout", life, NULL};
    rc = run_xauth(o, words, text, err);
    if (rc == NACRE_OK) {
        rc = list(o, file, name, text, out, err);
    }
    (void)unlink(file);
    (void)rmdir(dir);
    return rc;
}

int nacre_x11_cookie_ask(nacre_x11_cookie *out, const nacre_x11_cookie_options *o, nacre_error *err)
{
    char name[sizeof(((nacre_x11_display *)NULL)->host) + 32];
    nacre_x11_display d;
    nc_buf text;
    nc_error_clear(err);
    memset(out, 0, sizeof(*out));
    if (!o || o->size != sizeof(*o) || !o->xauth || o->xauth[0] != '/') {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "options by nacre_x11_cookie_options_init, and the absolute path of xauth, "
                       "are needed");
    }
    const char *display = o->display ? o->display : getenv("DISPLAY");
    if (!display || !*display) {
        return nc_fail(err, NACRE_NOT_FOUND, "there is no display: DISPLAY is not set");
    }
    int rc = nacre_x11_display_parse(display, &d, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    local_name(display, name, sizeof(name));
    nc_buf_init(&text, NULL, XAUTH_OUTPUT_MAX);
    rc = o->trusted ? list(o, NULL, name, &text, out, err) : generate(o, name, &text, out, err);
    nc_buf_clear(&text);
    return rc;
}

int nacre_x11_cookie_add(const char *xauth, const char *display, const char *protocol,
                         const char *cookie, char *const *environment, uint32_t timeout_ms,
                         nacre_error *err)
{
    char name[sizeof(((nacre_x11_display *)NULL)->host) + 32], program[1024];
    char commands[sizeof(name) * 2 + NC_X11_NAME_MAX + (size_t)2 * NC_X11_DATA_MAX + 32];
    char quiet[] = "-q", from_input[] = "-";
    nacre_x11_display d;
    nc_buf said;
    nc_error_clear(err);
    int rc = nacre_x11_display_parse(display, &d, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int n = snprintf(program, sizeof(program), "%s", xauth ? xauth : "");
    if (n <= 0 || (size_t)n >= sizeof(program) || program[0] != '/' ||
        !nc_x11_is_protocol(nc_span_cstr(protocol)) || !nc_x11_is_cookie(nc_span_cstr(cookie))) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the absolute path of xauth, and a protocol and cookie that it can be told, "
                       "are needed");
    }
    local_name(display, name, sizeof(name));
    n = snprintf(commands, sizeof(commands), "remove %s\nadd %s %s %s\n", name, name, protocol,
                 cookie);
    char *const argv[] = {program, quiet, from_input, NULL};
    const nc_capture c = {.argv = argv,
                          .envp = environment,
                          .input = nc_span(commands, n > 0 ? (size_t)n : 0),
                          .quiet = true,
                          .timeout_ms = timeout_ms};
    nc_buf_init(&said, NULL, XAUTH_OUTPUT_MAX);
    rc = nc_capture_run(&c, &said, err);
    nc_buf_clear(&said);
    nc_wipe(commands, sizeof(commands));
    return rc;
}
