/* The load: one thread, one epoll, HTTP/1.1 on kept connections. Every answer is checked.
 *
 *   load closed  PORT REQUEST EXPECT CONNECTIONS SECONDS            as fast as answers come
 *   load open    PORT REQUEST EXPECT CONNECTIONS SECONDS RATE       RATE requests a second, whatever comes back
 *   load streams PORT REQUEST EXPECT CONNECTIONS SECONDS RAMP_MS    one stream on each connection, one after another
 *
 * REQUEST is a file with the whole request, head and body; EXPECT is what stands in each right answer.
 * A latency counts from the time at which the request was due, so that a server that stalls does not slow
 * the clock that measures it. The first fifth of the time warms up and does not count. Of a closed loop nothing
 * counts that comes after the end, but what is wrong: where few answers come, those in flight would be many of them.
 *
 * One line of JSON comes out; times are microseconds.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20, EVENTS = 256, SAMPLES_MAX = 1 << 23, WAITING_MAX = 1 << 20 };
/* How long the answers in flight may take after the end. */
static const uint64_t GRACE = 10000000000u;

struct connection {
    int fd;
    int busy;
    int first_seen;      /* of a stream: the first event came */
    int newline;         /* of a stream: the last byte was a newline */
    int expected_seen;
    uint64_t due;
    size_t sent, have;
    char *answer;
};

static const char *mode, *expect;
static char *request;
static size_t request_size, expect_size;
static int port, epoll_fd;
static int streaming;
static struct connection *connections;
static int connection_count;

static uint64_t begin, counted_from, end;
static uint32_t *samples, *first_samples;
static size_t sample_count, first_count;
static uint64_t answers, wrong, broken, events_seen;
static uint64_t *waiting;    /* open loop: due times that found no free connection */
static size_t waiting_head, waiting_tail;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void open_connection(struct connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e) < 0) die("epoll_ctl");
}

static void reopen(struct connection *c) {
    close(c->fd);
    c->busy = 0;
    open_connection(c);
}

static void send_request(struct connection *c, uint64_t due) {
    c->busy = 1;
    c->due = due;
    c->have = 0;
    c->first_seen = c->newline = c->expected_seen = 0;
    c->sent = 0;
    while (c->sent < request_size) {
        ssize_t n = send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            broken++;
            reopen(c);
            return;
        }
        c->sent += (size_t)n;
    }
}

/* 0: more must come; 1: a right answer; -1: a wrong one. */
static int complete(struct connection *c) {
    char *body = memmem(c->answer, c->have, "\r\n\r\n", 4);
    if (!body) return 0;
    size_t head = (size_t)(body - c->answer) + 4;
    char *length = NULL;
    for (char *line = c->answer; line && line < body; line = memmem(line, head - (line - c->answer), "\r\n", 2)) {
        if (line != c->answer) line += 2;
        if (!strncasecmp(line, "content-length:", 15)) length = line + 15;
        if (line == c->answer) line += 1;
    }
    if (length) {
        if (c->have < head + strtoul(length, NULL, 10)) return 0;
    } else if (c->have < head + 5 || memcmp(c->answer + c->have - 5, "0\r\n\r\n", 5)) {
        return 0;
    }
    int right = !memcmp(c->answer, "HTTP/1.1 200", 12) && memmem(c->answer + head, c->have - head, expect, expect_size);
    return right ? 1 : -1;
}

/* Counts the events of a stream, whose end is the end of the chunked body. */
static int stream_read(struct connection *c, const char *data, size_t size, uint64_t at) {
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' && c->newline && at >= counted_from) events_seen++;
        c->newline = data[i] == '\n';
    }
    if (!c->first_seen && memmem(data, size, "data: ", 6)) {
        c->first_seen = 1;
        if (at >= counted_from && first_count < SAMPLES_MAX)
            first_samples[first_count++] = (uint32_t)((at - c->due) / 1000);
    }
    if (memmem(data, size, expect, expect_size)) c->expected_seen = 1;
    if (c->have + size > 16) c->have = 16;
    char tail[5];
    /* The end may come in pieces: the last bytes are kept. */
    size_t kept = size >= 5 ? 0 : 5 - size;
    memcpy(tail, c->answer + 5 - kept, kept);
    memcpy(tail + kept, data + size - (5 - kept), 5 - kept);
    memcpy(c->answer, tail, 5);
    if (memcmp(tail, "0\r\n\r\n", 5)) return 0;
    return c->expected_seen ? 1 : -1;
}

static void count(struct connection *c, int verdict, uint64_t at) {
    c->busy = 0;
    c->have = 0;
    if (verdict < 0 && at >= counted_from && !wrong++)
        fprintf(stderr, "a wrong answer: %.300s\n", streaming ? "(stream)" : c->answer);
    if (at < counted_from || (*mode == 'c' && at >= end)) return;
    answers++;
    if (verdict > 0 && sample_count < SAMPLES_MAX)
        samples[sample_count++] = (uint32_t)((at - c->due) / 1000);
}

static void next(struct connection *c, uint64_t at) {
    if (at >= end) return;
    if (*mode == 'o') {
        if (waiting_head != waiting_tail) send_request(c, waiting[waiting_head++ % WAITING_MAX]);
    } else {
        send_request(c, at);
    }
}

