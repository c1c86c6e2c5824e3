/*
 * files.c - reading and writing whole files, and asking about their names.
 */
#include "keygen.h"
#include "nacre/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

void kg_forget(void *data, size_t n)
{
    if (data) {
        explicit_bzero(data, n);
        free(data);
    }
}

static int read_fd(int fd, uint8_t **data, size_t *n)
{
    uint8_t *all = NULL;
    size_t len = 0, room = 0;
    for (;;) {
        if (len == room) {
            size_t more = room ? room * 2 : 16384;
            uint8_t *grown = more > KG_FILE_MAX ? NULL : malloc(more);
            if (!grown) {
                kg_forget(all, room);
                return more > KG_FILE_MAX ? EFBIG : ENOMEM;
            }
            memcpy(grown, all ? all : grown, len);
            kg_forget(all, room);
            all = grown;
            room = more;
        }
        ssize_t got = read(fd, all + len, room - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            int number = errno;
            kg_forget(all, room);
            return number;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    *data = all;
    *n = len;
    return 0;
}

int kg_read(const char *path, uint8_t **data, size_t *n)
{
    *data = NULL;
    *n = 0;
    if (strcmp(path, "-") == 0) {
        return read_fd(STDIN_FILENO, data, n);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno;
    }
    int number = read_fd(fd, data, n);
    close(fd);
    return number;
}

static int write_fd(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return errno;
        }
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int write_special(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno;
    }
    int number = write_fd(fd, data, n);
    close(fd);
    return number;
}

int kg_write(const char *path, const void *data, size_t n, mode_t mode)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? EISDIR : write_special(path, data, n);
    }
    /* A link stays one: what it leads to is replaced. */
    char *real = realpath(path, NULL);
    const char *target = real ? real : path;
    char temp[KG_PATH + 16];
    int len = snprintf(temp, sizeof(temp), "%s.XXXXXXXXXX", target);
    int number = len < 0 || (size_t)len >= sizeof(temp) ? ENAMETOOLONG : 0;
    int fd = number ? -1 : mkstemp(temp); /* O_EXCL, 0600 */
    if (!number && fd < 0) {
        number = errno;
    }
    if (fd >= 0) {
        number = write_fd(fd, data, n);
        if (!number && (fchmod(fd, mode) != 0 || fsync(fd) != 0)) {
            number = errno;
        }
        if (close(fd) != 0 && !number) {
            number = errno;
        }
        if (!number && rename(temp, target) != 0) {
            number = errno;
        }
        if (number) {
            (void)unlink(temp);
        }
    }
    free(real);
    return number;
}

bool kg_may_overwrite(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return true;
    }
    (void)printf("%s already exists.\n", path);
    (void)printf("Overwrite (y/n)? ");
    (void)fflush(stdout);
    char answer[3];
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* ~/.ssh/id_<type>: where people look for a key of that type. */
static const char *default_name(const keygen *g)
{
    static const struct {
        const char *type, *name;
    } rows[] = {{"ed25519", "id_ed25519"},
                {"ssh-ed25519", "id_ed25519"},
                {"rsa", "id_rsa"},
                {"ssh-rsa", "id_rsa"},
                {"rsa-sha2-256", "id_rsa"},
                {"rsa-sha2-512", "id_rsa"},
                {"ecdsa", "id_ecdsa"},
                {"ecdsa-sha2-nistp256", "id_ecdsa"},
                {"ecdsa-sha2-nistp384", "id_ecdsa"},
                {"ecdsa-sha2-nistp521", "id_ecdsa"},
                {"ecdsa-sk", "id_ecdsa_sk"},
                {"ed25519-sk", "id_ed25519_sk"}};
    if (!g->type) {
        return "id_ed25519";
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcasecmp(g->type, rows[i].type) == 0) {
            return rows[i].name;
        }
    }
    kg_die("bad key type");
}

void kg_ask_file(keygen *g, const char *prompt)
{
    char answer[KG_PATH];
    (void)snprintf(g->file, sizeof(g->file), "%.3000s/.ssh/%s", g->home, default_name(g));
    (void)printf("%s (%s): ", prompt, g->file);
    (void)fflush(stdout);
    if (!fgets(answer, sizeof(answer), stdin)) {
        exit(1);
    }
    answer[strcspn(answer, "\n")] = '\0';
    if (answer[0]) {
        (void)snprintf(g->file, sizeof(g->file), "%s", answer);
    }
    g->have_file = true;
}

void kg_expand(const keygen *g, const char *path, char *out, size_t size)
{
    int n = path[0] == '~' && path[1] == '/' ? snprintf(out, size, "%s%s", g->home, path + 1)
                                             : snprintf(out, size, "%s", path);
    if (n < 0 || (size_t)n >= size) {
        kg_die("%.100s: %s", path, strerror(ENAMETOOLONG));
    }
}

char *kg_line(FILE *f, char **line, size_t *room)
{
    size_t n = 0;
    int c;
    while ((c = getc_unlocked(f)) != EOF && c != '\n') {
        if (n + 2 > *room) {
            size_t more = *room ? *room * 2 : 1024;
            char *grown = more > KG_LINE_MAX ? NULL : realloc(*line, more);
            if (!grown) {
                kg_die("a line is longer than %d bytes", KG_LINE_MAX);
            }
            *line = grown;
            *room = more;
        }
        (*line)[n++] = (char)c;
    }
    if (c == EOF && n == 0) {
        return NULL;
    }
    if (!*line && !(*line = malloc(*room = 1024))) {
        kg_die("out of memory");
    }
    while (n > 0 && (*line)[n - 1] == '\r') {
        n--;
    }
    (*line)[n] = '\0';
    return *line;
}
