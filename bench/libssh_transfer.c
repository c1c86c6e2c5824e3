/*
 * libssh_transfer.c - what transfer.c does, by libssh's asynchronous SFTP calls (0.11 and later): the
 * fastest client that there is beside ours, to compare with. It is built where such a libssh is found.
 *
 *     libssh_transfer -p PORT -i KEY [-u USER] [-c CIPHER] [-n TIMES] [-r REQUESTS] (get|put) FROM TO
 *
 * Prints one line of JSON a transfer, as transfer does; the first, which warms up, is left out.
 */
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_REQUESTS = 256 };

typedef struct job {
    const char *key, *user, *cipher, *from, *to;
    unsigned port, times, requests;
    bool get;
} job;

/* Requests on the way, oldest first, in a ring. */
typedef struct pipeline {
    sftp_aio aio[MOST_REQUESTS];
    size_t asked[MOST_REQUESTS];
    unsigned first, last;
} pipeline;

static double clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_ms(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put <= 0) {
            return false;
        }
        p += put;
        n -= (size_t)put;
    }
    return true;
}

static int get(const job *j, sftp_file from, int to, size_t chunk, uint64_t size)
{
    pipeline q = {.first = 0};
    char *buffer = malloc(chunk);
    uint64_t asked = 0;
    int bad = buffer == NULL;

    while (!bad && (asked < size || q.first < q.last)) {
        while (asked < size && q.last - q.first < j->requests) {
            size_t want = size - asked < chunk ? (size_t)(size - asked) : chunk;
            ssize_t n = sftp_aio_begin_read(from, want, &q.aio[q.last % MOST_REQUESTS]);
            if (n <= 0) {
                return 1;
            }
            q.asked[q.last++ % MOST_REQUESTS] = (size_t)n;
            asked += (uint64_t)n;
        }
        unsigned at = q.first++ % MOST_REQUESTS;
        ssize_t got = sftp_aio_wait_read(&q.aio[at], buffer, chunk);
        /* A short read in the middle would have to be repaired; servers that are measured make none. */
        bad = got < 0 || (size_t)got != q.asked[at] || !write_all(to, buffer, (size_t)got);
    }
    free(buffer);
    return bad;
}

static int put(const job *j, int from, sftp_file to, size_t chunk)
{
    pipeline q = {.first = 0};
    char *buffer = malloc(chunk);
    bool ended = false;
    int bad = buffer == NULL;

    while (!bad && (!ended || q.first < q.last)) {
        while (!ended && q.last - q.first < j->requests) {
            ssize_t got = read(from, buffer, chunk);
            if (got <= 0) {
                ended = true;
                break;
            }
            unsigned at = q.last++ % MOST_REQUESTS;
            if (sftp_aio_begin_write(to, buffer, (size_t)got, &q.aio[at]) != got) {
                return 1;
            }
            q.asked[at] = (size_t)got;
        }
        if (q.first < q.last) {
            unsigned at = q.first++ % MOST_REQUESTS;
            bad = sftp_aio_wait_write(&q.aio[at]) != (ssize_t)q.asked[at];
        }
    }
    free(buffer);
    return bad;
}

