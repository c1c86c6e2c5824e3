/*
 * terminal.c - a login shell on another machine, in this terminal:
 *
 *     terminal user host [port [key-file]]
 *
 * The terminal is raw meanwhile, and put back whatever ends the program. Without a key-file keys come from
 * ~/.ssh; the host must be in ~/.ssh/known_hosts.
 */
#include <nacre/client.h>
#include <nacre/process.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct shell {
    nacre_client *client;
    nacre_channel *channel;
} shell;

/* The terminal has another size: so has the one over there. */
static void on_resize(void *user, int signo)
{
    shell *s = user;
    nacre_pty size;
    (void)signo;
    if (nacre_tty_size(STDIN_FILENO, &size) == NACRE_OK &&
        nacre_channel_window_change(s->channel, &size) == NACRE_OK) {
        nacre_driver_kick(nacre_client_driver(s->client));
    }
}

/* A terminal like ours, and a shell in it. */
static int ask_for_shell(shell *s)
{
    uint8_t modes[1024];
    size_t n = sizeof(modes);
    nacre_pty pty = {0};
    const char *term = getenv("TERM");
    if (nacre_tty_size(STDIN_FILENO, &pty) != NACRE_OK ||
        nacre_tty_modes(STDIN_FILENO, modes, &n) != NACRE_OK) {
        n = 0;
    }
    pty.term = (nacre_span){(const uint8_t *)(term ? term : "dumb"), strlen(term ? term : "dumb")};
    pty.modes = (nacre_span){modes, n};
    int rc = nacre_client_session(s->client, 0, &s->channel);
    rc = rc == NACRE_OK ? nacre_channel_pty(s->channel, &pty, true) : rc;
    rc = rc == NACRE_OK ? nacre_channel_shell(s->channel, true) : rc;
    /* One answer to each. */
    rc = rc == NACRE_OK ? nacre_client_wait_reply(s->client, s->channel, 0) : rc;
    return rc == NACRE_OK ? nacre_client_wait_reply(s->client, s->channel, 0) : rc;
}

/* Until the shell ends; its exit status. */
static int run_shell(shell *s)
{
    nacre_relay_options o;
    nacre_relay_result result = {0};
    nacre_tty *tty = NULL;
    nacre_error err = {0};
    nacre_relay_options_init(&o);
    o.source = STDIN_FILENO;
    o.sink = STDOUT_FILENO;
    o.sink_err = STDERR_FILENO;
    o.shared = true;      /* others use these, too */
    o.peer_closes = true; /* after its exit status */
    int rc = ask_for_shell(s);
    if (rc == NACRE_OK) {
        rc = nacre_loop_on_signal(nacre_client_loop(s->client), SIGWINCH, on_resize, s);
    }
    if (rc == NACRE_OK && isatty(STDIN_FILENO)) {
        rc = nacre_tty_raw(&tty, STDIN_FILENO, &err);
        rc = rc == NACRE_OK ? nacre_tty_guard(tty, &err) : rc;
    }
    if (rc == NACRE_OK) {
        rc = nacre_client_relay(s->client, s->channel, &o, NACRE_FOREVER, &result);
    }
    nacre_tty_free(tty);
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.text[0] ? err.text : nacre_client_error(s->client)->text);
    }
    return rc == NACRE_OK && result.exited ? (int)result.status : 255;
}

int main(int argc, char **argv)
{
    nacre_client_config cfg;
    nacre_known_hosts *hosts = NULL;
    nacre_error err = {0};
    shell s = {0};
    char path[1024];
    int status = 255;
    if (argc < 3) {
        fprintf(stderr, "usage: %s user host [port [key-file]]\n", argv[0]);
        return 2;
    }
    const char *home = getenv("HOME");
    snprintf(path, sizeof(path), "%s/.ssh/known_hosts", home ? home : "");
    int rc = nacre_known_hosts_new(&hosts, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_file(hosts, path, &err);
    }
    if (rc == NACRE_OK) {
        nacre_client_config_init(&cfg);
        cfg.user = argv[1];
        cfg.known_hosts = hosts; /* unknown and changed hosts are refused */
        if (argc > 4) {
            cfg.key_files = (const char *const *)argv + 4;
            cfg.key_file_count = 1;
            cfg.default_key_files = false;
        }
        rc = nacre_client_open(&s.client, &cfg, argv[2], (uint16_t)(argc > 3 ? atoi(argv[3]) : 22),
                               &err);
    }
    if (rc == NACRE_OK) {
        status = run_shell(&s);
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    nacre_client_disconnect(s.client);
    nacre_client_free(s.client);
    nacre_known_hosts_free(hosts);
    return status;
}
