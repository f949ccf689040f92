#!/usr/bin/env python3
"""A name server that knows no name and says so at once: dns.py ADDRESS. Docker's own asks it for the names that it does
not know, as that of a container which is gone; without an answer a client would wait five seconds, which is no property of
what is tested."""

import socket
import struct
import sys

NO_SUCH_NAME = 0x8183  # a response, recursion desired and available, NXDOMAIN (RFC 1035 §4.1.1)
HEADER = struct.Struct("!HHHHHH")

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND: the bridge has its address a moment later
server.bind((sys.argv[1], 53))
while True:
    query, client = server.recvfrom(4096)
    if len(query) >= HEADER.size:
        identity, _, questions, *_ = HEADER.unpack_from(query)
        # The question is repeated without what may follow it (EDNS): it ends at the empty label and four bytes more.
        end = query.index(b"\0", HEADER.size) + 5
        server.sendto(HEADER.pack(identity, NO_SUCH_NAME, questions, 0, 0, 0) + query[HEADER.size : end], client)