static int move(const job *j, sftp_session s)
{
    sftp_limits_t limits = sftp_limits(s);
    sftp_file file = sftp_open(s, j->get ? j->from : j->to,
                               j->get ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int fd = j->get ? open(j->to, O_WRONLY | O_CREAT | O_TRUNC, 0600) : open(j->from, O_RDONLY);
    int bad = 1;

    if (limits != NULL && file != NULL && fd >= 0) {
        sftp_attributes a = sftp_fstat(file);
        if (!j->get) {
            bad = put(j, fd, file, (size_t)limits->max_write_length);
        } else if (a != NULL) {
            bad = get(j, file, fd, (size_t)limits->max_read_length, a->size);
        }
        sftp_attributes_free(a);
    }
    sftp_limits_free(limits);
    if (file != NULL) {
        bad |= sftp_close(file) != SSH_OK;
    }
    if (fd >= 0) {
        bad |= close(fd) != 0;
    }
    return bad;
}

static ssh_session connect_to(const job *j)
{
    ssh_session ssh = ssh_new();
    ssh_key key = NULL;
    int no = 0;

    ssh_options_set(ssh, SSH_OPTIONS_HOST, "127.0.0.1");
    ssh_options_set(ssh, SSH_OPTIONS_PORT, &j->port);
    ssh_options_set(ssh, SSH_OPTIONS_USER, j->user);
    ssh_options_set(ssh, SSH_OPTIONS_PROCESS_CONFIG, &no);
    ssh_options_set(ssh, SSH_OPTIONS_KEY_EXCHANGE, "curve25519-sha256");
    if (j->cipher != NULL) {
        ssh_options_set(ssh, SSH_OPTIONS_CIPHERS_C_S, j->cipher);
        ssh_options_set(ssh, SSH_OPTIONS_CIPHERS_S_C, j->cipher);
    }
    /* The server is one of our own on this machine: its host key is not looked at. */
    if (ssh_pki_import_privkey_file(j->key, NULL, NULL, NULL, &key) != SSH_OK ||
        ssh_connect(ssh) != SSH_OK || ssh_userauth_publickey(ssh, NULL, key) != SSH_AUTH_SUCCESS) {
        fprintf(stderr, "connecting: %s\n", ssh_get_error(ssh));
        ssh_free(ssh);
        ssh = NULL;
    }
    ssh_key_free(key);
    return ssh;
}

static int transfer(const job *j, bool report)
{
    ssh_session ssh = connect_to(j);
    sftp_session s = ssh != NULL ? sftp_new(ssh) : NULL;
    struct stat st = {0};
    double wall, cpu, gib;
    int bad;

    (void)unlink(j->to); /* whose pages are reused must not depend on the turn */
    if (s == NULL || sftp_init(s) != SSH_OK) {
        fprintf(stderr, "no SFTP session\n");
        return 1;
    }
    wall = clock_ms();
    cpu = cpu_ms();
    bad = move(j, s);
    wall = clock_ms() - wall;
    cpu = cpu_ms() - cpu;
    if (bad) {
        fprintf(stderr, "the transfer failed: %s\n", ssh_get_error(ssh));
    }
    sftp_free(s);
    ssh_disconnect(ssh);
    ssh_free(ssh);
    bad |= stat(j->from, &st) != 0;
    gib = (double)st.st_size / (double)(1 << 30);
    if (!bad && report) {
        printf("{\"mb_s\": %.1f, \"client_cpu_s_per_gib\": %.4f}\n",
               (double)st.st_size / 1e3 / wall, cpu / 1e3 / gib);
        fflush(stdout);
    }
    return bad;
}

static int parse(job *j, int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "p:i:u:c:n:r:")) != -1) {
        switch (c) {
        case 'p':
            j->port = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'i':
            j->key = optarg;
            break;
        case 'u':
            j->user = optarg;
            break;
        case 'c':
            j->cipher = optarg;
            break;
        case 'n':
            j->times = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            j->requests = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            return 1;
        }
    }
    if (argc - optind != 3 || j->key == NULL || j->port == 0 || j->requests == 0 ||
        j->requests > MOST_REQUESTS) {
        return 1;
    }
    j->get = strcmp(argv[optind], "get") == 0;
    j->from = argv[optind + 1];
    j->to = argv[optind + 2];
    return j->times == 0 || (!j->get && strcmp(argv[optind], "put") != 0);
}

int main(int argc, char **argv)
{
    job j = {.times = 5, .requests = 16};
    int bad = 0;

    if (parse(&j, argc, argv) != 0) {
        fprintf(
            stderr,
            "usage: libssh_transfer -p PORT -i KEY [-u USER] [-c CIPHER] [-n TIMES] [-r REQUESTS] "
            "(get|put) FROM TO\n");
        return 2;
    }
    ssh_init();
    for (unsigned i = 0; !bad && i <= j.times; i++) {
        bad = transfer(&j, i > 0);
    }
    ssh_finalize();
    return bad;
}
