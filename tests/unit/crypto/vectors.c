#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

void unhex(nc_buf *out, const char *hex)
{
    size_t n = strlen(hex);

    assert_int_equal(n % 2, 0);
    for (size_t i = 0; i < n; i += 2) {
        int hi = digit(hex[i]);
        int lo = digit(hex[i + 1]);
        uint8_t b = (uint8_t)(hi << 4 | lo);

        assert_true(hi >= 0 && lo >= 0);
        assert_int_equal(nc_buf_append(out, &b, 1), NACRE_OK);
    }
}

nc_buf empty_buf(void)
{
    nc_buf b;

    nc_buf_init(&b, NULL, BUF_MAX);
    return b;
}

nc_buf hex_buf(const char *hex)
{
    nc_buf b = empty_buf();

    unhex(&b, hex);
    return b;
}

const char *text_field(const cJSON *object, const char *field)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, field);

    assert_true(cJSON_IsString(item));
    return item->valuestring;
}

nc_buf hex_field(const cJSON *object, const char *field)
{
    return hex_buf(text_field(object, field));
}

bool has_flag(const cJSON *test, const char *flag)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(test, "flags"))
    {
        if (strcmp(item->valuestring, flag) == 0) {
            return true;
        }
    }
    return false;
}

void assert_span_eq(nacre_span a, nacre_span b)
{
    assert_int_equal(a.n, b.n);
    if (a.n > 0) {
        assert_memory_equal(a.p, b.p, a.n);
    }
}

static cJSON *load(const char *file)
{
    const char *dir = getenv("NACRE_TEST_DATA");
    char path[1024];
    FILE *f;
    long n;
    char *text;
    cJSON *json;

    snprintf(path, sizeof path, "%s/%s", dir ? dir : "tests/data", file);
    f = fopen(path, "rb");
    if (!f) {
        fail_msg("cannot open %s", path);
        return NULL;
    }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    n = ftell(f);
    assert_true(n > 0);
    rewind(f);
    text = malloc((size_t)n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)n, f), n);
    text[n] = '\0';
    fclose(f);
    json = cJSON_Parse(text);
    free(text);
    assert_non_null(json);
    return json;
}

size_t each_vector(const char *file, vector_fn fn, void *user)
{
    cJSON *json = load(file);
    const cJSON *group;
    const cJSON *test;
    size_t count = 0;

    /* A file without groups is one list. */
    cJSON_ArrayForEach(test, cJSON_GetObjectItemCaseSensitive(json, "tests"))
    {
        fn(NULL, test, user);
        count++;
    }
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(json, "testGroups"))
    {
        cJSON_ArrayForEach(test, cJSON_GetObjectItemCaseSensitive(group, "tests"))
        {
            fn(group, test, user);
            count++;
        }
    }
    cJSON_Delete(json);
    return count;
}

int counting_random(void *user, uint8_t *out, size_t n)
{
    uint8_t *next = user;

    for (size_t i = 0; i < n; i++) {
        *next = (uint8_t)(*next * 5 + 17);
        out[i] = *next;
    }
    return 0;
}

int given_random(void *user, uint8_t *out, size_t n)
{
    nacre_span *s = user;

    if (s->n < n) {
        return -1;
    }
    memcpy(out, s->p, n);
    s->p += n;
    s->n -= n;
    return 0;
}

int broken_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    memset(out, 0x41, n);
    return -1;
}
