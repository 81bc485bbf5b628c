#!/usr/bin/env python3
"""Slow clients of `stoke history serve`, and how another client fares.

    benches/history_slow.py ADDRESS PATH PID [--clients 512] [--seconds 30]

CLIENTS connections ask for PATH (below /api/v1; a long answer) and read one byte a second of it, as many send half a request. Meanwhile one
client asks for a short answer and for the long one again and again. Shown: how long it waited at most, and the memory of the
process PID before and at most, its threads, and how many of the slow connections are still there.
"""

import argparse
import http.client
import re
import resource
import selectors
import socket
import time


def status(pid):
    text = open("/proc/%d/status" % pid).read()
    number = lambda key: int(re.search(key + r":\s+(\d+)", text).group(1))
    return number("VmRSS") // 1024, number("Threads")


def get(address, path):
    begin = time.monotonic()
    connection = http.client.HTTPConnection(address, timeout=300)
    connection.request("GET", "/api/v1/" + path)
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, len(body), time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("path")
    parser.add_argument("pid", type=int)
    parser.add_argument("--clients", type=int, default=512)
    parser.add_argument("--seconds", type=int, default=30)
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    host, port = given.address.split(":")
    print("alone: %s, %d bytes, %.2f s" % get(given.address, given.path))
    before, threads = status(given.pid)
    print("memory before: %d MiB, %d threads" % (before, threads))
    connect = lambda: socket.create_connection((host, int(port)))
    slow, half = [], []
    begin = time.monotonic()
    for _ in range(given.clients):
        one = connect()
        one.sendall(b"GET /api/v1/" + given.path.encode() + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        one.setblocking(False)
        slow.append(one)
        one = connect()
        one.sendall(b"GET /api/v1/applications HTTP/1.1\r\nHo")
        half.append(one)
    most, most_threads, short, long, begun = before, threads, 0, 0, set()
    while time.monotonic() - begin < given.seconds:
        for place, one in enumerate(slow):
            try:
                if one.recv(1):
                    begun.add(place)
            except (BlockingIOError, ConnectionError):
                pass
        short = max(short, get(given.address, "version")[2], get(given.address, "applications?limit=1")[2])
        long = max(long, get(given.address, given.path)[2])
        memory, threads = status(given.pid)
        most, most_threads = max(most, memory), max(most_threads, threads)
        time.sleep(1)
    print("%d slow clients (%d answers begun), %d half requests: memory at most %d MiB, %d threads" % (
        len(slow), len(begun), len(half), most, most_threads))
    print("meanwhile: a short answer took %.2f s at most, the long one %.2f s" % (short, long))
    gone = 0
    with selectors.DefaultSelector() as waiting:
        for one in half:
            waiting.register(one, selectors.EVENT_READ)
        gone = len(waiting.select(0))
    print("half requests ended: %d" % gone)


main()
