/*
 * sftp_server.c - SFTP of one's own: one directory is served, and nothing outside it can be reached.
 *
 *     sftp_server [-m] [-r] -k public-key-file host-key-file port [directory]
 *
 * Whoever has the key is let in, under any name, as the user that this program is. The directory is "/"
 * to him; -r: he may only read. With -m there is no directory but a tree in memory, which all clients
 * share and which is gone when the program ends. It listens on this machine alone; port 0 is any. It
 * prints the port.
 */
#include <nacre/key.h>
#include <nacre/local_files.h>
#include <nacre/memory_files.h>
#include <nacre/server.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct service {
    nacre_key *key;
    const char *directory;
    nacre_memory_files *memory; /* NULL: the directory */
    bool read_only;
} service;

static nacre_server *server;

static nacre_verdict auth_key(void *user, nacre_server_conn *c, const nacre_event *ev, bool signed_)
{
    const service *s = user;
    (void)c;
    (void)signed_; /* the same answer to "would this key do?" and to its signature */
    return nacre_key_equal(s->key, ev->u.auth.key) ? NACRE_ACCEPT : NACRE_REFUSE;
}

static void done(void *files)
{
    nacre_local_files_free(files);
}

/* One session, one backend: it is freed with the session. */
static int serve_directory(const service *s, nacre_server_conn *c, nacre_channel *ch,
                           const nacre_sftp_server_options *so, nacre_error *err)
{
    nacre_local_files_options lo;
    nacre_local_files *files = NULL;
    nacre_local_files_options_init(&lo);
    lo.root = s->directory; /* this makes it a jail */
    lo.read_only = s->read_only;
    int rc = nacre_local_files_new(&files, &lo, err);
    if (rc == NACRE_OK) {
        rc = nacre_server_sftp(c, ch, nacre_local_files_ops(), files, so, done, err);
    }
    if (rc != NACRE_OK) {
        nacre_local_files_free(files);
    }
    return rc;
}

static nacre_verdict subsystem(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    const service *s = user;
    nacre_error err = {0};
    nacre_sftp_server_options so;
    nacre_span name = ev->u.request.command;
    if (name.n != 4 || memcmp(name.p, "sftp", 4) != 0) {
        return NACRE_REFUSE;
    }
    nacre_sftp_server_options_init(&so);
    so.read_only = s->read_only;
    int rc = s->memory ? nacre_server_sftp(c, ev->channel, nacre_memory_files_ops(), s->memory, &so,
                                           NULL, &err)
                       : serve_directory(s, c, ev->channel, &so, &err);
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.status ? err.text : nacre_status_text(rc));
    }
    return rc == NACRE_OK ? NACRE_ACCEPT : NACRE_REFUSE;
}

static int read_public_key(nacre_key **out, const char *path, nacre_error *err)
{
    char line[16384];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(line, 1, sizeof(line), f) : 0;
    if (f) {
        fclose(f);
    }
    return nacre_key_from_public_line(out, NULL, (nacre_span){(const uint8_t *)line, n}, err);
}

static int fill_memory(service *s)
{
    static const char text[] = "What is put here is gone when the server ends.\n";
    const nacre_span bytes = {(const uint8_t *)text, sizeof(text) - 1};
    int rc = nacre_memory_files_new(&s->memory, NULL);
    return rc == NACRE_OK ? nacre_memory_files_put(s->memory, "/README", bytes, 0444) : rc;
}

static void on_signal(int number)
{
    (void)number;
    nacre_server_stop(server);
}

static int run(const nacre_server_config *cfg, uint16_t port, nacre_error *err)
{
    int rc = nacre_server_new(&server, cfg, err);
    rc = rc == NACRE_OK ? nacre_server_listen(server, "127.0.0.1", port, &port, err) : rc;
    if (rc == NACRE_OK) {
        printf("listening on 127.0.0.1 port %u\n", (unsigned)port);
        fflush(stdout);
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        rc = nacre_server_run(server, false);
    }
    nacre_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    service s = {NULL, NULL, NULL, false};
    nacre_key *host_key = NULL;
    nacre_error err = {0};
    nacre_server_config cfg;
    const char *key_file = NULL;
    bool memory = false;
    int letter;
    while ((letter = getopt(argc, argv, "k:mr")) != -1) {
        memory = memory || letter == 'm';
        s.read_only = s.read_only || letter == 'r';
        key_file = letter == 'k' ? optarg : key_file;
    }
    if (!key_file || argc - optind != (memory ? 2 : 3)) {
        fprintf(stderr, "usage: %s [-m] [-r] -k public-key-file host-key-file port [directory]\n",
                argv[0]);
        return 2;
    }
    s.directory = memory ? NULL : argv[optind + 2];
    int rc = read_public_key(&s.key, key_file, &err);
    if (rc == NACRE_OK) {
        rc = nacre_key_from_file(&host_key, NULL, argv[optind], (nacre_span){NULL, 0}, true, &err);
    }
    if (rc == NACRE_OK && memory) {
        rc = fill_memory(&s);
    }
    if (rc == NACRE_OK) {
        nacre_server_config_init(&cfg);
        cfg.host_keys = &host_key;
        cfg.host_key_count = 1;
        cfg.callbacks.auth_key = auth_key;
        cfg.callbacks.subsystem = subsystem;
        cfg.callbacks.user = &s;
        rc = run(&cfg, (uint16_t)atoi(argv[optind + 1]), &err);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "%s\n", err.status ? err.text : nacre_status_text(rc));
    }
    nacre_memory_files_free(s.memory);
    nacre_key_free(host_key);
    nacre_key_free(s.key);
    return rc == NACRE_OK ? 0 : 1;
}