static void readable(struct connection *c) {
    static char data[1 << 16];
    ssize_t n = streaming ? recv(c->fd, data, sizeof data, 0)
                          : recv(c->fd, c->answer + c->have, ANSWER_MAX - c->have - 1, 0);
    uint64_t at = now();
    if (n <= 0) {
        if (n < 0 && errno == EINTR) return;
        if (c->busy && at < end) broken++;
        reopen(c);
        next(c, at);
        return;
    }
    int verdict;
    if (streaming) {
        verdict = stream_read(c, data, (size_t)n, at);
    } else {
        c->have += (size_t)n;
        c->answer[c->have] = 0;
        verdict = complete(c);
    }
    if (verdict) {
        count(c, verdict, at);
        next(c, at);
    }
}

static struct connection *idle_connection(void) {
    for (int i = 0; i < connection_count; i++)
        if (!connections[i].busy) return &connections[i];
    return NULL;
}

static void due(uint64_t at) {
    struct connection *c = idle_connection();
    if (c) {
        send_request(c, at);
    } else if (waiting_tail - waiting_head < WAITING_MAX) {
        waiting[waiting_tail++ % WAITING_MAX] = at;
    } else {
        broken++;
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void percentiles(const char *name, uint32_t *values, size_t n) {
    qsort(values, n, sizeof *values, by_size);
    static const double at[] = {0.5, 0.9, 0.99, 0.999, 1};
    static const char *as[] = {"p50", "p90", "p99", "p999", "max"};
    printf(",\"%s\":{", name);
    for (int i = 0; i < 5; i++) {
        size_t rank = n ? (size_t)(at[i] * (double)n) : 0;
        if (rank >= n && n) rank = n - 1;
        printf("%s\"%s\":%u", i ? "," : "", as[i], n ? values[rank] : 0);
    }
    printf("}");
}

static void arm(int timer, uint64_t at) {
    struct itimerspec t = {.it_value = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void read_request(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) die(path);
    request = malloc(ANSWER_MAX);
    request_size = fread(request, 1, ANSWER_MAX, f);
    fclose(f);
}

int main(int argc, char **argv) {
    if (argc < 7) {
        fprintf(stderr, "see the head of load.c\n");
        return 2;
    }
    mode = argv[1];
    streaming = *mode == 's';
    port = atoi(argv[2]);
    read_request(argv[3]);
    expect = argv[4];
    expect_size = strlen(expect);
    connection_count = atoi(argv[5]);
    double seconds = atof(argv[6]);
    double rate = argc > 7 ? atof(argv[7]) : 0;

    samples = malloc(SAMPLES_MAX * sizeof *samples);
    first_samples = malloc(SAMPLES_MAX * sizeof *first_samples);
    waiting = malloc(WAITING_MAX * sizeof *waiting);
    connections = calloc((size_t)connection_count, sizeof *connections);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < connection_count; i++) {
        connections[i].answer = malloc(streaming ? 64 : ANSWER_MAX);
        open_connection(&connections[i]);
    }
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &e);

    begin = now();
    counted_from = begin + (uint64_t)(seconds * 0.2e9);
    end = begin + (uint64_t)(seconds * 1e9);
    /* Open: a due time every 1/rate. Streams: all begin within the ramp. Closed: all begin at once. */
    uint64_t step = *mode == 'o' ? (uint64_t)(1e9 / rate) : streaming ? (uint64_t)(rate * 1e6 / connection_count) : 0;
    uint64_t next_due = begin + step;
    int started = 0;
    if (*mode == 'c')
        for (; started < connection_count; started++) send_request(&connections[started], begin);
    else
        arm(timer, next_due);

    struct epoll_event ready[EVENTS];
    uint64_t grace = end + GRACE;
    for (uint64_t at = begin; at < grace; at = now()) {
        int busy = 0;
        if (at >= end) {
            for (int i = 0; i < connection_count; i++) busy |= connections[i].busy;
            if (!busy || streaming) break;
        }
        int n = epoll_wait(epoll_fd, ready, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr) {
                readable(ready[i].data.ptr);
                continue;
            }
            uint64_t ticks;
            if (read(timer, &ticks, sizeof ticks) < 0) continue;
            for (at = now(); next_due <= at && next_due < end; next_due += step) {
                if (*mode == 'o') due(next_due);
                else if (started < connection_count) send_request(&connections[started++], now());
                else break;
            }
            if (next_due < end && (*mode == 'o' || started < connection_count)) arm(timer, next_due);
        }
    }
    double took = (double)(end - counted_from) / 1e9;
    for (int i = 0; i < connection_count && !streaming; i++) broken += (uint64_t)connections[i].busy;
    printf("{\"seconds\":%.3f,\"answers\":%llu,\"wrong\":%llu,\"broken\":%llu,\"unsent\":%llu,\"events\":%llu", took,
           (unsigned long long)answers, (unsigned long long)wrong, (unsigned long long)broken,
           (unsigned long long)(waiting_tail - waiting_head), (unsigned long long)events_seen);
    percentiles("latency", samples, sample_count);
    percentiles("first", first_samples, first_count);
    printf("}\n");
    return 0;
}
