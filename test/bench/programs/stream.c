// A TCP transfer of the kernel's own stack, as fast as it goes.
//
//   stream serve PORT                      sends to whoever connects, one after the other, until they leave
//   stream fetch ADDRESS PORT MILLIS       receives for so long; prints bytes and nanos, from the first byte on
//
// `serve` prints {"ready":true} when it listens, and ends with its stdin.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char bytes[1 << 17];

static void fail(const char *what) {
  fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now_nanos(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int serve(int listener, struct sockaddr_in *at) {
  const int yes = 1;
  at->sin_addr.s_addr = INADDR_ANY;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)at, sizeof *at) || listen(listener, 4)) fail("bind");
  puts("{\"ready\":true}");
  fflush(stdout);
  for (int connection = -1;;) {
    struct pollfd fds[] = {{0, POLLIN, 0}, {connection < 0 ? listener : connection, connection < 0 ? POLLIN : POLLOUT, 0}};
    if (poll(fds, 2, -1) < 0) fail("poll");
    if (fds[0].revents != 0) return 0;
    if (fds[1].revents == 0) continue;
    if (connection < 0) {
      connection = accept(listener, NULL, NULL);
    } else if (send(connection, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
      close(connection);
      connection = -1;
    }
  }
}

static int fetch(int connection, const struct sockaddr_in *at, uint64_t nanos) {
  if (connect(connection, (const struct sockaddr *)at, sizeof *at)) fail("connecting");
  uint64_t start = 0, now = 0, received = 0;
  do {
    const ssize_t count = recv(connection, bytes, sizeof bytes, 0);
    if (count <= 0) fail("receiving");
    now = now_nanos();
    if (start == 0) start = now;
    else received += (uint64_t)count;
  } while (now - start < nanos);
  printf("{\"bytes\":%llu,\"nanos\":%llu}\n", (unsigned long long)received, (unsigned long long)(now - start));
  return 0;
}

int main(int count, char **argument) {
  const int is_server = count == 3 && strcmp(argument[1], "serve") == 0;
  if (!is_server && !(count == 5 && strcmp(argument[1], "fetch") == 0)) return fprintf(stderr, "usage: see stream.c\n"), 2;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argument[is_server ? 2 : 3]))};
  if (fd < 0) fail("socket");
  if (is_server) return serve(fd, &at);
  if (inet_pton(AF_INET, argument[2], &at.sin_addr) != 1) fail(argument[2]);
  return fetch(fd, &at, (uint64_t)atoll(argument[4]) * 1000000u);
}
