/* drive_stream USER KEYFILE KNOWN_HOSTS PORT [signals]: uses the streams of nacre/stream.h on a server of 127.0.0.1, and says what is
 * not as it should be. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nacre/stream.h"

static nacre_client *c;
static int failures;

static void check(bool good, const char *what)
{
    if (!good) {
        (void)printf("not so: %s (%s)\n", what, nacre_client_error(c)->text);
        failures++;
    }
}

static void lines(void)
{
    nacre_stream *s = NULL;
    nacre_exit how;
    const char *line;
    unsigned long expected = 1;
    check(nacre_stream_exec(&s, c, "seq 1 20000; exit 3", NULL) == NACRE_OK, "seq runs");
    while (s && nacre_stream_line(s, NACRE_STDOUT, &line, NULL) == NACRE_OK &&
           strtoul(line, NULL, 10) == expected) {
        expected++;
    }
    check(expected == 20001, "all lines come");
    check(s && nacre_stream_exit(s, &how) == NACRE_OK && how.exited && how.status == 3,
          "the exit status is 3");
    nacre_stream_free(s);
}

static void merged(void)
{
    nacre_stream *s = NULL;
    nacre_stream_options o;
    char text[64] = "";
    size_t n = 0;
    nacre_stream_options_init(&o);
    o.errors = NACRE_STDERR_MERGED;
    check(nacre_stream_exec(&s, c, "echo one; echo two >&2", &o) == NACRE_OK, "echo runs");
    check(s && nacre_stream_read_exactly(s, NACRE_STDOUT, text, sizeof(text) - 1, &n) == NACRE_END,
          "the end comes");
    check(strstr(text, "one\n") && strstr(text, "two\n") && n == 8, "both streams are one");
    nacre_stream_free(s);
}

static void both_ways_with_a_poll(void)
{
    nacre_stream *s = NULL;
    char text[16] = "";
    size_t n = 0;
    check(nacre_stream_exec(&s, c, "cat", NULL) == NACRE_OK, "cat runs");
    int fd = s ? nacre_stream_fd(s) : -1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    check(fd >= 0 && poll(&p, 1, 0) == 0, "nothing to read yet");
    check(s && nacre_stream_write(s, NACRE_STDOUT, "ping", 4, NULL) == NACRE_OK, "a write");
    check(s && nacre_stream_wait(s, NACRE_STREAM_READ, NULL) == NACRE_OK, "an answer");
    check(poll(&p, 1, 0) == 1, "the descriptor says so");
    check(s && nacre_stream_read(s, NACRE_STDOUT, text, sizeof(text), &n) == NACRE_OK && n == 4 &&
              memcmp(text, "ping", 4) == 0,
          "it is what was sent");
    nacre_stream_set_timeout(s, 100);
    check(s && nacre_stream_read(s, NACRE_STDOUT, text, sizeof(text), &n) == NACRE_TIMEOUT,
          "a deadline passes");
    nacre_stream_set_timeout(s, 0);
    check(s && nacre_stream_shutdown_write(s) == NACRE_OK &&
              nacre_stream_read(s, NACRE_STDOUT, text, sizeof(text), &n) == NACRE_END,
          "EOF goes both ways");
    nacre_stream_free(s);
}

static void signals(bool sent)
{
    nacre_stream *s = NULL;
    nacre_exit how;
    check(nacre_stream_exec(&s, c, "kill -TERM $$", NULL) == NACRE_OK &&
              nacre_stream_exit(s, &how) == NACRE_OK && strcmp(how.signal, "TERM") == 0,
          "a signal is reported");
    nacre_stream_free(s);
    s = NULL;
    check(!sent || (nacre_stream_exec(&s, c, "exec sleep 1000", NULL) == NACRE_OK &&
                    nacre_channel_signal(nacre_stream_channel(s), "KILL") == NACRE_OK &&
                    nacre_stream_exit(s, &how) == NACRE_OK && strcmp(how.signal, "KILL") == 0),
          "a signal is sent");
    nacre_stream_free(s);
}

/* The program writes for ever, unless somebody tells it that nobody reads. */
static void end_of_write(void)
{
    nacre_stream *s = NULL;
    nacre_exit how;
    check(nacre_stream_exec(&s, c, "yes", NULL) == NACRE_OK &&
              nacre_stream_shutdown_read(s) == NACRE_OK && nacre_stream_exit(s, &how) == NACRE_OK &&
              !(how.exited && how.status == 0),
          "eow ends what writes for ever");
    nacre_stream_free(s);
}

static void no_more_sessions(void)
{
    nacre_stream *open = NULL, *more = NULL;
    char text[8];
    size_t n = 0;
    check(nacre_stream_exec(&open, c, "cat", NULL) == NACRE_OK, "cat runs again");
    check(nacre_no_more_sessions(nacre_client_transport(c)) == NACRE_OK, "no more sessions");
    check(nacre_stream_exec(&more, c, "true", NULL) == NACRE_WRONG_STATE, "no more it is");
    check(open && nacre_stream_write(open, NACRE_STDOUT, "x", 1, NULL) == NACRE_OK &&
              nacre_stream_read(open, NACRE_STDOUT, text, sizeof(text), &n) == NACRE_OK,
          "what is open goes on");
    nacre_stream_free(open);
}

int main(int argc, char **argv)
{
    nacre_client_config cfg;
    nacre_error err;
    nacre_known_hosts *known = NULL;
    if (argc < 5 || nacre_known_hosts_new(&known, NULL) != NACRE_OK ||
        nacre_known_hosts_add_file(known, argv[3], &err) != NACRE_OK) {
        return 2;
    }
    nacre_client_config_init(&cfg);
    const char *files[] = {argv[2]};
    cfg.user = argv[1];
    cfg.key_files = files;
    cfg.key_file_count = 1;
    cfg.default_key_files = false;
    cfg.known_hosts = known;
    cfg.timeout_ms = 20000;
    if (nacre_client_open(&c, &cfg, "127.0.0.1", (uint16_t)strtoul(argv[4], NULL, 10), &err) !=
        NACRE_OK) {
        (void)printf("%s\n", err.text);
        return 2;
    }
    lines();
    merged();
    both_ways_with_a_poll();
    signals(argc > 5);
    end_of_write();
    no_more_sessions();
    nacre_client_disconnect(c);
    nacre_client_free(c);
    nacre_known_hosts_free(known);
    return failures ? 1 : 0;
}
