/*
 * key_server.c - the public key subsystem (RFC 4819) for any SSH server, over a file of public keys:
 *
 *     Subsystem publickey /usr/local/bin/key_server .ssh/authorized_keys      (in sshd_config)
 *
 * The file has one key a line and belongs to this program: lines with options are not for it.
 */
#include <nacre/publickey.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 200, LINE = 16384 };

typedef struct store {
    const char *path;
    nacre_key *keys[MOST];
    size_t count;
    nacre_publickey_attribute comment; /* of the key that was shown last */
} store;

static size_t find(const store *s, nacre_span blob)
{
    size_t i = 0;
    while (i < s->count && (nacre_key_blob(s->keys[i]).n != blob.n ||
                            memcmp(nacre_key_blob(s->keys[i]).p, blob.p, blob.n) != 0)) {
        i++;
    }
    return i;
}

static bool load(store *s)
{
    static char line[LINE];
    FILE *f = fopen(s->path, "r");
    bool good = true;
    while (f && good && fgets(line, sizeof(line), f)) {
        nacre_error err = {0};
        nacre_span span = {(const uint8_t *)line, strlen(line)};
        good = s->count < MOST &&
               nacre_key_from_public_line(&s->keys[s->count], NULL, span, &err) == NACRE_OK;
        s->count += good ? 1 : 0;
    }
    if (f) {
        fclose(f);
    }
    return good;
}

/* A new file in the old one's place: whoever reads it finds the one or the other, and whole. */
static uint32_t save(const store *s)
{
    static char line[LINE];
    char name[1024];
    snprintf(name, sizeof(name), "%s.new", s->path);
    (void)unlink(name);
    FILE *f = fopen(name, "wx");
    bool good = f != NULL;
    for (size_t i = 0; good && i < s->count; i++) {
        good = nacre_key_public_line(s->keys[i], line, sizeof(line)) > 0 &&
               fprintf(f, "%s %s\n", line, nacre_key_comment(s->keys[i])) > 0;
    }
    good = (!f || fclose(f) == 0) && good && rename(name, s->path) == 0;
    return good ? NACRE_PUBLICKEY_SUCCESS : NACRE_PUBLICKEY_GENERAL_FAILURE;
}

static uint32_t add(void *user, const nacre_publickey_entry *e, bool overwrite, char *text,
                    size_t size)
{
    store *s = user;
    char comment[256] = "";
    nacre_key *plain = NULL, *key = NULL;
    nacre_error err = {0};
    size_t i = find(s, e->blob);
    if (i < s->count && !overwrite) {
        return NACRE_PUBLICKEY_KEY_ALREADY_PRESENT;
    }
    if (i == MOST) {
        return NACRE_PUBLICKEY_STORAGE_EXCEEDED;
    }
    if (nacre_key_from_blob(&plain, NULL, e->blob, &err) != NACRE_OK) {
        snprintf(text, size, "%s", err.text);
        return NACRE_PUBLICKEY_KEY_NOT_SUPPORTED;
    }
    if (e->attribute_count) { /* comments are all that we know: no line of the file can be made of one */
        nacre_escape(comment, sizeof(comment), e->attributes[0].value);
    }
    int rc = nacre_key_with_comment(&key, plain, comment);
    nacre_key_free(plain);
    if (rc != NACRE_OK) {
        return NACRE_PUBLICKEY_GENERAL_FAILURE;
    }
    if (i < s->count) {
        nacre_key_free(s->keys[i]);
    }
    s->keys[i] = key;
    s->count += i == s->count ? 1 : 0;
    return save(s);
}

static uint32_t take_away(void *user, nacre_span algorithm, nacre_span blob, char *text,
                          size_t size)
{
    store *s = user;
    size_t i = find(s, blob);
    (void)algorithm;
    (void)text;
    (void)size;
    if (i == s->count) {
        return NACRE_PUBLICKEY_KEY_NOT_FOUND;
    }
    nacre_key_free(s->keys[i]);
    s->keys[i] = s->keys[--s->count];
    return save(s);
}

static bool show(void *user, size_t index, nacre_publickey_entry *out)
{
    store *s = user;
    if (index >= s->count) {
        return false;
    }
    const char *type = nacre_key_type(s->keys[index]);
    const char *text = nacre_key_comment(s->keys[index]);
    out->algorithm = (nacre_span){(const uint8_t *)type, strlen(type)};
    out->blob = nacre_key_blob(s->keys[index]);
    s->comment.name = (nacre_span){(const uint8_t *)"comment", 7};
    s->comment.value = (nacre_span){(const uint8_t *)text, strlen(text)};
    out->attributes = &s->comment;
    out->attribute_count = 1;
    return true;
}

static int serve(nacre_publickey_server *machine)
{
    uint8_t bytes[4096];
    int rc = NACRE_OK;
    for (;;) {
        for (nacre_span o; (o = nacre_publickey_server_output(machine)).n;) {
            ssize_t n = write(STDOUT_FILENO, o.p, o.n);
            if (n <= 0) {
                return 1;
            }
            (void)nacre_publickey_server_sent(machine, (size_t)n);
        }
        ssize_t n = rc == NACRE_OK ? read(STDIN_FILENO, bytes, sizeof(bytes)) : 0;
        if (n <= 0) {
            return rc == NACRE_OK ? 0 : 1;
        }
        rc = nacre_publickey_server_input(machine, (nacre_span){bytes, (size_t)n});
    }
}

int main(int argc, char **argv)
{
    static const nacre_publickey_supported known[] = {{"comment", false}};
    static const nacre_publickey_ops ops = {add, take_away, show, known, 1};
    static store s;
    nacre_publickey_server *machine = NULL;
    s.path = argc == 2 ? argv[1] : NULL;
    if (!s.path || !load(&s)) {
        fprintf(stderr, "%s: one file of public keys is wanted, without options\n", argv[0]);
        return 2;
    }
    int status = 1;
    if (nacre_publickey_server_new(&machine, NULL, &ops, &s) == NACRE_OK) {
        status = serve(machine);
    }
    nacre_publickey_server_free(machine);
    while (s.count) {
        nacre_key_free(s.keys[--s.count]);
    }
    return status;
}
